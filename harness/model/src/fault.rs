//! Faults: one disturbance with target, parameters, start and duration; and its dose.

use crate::{
    experiment::Source,
    time::UnixNanos,
    units::{Bytes, Percent, Span, Throughput},
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
    /// Where it stands in the config.
    pub source: Source,
}

fn all() -> Percent {
    Percent(1.0)
}

/// What is done. The kinds on a service and the kinds on an edge are disjoint; `config` refuses the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Every process of the service is frozen, then goes on.
    Pause,
    /// The service is asked to end (SIGTERM), killed if it does not in time, and started again at the end of the fault.
    Term(Term),
    /// The service is killed (SIGKILL) and started again at the end of the fault.
    Kill,
    /// The service is killed and started again at once.
    Restart,
    /// Traffic of the edge is delayed once a round trip.
    Latency(Latency),
    /// A share of the edge's packets vanishes.
    Loss(Loss),
    /// A share of the edge's packets arrives later than those sent after it.
    Reorder(Reorder),
    /// A share of the edge's packets arrives with a bit flipped.
    Corrupt(Corrupt),
    /// A share of the edge's packets arrives twice.
    Duplicate(Duplicate),
    /// New TCP connections of the edge are hurt, open ones are not.
    Connect(Connect),
    /// Packets of the edge that are too large vanish.
    Mtu(Mtu),
    /// The edge carries no more than so many bytes a second.
    Bandwidth(Bandwidth),
    /// Traffic of the edge is dropped silently.
    Partition,
    /// Connections of the edge are reset, established ones too.
    Reset,
    /// What is sent over the edge arrives in slices.
    Slicer(Slicer),
    /// Connections of the edge end after so many bytes of answers.
    LimitData(LimitData),
    /// The end of a connection of the edge arrives late.
    SlowClose(SlowClose),
    /// Nothing goes through, and after a while the connection ends.
    Timeout(Timeout),
    /// Nobody listens; open connections end.
    Down,
    /// HTTP requests of the edge are answered, held, or their answers changed.
    Http(Box<Http>),
}

impl Action {
    /// The kind as config and result write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Pause => "pause",
            Action::Term(_) => "term",
            Action::Kill => "kill",
            Action::Restart => "restart",
            Action::Latency(_) => "latency",
            Action::Loss(_) => "loss",
            Action::Reorder(_) => "reorder",
            Action::Corrupt(_) => "corrupt",
            Action::Duplicate(_) => "duplicate",
            Action::Connect(_) => "connect",
            Action::Mtu(_) => "mtu",
            Action::Bandwidth(_) => "bandwidth",
            Action::Partition => "partition",
            Action::Reset => "reset",
            Action::Slicer(_) => "slicer",
            Action::LimitData(_) => "limit_data",
            Action::SlowClose(_) => "slow_close",
            Action::Timeout(_) => "timeout",
            Action::Down => "down",
            Action::Http(_) => "http",
        }
    }

    /// Whether the kind is done to an edge (else to a service).
    pub fn is_on_edge(&self) -> bool {
        !matches!(self, Action::Pause | Action::Term(_) | Action::Kill | Action::Restart)
    }

    /// What was asked, for the result: parameter name to value with its unit in the name.
    pub fn asked(&self) -> IndexMap<String, f64> {
        let millis = |span: Span| span.0.as_secs_f64() * 1e3;
        let percent = |share: Percent| share.0 * 100.0;
        let asked: &[(&str, f64)] = match self {
            Action::Pause
            | Action::Kill
            | Action::Restart
            | Action::Partition
            | Action::Reset
            | Action::Down
            | Action::Connect(Connect { delay: None }) => &[],
            Action::Term(term) => &[("grace_ms", millis(term.grace))],
            Action::Latency(latency) => &[
                ("delay_ms", millis(latency.delay)),
                ("jitter_ms", millis(latency.jitter)),
                ("correlation_percent", percent(latency.correlation)),
            ],
            Action::Loss(loss) => &[("share_percent", percent(loss.share)), ("burst_packets", f64::from(loss.burst))],
            Action::Reorder(reorder) => &[("share_percent", percent(reorder.share)), ("delay_ms", millis(reorder.delay))],
            Action::Corrupt(corrupt) => &[("share_percent", percent(corrupt.share))],
            Action::Duplicate(duplicate) => &[("share_percent", percent(duplicate.share))],
            Action::Connect(Connect { delay: Some(delay) }) => &[("delay_ms", millis(*delay))],
            Action::Mtu(mtu) => &[("size_bytes", mtu.size.0 as f64)],
            Action::Bandwidth(bandwidth) => &[("bytes_per_second", bandwidth.rate.0 as f64)],
            Action::Slicer(slicer) => &[("size_bytes", slicer.size.0 as f64), ("delay_ms", millis(slicer.delay))],
            Action::LimitData(limit) => &[("limit_bytes", limit.bytes.0 as f64)],
            Action::SlowClose(close) => &[("delay_ms", millis(close.delay))],
            Action::Timeout(timeout) => &[("after_ms", millis(timeout.after))],
            Action::Http(http) => &match &http.effect {
                HttpEffect::Abort { status } => [("share_percent", percent(http.share)), ("status", f64::from(*status))],
                HttpEffect::Delay { delay } => [("share_percent", percent(http.share)), ("delay_ms", millis(*delay))],
                HttpEffect::Patch(patch) => [("share_percent", percent(http.share)), ("changes", patch.changes() as f64)],
            },
        };
        asked.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }
}

