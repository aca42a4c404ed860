//! The shop's matrix, recorded by `tests/record-matrix.py`: a defect under the fault that shows it, or the shop as it is under the same fault.
#![allow(dead_code, reason = "test and bench each use a part of it")]

use serde::Deserialize;
use shakedown_model::{evidence::Evidence, result::ScenarioResult, verdict::Verdict};
use std::{collections::BTreeMap, fs, path::PathBuf};

/// Who is to blame: the service, and any of these operations (none: it has no single one).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Culpable {
    pub(crate) service: String,
    pub(crate) operations: Vec<String>,
}

/// A run of the matrix.
pub(crate) struct Recorded {
    /// `retry-storm-2`.
    pub(crate) name: String,
    /// `retry-storm`; `None`: the shop as it is.
    pub(crate) defect: Option<(String, Culpable)>,
    pub(crate) seed: u64,
    pub(crate) evidence: Evidence,
}

/// All of it, by name.
pub(crate) fn matrix() -> Vec<Recorded> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/runs/matrix"));
    let truths = fs::read_to_string(folder.join("truth.json")).expect("truth.json is there");
    let truths: BTreeMap<String, Culpable> = serde_json::from_str(&truths).expect("truth.json reads");
    let mut runs: Vec<PathBuf> = fs::read_dir(&folder).expect("the matrix is there").map(|entry| entry.expect("an entry").path()).collect();
    runs.retain(|path| path.is_dir());
    runs.sort();
    let recorded = runs.into_iter().map(|path| {
        let name = path.file_name().expect("a run has a name").to_string_lossy().into_owned();
        let (kind, seed) = name.rsplit_once('-').expect("a run is called by its kind and seed");
        let defect = (!kind.starts_with("as-it-is-")).then(|| (kind.to_owned(), truths[kind].clone()));
        let evidence = shakedown_evidence::read(&path, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        Recorded { defect, seed: seed.parse().expect("a seed is a number"), evidence, name }
    });
    recorded.collect()
}

/// Who is said to be at fault, service and operation: the culprits, and where nothing got worse who swallows errors.
pub(crate) fn blamed(scenario: &ScenarioResult) -> Vec<(String, String)> {
    let culprits = scenario.culprits.iter().map(|culprit| (culprit.service.clone(), culprit.operation.clone()));
    let swallowed = scenario.findings.iter().filter(|finding| finding.check == "swallowed-error" && finding.verdict == Verdict::Fail);
    let swallowed =
        swallowed.filter_map(|finding| finding.subject.split_once(" / ")).map(|(service, at)| (service.to_owned(), at.to_owned()));
    culprits.chain(swallowed).collect()
}
