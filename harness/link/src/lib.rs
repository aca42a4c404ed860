//! User-space faults on one edge: a TCP relay that the caller connects to in place of the callee. No privilege is needed.
//!
//! This room knows one connection's bytes, and neither services nor experiments. Where they are HTTP/1.x it knows whole messages.
//!
//! What a relay cannot do: the caller's TCP handshake is answered by the kernel before the relay hears of it. Under a partition a caller
//! therefore sees a connection that is made and then hangs, not a connection attempt that hangs; latency begins with the first bytes.

mod behaviour;
mod connection;
mod door;
mod dose;
mod driver;
mod farewell;
mod http;
mod line;
mod link;
mod pace;
mod pipe;
mod registry;
mod shape;
mod toxicity;

pub use behaviour::Behaviour;
pub use dose::{HttpDose, LinkDose};
pub use driver::LinkDriver;
pub use http::{HttpAction, HttpRule, HttpRuleError, Matching, Patch, PathPattern};
pub use link::{Link, Upstream};
pub use toxicity::Toxicity;
