//! The experiment as it is meant: every default filled in, every name checked. `config` makes it from YAML.

use crate::{
    event::Phase,
    fault::{Edge, Fault, Search, Target},
    history::HistorySpec,
    time::Day,
    units::{NumberLimit, Percent, Rate, RatioLimit, ShareLimit, Span, SpanLimit},
    verdict::GateMode,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where something stood in the config: for carets, annotations and reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Source {
    /// Path as the user would type it, relative to the experiment's root.
    pub file: String,
    /// 1-based; 0 where there is no text behind it.
    pub line: u32,
}

/// The whole file: services, load, steady state, scenarios, baseline, gate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Experiment {
    /// The config file, relative to `root`.
    pub config: PathBuf,
    /// The directory that every relative path is meant from. Absolute.
    pub root: PathBuf,
    /// What is started.
    pub services: Services,
    /// What is listened to.
    pub telemetry: Telemetry,
    /// What is sent, by name.
    pub loads: IndexMap<String, Load>,
    /// What must hold before a fault may start.
    pub steady_state: Vec<Expectation>,
    /// What is compared with.
    pub baseline: BaselineSpec,
    /// When it fails.
    pub gate: Gate,
    /// Failures that somebody answers for until a day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
    /// Where results of main are kept; `None`: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistorySpec>,
    /// How long the phases last where a scenario does not say.
    pub phases: PhaseLengths,
    /// What is done to the system, in the order of the file.
    pub scenarios: Vec<Scenario>,
}

/// A failure that is known: it is shown and does not block, until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Id of a finding, or a pattern of ids: `slow-payment/fault/*/p99`.
    pub finding: String,
    /// Who answers for it.
    pub owner: String,
    /// From this day on it counts again.
    pub expires: Day,
    /// Why it is borne.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Where it stands in the config.
    pub source: Source,
}

/// The services, as containers and/or as plain processes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Services {
    /// The compose file, relative to the root.
    pub compose: Option<PathBuf>,
    /// A command that is run in the tree (of the candidate, of the baseline) before anything is started; empty: none.
    pub build: Vec<String>,
    /// The same services without containers.
    pub process: IndexMap<String, ProcessService>,
}

/// One service as a child process. Texts may hold `{{ name }}`: the address `host:port` at which this service reaches that one, and
/// `{{ listen }}` / `{{ port }}`: where it must listen itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessService {
    /// Program and arguments; a relative program is meant from the root.
    pub run: Vec<String>,
    /// Added to a small inherited environment (PATH, HOME, LANG, TZ).
    pub env: IndexMap<String, String>,
    /// Working directory relative to the root.
    pub cwd: Option<PathBuf>,
    /// When it counts as up.
    pub ready: Ready,
    /// Started after these are ready.
    pub depends_on: Vec<String>,
}

/// When a process counts as up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// Its port accepts connections.
    Tcp,
    /// `GET` of this path answers 2xx.
    Http(String),
}

/// What is listened to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Telemetry {
    /// Whether services are given an OTLP endpoint.
    pub otlp: bool,
    /// Prometheus endpoints by service.
    pub metrics: IndexMap<String, MetricsEndpoint>,
    /// Alerts that are evaluated over what was recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertRule>,
}

/// An alerting rule of Prometheus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    /// `alert`.
    pub name: String,
    /// PromQL, as it was written.
    pub expr: String,
    /// How long it must hold before it fires: `for`.
    pub lasts: Span,
    /// Its label `severity`.
    pub severity: Option<String>,
    /// Where it stands.
    pub source: Source,
}

/// `":8080/metrics"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsEndpoint {
    /// Port inside the service.
    pub port: u16,
    /// Path with the leading slash.
    pub path: String,
}

