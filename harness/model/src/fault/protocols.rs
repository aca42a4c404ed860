//! What is done to requests in the words of their protocol: gRPC, PostgreSQL, Redis, DNS.

use super::{Asked, millis, percent};
use crate::units::{Percent, Span};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// What is done to which gRPC calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grpc {
    /// `package.Service/Method`, `*` and `?` stay within a part; `None`: all.
    pub method: Option<String>,
    /// Of these calls.
    pub share: Percent,
    /// What is done.
    pub effect: GrpcEffect,
}

/// What is done to a gRPC call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrpcEffect {
    /// It is answered without the callee.
    Status {
        /// 1 to 16.
        code: u8,
        /// What its caller reads.
        message: String,
    },
    /// Its answer is held.
    Delay {
        /// How long.
        delay: Span,
    },
}

/// The names of gRPC's status codes, by number.
pub const GRPC_STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What is done to which PostgreSQL queries, or to new sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Postgres {
    /// New sessions, or queries.
    pub at: PostgresAt,
    /// Of these.
    pub share: Percent,
    /// What is done.
    pub effect: PostgresEffect,
}

/// Where PostgreSQL is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostgresAt {
    /// A session begins.
    Connect,
    /// A query whose text matches the pattern; `None`: any.
    Query(Option<String>),
}

/// What is done to a PostgreSQL query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostgresEffect {
    /// It fails with this SQLSTATE.
    Error(String),
    /// It is held.
    Delay(Span),
    /// It is never answered.
    Timeout,
}

/// SQLSTATEs by the names of PostgreSQL's appendix A.
pub const SQLSTATES: &[(&str, &str)] = &[
    ("too_many_connections", "53300"),
    ("cannot_connect_now", "57P03"),
    ("serialization_failure", "40001"),
    ("deadlock_detected", "40P01"),
    ("admin_shutdown", "57P01"),
    ("crash_shutdown", "57P02"),
    ("query_canceled", "57014"),
    ("lock_not_available", "55P03"),
    ("disk_full", "53100"),
    ("out_of_memory", "53200"),
    ("read_only_sql_transaction", "25006"),
    ("unique_violation", "23505"),
    ("connection_failure", "08006"),
];

/// What is done to which Redis commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Redis {
    /// Names of commands; empty: all.
    pub commands: Vec<String>,
    /// Pattern of the first key; `None`: any.
    pub key: Option<String>,
    /// Of these.
    pub share: Percent,
    /// What is done.
    pub effect: RedisEffect,
}

/// What is done to a Redis command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisEffect {
    /// It fails with this text, its code first.
    Error(String),
    /// It is answered as if the key were not there.
    Miss,
    /// It is held.
    Delay(Span),
    /// It is never answered.
    Timeout,
}

/// Errors of Redis by their code, in the words that Redis uses.
pub const REDIS_ERRORS: &[(&str, &str)] = &[
    ("LOADING", "LOADING Redis is loading the dataset in memory"),
    ("OOM", "OOM command not allowed when used memory > 'maxmemory'."),
    ("READONLY", "READONLY You can't write against a read only replica."),
    ("MASTERDOWN", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    ("CLUSTERDOWN", "CLUSTERDOWN The cluster is down"),
    ("BUSY", "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
    ("MISCONF", "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."),
    ("NOAUTH", "NOAUTH Authentication required."),
];

/// What is done to which DNS queries of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dns {
    /// Pattern of the name that is asked for; `None`: any.
    pub name: Option<String>,
    /// Types of record; empty: any.
    pub types: Vec<String>,
    /// Of these queries.
    pub share: Percent,
    /// What is done.
    pub effect: DnsEffect,
}

/// What is done to a DNS query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsEffect {
    /// There is no such name.
    Nxdomain,
    /// The server failed.
    Servfail,
    /// The server does not want to.
    Refused,
    /// No answer.
    Timeout,
    /// The answer does not fit: ask again over TCP.
    Truncated,
    /// This address.
    Address(IpAddr),
    /// The answer is held.
    Delay(Span),
}

impl Grpc {
    pub(super) fn asked(&self) -> Asked {
        let effect = match &self.effect {
            GrpcEffect::Status { code, .. } => ("grpc_status", f64::from(*code)),
            GrpcEffect::Delay { delay } => ("delay_ms", millis(*delay)),
        };
        vec![("share_percent", percent(self.share)), effect]
    }
}

impl Postgres {
    pub(super) fn asked(&self) -> Asked {
        asked(self.share, if let PostgresEffect::Delay(delay) = &self.effect { Some(*delay) } else { None })
    }
}

impl Redis {
    pub(super) fn asked(&self) -> Asked {
        asked(self.share, if let RedisEffect::Delay(delay) = &self.effect { Some(*delay) } else { None })
    }
}

impl Dns {
    pub(super) fn asked(&self) -> Asked {
        asked(self.share, if let DnsEffect::Delay(delay) = &self.effect { Some(*delay) } else { None })
    }
}

fn asked(share: Percent, delay: Option<Span>) -> Asked {
    std::iter::once(("share_percent", percent(share))).chain(delay.map(|delay| ("delay_ms", millis(delay)))).collect()
}

/// `, 20% of them` where it is not all.
fn of_them(share: Percent, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if share.0 < 1.0 { write!(f, ", {share} of them") } else { Ok(()) }
}

impl fmt::Display for Grpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calls of {}", self.method.as_deref().unwrap_or("any method"))?;
        of_them(self.share, f)?;
        match &self.effect {
            GrpcEffect::Status { code, .. } => {
                write!(f, ": answered with {}", GRPC_STATUS.get(usize::from(*code)).copied().unwrap_or("UNKNOWN"))
            }
            GrpcEffect::Delay { delay } => write!(f, ": held for {delay}"),
        }
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            PostgresAt::Connect => f.write_str("new sessions")?,
            PostgresAt::Query(None) => f.write_str("queries")?,
            PostgresAt::Query(Some(pattern)) => write!(f, "queries like {pattern:?}")?,
        }
        of_them(self.share, f)?;
        match &self.effect {
            PostgresEffect::Error(code) => write!(f, ": SQLSTATE {code}"),
            PostgresEffect::Delay(delay) => write!(f, ": held for {delay}"),
            PostgresEffect::Timeout => f.write_str(": never answered"),
        }
    }
}

impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&if self.commands.is_empty() { "commands".to_owned() } else { self.commands.join(", ") })?;
        if let Some(key) = &self.key {
            write!(f, " of {key:?}")?;
        }
        of_them(self.share, f)?;
        match &self.effect {
            RedisEffect::Error(text) => write!(f, ": {}", text.split(' ').next().unwrap_or_default()),
            RedisEffect::Miss => f.write_str(": not found"),
            RedisEffect::Delay(delay) => write!(f, ": held for {delay}"),
            RedisEffect::Timeout => f.write_str(": never answered"),
        }
    }
}

impl fmt::Display for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queries for {}", self.name.as_deref().unwrap_or("any name"))?;
        of_them(self.share, f)?;
        match &self.effect {
            DnsEffect::Nxdomain => f.write_str(": NXDOMAIN"),
            DnsEffect::Servfail => f.write_str(": SERVFAIL"),
            DnsEffect::Refused => f.write_str(": REFUSED"),
            DnsEffect::Timeout => f.write_str(": never answered"),
            DnsEffect::Truncated => f.write_str(": truncated"),
            DnsEffect::Address(address) => write!(f, ": answered with {address}"),
            DnsEffect::Delay(delay) => write!(f, ": held for {delay}"),
        }
    }
}
