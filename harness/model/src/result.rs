//! `result.json`: what was judged, and what a report shows of it. Schema `shakedown.result/1`.

mod alert;
mod culprit;
mod log_diff;

pub use alert::{AlertExhibit, AlertState};
pub use culprit::{AttributeDifference, Blame, Culprit, EvidenceNote, Hop, Suspect, TracePair};
pub use log_diff::{LogDiff, LogPattern, PatternChange};

use crate::{
    event::{GeneratorReport, Phase},
    evidence::SpanKind,
    experiment::Source,
    plan::RuntimeKind,
    run::{CommitInfo, Machine},
    time::{Day, UnixNanos},
    verdict::Verdict,
};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of `result.json`.
pub const RESULT_SCHEMA: &str = "shakedown.result/1";

/// Content of `result.json`. A pure function of the run directory, the same to the byte each time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// [`RESULT_SCHEMA`].
    pub schema: String,
    /// Worst of the scenarios; never `pass` where nothing was exercised.
    pub verdict: Verdict,
    /// What the process exits with.
    pub exit_code: u8,
    /// Whether every undo succeeded and everything was seen to be as it was.
    pub clean: bool,
    /// What was left behind, each by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// Whether the gate's config lets an inconclusive verdict stop the merge (`gate.inconclusive: block`): JUnit's `<error>` or `<skipped>`.
    #[serde(default = "blocks")]
    pub inconclusive_blocks: bool,
    /// The verdict and its reason in one sentence.
    pub headline: String,
    /// The commits.
    pub commit: CommitInfo,
    /// Of everything random.
    pub seed: u64,
    /// What was run, when and where.
    pub run: RunSummary,
    /// What is wrong with the experiment itself (late generator, lost telemetry, another machine…); empty: healthy.
    pub health: Vec<HealthNote>,
    /// In the order of the plan.
    pub scenarios: Vec<ScenarioResult>,
}

/// A result of before this field existed is read on the safe side.
fn blocks() -> bool {
    true
}

/// What was run, when and where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// Id of the run.
    pub id: String,
    /// Version of shakedown.
    pub tool_version: String,
    /// When it began.
    pub started: UnixNanos,
    /// When it ended.
    pub ended: Option<UnixNanos>,
    /// Where the services ran.
    #[schemars(with = "String")]
    pub runtime: RuntimeKind,
    /// `paired`, `recorded` or `none`.
    pub baseline_mode: String,
    /// The machine.
    pub machine: Machine,
    /// The command that runs the same again.
    pub rerun: String,
    /// Why it ended early, if it did.
    pub aborted: Option<String>,
    /// Whether the early end was the user's (a signal) or the environment's; `None`: it did not end early.
    pub ended_by: Option<String>,
}

/// One thing that weakens what the numbers can say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthNote {
    /// Short name: `generator-late`, `telemetry-lost`, `baseline-missing`, …
    pub name: String,
    /// In one sentence.
    pub text: String,
    /// Whether it makes verdicts inconclusive.
    pub forces_inconclusive: bool,
}

/// One scenario judged: one JUnit suite.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioResult {
    /// Name.
    pub name: String,
    /// Why it exists, from the config.
    pub why: Option<String>,
    /// Worst of its findings.
    pub verdict: Verdict,
    /// Verdict and reason in one sentence.
    pub headline: String,
    /// Phases in order.
    pub phases: Vec<PhaseWindow>,
    /// Faults as carried out on the candidate.
    pub faults: Vec<FaultResult>,
    /// In order: environment, dose, expectations, baseline comparisons, recovery, logs.
    pub findings: Vec<Finding>,
    /// Most likely first, one for each service; empty: nobody is blamed.
    pub culprits: Vec<Culprit>,
    /// How sure that is, and how the trouble got from where it began to where it was noticed; `None`: nobody is blamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// What a report draws.
    pub exhibits: Exhibits,
    /// Where it stands in the config.
    #[schemars(skip)]
    pub source: Source,
}

