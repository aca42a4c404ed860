//! The stores that need no network: a folder, and git notes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../commits/tests/common/mod.rs"]
mod common;

use common::git;
use shakedown_commits::{NotesMerge, Repository};
use shakedown_history::{History, HistoryError};
use shakedown_model::{
    event::Phase,
    history::{HISTORY_SCHEMA, HistoryFigure, HistoryRecord, HistoryStore, ScenarioHistory},
    time::UnixNanos,
    verdict::Verdict,
};

fn record(commit: &str, time: u64) -> HistoryRecord {
    HistoryRecord {
        schema: HISTORY_SCHEMA.to_owned(),
        run: format!("20260101-{time:06}-abcd"),
        commit: commit.to_owned(),
        subject: Some("a subject".to_owned()),
        time: UnixNanos(time),
        machine_class: "m".to_owned(),
        verdict: Verdict::Pass,
        scenarios: vec![ScenarioHistory {
            name: "slow".to_owned(),
            verdict: Verdict::Pass,
            seconds: 12.5,
            figures: vec![HistoryFigure { load: "l".to_owned(), phase: Phase::Fault, measure: "p99".to_owned(), value: 0.25 }],
            doses: Vec::new(),
            waived: Vec::new(),
        }],
    }
}

const COMMIT: &str = "0123456789012345678901234567890123456789";

#[tokio::test]
async fn a_folder_keeps_records_in_order_of_time_and_the_same_one_once() {
    let scratch = tempfile::tempdir().unwrap();
    for store in [HistoryStore::Directory, HistoryStore::Folder(scratch.path().join("shared"))] {
        let history = History::open(&store, scratch.path(), None).unwrap();
        assert!(history.read().await.unwrap().records.is_empty(), "nothing was kept yet, and that is no error");
        for time in [30, 10, 20, 10] {
            history.keep(&record(COMMIT, time)).await.unwrap();
        }
        let kept = history.read().await.unwrap();
        assert_eq!(kept.records.iter().map(|record| record.time.0).collect::<Vec<_>>(), [10, 20, 30]);
        assert_eq!(kept.records[0], record(COMMIT, 10));
        assert!(matches!(history.merge(), Err(HistoryError::NothingToMerge(_))));
    }
}

#[tokio::test]
async fn what_is_no_record_is_refused_and_counted() {
    let scratch = tempfile::tempdir().unwrap();
    let history = History::open(&HistoryStore::Directory, scratch.path(), None).unwrap();
    history.keep(&record(COMMIT, 10)).await.unwrap();
    let folder = scratch.path().join("history");
    let other_schema = serde_json::to_string(&HistoryRecord { schema: "other/1".to_owned(), ..record(COMMIT, 1) }).unwrap();
    let no_commit = serde_json::to_string(&record("--upload-pack=evil", 1)).unwrap();
    let hostile = ["{".to_owned(), "[".repeat(100_000), other_schema, no_commit, " ".repeat(2 << 20)];
    for (number, text) in hostile.iter().enumerate() {
        std::fs::write(folder.join(format!("{number}.json")), text).unwrap();
    }
    std::fs::write(folder.join("README.md"), "not ours").unwrap();
    let kept = history.read().await.unwrap();
    assert_eq!((kept.records.len(), kept.refused), (1, hostile.len()));
}

#[tokio::test]
async fn a_run_whose_id_leads_elsewhere_stays_in_the_folder() {
    let scratch = tempfile::tempdir().unwrap();
    let history = History::open(&HistoryStore::Directory, scratch.path(), None).unwrap();
    history.keep(&HistoryRecord { run: "../../../evil".to_owned(), ..record(COMMIT, 1) }).await.unwrap();
    assert_eq!(std::fs::read_dir(scratch.path().join("history")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn notes_keep_records_beside_their_commit_and_need_a_repository() {
    let scratch = tempfile::tempdir().unwrap();
    assert!(matches!(History::open(&HistoryStore::GitNotes, scratch.path(), None), Err(HistoryError::NoRepository)));
    git(scratch.path(), &["init", "-q"]);
    git(scratch.path(), &["commit", "-q", "--allow-empty", "-m", "one"]);
    let commit = git(scratch.path(), &["rev-parse", "HEAD"]);
    let repository = Repository::discover(scratch.path()).unwrap().unwrap();
    let history = History::open(&HistoryStore::GitNotes, scratch.path(), Some(&repository)).unwrap();
    for time in [2, 1, 2] {
        history.keep(&record(&commit, time)).await.unwrap();
    }
    // Somebody wrote by hand, and another's record was put beside the wrong commit.
    repository.add_note_line("refs/notes/shakedown", &commit, "hello").unwrap();
    repository.add_note_line("refs/notes/shakedown-origin", &commit, &serde_json::to_string(&record(COMMIT, 9)).unwrap()).unwrap();
    let kept = history.read().await.unwrap();
    assert_eq!((kept.records.len(), kept.refused), (2, 2));
    assert_eq!(git(scratch.path(), &["notes", "--ref=shakedown", "show"]).lines().count(), 3);
    assert_eq!(history.merge().unwrap(), NotesMerge::Joined);
    assert!(history.keep(&record(COMMIT, 1)).await.is_err(), "a commit that is not here has no note");
}
