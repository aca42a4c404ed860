//! What happened when: one closed enum, written to `events.jsonl` and shown by the console.

use crate::{fault::FaultRecord, stack::Variant, time::UnixNanos};
use serde::{Deserialize, Serialize};

/// One line of `events.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimedEvent {
    /// When.
    pub at: UnixNanos,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run began.
    RunStarted { run: String, runtime: String },
    /// An image or binary is being built.
    Building { variant: Variant, what: String },
    /// A service is being started.
    ServiceStarting { variant: Variant, service: String },
    /// A service is ready.
    ServiceReady { variant: Variant, service: String, after_ms: u64 },
    /// The engine said something of a service that the run did not cause: it died, ran out of memory, became unhealthy.
    ServiceChanged { variant: Variant, service: String, what: String },
    /// A scenario began.
    ScenarioStarted { scenario: String, seconds: f64 },
    /// A phase began.
    PhaseStarted { scenario: String, phase: Phase, seconds: f64 },
    /// A phase ended.
    PhaseEnded { scenario: String, phase: Phase },
    /// Steady state was checked.
    SteadyState { scenario: String, variant: Variant, holds: bool, detail: String },
    /// A fault took hold.
    FaultApplied { variant: Variant, fault: FaultRecord },
    /// A fault is gone (or never took hold: `error`).
    FaultReverted { variant: Variant, fault: FaultRecord },
    /// A stop condition held: the scenario ends early.
    StopCondition { scenario: String, detail: String },
    /// Live figures of one load, about once a second.
    LoadProgress { load: String, variant: Variant, rate: f64, success: f64, p99_ms: f64 },
    /// The generator's own health at the end of a scenario.
    Generator { scenario: String, report: GeneratorReport },
    /// What the receiver dropped or refused.
    TelemetryDropped { variant: Variant, what: String, count: u64 },
    /// A source of evidence failed; checks that need it become inconclusive.
    SourceFailed { variant: Variant, source: String, error: String },
    /// Something the user should know.
    Warning { message: String },
    /// SIGINT or SIGTERM.
    Interrupted { signal: String },
    /// A scenario ended.
    ScenarioEnded { scenario: String },
    /// Everything was taken back, or not.
    Unwound { clean: bool, left: Vec<String> },
}

/// A phase of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Load runs, nothing is judged.
    Warmup,
    /// Before the fault.
    Steady,
    /// While it is on.
    Fault,
    /// After it.
    Recovery,
}

impl Phase {
    /// As files write it.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Warmup => "warmup",
            Phase::Steady => "steady",
            Phase::Fault => "fault",
            Phase::Recovery => "recovery",
        }
    }
}

/// How well the generator kept its own schedule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GeneratorReport {
    /// Requests that were due.
    pub due: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// P99 of `sent − due`, in milliseconds. Waiting for a connection that the service does not accept is not counted: it is the service's.
    pub late_p99_ms: f64,
    /// Largest `sent − due`, in milliseconds.
    pub late_max_ms: f64,
    /// Requests that were not sent because too many were open.
    pub shed: u64,
}
