//! Faults on what a service asks its resolver: a relay for UDP and TCP in front of the resolver. It must not know how queries come to it, nor who
//! resolves: a query that is not answered here goes to the resolver byte for byte, and its answer comes back so.
//!
//! Nothing is kept: no cache, no identifiers of its own, no state between two queries but the draws of a share.

mod answer;
mod connection;
mod dose;
mod driver;
mod ears;
mod exchange;
mod own;
mod query;
mod relay;
mod rule;
mod setting;

pub use dose::DnsDose;
pub use driver::DnsDriver;
pub use relay::DnsRelay;
pub use rule::{DnsEffect, DnsMatching, DnsRule, DnsRuleError};
