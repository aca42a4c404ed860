//! What is said on the stdin and stdout of `shakedown-relay`, in the manner of [`shakedown_line`], at most [`MAX_LINE_BYTES`] a line.
//!
//! The codes of a [`Failure`] are `malformed`, `invalid`, `name_taken`, `unknown_relay` and `socket`. Nothing here does any I/O. The words of a
//! behaviour stand where it is defined: [`Behaviour`], [`HttpRule`](crate::HttpRule), [`Toxicity`], [`DnsRule`], [`LinkDose`].

mod rule;
mod units;

use crate::{behaviour::Behaviour, dns::DnsRule, dose::LinkDose, target::Target, toxicity::Toxicity};
pub(crate) use rule::RuleWords;
use serde::{Deserialize, Serialize};
pub use shakedown_line::Failure;
use std::net::SocketAddr;
pub(crate) use units::{micros, ppm, text};

/// Longest line in either direction, in bytes, without its newline. A patch has room for a body.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// A line to the relay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Listen for connections that were on their way to `to` and are redirected here. Answered with [`Answer::Opened`].
    Open { id: u64, name: String, to: Target },
    /// Behave so on open connections and new ones, in place of whatever was set before. Answered with [`Answer::Set`].
    Set {
        id: u64,
        name: String,
        behaviour: Behaviour,
        /// Only on a share of the connections.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connections: Option<Toxicity>,
        /// The relay goes back to [`Behaviour::Pass`] by itself after this long. 1 ms to 24 h.
        ttl_ms: u64,
    },
    /// Listen for queries that are redirected here, over UDP and TCP, and ask this resolver. Answered with [`Answer::Opened`].
    OpenDns { id: u64, name: String, upstream: SocketAddr },
    /// Let this become of queries, in place of whatever was set before. Answered with [`Answer::Set`].
    SetDns {
        id: u64,
        name: String,
        rule: DnsRule,
        /// As with [`Request::Set`].
        ttl_ms: u64,
    },
    /// What has the latest behaviour done so far? Answered with [`Answer::Dose`].
    Dose { id: u64, name: String },
    /// Go back to [`Behaviour::Pass`]. Idempotent. Answered with [`Answer::Cleared`].
    Clear { id: u64, name: String },
    /// Listen no more and close the connections. Idempotent. Answered with [`Answer::Closed`].
    Close { id: u64, name: String },
    /// Are you there? Answered with [`Answer::Beat`].
    Beat { id: u64 },
}

/// A line from the relay.
pub type Line = shakedown_line::Line<Answer, Event>;

/// A behaviour that ended by itself.
pub type Event = shakedown_line::Event<Cleared>;

/// A request that went well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Opened(Opened),
    Set(Set),
    Dose(LinkDose),
    Cleared(Cleared),
    Closed(Closed),
    Beat(Beat),
}

/// The relay listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    pub name: String,
    /// Where to redirect to, for both families.
    pub port: u16,
    /// The addresses with that port at which it listens: 127.0.0.1 where the target has IPv4 addresses, ::1 where it has IPv6 addresses. For DNS both,
    /// where there is IPv6.
    pub listens: Vec<SocketAddr>,
}

/// A behaviour is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    pub name: String,
    pub set_at_unix_ns: u64,
    /// When the relay will clear it unasked.
    pub expires_at_unix_ns: u64,
}

/// A behaviour is off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    pub name: String,
    /// None was on when asked: never set, cleared before, or expired.
    pub already_clear: bool,
    /// All that the latest one did.
    pub dose: LinkDose,
    /// When it ended; absent where none was ever set.
    pub cleared_at_unix_ns: Option<u64>,
}

/// Nobody listens under this name any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub name: String,
    /// Nobody did when asked.
    pub already_gone: bool,
    /// What the latest behaviour did; absent where nobody listened.
    pub dose: Option<LinkDose>,
}

/// The relay lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    pub at_unix_ns: u64,
    /// The names that are open.
    pub relays: Vec<String>,
    /// Those of them that do something.
    pub behaving: Vec<String>,
}

#[cfg(test)]
mod tests;
