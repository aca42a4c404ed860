//! The config language as types, for the JSON Schema that editors use. The docstrings are its descriptions. The reader proper is by hand (it
//! finds every mistake, serde only the first); a test keeps the keys of both in step.

use crate::{
    experiment::{Arrivals, BaselineMode},
    fault::Distribution,
    units::{Bytes, NumberLimit, Percent, Rate, RatioLimit, ShareLimit, Span, SpanLimit, Throughput},
    verdict::GateMode,
};
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
    /// `merge-base`, or a revision. Default: merge-base.
    pub commit: Option<String>,
    /// When it is measured. Default: paired.
    pub mode: Option<BaselineMode>,
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
    /// What is done. At least one.
    #[schemars(length(min = 1))]
    pub faults: Vec<FaultEntry>,
    /// What is expected.
    pub expect: Option<ExpectSection>,
    /// What ends the run early.
    #[schemars(default)]
    pub stop_when: Vec<StopEntry>,
    /// Its own phase lengths.
    pub phases: Option<PhasesSection>,
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

/// One disturbance. Exactly one kind says what is done: `pause`, `term`, `kill`, `restart` on a service; the others on an edge.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FaultEntry {
    /// Offset from the start of the fault phase. Default: 0s.
    pub at: Option<Span>,
    /// How long it stays.
    #[schemars(rename = "for")]
    pub lasts: Span,
    /// A service, `payment`, or an edge, `orders -> payment`.
    pub on: String,
    /// On an edge: of its connections, the share that it is done to (processes). Default: 100%.
    pub connections: Option<Percent>,
    /// Every process of the service is frozen, then goes on.
    pub pause: Option<NoParameters>,
    /// The service is asked to end (SIGTERM), and started again at the end of the fault.
    pub term: Option<TermEntry>,
    /// The service is killed, and started again at the end of the fault.
    pub kill: Option<NoParameters>,
    /// The service is killed, and started again at once.
    pub restart: Option<NoParameters>,
    /// Traffic of the edge is delayed.
    pub latency: Option<LatencyEntry>,
    /// A share of the edge's packets vanishes (containers).
    pub loss: Option<LossEntry>,
    /// A share of the edge's packets is overtaken by those sent after it (containers).
    pub reorder: Option<ReorderEntry>,
    /// A share of the edge's packets arrives with a bit flipped (containers).
    pub corrupt: Option<CorruptEntry>,
    /// A share of the edge's packets arrives twice (containers).
    pub duplicate: Option<DuplicateEntry>,
    /// New TCP connections of the edge vanish or are delayed; open ones are left alone (containers).
    pub connect: Option<ConnectEntry>,
    /// Packets of the edge that are too large vanish (containers).
    pub mtu: Option<MtuEntry>,
    /// The edge carries no more than so many bytes a second in each direction.
    pub bandwidth: Option<BandwidthEntry>,
    /// Traffic of the edge is dropped silently.
    pub partition: Option<NoParameters>,
    /// Connections of the edge are reset.
    pub reset: Option<NoParameters>,
    /// What the caller sends arrives in slices (processes).
    pub slicer: Option<SlicerEntry>,
    /// Connections end after so many bytes of answers (processes).
    pub limit_data: Option<LimitDataEntry>,
    /// The end of a connection arrives late (processes).
    pub slow_close: Option<SlowCloseEntry>,
    /// Nothing goes through, and after a while the connection ends (processes).
    pub timeout: Option<TimeoutEntry>,
    /// Nobody listens; open connections end (processes).
    pub down: Option<NoParameters>,
    /// HTTP/1.x requests are answered, held, or their answers changed (processes).
    pub http: Option<HttpEntry>,
}

/// A request to end.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TermEntry {
    /// How long the service has before it is killed; containers: whole seconds. Default: 10s.
    pub grace: Option<Span>,
}

/// Lost packets.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LossEntry {
    /// Of the packets, in either direction.
    pub share: Percent,
    /// Mean length of a run of lost packets (Gilbert model). Default: 1, each packet by itself.
    pub burst: Option<u32>,
}

/// Packets that are overtaken.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ReorderEntry {
    /// Of the packets.
    pub share: Percent,
    /// How long such a packet is held.
    pub delay: Span,
}

/// Packets with a flipped bit.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CorruptEntry {
    /// Of the packets.
    pub share: Percent,
}

/// Packets that come twice.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DuplicateEntry {
    /// Of the packets.
    pub share: Percent,
}

/// New connections that are hurt.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ConnectEntry {
    /// How long each attempt is held. Default: it vanishes.
    pub delay: Option<Span>,
}

/// A path that carries small packets only.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MtuEntry {
    /// The largest packet that passes, from its IP header on: 68B to 65535B; 1280B or more where the callee has an IPv6 address.
    pub size: Bytes,
}

/// Connections that hang, then end.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TimeoutEntry {
    /// How long they hang.
    pub after: Span,
}

/// Which HTTP/1.x requests, and exactly one of `abort`, `delay` and `patch`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HttpEntry {
    /// Method, in any case. Default: any.
    pub method: Option<String>,
    /// Pattern of the path without its query; `*` stays within a segment, `**` does not. Default: any.
    pub path: Option<String>,
    /// Name and exact value of one header.
    #[schemars(default)]
    pub header: IndexMap<String, Plain>,
    /// Key and value of one member of the W3C `baggage` header.
    #[schemars(default)]
    pub baggage: IndexMap<String, Plain>,
    /// Of the requests for which all of that holds. Default: 100%.
    pub share: Option<Percent>,
    /// Status that they are answered with, without the callee: 200 to 599.
    pub abort: Option<u16>,
    /// How long they are held.
    pub delay: Option<Span>,
    /// How their answers are changed.
    pub patch: Option<HttpPatchEntry>,
}

/// Changes to an answer: one at least.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HttpPatchEntry {
    /// 200 to 599.
    pub status: Option<u16>,
    /// Headers that it gets.
    #[schemars(default)]
    pub set: IndexMap<String, Plain>,
    /// Names of headers that it loses.
    pub remove: Option<Vec<String>>,
    /// Its body.
    pub body: Option<Plain>,
}

/// A narrow line.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BandwidthEntry {
    /// What it carries in each direction.
    pub rate: Throughput,
}

/// Data in slices.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SlicerEntry {
    /// Largest slice.
    pub size: Bytes,
    /// Time between two.
    pub delay: Span,
}

/// Answers that are cut short.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LimitDataEntry {
    /// What a connection carries back before it is closed.
    pub bytes: Bytes,
}

/// Late ends of connections.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SlowCloseEntry {
    /// By how much.
    pub delay: Span,
}

/// `{}`
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NoParameters {}

/// Added delay.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LatencyEntry {
    /// Mean.
    pub delay: Span,
    /// Half width (uniform) or standard deviation (normal). Default: 0s.
    pub jitter: Option<Span>,
    /// Shape of the jitter. Default: uniform.
    pub distribution: Option<Distribution>,
    /// How far a delay follows the one before it in its direction, 0% to 99% (containers). Default: 0%.
    pub correlation: Option<Percent>,
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
