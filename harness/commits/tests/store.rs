//! The directory store of baselines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::git;
use shakedown_commits::{Prune, Repository, Store};
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
        imported: None,
        commit: CommitInfo { candidate: Some(commit.to_owned()), ..CommitInfo::default() },
        changes: None,
        machine: Machine { cores, ..Machine::default() },
        runtime: RuntimeKind::Process,
        seed: 1,
        started: UnixNanos(started),
        ended: Some(UnixNanos(started + 1)),
        slot_seconds: None,
        shard: 1,
        shards: 1,
        rounds: Rounds::default(),
        scenarios: Vec::new(),
        margins: Vec::new(),
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
}

fn filled(folder: &Path, runs: &[RunMeta]) -> Store {
    let store = Store::at(folder.join("store"));
    for (number, run) in runs.iter().enumerate() {
        write(&folder.join(number.to_string()), run);
        store.save(&folder.join(number.to_string())).unwrap();
    }
    store
}

fn superfluous(store: &Store, rule: &Prune<'_>) -> Vec<(String, usize, String)> {
    let gone = store.superfluous(rule).unwrap();
    gone.into_iter().map(|(entry, why)| (entry.commit, entry.run.machine.cores, why)).collect()
}

#[test]
fn pruning_keeps_the_newest_of_each_machine_class_and_nothing_that_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), &[run("a", 2, 1), run("b", 2, 2), run("c", 2, 3), run("a", 4, 0)]);
    let one_each = Prune { keep: 1, ..Prune::default() };
    let names: Vec<(String, usize)> = superfluous(&store, &one_each).into_iter().map(|(commit, cores, _)| (commit, cores)).collect();
    assert_eq!(names, [("b".to_owned(), 2), ("a".to_owned(), 2)]);
    let old = superfluous(&store, &Prune { keep: 9, before: Some(UnixNanos(2)), ..Prune::default() });
    assert_eq!(old.iter().map(|(commit, cores, _)| (commit.as_str(), *cores)).collect::<Vec<_>>(), [("a", 2), ("a", 4)]);
    assert!(old[0].2.contains("too old"), "{old:?}");
    assert_eq!(store.list().unwrap().len(), 4, "asking removes nothing");
    for (entry, _) in store.superfluous(&one_each).unwrap() {
        store.remove(&entry).unwrap();
    }
    assert_eq!(store.list().unwrap().len(), 2);
}

#[test]
fn pruning_lets_commits_go_that_nothing_leads_to() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("repository");
    std::fs::create_dir(&place).unwrap();
    git(&place, &["init", "-q", "-b", "main"]);
    let commit = |message: &str| {
        git(&place, &["commit", "-q", "--allow-empty", "-m", message]);
        git(&place, &["rev-parse", "HEAD"])
    };
    let kept = commit("kept");
    let lost = commit("lost");
    git(&place, &["reset", "-q", "--hard", &kept]);
    commit("went on");
    let store = filled(folder.path(), &[run(&kept, 2, 1), run(&lost, 2, 2), run("0123456789012345678901234567890123456789", 2, 3)]);
    let repository = Repository::discover(&place).unwrap().unwrap();
    let gone = superfluous(&store, &Prune { keep: 9, reachable_in: Some(&repository), ..Prune::default() });
    let mut names: Vec<&str> = gone.iter().map(|(commit, ..)| commit.as_str()).collect();
    names.sort_unstable();
    let mut expected = [lost.as_str(), "0123456789012345678901234567890123456789"];
    expected.sort_unstable();
    assert_eq!(names, expected);
    let shallow = folder.path().join("shallow");
    git(folder.path(), &["clone", "-q", "--depth", "1", &format!("file://{}", place.display()), "shallow"]);
    let shallow = Repository::discover(&shallow).unwrap().unwrap();
    let error = store.superfluous(&Prune { keep: 9, reachable_in: Some(&shallow), ..Prune::default() }).unwrap_err().to_string();
    assert!(error.contains("git fetch --unshallow"), "{error}");
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
