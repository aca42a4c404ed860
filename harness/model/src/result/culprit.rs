//! Who is blamed, and on what evidence: the part of a result that names culprits.

use crate::time::UnixNanos;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who is blamed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Culprit {
    /// Service.
    pub service: String,
    /// Operation (span name); empty: the service as a whole.
    pub operation: String,
    /// The largest of `channels`, in [0, 1].
    pub score: f64,
    /// Share that the operation has in what slow requests take longer: arithmetic. `None`: they do not, or not because of it.
    pub share: Option<f64>,
    /// Interval of `share` at 95 %, by bootstrap over traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_ci: Option<[f64; 2]>,
    /// In which share of the resamples the service added most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_in: Option<f64>,
    /// What the operation adds to a slow request, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<f64>,
    /// What it adds without the fault, seconds; `None`: that was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_without_fault: Option<f64>,
    /// What each kind of evidence has against the service, in [0, 1]: `time`, `errors`, `network`, `patterns`, `logs`, `resources`, `metrics`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub channels: IndexMap<String, f64>,
    /// Why.
    pub evidence: Vec<EvidenceNote>,
}

/// How sure the blame is, and the way that the trouble took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Blame {
    /// What the fault phase was compared with: `the baseline`, `its own steady phase`.
    pub against: String,
    /// What slow requests take longer, seconds, to which the services' additions add up; `None`: they do not.
    pub regression: Option<f64>,
    /// The next service; `None`: nothing speaks against another one.
    pub runner_up: Option<Suspect>,
    /// How far it is behind.
    pub margin: f64,
    /// It is too close to tell: the first of `culprits`, or `runner_up`.
    pub ambiguous: bool,
    /// Every other service of the traces, with the most that speaks against it.
    pub ruled_out: Vec<Suspect>,
    /// From where it began to the requests that were judged, one service after the other.
    #[serde(default)]
    pub path: Vec<Hop>,
    /// Services that changed as well and do not lie on the path.
    #[serde(default)]
    pub off_path: Vec<Hop>,
    /// Traces of the same path beside each other.
    #[serde(default)]
    pub pairs: Vec<TracePair>,
    /// What slow or failed requests have in common, most telling first.
    #[serde(default)]
    pub differences: Vec<AttributeDifference>,
}

/// A service and the most that speaks against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suspect {
    /// Service.
    pub service: String,
    /// Operation that stands out; empty: none.
    pub operation: String,
    /// In [0, 1].
    pub score: f64,
}

/// A service on the way of the trouble: what it serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hop {
    /// Service.
    pub service: String,
    /// Operation that it serves most.
    pub operation: String,
    /// What serving takes longer on average, seconds.
    pub added: f64,
    /// Added share of errors among what it serves.
    pub added_errors: f64,
    /// When it was first seen to differ; `None`: it does not.
    pub since: Option<UnixNanos>,
    /// A fault was done to it, or to a connection from or to it.
    pub injected: bool,
}

/// A trace of the candidate beside one of the reference that took the same path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TracePair {
    /// Trace id of the candidate's.
    pub candidate: String,
    /// Trace id of the reference's.
    pub reference: String,
    /// From due to done, seconds.
    pub candidate_seconds: f64,
    /// The same of the reference.
    pub reference_seconds: f64,
    /// Service and operation that differ most between the two, and by how many seconds on the critical path.
    pub largest: Option<(String, f64)>,
}

/// A value of an attribute that slow (or failed) requests have more often than others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributeDifference {
    /// Service whose span has it.
    pub service: String,
    /// Key.
    pub key: String,
    /// Value, cut.
    pub value: String,
    /// Of the slow ones so many have it, …
    pub slow: u64,
    /// … of so many.
    pub slow_of: u64,
    /// Of the others so many have it, …
    pub others: u64,
    /// … of so many.
    pub others_of: u64,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceNote {
    /// `trace`, `count`, `certainty`, `calm`, `error`, `network`, `pattern`, `metric`, `path`, `attribute`, `log`, `change`, …
    pub kind: String,
    /// In one sentence.
    pub text: String,
    /// A trace id, a file and line, …
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}
