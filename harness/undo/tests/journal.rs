//! The journal on disk, and the order and deadlines of unwinding.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use shakedown_undo::{Journal, JournalError, Revert, RevertError, Undo, unwind};
use std::{sync::Mutex, time::Duration};

fn container(name: &str) -> Undo {
    Undo::RemoveContainer { name: name.to_owned(), run: "r1".to_owned() }
}

fn network(name: &str) -> Undo {
    Undo::RemoveNetwork { name: name.to_owned(), run: "r1".to_owned() }
}

#[tokio::test]
async fn what_is_intended_is_on_disk_when_the_call_returns_and_is_pending_newest_first() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("journal.jsonl");
    let journal = Journal::create(&path, "r1").unwrap();
    let first = journal.intend(network("n")).await.unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().contains("\"remove_network\""));
    let others = journal.intend_all(vec![container("a"), container("b")]).await.unwrap();
    assert_eq!(journal.pending(), vec![(3, container("b")), (2, container("a")), (1, network("n"))]);
    journal.settle(&others[0]).unwrap();
    journal.settle(&others[0]).unwrap();
    journal.settle(&first).unwrap();
    drop(journal);
    let again = Journal::open(&path).unwrap();
    assert_eq!((again.run(), again.pending()), ("r1", vec![(3, container("b"))]));
    let next = again.intend(container("c")).await.unwrap();
    again.settle(&next).unwrap();
    assert_eq!(again.pending().len(), 1, "numbers go on after those of the dead run");
}

#[tokio::test]
async fn a_journal_of_a_living_run_is_not_opened() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("journal.jsonl");
    assert!(!Journal::owner_alive(&path).unwrap(), "no file, no owner");
    let journal = Journal::create(&path, "r1").unwrap();
    assert!(Journal::owner_alive(&path).unwrap());
    assert!(matches!(Journal::open(&path), Err(JournalError::OwnerAlive { .. })));
    drop(journal);
    assert!(!Journal::owner_alive(&path).unwrap());
    assert!(Journal::open(&path).is_ok());
}

#[tokio::test]
async fn an_existing_journal_is_never_overwritten() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("journal.jsonl");
    drop(Journal::create(&path, "r1").unwrap());
    assert!(matches!(Journal::create(&path, "r2"), Err(JournalError::Io { .. })));
}

#[tokio::test]
async fn kinds_from_the_future_and_damaged_lines_are_reported_and_the_rest_is_read() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("journal.jsonl");
    let text = concat!(
        r#"{"journal":"shakedown.journal/1","run":"r1"}"#,
        "\n",
        r#"{"intend":1,"change":{"undo":"melt_the_pod","pod":"p","run":"r1"}}"#,
        "\n",
        "\0\0garbage\n",
        r#"{"intend":2,"change":{"undo":"remove_container","name":"a","run":"r1"}}"#,
    );
    std::fs::write(&path, text).unwrap();
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.unread()[0].line, 3);
    let pending = journal.pending();
    assert_eq!(pending[0], (2, container("a")), "a whole last line counts without its line end");
    assert!(pending[1].1.to_string().contains("melt_the_pod"), "{}", pending[1].1);
    let ticket = journal.intend(container("b")).await.unwrap();
    journal.settle(&ticket).unwrap();
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().pending().len(), 2);
}

#[test]
fn a_file_that_is_no_journal_is_refused_and_an_empty_one_has_nothing_to_take_back() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("notes.txt");
    std::fs::write(&path, "milk\neggs\n").unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::NotAJournal { .. })));
    std::fs::write(&path, "{\"journal\":\"shake").unwrap();
    assert!(Journal::open(&path).unwrap().pending().is_empty());
}

/// Fails or hangs for the names that say so; remembers the order.
#[derive(Default)]
struct Stubborn {
    tried: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Revert for Stubborn {
    async fn revert(&self, undo: &Undo) -> Result<(), RevertError> {
        self.tried.lock().unwrap().push(undo.to_string());
        match undo {
            Undo::RemoveContainer { name, .. } if name == "hangs" => std::future::pending().await,
            Undo::RemoveContainer { name, .. } if name == "fails" => Err(RevertError("device is busy".to_owned())),
            Undo::RemoveContainer { name, .. } if name == "once" => {
                let tries = self.tried.lock().unwrap().iter().filter(|tried| tried.ends_with(" once")).count();
                if tries == 1 { Err(RevertError("try again".to_owned())) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_or_hangs_stops_no_other_and_is_named_in_what_is_left() {
    let scratch = tempfile::tempdir().unwrap();
    let journal = Journal::create(&scratch.path().join("journal.jsonl"), "r1").unwrap();
    let names = ["hangs", "fails", "once", "fine"];
    journal.intend(network("n")).await.unwrap();
    journal.intend_all(names.map(container).to_vec()).await.unwrap();
    let stubborn = Stubborn::default();
    let started = tokio::time::Instant::now();
    let unwound = unwind(&journal, &stubborn, Duration::from_secs(10)).await;
    assert_eq!(started.elapsed(), Duration::from_secs(20), "two tries, side by side with the others");
    let left: Vec<String> = unwound.left.iter().map(|(undo, why)| format!("{undo}: {why}")).collect();
    assert_eq!(left, ["remove container fails: device is busy", "remove container hangs: no answer within 10 s"]);
    assert_eq!(unwound.reverted, 3);
    assert!(!unwound.is_clean());
    assert_eq!(journal.pending().len(), 2, "what is left stays in the journal");
    let tried = stubborn.tried.into_inner().unwrap();
    assert_eq!(tried.last().unwrap(), "remove network n", "the network goes after its containers");
    assert_eq!(tried[0], "remove container fine", "newest first");
}
