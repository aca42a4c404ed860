//! What was seen: the plain data that the judge reads. The `evidence` room records it and reads it back.

use crate::{
    event::{GeneratorReport, Phase, TimedEvent},
    experiment::Experiment,
    fault::FaultRecord,
    ids::{SpanId, TraceId},
    run::RunMeta,
    text::Text,
    time::UnixNanos,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One request of the load generator: a line of `evidence/requests.jsonl.zst`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Load it belongs to.
    pub load: String,
    /// Scenario it was sent in.
    pub scenario: String,
    /// Phase in which it was due.
    pub phase: Phase,
    /// Pair-block in which it was due.
    pub block: u32,
    /// When it was due. Latency counts from here.
    pub due: UnixNanos,
    /// When it was written to a connection.
    pub sent: Option<UnixNanos>,
    /// When its answer was complete, or when it was given up.
    pub done: UnixNanos,
    /// HTTP status; 0: none came.
    pub status: u16,
    /// Why there was no complete answer: `timeout`, `connect: …`, `reset: …`, `shed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether it counts as success for its load.
    pub ok: bool,
    /// Body bytes received.
    pub bytes: u64,
    /// The trace that it began.
    pub trace_id: TraceId,
}

impl Request {
    /// `done − due` in seconds.
    pub fn latency(&self) -> f64 {
        self.done.since(self.due).as_secs_f64()
    }
}

/// What a span says of itself, as text. Spans that say the same share one, and so do lists with a pair in common: a run has hundreds of
/// thousands of spans and a handful of different pairs, so that a pointer each is what they cost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Attributes(Arc<Box<[Attribute]>>);

/// Key and value.
pub type Attribute = Arc<(Text, Text)>;

impl Attributes {
    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|pair| (&*pair.0, &*pair.1))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

impl FromIterator<Attribute> for Attributes {
    /// A key that is there twice keeps its last value.
    fn from_iter<I: IntoIterator<Item = Attribute>>(pairs: I) -> Attributes {
        let mut kept: Vec<Attribute> = Vec::new();
        for pair in pairs {
            match kept.iter_mut().find(|known| known.0 == pair.0) {
                Some(known) => *known = pair,
                None => kept.push(pair),
            }
        }
        Attributes(Arc::new(kept.into_boxed_slice()))
    }
}

/// One span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanRecord {
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// The span that caused it; `None`: root.
    pub parent_id: Option<SpanId>,
    /// `service.name`.
    pub service: Text,
    /// Span name.
    pub name: Text,
    /// Kind.
    pub kind: SpanKind,
    /// Start.
    pub start: UnixNanos,
    /// End.
    pub end: UnixNanos,
    /// Status is error.
    pub error: bool,
    /// Attributes as text.
    pub attributes: Attributes,
}

/// Kind of a span (OTLP `SpanKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Or unspecified.
    Internal,
    /// Incoming call.
    Server,
    /// Outgoing call.
    Client,
    /// Message sent.
    Producer,
    /// Message received.
    Consumer,
}

/// One log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When it was seen (or its own time, where it came by OTLP).
    pub at: UnixNanos,
    /// Service that wrote it.
    pub service: Text,
    /// Upper-case severity, where one was found.
    pub severity: Option<Text>,
    /// The line (bounded).
    pub body: String,
    /// The trace that it belongs to, where one was found.
    pub trace_id: Option<TraceId>,
}

/// One sample of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    /// When it was scraped or reported.
    pub at: UnixNanos,
    /// Service that it belongs to.
    pub service: Text,
    /// Name.
    pub name: Text,
    /// Labels as `k="v"`, sorted.
    pub labels: Text,
    /// Value.
    pub value: f64,
}

/// Everything of one variant.
#[derive(Debug, Clone, Default)]
pub struct VariantEvidence {
    /// In order of `due`.
    pub requests: Vec<Request>,
    /// In order of arrival.
    pub spans: Vec<SpanRecord>,
    /// In order of `at`.
    pub logs: Vec<LogRecord>,
    /// In order of `at`.
    pub metrics: Vec<MetricPoint>,
    /// Faults as carried out.
    pub faults: Vec<FaultRecord>,
    /// What was lost on the way in, by what: `spans dropped`, `log lines cut`, …
    pub losses: IndexMap<String, u64>,
}

/// Everything of one run: all that a judge may look at.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// `run.json`.
    pub run: RunMeta,
    /// `experiment.yaml`, read again.
    pub experiment: Experiment,
    /// `events.jsonl`.
    pub events: Vec<TimedEvent>,
    /// By scenario.
    pub generator: IndexMap<String, GeneratorReport>,
    /// The commit that is judged.
    pub candidate: VariantEvidence,
    /// The commit it is compared with, and where it comes from.
    pub baseline: Option<Baseline>,
}

/// Evidence of the baseline.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// What was seen; no logs, or no metrics, where there were more than can be compared.
    pub evidence: VariantEvidence,
    /// Measured in the same run, interleaved (`paired`), or recorded earlier.
    pub paired: bool,
    /// For a recorded one: its own run.
    pub run: Option<RunMeta>,
}

/// One line as a service wrote it, before anything was found in it: what a runtime hands to the `evidence` room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    /// When it was seen, or the engine's own time for it.
    pub at: UnixNanos,
    /// Service that wrote it.
    pub service: String,
    /// Without the line end; at most 64 KiB.
    pub line: String,
}
