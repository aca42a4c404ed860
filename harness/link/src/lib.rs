//! User-space faults on one edge: a TCP relay that the caller connects to in place of the callee, or to which its connections are redirected. No
//! privilege is needed.
//!
//! The harness runs links inside itself where services are processes. Where they are containers the binary `shakedown-relay` stands in a service's
//! network namespace and is told what to do over stdin and stdout ([`wire`]); the agent leads the service's connections to it, and the relay's own
//! connections, known by its user id, past it.
//!
//! ```text
//! desk -> session -> work -> dns (queries and their answers)
//!                         -> link (what to do, what was done) -> driver -> door (callers) -> connection -> pipe, http
//! ```
//!
//! This room knows one connection's bytes, and neither services nor experiments. Where they are HTTP, PostgreSQL's protocol or Redis's it knows whole messages. A second relay, for
//! DNS, stands between a service and its resolver; who leads the queries there is not its business.
//!
//! What a relay cannot do: the caller's TCP handshake is answered by the kernel before the relay hears of it. Under a partition a caller
//! therefore sees a connection that is made and then hangs, not a connection attempt that hangs; latency begins with the first bytes.

mod behaviour;
mod connection;
mod delays;
pub mod desk;
mod dns;
mod door;
mod dose;
mod driver;
mod farewell;
mod http;
mod http2;
mod line;
mod link;
mod lots;
mod pace;
mod pattern;
mod pipe;
mod postgres;
mod redis;
mod registry;
pub mod session;
mod shape;
mod talk;
mod target;
mod toxicity;
pub mod wire;
mod work;

pub use behaviour::{Behaviour, Distribution};
pub use dns::{DnsDose, DnsDriver, DnsEffect, DnsMatching, DnsRelay, DnsRule, DnsRuleError};
pub use dose::{HttpDose, LinkDose};
pub use driver::LinkDriver;
pub use http::{GrpcStatus, GrpcStatusError, HttpAction, HttpProtocol, HttpRule, HttpRuleError, Matching, Patch, PathPattern};
pub use link::{Link, Upstream};
pub use postgres::{PostgresAction, PostgresDose, PostgresRule, PostgresRuleError, QueryMatching};
pub use redis::{CommandMatching, RedisAction, RedisDose, RedisRule, RedisRuleError};
pub use target::Target;
pub use toxicity::Toxicity;