impl ScenarioResult {
    /// The phases of the play that the exhibits show.
    pub fn shown_phases(&self) -> impl Iterator<Item = &PhaseWindow> + Clone {
        self.phases.iter().filter(|phase| self.is_shown(phase.round, phase.episode))
    }

    /// Whether that is the play that the exhibits show.
    pub fn is_shown(&self, round: Option<u32>, episode: Option<u32>) -> bool {
        (round, episode) == (self.exhibits.round, self.exhibits.episode)
    }
}

/// A phase with its times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseWindow {
    /// Which.
    pub name: Phase,
    /// First instant inside.
    pub start: UnixNanos,
    /// First instant outside.
    pub end: UnixNanos,
    /// The round that it belongs to; `None`: there was one play only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The episode of that round; `None`: each round has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<u32>,
}

/// A fault as carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultResult {
    /// Kind as the config writes it.
    pub kind: String,
    /// Target as the config writes it.
    pub target: String,
    /// `candidate` or `baseline`.
    pub variant: String,
    /// By which means.
    pub mechanism: String,
    /// Asked, parameter to value with the unit in the name.
    pub asked: IndexMap<String, f64>,
    /// Achieved, likewise.
    pub achieved: IndexMap<String, f64>,
    /// Number of things it met; 0: inconclusive.
    pub touched: u64,
    /// When it took hold.
    pub applied_at: Option<UnixNanos>,
    /// When it was gone.
    pub reverted_at: Option<UnixNanos>,
    /// Why it was not carried out.
    pub error: Option<String>,
    /// The round that it belongs to; `None`: there was one play only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The episode of that round; `None`: each round has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<u32>,
}

/// One expectation judged: one JUnit case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable over runs: `slow-payment/fault/checkout/p99`.
    pub id: String,
    /// `success`, `p99`, `p99-vs-baseline`, `margin-vs-baseline`, `success-vs-baseline`, `recovery`, `logs`, `retries`, `dose`, `steady-state`, `generator`, `http`, `prometheus`, `environment`, …
    pub check: String,
    /// Load, edge, service or fault that is judged.
    pub subject: String,
    /// Phase that is judged; `None`: the whole scenario.
    pub phase: Option<Phase>,
    /// The answer.
    pub verdict: Verdict,
    /// What was seen, in the unit of `unit`.
    pub observed: Option<f64>,
    /// What was allowed, in the same unit.
    pub limit: Option<f64>,
    /// What the baseline showed, in the same unit.
    pub baseline: Option<f64>,
    /// Relative change against the baseline: 0.38 is +38 %.
    pub change: Option<f64>,
    /// Interval of `change`; at the confidence that `reason` names.
    pub ci: Option<[f64; 2]>,
    /// `s`, `fraction`, `ratio`, `count`, `B`, `B/s` or empty.
    pub unit: String,
    /// Smallest relative change that this comparison could have proven.
    pub smallest_detectable: Option<f64>,
    /// Number of requests, blocks, … behind it.
    pub samples: u64,
    /// One sentence that a tired reader understands, with the numbers.
    pub reason: String,
    /// What the fault costs the candidate more than the baseline, beyond what the change costs without a fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<Penalty>,
    /// Says something and decides nothing: it is left out where verdicts are merged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub advisory: bool,
    /// Who answers for a failure that does not block; `None`: it blocks, or is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waived>,
    /// The round that it tells of, where not all plays showed the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The episode of that round, where rounds have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<u32>,
    /// Where the expectation stands in the config.
    #[schemars(skip)]
    pub source: Source,
}

impl Finding {
    /// What it weighs where verdicts are merged; `None`: nothing. A waived failure weighs as a pass.
    pub fn weight(&self) -> Option<Verdict> {
        let verdict = if self.waived.is_some() { Verdict::Pass } else { self.verdict };
        (!self.advisory).then_some(verdict)
    }
}