/// A request to end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// How long it has before it is killed.
    pub grace: Span,
}

/// Lost packets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Of the packets, above 0, at most 100 %.
    pub share: Percent,
    /// Mean length of a run of lost packets; 1: each packet is lost or not by itself.
    pub burst: u32,
}

/// Packets that are overtaken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reorder {
    /// Of the packets.
    pub share: Percent,
    /// How long such a packet is held.
    pub delay: Span,
}

/// Packets with a flipped bit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Corrupt {
    /// Of the packets.
    pub share: Percent,
}

/// Packets that come twice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Duplicate {
    /// Of the packets.
    pub share: Percent,
}

/// New connections that are hurt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Connect {
    /// How long each attempt is held; `None`: it vanishes.
    pub delay: Option<Span>,
}

/// A path that carries small packets only, and does not say so (a black hole, RFC 2923).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mtu {
    /// The largest packet that passes, from its IP header on.
    pub size: Bytes,
}

/// A narrow line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// What it carries in each direction.
    pub rate: Throughput,
}

/// Data in slices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slicer {
    /// Largest slice.
    pub size: Bytes,
    /// Time between two.
    pub delay: Span,
}

/// Answers that are cut short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LimitData {
    /// What a connection carries back before it is closed.
    pub bytes: Bytes,
}

/// Late ends of connections.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SlowClose {
    /// By how much.
    pub delay: Span,
}

/// Connections that hang, then end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timeout {
    /// How long they hang.
    pub after: Span,
}

/// What is done to which HTTP/1.x requests; all that is given must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// Method, in any case.
    pub method: Option<String>,
    /// A pattern of the path without its query: `*` and `?` stay within a segment, `**` does not.
    pub path: Option<String>,
    /// Name and exact value of a header.
    pub header: Option<(String, String)>,
    /// Key and value of a member of the W3C `baggage` header.
    pub baggage: Option<(String, String)>,
    /// Of the requests for which all of that holds.
    pub share: Percent,
    /// What is done.
    pub effect: HttpEffect,
}

/// What is done to an HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpEffect {
    /// It is answered without the callee.
    Abort {
        /// 200 to 599.
        status: u16,
    },
    /// It is held.
    Delay {
        /// How long.
        delay: Span,
    },
    /// Its answer is changed.
    Patch(HttpPatch),
}

/// Changes to an answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HttpPatch {
    /// Its status.
    pub status: Option<u16>,
    /// Headers that it gets.
    pub set: IndexMap<String, String>,
    /// Headers that it loses.
    pub remove: Vec<String>,
    /// Its body.
    pub body: Option<String>,
}

impl HttpPatch {
    /// How many things it changes.
    pub fn changes(&self) -> usize {
        usize::from(self.status.is_some()) + self.set.len() + self.remove.len() + usize::from(self.body.is_some())
    }
}

impl fmt::Display for Http {
    /// `POST /charges** with chaos=1 in its baggage, 20%: answered with 503`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_deref().unwrap_or("any method"), self.path.as_deref().unwrap_or("**"))?;
        if let Some((name, value)) = &self.header {
            write!(f, " with {name}: {value}")?;
        }
        if let Some((key, value)) = &self.baggage {
            write!(f, " with {key}={value} in its baggage")?;
        }
        if self.share.0 < 1.0 {
            write!(f, ", {} of them", self.share)?;
        }
        match &self.effect {
            HttpEffect::Abort { status } => write!(f, ": answered with {status}"),
            HttpEffect::Delay { delay } => write!(f, ": held for {delay}"),
            HttpEffect::Patch(_) => write!(f, ": answers changed"),
        }
    }
}

/// Added delay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Mean.
    pub delay: Span,
    /// Half width (uniform) or standard deviation (the others).
    pub jitter: Span,
    /// Shape of the jitter.
    pub distribution: Distribution,
    /// How far a delay follows the one before it.
    pub correlation: Percent,
}

/// Shape of a jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// `delay ± jitter`, flat.
    Uniform,
    /// Gaussian, cut at zero.
    Normal,
    /// A long tail: most delays are a little below the mean, few far above it.
    Pareto,
    /// A quarter normal, three quarters Pareto.
    ParetoNormal,
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
