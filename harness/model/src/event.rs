//! What happened when: one closed enum, written to `events.jsonl` and shown by the console.

use crate::{
    fault::{DoseUnit, FaultRecord},
    run::Play,
    stack::Variant,
    time::UnixNanos,
};
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
    /// A round began: fresh instances of everything are started.
    RoundStarted { round: u32, planned: u32, most: u32 },
    /// The instances of a round are gone.
    RoundEnded { round: u32, seconds: f64 },
    /// The evidence of the rounds so far was looked at: why the run goes on, or that nothing more is needed.
    Looked { round: u32, enough: bool, reason: String },
    /// A scenario began.
    ScenarioStarted {
        scenario: String,
        #[serde(default)]
        play: Play,
        seconds: f64,
    },
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
    /// The generator's own health at the end of a play.
    Generator {
        scenario: String,
        #[serde(default)]
        play: Play,
        report: GeneratorReport,
    },
    /// What the receiver dropped or refused.
    TelemetryDropped { variant: Variant, what: String, count: u64 },
    /// A source of evidence failed; checks that need it become inconclusive.
    SourceFailed { variant: Variant, source: String, error: String },
    /// Something the user should know.
    Warning { message: String },
    /// SIGINT or SIGTERM.
    Interrupted { signal: String },
    /// A play of a search was answered.
    Searched { scenario: String, play: Play, dose: f64, unit: DoseUnit, answers: Vec<SearchAnswer> },
    /// A scenario ended.
    ScenarioEnded {
        scenario: String,
        #[serde(default)]
        play: Play,
    },
    /// Everything was taken back, or not.
    Unwound { clean: bool, left: Vec<String> },
}

/// Whether the expectations held on one variant; `None`: the play says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchAnswer {
    pub variant: Variant,
    pub held: Option<bool>,
    pub reason: String,
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

impl GeneratorReport {
    /// With another play: counts add up, and it was as late as it was at its latest.
    pub fn add(&mut self, other: &GeneratorReport) {
        self.due += other.due;
        self.sent += other.sent;
        self.late_p99_ms = self.late_p99_ms.max(other.late_p99_ms);
        self.late_max_ms = self.late_max_ms.max(other.late_max_ms);
        self.shed += other.shed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_two_plays_count_together_and_are_as_late_as_the_later_one() {
        let one = GeneratorReport { due: 10, sent: 9, late_p99_ms: 3.0, late_max_ms: 4.0, shed: 1 };
        let mut both = GeneratorReport { due: 5, sent: 5, late_p99_ms: 1.0, late_max_ms: 9.0, shed: 0 };
        both.add(&one);
        assert_eq!(both, GeneratorReport { due: 15, sent: 14, late_p99_ms: 3.0, late_max_ms: 9.0, shed: 1 });
    }

    #[test]
    fn events_from_before_there_were_plays_are_of_the_first_one() {
        let event: Event = serde_json::from_str(r#"{"event": "scenario_ended", "scenario": "slow"}"#).unwrap();
        assert!(matches!(event, Event::ScenarioEnded { play, .. } if play == Play::default()));
    }
}