/// One open-model load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Load {
    /// Key of the map.
    pub name: String,
    /// Receiving service.
    pub service: String,
    /// Port inside the service.
    pub port: u16,
    /// `GET`, `POST`, …
    pub method: String,
    /// Path template with the leading slash.
    pub path: String,
    /// Header templates.
    pub headers: IndexMap<String, String>,
    /// Body template.
    pub body: Option<String>,
    /// Mean arrivals per second.
    pub rate: Rate,
    /// How arrivals are spread.
    pub arrivals: Arrivals,
    /// A request that has no answer by then counts as failed.
    pub timeout: Span,
    /// Statuses that count as success; empty: every 2xx and 3xx.
    pub success_status: Vec<u16>,
    /// Where it stands in the config.
    pub source: Source,
}

/// How arrivals are spread in time. Both are open-model: due times do not depend on answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Equal gaps.
    Constant,
    /// Exponential gaps.
    Poisson,
}

/// A quantile of latency that an expectation may bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantile {
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
    /// Slowest.
    Max,
}

impl Quantile {
    /// As a fraction.
    pub fn fraction(self) -> f64 {
        match self {
            Quantile::P50 => 0.5,
            Quantile::P90 => 0.9,
            Quantile::P95 => 0.95,
            Quantile::P99 => 0.99,
            Quantile::P999 => 0.999,
            Quantile::Max => 1.0,
        }
    }

    /// As the config writes it.
    pub fn word(self) -> &'static str {
        match self {
            Quantile::P50 => "p50",
            Quantile::P90 => "p90",
            Quantile::P95 => "p95",
            Quantile::P99 => "p99",
            Quantile::P999 => "p999",
            Quantile::Max => "max",
        }
    }
}

/// Something that must hold: one line of `steady_state` or of `expect.fault`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expectation {
    /// What is looked at.
    pub check: Check,
    /// Where it stands in the config.
    pub source: Source,
}

/// What an expectation looks at.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// `{load: checkout, success: ">= 99%", p99: "<= 900ms"}`
    Load {
        /// Name of the load.
        load: String,
        /// Share of requests that succeeded in time.
        success: Option<ShareLimit>,
        /// Bounds on latency.
        latency: Vec<(Quantile, SpanLimit)>,
    },
    /// `{http: "GET gateway:8080/healthz", status: 200}`
    Http {
        /// `GET`, …
        method: String,
        /// Service asked.
        service: String,
        /// Port inside the service.
        port: u16,
        /// Path with the leading slash.
        path: String,
        /// Status expected.
        status: u16,
    },
    /// `{prometheus: "http://…", query: "…", expect: "<= 0.01"}`: an instant query to a Prometheus server.
    Prometheus {
        /// Base URL of the server.
        url: String,
        /// PromQL.
        query: String,
        /// Bound on every sample of the answer.
        expect: NumberLimit,
    },
    /// `{retries: "orders -> payment", amplification: "<= 2x"}`: calls on the edge per request that the caller serves.
    Retries {
        /// The edge counted.
        edge: Edge,
        /// Bound.
        amplification: RatioLimit,
    },
}

/// What is compared with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BaselineSpec {
    /// Which commit.
    pub commit: BaselineCommit,
    /// Measured when.
    pub mode: BaselineMode,
    /// Rounds with fresh instances, where both are measured in one run.
    #[serde(default = "one")]
    pub rounds: u32,
    /// How long the load stays with one variant before it turns to the other; `None`: as the rates need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Span>,
}

/// What a file from before there were rounds and episodes meant.
fn one() -> u32 {
    1
}

/// Which commit is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineCommit {
    /// Where the candidate's branch left the main branch.
    MergeBase,
    /// The nearest tag behind the candidate: the release before it.
    LastTag,
    /// Whatever git understands.
    Revision(String),
}

/// When the baseline is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BaselineMode {
    /// In the same run, interleaved with the candidate.
    Paired,
    /// Earlier, from the store.
    Recorded,
    /// Not at all: only the expectations count.
    None,
}

/// When the gate fails, and what it does then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gate {
    /// A change proven worse than this fails.
    pub tolerance: Percent,
    /// A pass proves the change smaller than this.
    pub harmful: Percent,
    /// 1 − the error of the whole gate.
    pub confidence: Percent,
    /// What an inconclusive verdict does.
    pub inconclusive: GateMode,
    /// What a failing verdict does.
    pub mode: GateMode,
}

