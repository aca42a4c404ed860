//! The directory store of baselines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use shakedown_commits::Store;
use shakedown_model::{
    plan::RuntimeKind,
    run::{Abort, AbortKind, CommitInfo, Machine, RUN_SCHEMA, Rounds, RunMeta},
    time::UnixNanos,
};
use std::path::Path;

fn run(commit: &str, cores: usize, started: u64) -> RunMeta {
    RunMeta {
        schema: RUN_SCHEMA.to_owned(),
        tool_version: "0".to_owned(),
        run: "r".to_owned(),
        commit: CommitInfo { candidate: Some(commit.to_owned()), ..CommitInfo::default() },
        machine: Machine { cores, ..Machine::default() },
        runtime: RuntimeKind::Process,
        seed: 1,
        started: UnixNanos(started),
        ended: Some(UnixNanos(started + 1)),
        slot_seconds: None,
        rounds: Rounds::default(),
        scenarios: Vec::new(),
        clean: true,
        left: Vec::new(),
        aborted: None,
    }
}

fn write(folder: &Path, run: &RunMeta) {
    std::fs::create_dir_all(folder.join("evidence")).unwrap();
    std::fs::write(folder.join("run.json"), serde_json::to_string(run).unwrap()).unwrap();
    std::fs::write(folder.join("evidence/requests.jsonl.zst"), "x").unwrap();
    std::fs::write(folder.join("journal.jsonl"), "not to be copied").unwrap();
}

#[test]
fn what_is_saved_is_found_by_commit_and_machine_class() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("store"));
    assert!(store.list().unwrap().is_empty());
    for (name, run) in [("one", run("aaa", 2, 1)), ("two", run("aaa", 4, 2)), ("three", run("bbb", 2, 3))] {
        write(&folder.path().join(name), &run);
        store.save(&folder.path().join(name)).unwrap();
    }
    let class = run("aaa", 2, 0).machine.class();
    let found = store.find("aaa", &class, None).unwrap().unwrap();
    assert_eq!((found.run.machine.cores, found.commit.as_str()), (2, "aaa"));
    assert!(found.path.join("evidence/requests.jsonl.zst").is_file() && !found.path.join("journal.jsonl").exists());
    let other_class = store.find("aaa", "something else", None).unwrap().unwrap();
    assert_ne!(other_class.run.machine.class(), "something else", "handed over so that the judge can refuse it by name");
    assert!(store.find("ccc", &class, None).unwrap().is_none());
    assert_eq!(store.prune(1).unwrap().len(), 2);
    assert_eq!(store.list().unwrap()[0].commit, "bbb");
}

#[test]
fn a_run_that_stands_for_no_commit_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("store"));
    let mut dirty = run("aaa", 2, 1);
    dirty.commit.dirty = true;
    let mut aborted = run("aaa", 2, 1);
    aborted.aborted = Some(Abort { kind: AbortKind::Environment, reason: "x".to_owned() });
    for (run, why) in [(dirty, "uncommitted"), (aborted, "did not run to its end")] {
        let path = folder.path().join("run");
        write(&path, &run);
        let error = store.save(&path).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(store.save(&folder.path().join("nothing")).unwrap_err().to_string().contains("run.json"));
}
