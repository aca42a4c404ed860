//! What is said on the stdin and stdout of `shakedown-relay`: one JSON object a line, UTF-8, at most [`MAX_LINE_BYTES`].
//!
//! The manner is the agent's. The harness writes [`Request`]s and reads [`Line`]s. A reply carries the `id` of its request; a line that could not be
//! understood is answered with `"id":null` (or its id, where one could be read). Lines with `event` answer nothing. Unknown fields in a request are
//! errors, so that a typing mistake never becomes a behaviour that does something else; unknown fields in a reply are ignored, so that an older
//! harness can read it.
//!
//! Units are in the names: `_us` microseconds, `_ms` milliseconds, `_ppm` millionths, `_unix_ns` nanoseconds since 1970 by the wall clock. Nothing
//! here does any I/O. The words of a behaviour stand where it is defined: [`Behaviour`], [`HttpRule`](crate::HttpRule), [`Toxicity`],
//! [`DnsRule`], [`LinkDose`].

mod units;

use crate::{behaviour::Behaviour, dns::DnsRule, dose::LinkDose, target::Target, toxicity::Toxicity};
use serde::{Deserialize, Serialize};
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

impl Request {
    /// The number that the reply will echo.
    pub fn id(&self) -> u64 {
        match self {
            Self::Open { id, .. }
            | Self::Set { id, .. }
            | Self::OpenDns { id, .. }
            | Self::SetDns { id, .. }
            | Self::Dose { id, .. }
            | Self::Clear { id, .. }
            | Self::Close { id, .. }
            | Self::Beat { id } => *id,
        }
    }
}

/// A line from the relay: exactly one of `ok`, `error` and `event` is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The id of the request; `null` for events and for requests whose id could not be read.
    pub id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

impl Line {
    /// The reply to request `id`.
    pub fn reply(id: Option<u64>, outcome: Result<Answer, Failure>) -> Line {
        match outcome {
            Ok(answer) => Line { id, ok: Some(answer), error: None, event: None },
            Err(failure) => Line { id, ok: None, error: Some(failure), event: None },
        }
    }

    /// Something that nobody asked for.
    pub fn event(event: Event) -> Line {
        Line { id: None, ok: None, error: None, event: Some(event) }
    }
}

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

/// Something that happened by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A behaviour outlived its `ttl_ms`.
    Expired(Cleared),
    /// Stdin ended, or a signal asked the relay to end, while a behaviour was set.
    TakenBack(Cleared),
}

/// A request that did not go well. Nothing of it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs: `malformed`, `invalid`, `name_taken`, `unknown_relay` or `socket`.
    pub code: String,
    /// For people: what went wrong.
    pub message: String,
    /// For people: the way out.
    pub hint: String,
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