/// How long each phase lasts; the fault phase lasts as long as its faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseLengths {
    /// Load runs, nothing is judged.
    pub warmup: Span,
    /// Load runs, steady state is checked, the no-fault comparison is made.
    pub steady: Span,
    /// Load runs, faults are gone.
    pub recovery: Span,
}

/// One named set of faults with what is expected of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scenario {
    /// Name, unique; `[A-Za-z0-9._-]+`.
    pub name: String,
    /// One sentence for the report.
    pub why: Option<String>,
    /// Which commits it is for.
    pub when: When,
    /// At least one, unless they are drawn.
    pub faults: Vec<Fault>,
    /// How faults are drawn for each commit. In a plan they are drawn already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random: Option<Random>,
    /// What must hold while the fault is on.
    pub expect_fault: Vec<Expectation>,
    /// How soon steady state must be back after the last fault is gone.
    pub recover_within: Option<(Span, Source)>,
    /// Regular expressions that no log line of the candidate may match, from the start of the fault.
    pub forbid_logs: Vec<(String, Source)>,
    /// What ends the run early.
    pub stop_when: Vec<StopCondition>,
    /// Its own phase lengths.
    pub phases: PhaseLengths,
    /// How often it is played in each round, on the same instances.
    #[serde(default = "one")]
    pub episodes: u32,
    /// Where it stands in the config.
    pub source: Source,
}

impl Scenario {
    /// From the start of the fault phase to the end of the last fault.
    pub fn fault_length(&self) -> std::time::Duration {
        self.faults.iter().map(|fault| fault.at.0 + fault.lasts.0).max().unwrap_or_default()
    }

    /// Length of a phase.
    pub fn phase_length(&self, phase: Phase) -> std::time::Duration {
        match phase {
            Phase::Warmup => self.phases.warmup.0,
            Phase::Steady => self.phases.steady.0,
            Phase::Fault => self.fault_length(),
            Phase::Recovery => self.phases.recovery.0,
        }
    }

    /// Length of all phases together: of one play.
    pub fn length(&self) -> std::time::Duration {
        self.phases.warmup.0 + self.phases.steady.0 + self.fault_length() + self.phases.recovery.0
    }

    /// The fault whose dose is searched, with its index.
    pub fn searched(&self) -> Option<(usize, &Search)> {
        self.faults.iter().enumerate().find_map(|(index, fault)| Some((index, fault.search.as_ref()?)))
    }

    /// The scenario with this dose of what is searched; as it is where nothing is.
    pub fn with_dose(&self, dose: f64) -> Result<Scenario, String> {
        let mut dosed = self.clone();
        if let Some((index, search)) = self.searched() {
            dosed.faults[index].action = self.faults[index].action.with_dose(search, dose)?;
        }
        Ok(dosed)
    }

    /// Length of all its plays in one round.
    pub fn length_in_round(&self) -> std::time::Duration {
        self.length() * self.episodes
    }
}

/// Faults that are drawn from the commit's seed, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Random {
    /// How many.
    pub count: u32,
    /// How long each stays.
    pub lasts: Span,
    /// Between two.
    pub gap: Span,
    /// Kinds to draw from.
    pub kinds: Vec<String>,
    /// Targets to draw from, each with its weight: one, and one for each service that depends on it, directly or not.
    pub targets: Vec<(Target, u32)>,
}

/// Which commits a scenario is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Every commit.
    Always,
    /// Commits that touch a path that one of these globs matches.
    Paths(Vec<String>),
}

/// `{load: checkout, success: "< 50%", for: 5s}`: ends the run early when it has held that long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StopCondition {
    /// Name of the load.
    pub load: String,
    /// The condition on its success rate.
    pub success: ShareLimit,
    /// How long it must have held.
    pub lasts: Span,
    /// Where it stands in the config.
    pub source: Source,
}
