//! Faults: one disturbance with target, parameters, start and duration; and its dose.

mod action;
mod disk;
mod http;
mod lifecycle;
mod packets;
mod protocols;
mod resources;
pub mod search;
mod streams;

pub use action::Action;
pub use disk::{DISK_ERRORS, Disk, DiskEffect, DiskOp};
pub use http::{Http, HttpEffect, HttpPatch};
pub use lifecycle::{CrashLoop, Term};
pub use packets::{Bandwidth, Connect, Corrupt, Direction, Distribution, Duplicate, Latency, Loss, Mtu, Partition, Reorder};
pub use protocols::{
    Dns, DnsEffect, GRPC_STATUS, Grpc, GrpcEffect, Postgres, PostgresAt, PostgresEffect, REDIS_ERRORS, Redis, RedisEffect, SQLSTATES,
};
pub use resources::{Clock, Cpu, Descriptors, Fill, FillAmount, Io, Memory, Pids};
pub use search::{DoseUnit, Search, Worse};
pub use streams::{LimitData, Slicer, SlowClose, Timeout};

use crate::{
    experiment::Source,
    run::Play,
    time::UnixNanos,
    units::{Percent, Span},
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// `a -> b`: the traffic that service `a` opens to service `b`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// The service that opens connections.
    pub from: String,
    /// The service that accepts them.
    pub to: String,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

/// What a fault is done to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A service.
    Service(String),
    /// The traffic of an edge.
    Edge(Edge),
}

impl FromStr for Target {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let name = |part: &str| {
            let part = part.trim();
            if part.is_empty() || part.contains(char::is_whitespace) {
                Err(format!("expected a service such as `orders` or an edge such as `orders -> payment`, found {text:?}"))
            } else {
                Ok(part.to_owned())
            }
        };
        match text.split_once("->") {
            Some((from, to)) => Ok(Target::Edge(Edge { from: name(from)?, to: name(to)? })),
            None => Ok(Target::Service(name(text)?)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Service(service) => f.write_str(service),
            Target::Edge(edge) => edge.fmt(f),
        }
    }
}

/// One injected disturbance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// Offset from the start of the fault phase.
    pub at: Span,
    /// How long it stays.
    pub lasts: Span,
    /// What it is done to.
    pub on: Target,
    /// What is done.
    pub action: Action,
    /// On an edge: of its connections, the share that it is done to.
    #[serde(default = "all")]
    pub connections: Percent,
    /// On an edge: only these ports of the callee; empty: all.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Its dose is not given but searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// Where it stands in the config.
    pub source: Source,
}

fn all() -> Percent {
    Percent(1.0)
}

/// What a fault really did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Dose {
    /// Number of things it met: packets, chunks, connections, or 1 for a service that was confirmed paused or dead. Zero: inconclusive.
    pub touched: u64,
    /// Figures with their unit in the name: `delay_ms`, `packets`, `bytes`, `connections`, `down_ms`, …
    pub figures: IndexMap<String, f64>,
}

/// A fault as it was carried out on one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Scenario it belongs to.
    pub scenario: String,
    /// Which of its plays.
    #[serde(default)]
    pub play: Play,
    /// Index in the scenario.
    pub index: usize,
    /// Kind as the config writes it.
    pub kind: String,
    /// Target as the config writes it.
    pub target: String,
    /// By which means it was done.
    pub mechanism: String,
    /// What was asked.
    pub asked: IndexMap<String, f64>,
    /// What it did.
    pub dose: Dose,
    /// When it took hold; `None`: it never did.
    pub applied_at: Option<UnixNanos>,
    /// When it was gone.
    pub reverted_at: Option<UnixNanos>,
    /// Why it was not carried out, if it was not.
    pub error: Option<String>,
}

/// What was asked: parameter name, with its unit, and value.
type Asked = Vec<(&'static str, f64)>;

fn millis(span: Span) -> f64 {
    span.0.as_secs_f64() * 1e3
}

fn percent(share: Percent) -> f64 {
    share.0 * 100.0
}