/// A waiver of the config, in force on the day of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waived {
    /// Who answers for it.
    pub owner: String,
    /// From this day on it counts again.
    pub expires: Day,
    /// Why it is borne.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Change under the fault against change without it: 0.12 is 12 % more than the same change costs in the steady phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Penalty {
    /// Hodges–Lehmann estimate over all pairs of a block under the fault and one before it, as a relative change.
    pub change: f64,
    /// Its interval at 95 %; `None`: too few blocks for one.
    pub ci: Option<[f64; 2]>,
}

/// What a report draws. Bounded: a few hundred points, a handful of traces, some log lines.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Exhibits {
    /// One per load.
    pub loads: Vec<LoadExhibit>,
    /// Slowest and failed requests of the fault phase that have spans.
    pub traces: Vec<TraceExhibit>,
    /// Lines worth reading, in order of time.
    pub logs: Vec<LogExhibit>,
    /// Log lines in the window that are not shown.
    pub logs_left_out: u64,
    /// Templates of log lines that are new under the fault, or lost; `None`: there was nothing to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_diff: Option<LogDiff>,
    /// Alerts of the team's rule file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertExhibit>,
    /// What happened, in order of time.
    pub marks: Vec<Mark>,
    /// The generator's health.
    pub generator: Option<GeneratorReport>,
    /// The round that series, traces, logs and marks are of; `None`: there was one play only. Tables are of all plays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The episode of that round, where rounds have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<u32>,
}

/// Charts and tables of one load.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct LoadExhibit {
    /// Its name.
    pub load: String,
    /// Candidate's series over time.
    pub candidate: Vec<SeriesPoint>,
    /// Baseline's series over time; empty: none.
    pub baseline: Vec<SeriesPoint>,
    /// Figures by phase.
    pub table: Vec<PhaseFigures>,
}

/// One bucket of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeriesPoint {
    /// Start of the bucket.
    pub at: UnixNanos,
    /// Requests due in it.
    pub requests: u64,
    /// Of them failed.
    pub failed: u64,
    /// Median latency, seconds.
    pub p50: f64,
    /// 99th percentile (the maximum where there are fewer than 100), seconds.
    pub p99: f64,
}

/// Figures of one load in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseFigures {
    /// Which phase.
    pub phase: Phase,
    /// Of the candidate.
    pub candidate: Figures,
    /// Of the baseline.
    pub baseline: Option<Figures>,
}

/// Figures of a set of requests. Latencies in seconds from due to done; failed requests count with the time they took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Requests.
    pub requests: u64,
    /// Share that succeeded.
    pub success: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Slowest.
    pub max: f64,
}

/// A trace as a waterfall.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TraceExhibit {
    /// 32 hex digits.
    pub trace_id: String,
    /// `candidate` or `baseline`.
    pub variant: String,
    /// Load that sent it.
    pub load: String,
    /// Status; 0: none.
    pub status: u16,
    /// From due to done, seconds.
    pub latency: f64,
    /// When it was due.
    pub due: UnixNanos,
    /// Spans in depth-first order; bounded.
    pub spans: Vec<SpanExhibit>,
    /// Spans that are not shown.
    pub spans_left_out: u64,
}

/// One bar of a waterfall.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SpanExhibit {
    /// Depth in the tree.
    pub depth: u32,
    /// Service.
    pub service: String,
    /// Span name.
    pub name: String,
    /// Kind.
    pub kind: SpanKind,
    /// Offset from `due`, seconds (may be negative where clocks disagree).
    pub offset: f64,
    /// Length, seconds.
    pub length: f64,
    /// Status is error.
    pub error: bool,
}

/// A log line worth reading.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LogExhibit {
    /// When.
    pub at: UnixNanos,
    /// Service.
    pub service: String,
    /// Severity.
    pub severity: Option<String>,
    /// The line, bounded, control characters escaped.
    pub body: String,
    /// Its trace.
    pub trace_id: Option<String>,
    /// Why it is shown: `error`, `forbidden`, `trace`.
    pub why: String,
}

/// A mark on the time axis.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// When.
    pub at: UnixNanos,
    /// What.
    pub text: String,
}
