//! When each scenario was exercised last, and how it fared: out of run directories that are still here, and out of records.

use serde::Deserialize;
use shakedown_model::{
    event::Phase,
    history::{Exercise, HistoryRecord},
    time::UnixNanos,
    verdict::Verdict,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

/// Older runs say little.
const MOST_RUNS: usize = 100;
const MAX_RUN_BYTES: u64 = 16 << 20;
const MAX_RESULT_BYTES: u64 = 64 << 20;

/// What of `run.json` is looked at.
#[derive(Deserialize)]
struct Run {
    run: String,
    started: UnixNanos,
    scenarios: Vec<Played>,
}

#[derive(Deserialize)]
struct Played {
    name: String,
    phases: Vec<PlayedPhase>,
}

#[derive(Deserialize)]
struct PlayedPhase {
    name: Phase,
}

/// What of `result.json` is looked at.
#[derive(Deserialize)]
struct Judged {
    scenarios: Vec<JudgedScenario>,
}

#[derive(Deserialize)]
struct JudgedScenario {
    name: String,
    verdict: Verdict,
}

/// Out of the latest run directories of `runs`, and the ids of the runs that were counted. What cannot be read is left out.
pub fn exercised_by_runs(runs: &Path) -> (BTreeMap<String, Exercise>, BTreeSet<String>) {
    let (mut exercised, mut counted) = (BTreeMap::<String, Exercise>::new(), BTreeSet::new());
    for folder in latest(runs) {
        let Some(run) = read::<Run>(&folder.join("run.json"), MAX_RUN_BYTES) else { continue };
        let judged = read::<Judged>(&folder.join("result.json"), MAX_RESULT_BYTES);
        let verdicts: BTreeMap<String, Verdict> =
            judged.into_iter().flat_map(|judged| judged.scenarios).map(|scenario| (scenario.name, scenario.verdict)).collect();
        let met_faults = run.scenarios.iter().filter(|played| played.phases.iter().any(|phase| phase.name == Phase::Fault));
        // A scenario is played several times in a run, and counts once.
        for name in met_faults.map(|played| &played.name).collect::<BTreeSet<_>>() {
            exercised.entry(name.clone()).or_default().count(run.started, verdicts.get(name).copied());
        }
        counted.insert(run.run);
    }
    (exercised, counted)
}

/// Adds what records say, but for runs that were counted already.
pub fn exercised_by_records(exercised: &mut BTreeMap<String, Exercise>, records: &[HistoryRecord], counted: &BTreeSet<String>) {
    let mut newest_first: Vec<&HistoryRecord> = records.iter().filter(|record| !counted.contains(&record.run)).collect();
    newest_first.sort_by_key(|record| std::cmp::Reverse(record.time));
    for record in newest_first {
        for scenario in &record.scenarios {
            exercised.entry(scenario.name.clone()).or_default().count(record.time, Some(scenario.verdict));
        }
    }
}

/// Newest first: ids begin with the time.
fn latest(runs: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort_by(|a, b| b.cmp(a));
    folders.truncate(MOST_RUNS);
    folders
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, most: u64) -> Option<T> {
    let file = File::open(path).ok()?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= most) {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(runs: &Path, id: &str, run_json: &str, result_json: &str) {
        let folder = runs.join(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("run.json"), run_json).unwrap();
        std::fs::write(folder.join("result.json"), result_json).unwrap();
    }

    #[test]
    fn runs_count_once_a_scenario_and_only_where_faults_were_met() {
        let scratch = tempfile::tempdir().unwrap();
        let phase = |name: &str| format!(r#"{{"name":"{name}","start":1,"end":2}}"#);
        let played = |phases: &str| format!(r#"{{"name":"slow","phases":[{phases}]}}"#);
        let twice = format!("{},{}", played(&phase("fault")), played(&phase("fault")));
        let verdict = |word: &str| format!(r#"{{"scenarios":[{{"name":"slow","verdict":"{word}"}}]}}"#);
        let meta = |started: u64, played: &str| format!(r#"{{"run":"r{started}","started":{started},"scenarios":[{played}]}}"#);
        run(scratch.path(), "20260101", &meta(5, &twice), &verdict("fail"));
        run(scratch.path(), "20260102", &meta(7, &played(&phase("fault"))), &verdict("pass"));
        run(scratch.path(), "20260103", &meta(9, &played(&phase("steady"))), &verdict("inconclusive"));
        run(scratch.path(), "20260104", "{", "");
        let (mut exercised, counted) = exercised_by_runs(scratch.path());
        assert_eq!(exercised["slow"], Exercise { last: Some(UnixNanos(7)), runs: 2, troubled: 1 });
        assert_eq!(counted.len(), 3);
        let record = |run: &str, time| HistoryRecord {
            schema: String::new(),
            run: run.to_owned(),
            commit: String::new(),
            subject: None,
            time: UnixNanos(time),
            machine_class: String::new(),
            verdict: Verdict::Pass,
            scenarios: vec![shakedown_model::history::ScenarioHistory {
                name: "slow".to_owned(),
                verdict: Verdict::Pass,
                seconds: 1.0,
                figures: Vec::new(),
                doses: Vec::new(),
                waived: Vec::new(),
            }],
        };
        exercised_by_records(&mut exercised, &[record("r5", 5), record("elsewhere", 11)], &counted);
        assert_eq!(exercised["slow"], Exercise { last: Some(UnixNanos(11)), runs: 3, troubled: 1 }, "r5 was counted already");
    }

    #[test]
    fn no_runs_are_no_error() {
        assert!(exercised_by_runs(Path::new("/no/such/folder")).0.is_empty());
    }
}
