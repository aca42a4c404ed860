//! Faults: one disturbance with target, parameters, start and duration; and its dose.

use crate::{experiment::Source, time::UnixNanos, units::Span};
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
    /// Where it stands in the config.
    pub source: Source,
}

/// What is done. The kinds on a service and the kinds on an edge are disjoint; `config` refuses the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Every process of the service is frozen, then goes on.
    Pause,
    /// The service is killed (SIGKILL) and started again at the end of the fault.
    Kill,
    /// The service is killed and started again at once.
    Restart,
    /// Traffic of the edge is delayed in the direction of the call.
    Latency(Latency),
    /// Traffic of the edge is dropped silently.
    Partition,
    /// Connections of the edge are reset, established ones too.
    Reset,
}

impl Action {
    /// The kind as config and result write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Pause => "pause",
            Action::Kill => "kill",
            Action::Restart => "restart",
            Action::Latency(_) => "latency",
            Action::Partition => "partition",
            Action::Reset => "reset",
        }
    }

    /// Whether the kind is done to an edge (else to a service).
    pub fn is_on_edge(&self) -> bool {
        matches!(self, Action::Latency(_) | Action::Partition | Action::Reset)
    }

    /// What was asked, for the result: parameter name to value with its unit in the name.
    pub fn asked(&self) -> IndexMap<String, f64> {
        match self {
            Action::Latency(latency) => IndexMap::from([
                ("delay_ms".to_owned(), latency.delay.0.as_secs_f64() * 1e3),
                ("jitter_ms".to_owned(), latency.jitter.0.as_secs_f64() * 1e3),
            ]),
            _ => IndexMap::new(),
        }
    }
}

/// Added delay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Mean.
    pub delay: Span,
    /// Half width (uniform) or standard deviation (normal).
    pub jitter: Span,
    /// Shape of the jitter.
    pub distribution: Distribution,
}

/// Shape of a jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// `delay ± jitter`, flat.
    Uniform,
    /// Gaussian, cut at zero.
    Normal,
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
