//! The config language as types, for the JSON Schema that editors use. The docstrings are its descriptions. The reader proper is by hand (it
//! finds every mistake, serde only the first); a test keeps the keys of both in step.

mod faults;

use crate::{
    experiment::{Arrivals, BaselineMode},
    time::Day,
    units::{NumberLimit, Percent, Rate, RatioLimit, ShareLimit, Span, SpanLimit},
    verdict::GateMode,
};
pub use faults::FaultEntry;
use indexmap::IndexMap;
use schemars::JsonSchema;

/// The JSON Schema of `shakedown.yaml`.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(ConfigFile)
}

/// The JSON Schema of a scenario in a file of its own.
pub fn scenario_schema() -> schemars::Schema {
    schemars::schema_for!(ScenarioFile)
}

/// The experiment of shakedown: services, load, steady state, scenarios, baseline, gate.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(title = "shakedown.yaml")]
pub struct ConfigFile {
    /// What is started.
    pub services: ServicesSection,
    /// What is listened to.
    pub telemetry: Option<TelemetrySection>,
    /// What is sent, by name. At least one load.
    #[schemars(extend("minProperties" = 1))]
    pub load: IndexMap<String, LoadEntry>,
    /// What must hold before a fault may start.
    #[schemars(default)]
    pub steady_state: Vec<ExpectationEntry>,
    /// What is compared with.
    pub baseline: Option<BaselineSection>,
    /// When the gate fails, and what it does then.
    pub gate: Option<GateSection>,
    /// Failures that somebody answers for until a day.
    #[schemars(default)]
    pub waivers: Vec<WaiverEntry>,
    /// Where results of main are kept, for trends. Default: nowhere.
    pub history: Option<HistorySection>,
    /// How long the phases last where a scenario does not say.
    pub phases: Option<PhasesSection>,
    /// What is done to the system: scenarios, or patterns of files that hold one each (`chaos/*.yaml`). At least one.
    #[schemars(length(min = 1))]
    pub scenarios: Vec<ScenarioEntry>,
}

/// The services, as containers and/or as plain processes.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ServicesSection {
    /// The compose file that the team already has, from the directory of this file.
    pub compose: Option<String>,
    /// The same services without containers, by name: used where no engine answers.
    pub process: Option<IndexMap<String, ProcessEntry>>,
    /// A command that is run in the tree (of the candidate, of the baseline) before anything is started.
    #[schemars(default)]
    pub build: Vec<String>,
}

/// One service as a child process. Texts may hold `{{ name }}`, the address at which this service reaches that one, `{{ listen }}` and
/// `{{ port }}`, where it must listen itself.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ProcessEntry {
    /// Program and arguments.
    #[schemars(length(min = 1))]
    pub run: Vec<String>,
    /// Environment variables.
    #[schemars(default)]
    pub env: IndexMap<String, Plain>,
    /// Working directory, from the directory of this file.
    pub cwd: Option<String>,
    /// When it counts as up; its port accepts connections where nothing is said.
    pub ready: Option<ReadyEntry>,
    /// Started after these are ready.
    #[schemars(default)]
    pub depends_on: Vec<String>,
}

/// When a process counts as up: one of both.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ReadyEntry {
    /// `GET` of this path answers 2xx.
    pub http: Option<String>,
    /// Its port accepts connections.
    pub tcp: Option<bool>,
}

/// What is listened to.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TelemetrySection {
    /// Whether services are given an OTLP endpoint. Default: true.
    pub otlp: Option<bool>,
    /// Prometheus endpoints by service, such as `":8080/metrics"`.
    #[schemars(default)]
    pub metrics: IndexMap<String, String>,
    /// A file of Prometheus rules, from the directory of this file. Its alerts are evaluated over what was recorded: docs/alerts.md.
    pub alerts: Option<String>,
}

