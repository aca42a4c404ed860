//! What was seen: the plain data that the judge reads. The `evidence` room records it and reads it back.

use crate::{
    event::{GeneratorReport, Phase, TimedEvent},
    experiment::Experiment,
    fault::FaultRecord,
    run::RunMeta,
    time::UnixNanos,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

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
    /// 32 lower-case hex digits.
    pub trace_id: String,
}

impl Request {
    /// `done − due` in seconds.
    pub fn latency(&self) -> f64 {
        self.done.since(self.due).as_secs_f64()
    }
}

/// One span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanRecord {
    /// 32 lower-case hex digits.
    pub trace_id: String,
    /// 16 lower-case hex digits.
    pub span_id: String,
    /// 16 lower-case hex digits; empty: root.
    pub parent_id: String,
    /// `service.name`.
    pub service: String,
    /// Span name.
    pub name: String,
    /// Kind.
    pub kind: SpanKind,
    /// Start.
    pub start: UnixNanos,
    /// End.
    pub end: UnixNanos,
    /// Status is error.
    pub error: bool,
    /// Attributes as text.
    pub attributes: IndexMap<String, String>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When it was seen (or its own time, where it came by OTLP).
    pub at: UnixNanos,
    /// Service that wrote it.
    pub service: String,
    /// Upper-case severity, where one was found.
    pub severity: Option<String>,
    /// The line (bounded).
    pub body: String,
    /// 32 lower-case hex digits, where one was found.
    pub trace_id: Option<String>,
}

/// One sample of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricPoint {
    /// When it was scraped or reported.
    pub at: UnixNanos,
    /// Service that it belongs to.
    pub service: String,
    /// Name.
    pub name: String,
    /// Labels as `k="v"`, sorted.
    pub labels: String,
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
    /// What was seen.
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