/// One open-model load.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LoadEntry {
    /// Receiving service and its port: `gateway:8080`.
    pub to: String,
    /// Method and path: `POST /checkout`.
    pub request: String,
    /// Headers.
    #[schemars(default)]
    pub headers: IndexMap<String, Plain>,
    /// Body; a template (`{{ seq }}`).
    pub body: Option<Plain>,
    /// Mean arrivals per second: `200/s`.
    pub rate: Rate,
    /// How arrivals are spread. Default: poisson.
    pub arrivals: Option<Arrivals>,
    /// A request that has no answer by then counts as failed. Default: 5s.
    pub timeout: Option<Span>,
    /// Statuses that count as success. Default: every 2xx and 3xx.
    #[schemars(default)]
    pub success: Vec<u16>,
}

/// Something that must hold. Exactly one of `load`, `http`, `prometheus`, `retries` says what is looked at; the other keys go with it.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExpectationEntry {
    /// Name of a load.
    pub load: Option<String>,
    /// With `load`: share of requests that succeeded in time, `">= 99.5%"`.
    pub success: Option<ShareLimit>,
    /// With `load`: median latency, `"<= 50ms"`.
    pub p50: Option<SpanLimit>,
    /// With `load`: 90th percentile.
    pub p90: Option<SpanLimit>,
    /// With `load`: 95th percentile.
    pub p95: Option<SpanLimit>,
    /// With `load`: 99th percentile.
    pub p99: Option<SpanLimit>,
    /// With `load`: 99.9th percentile.
    pub p999: Option<SpanLimit>,
    /// With `load`: slowest request.
    pub max: Option<SpanLimit>,
    /// A request: `GET gateway:8080/healthz`.
    pub http: Option<String>,
    /// With `http`: the status expected. Default: 200.
    pub status: Option<u16>,
    /// Address of a Prometheus server.
    pub prometheus: Option<String>,
    /// With `prometheus`: PromQL.
    pub query: Option<String>,
    /// With `prometheus`: bound on every sample of the answer, `"<= 0.01"`.
    pub expect: Option<NumberLimit>,
    /// An edge: `orders -> payment`.
    pub retries: Option<String>,
    /// With `retries`: calls on the edge per request that the caller serves, `"<= 2x"`.
    pub amplification: Option<RatioLimit>,
}

/// What is compared with.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BaselineSection {
    /// `merge-base`, `last-tag` (the release before), or a revision. Default: merge-base.
    pub commit: Option<String>,
    /// When it is measured. Default: paired.
    pub mode: Option<BaselineMode>,
    /// With `paired`: in each round every instance of both is started afresh, since an instance carries its own luck: 1 to 50. Default: 4.
    #[schemars(range(min = 1, max = 50))]
    pub rounds: Option<u32>,
    /// With `paired`: how long the load stays with one of the two before it turns to the other, 100ms to 30s. Default: 0.5s, longer at low rates.
    pub slot: Option<Span>,
}

/// Where results of main are kept.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HistorySection {
    /// `directory` (`.shakedown/history`), `git-notes` (`refs/notes/shakedown`), `s3://bucket/prefix` or `file:///folder`.
    #[schemars(regex(pattern = r"^(directory|git-notes|s3://[a-z0-9._-]{3,63}(/[^@?#]*)?|file:///.+)$"))]
    pub store: String,
}

/// When the gate fails, and what it does then.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GateSection {
    /// A change proven worse than this fails. Default: 5%.
    pub tolerance: Option<Percent>,
    /// A pass proves the change smaller than this. Default: 30%.
    pub harmful: Option<Percent>,
    /// 1 − the error of the whole gate. Default: 99%.
    pub confidence: Option<Percent>,
    /// What an inconclusive verdict does. Default: block.
    pub inconclusive: Option<GateMode>,
    /// What a failing verdict does. Default: block.
    pub mode: Option<GateMode>,
}

/// A failure that is known: it is shown and does not block, until it expires.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WaiverEntry {
    /// Id of a finding, or a pattern of ids: `slow-payment/fault/*/p99`, `slow-payment/**`.
    #[schemars(length(min = 1))]
    pub finding: String,
    /// Who answers for it.
    #[schemars(length(min = 1))]
    pub owner: String,
    /// From this day on it counts again (UTC).
    pub expires: Day,
    /// Why it is borne.
    pub why: Option<String>,
}

/// How long each phase lasts; the fault phase lasts as long as its faults.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PhasesSection {
    /// Load runs, nothing is judged. Default: 5s.
    pub warmup: Option<Span>,
    /// Load runs, steady state is checked. Default: 10s.
    pub steady: Option<Span>,
    /// Load runs, faults are gone. Default: 10s.
    pub recovery: Option<Span>,
}

/// A scenario, or a pattern of files that hold one each.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum ScenarioEntry {
    /// `chaos/*.yaml`
    Files(String),
    /// A scenario.
    Inline(Box<ScenarioFile>),
}

/// One named set of faults with what is expected of it.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(title = "a scenario of shakedown")]
pub struct ScenarioFile {
    /// Its name, unique.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub scenario: String,
    /// One sentence for the report.
    pub why: Option<String>,
    /// Which commits it is for. Default: every one.
    pub when: Option<WhenEntry>,
    /// What is done. At least one, unless there is `random`.
    #[schemars(length(min = 1))]
    pub faults: Option<Vec<FaultEntry>>,
    /// Faults that are drawn from the commit's seed, one after the other, in place of `faults`.
    pub random: Option<RandomEntry>,
    /// What is expected.
    pub expect: Option<ExpectSection>,
    /// What ends the run early.
    #[schemars(default)]
    pub stop_when: Vec<StopEntry>,
    /// Its own phase lengths.
    pub phases: Option<PhasesSection>,
    /// How often it is played in each round, on the same instances; for faults that are events: 1 to 100. Default: 1.
    #[schemars(range(min = 1, max = 100))]
    pub episodes: Option<u32>,
}

/// Faults that are drawn: the same for the same commit, others for another.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RandomEntry {
    /// How many: 1 to 50. Default: 3.
    pub count: Option<u32>,
    /// How long each stays. Default: 5s.
    #[schemars(rename = "for")]
    pub lasts: Option<Span>,
    /// Between two. Default: 3s.
    pub gap: Option<Span>,
    /// Of `latency`, `loss`, `bandwidth`, `partition`, `reset`, `down`, `pause`, `stop`, `kill`, `restart`, `cpu`. Default: all.
    pub kinds: Option<Vec<String>>,
    /// Services and edges. Default: all services, and the edges of `depends_on`; the more depend on one, the likelier it is drawn.
    pub on: Option<Vec<String>>,
}

/// Which commits a scenario is for: one of both.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WhenEntry {
    /// Commits that touch a path that one of these patterns matches.
    pub paths: Option<Vec<String>>,
    /// Every commit.
    pub always: Option<bool>,
}

/// What is expected of a scenario.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExpectSection {
    /// What must hold while the fault is on.
    #[schemars(default)]
    pub fault: Vec<ExpectationEntry>,
    /// How soon steady state must be back.
    pub recovery: Option<RecoveryEntry>,
    /// What the logs may not say.
    pub logs: Option<LogsEntry>,
}

/// How soon steady state must be back after the last fault is gone.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RecoveryEntry {
    /// At most this.
    pub within: Span,
}

/// What the logs may not say.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LogsEntry {
    /// Regular expressions that no log line may match, from the start of the fault.
    pub forbid: Vec<String>,
}

/// Ends the run early when it has held that long.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StopEntry {
    /// Name of a load.
    pub load: String,
    /// The condition on its success rate, `"< 50%"`.
    pub success: ShareLimit,
    /// How long it must have held.
    #[schemars(rename = "for")]
    pub lasts: Span,
}

/// A text, a number or a boolean, taken as text.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Plain {
    /// `true`
    Flag(bool),
    /// `1`
    Number(f64),
    /// `one`
    Text(String),
}
