//! Stops the world after every single effect, again inside recovery, and tears the journal's tail at every byte: the world must end
//! whole every time. The world is a set of names; what kills a real harness is a future that is never polled again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use shakedown_undo::{Journal, ProcessGroup, Revert, RevertError, Undo, unwind, unwind_since};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

const RUN: &str = "r1";
const DEADLINE: Duration = Duration::from_secs(5);

/// Everything that exists, and the number of effects until the lights go out.
struct FakeWorld {
    things: Mutex<BTreeSet<String>>,
    left: AtomicUsize,
    crashed: Notify,
}

impl FakeWorld {
    fn new() -> FakeWorld {
        let things = BTreeSet::from(["container stranger".to_owned(), "network stranger".to_owned()]);
        FakeWorld { things: Mutex::new(things), left: AtomicUsize::new(usize::MAX), crashed: Notify::new() }
    }

    fn crash_after(&self, effects: usize) {
        self.left.store(effects, Ordering::SeqCst);
    }

    /// One effect: happens, or the world has stopped.
    async fn effect(&self, change: impl FnOnce(&mut BTreeSet<String>)) {
        if self.left.load(Ordering::SeqCst) == 0 {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
        self.left.fetch_sub(1, Ordering::SeqCst);
        change(&mut self.things.lock().unwrap());
    }

    fn is_whole(&self) -> bool {
        let strangers = ["container stranger", "network stranger"];
        self.things.lock().unwrap().iter().map(String::as_str).eq(strangers)
    }
}

fn thing(undo: &Undo) -> String {
    match undo {
        Undo::RemoveContainer { name, .. } => format!("container {name}"),
        Undo::RemoveNetwork { name, .. } => format!("network {name}"),
        Undo::ResumeContainer { name, .. } => format!("frozen {name}"),
        Undo::KillProcessGroup { group, .. } => format!("group {}", group.pid),
        Undo::RemovePath { path, .. } => format!("path {}", path.display()),
        other => unreachable!("this world has no {other}"),
    }
}

#[async_trait::async_trait]
impl Revert for FakeWorld {
    async fn revert(&self, undo: &Undo) -> Result<(), RevertError> {
        let thing = thing(undo);
        if let Undo::RemoveNetwork { .. } = undo {
            let busy = self.things.lock().unwrap().contains("container sd-orders");
            assert!(!busy, "a network was removed before the container in it");
        }
        if let Undo::RemoveContainer { name, .. } = undo {
            let frozen = self.things.lock().unwrap().contains(&format!("frozen {name}"));
            assert!(!frozen, "a container was removed before it went on");
        }
        self.effect(|things| {
            things.remove(&thing);
        })
        .await;
        // An effect of its own: the lights may go out between the deed and the note of it.
        self.effect(|_| {}).await;
        Ok(())
    }
}

fn changes() -> Vec<Undo> {
    let run = RUN.to_owned();
    let group = ProcessGroup { pid: 77, start_time_ticks: 1, boot_id: "b".to_owned() };
    vec![
        Undo::RemovePath { path: PathBuf::from("/tmp/r1"), run: run.clone() },
        Undo::RemoveNetwork { name: "sd-net".to_owned(), run: run.clone() },
        Undo::RemoveContainer { name: "sd-orders".to_owned(), run: run.clone() },
        Undo::KillProcessGroup { group, run: run.clone() },
        Undo::ResumeContainer { name: "sd-orders".to_owned(), run },
    ]
}

/// A run: every change named, noted, made; the last one taken back early; then everything unwound.
async fn live(world: &FakeWorld, path: &Path) {
    let journal = Journal::create(path, RUN).unwrap();
    world.effect(|_| {}).await;
    let mut last = None;
    for undo in changes() {
        let made = thing(&undo);
        let ticket = journal.intend(undo.clone()).await.unwrap();
        world.effect(|_| {}).await;
        world
            .effect(|things| {
                things.insert(made);
            })
            .await;
        last = Some((ticket, undo));
    }
    let (ticket, undo) = last.unwrap();
    world.revert(&undo).await.unwrap();
    journal.settle(&ticket).unwrap();
    world.effect(|_| {}).await;
    assert!(unwind(&journal, world, DEADLINE).await.is_clean());
}

/// A run of two rounds: what the first made is taken back before the second begins; the path that both stand on stays until the end.
async fn live_in_rounds(world: &FakeWorld, path: &Path) {
    let journal = Journal::create(path, RUN).unwrap();
    let mut changes = changes();
    make(world, &journal, changes.remove(0)).await;
    for _ in 0..2 {
        let mark = journal.mark();
        for undo in &changes {
            make(world, &journal, undo.clone()).await;
        }
        let unwound = unwind_since(&journal, mark, world, DEADLINE).await;
        assert!(unwound.is_clean() && unwound.reverted == changes.len(), "{unwound:?}");
        let stands = world.things.lock().unwrap().contains("path /tmp/r1");
        assert!(stands && journal.pending().len() == 1, "what was there before the round is left alone");
    }
    assert!(unwind(&journal, world, DEADLINE).await.is_clean());
}

/// Named, noted, made.
async fn make(world: &FakeWorld, journal: &Journal, undo: Undo) {
    let made = thing(&undo);
    journal.intend(undo).await.unwrap();
    world.effect(|_| {}).await;
    world
        .effect(|things| {
            things.insert(made);
        })
        .await;
}

/// Runs `life` until it ends (true) or the lights go out (false).
async fn until_crash(world: &FakeWorld, life: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = life => true,
        () = world.crashed.notified() => false,
    }
}

async fn recover(world: &FakeWorld, path: &Path) {
    let journal = Journal::open(path).unwrap();
    let unwound = unwind(&journal, world, DEADLINE).await;
    assert!(unwound.is_clean(), "{:?}", unwound.left);
}

async fn recover_fully(world: &FakeWorld, path: &Path) {
    world.crash_after(usize::MAX);
    recover(world, path).await;
}

/// In memory: the test syncs hundreds of files.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A world that stopped after `effects`, and the journal it left; `None` when the run ended before that.
async fn stopped_after(effects: usize, path: &Path) -> Option<FakeWorld> {
    let world = FakeWorld::new();
    world.crash_after(effects);
    let ended = until_crash(&world, live(&world, path)).await;
    (!ended).then_some(world)
}

#[tokio::test]
async fn a_crash_after_any_effect_is_recovered_and_so_is_a_crash_inside_the_recovery() {
    let scratch = scratch();
    let mut stops = 0;
    for effects in 0.. {
        let path = scratch.path().join(format!("{effects}.jsonl"));
        let Some(world) = stopped_after(effects, &path).await else { break };
        stops += 1;
        let before = (world.things.lock().unwrap().clone(), std::fs::read(&path).unwrap());
        for inside in 0.. {
            world.things.lock().unwrap().clone_from(&before.0);
            std::fs::write(&path, &before.1).unwrap();
            world.crash_after(inside);
            let ended = until_crash(&world, recover(&world, &path)).await;
            recover_fully(&world, &path).await;
            assert!(world.is_whole(), "stopped after {effects}, recovery stopped after {inside}");
            if ended {
                break;
            }
        }
        recover_fully(&world, &path).await;
        assert!(world.is_whole(), "a second recovery did harm after {effects}");
    }
    assert!(stops > 20, "the scenario has only {stops} effects");
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_recovered() {
    let scratch = scratch();
    for effects in 0.. {
        let path = scratch.path().join(format!("{effects}.jsonl"));
        let Some(world) = stopped_after(effects, &path).await else { break };
        let things = world.things.lock().unwrap().clone();
        let bytes = std::fs::read(&path).unwrap();
        for cut in first_loseable_byte(&bytes, &things)..=bytes.len() {
            for padding in [&b""[..], &b"\0\0\0\0\0\0\0"[..]] {
                world.things.lock().unwrap().clone_from(&things);
                std::fs::write(&path, [&bytes[..cut], padding].concat()).unwrap();
                recover_fully(&world, &path).await;
                assert!(world.is_whole(), "stopped after {effects}, torn at {cut} of {}", bytes.len());
            }
        }
    }
}

/// The disk may lose what was not synced: settlements, and the last `intend` while it had not returned, so before its change was made.
fn first_loseable_byte(bytes: &[u8], things: &BTreeSet<String>) -> usize {
    let mut kept = bytes.len();
    for line in bytes.split_inclusive(|byte| *byte == b'\n').rev() {
        let text = String::from_utf8_lossy(line);
        let made = text.contains("\"intend\"") && {
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let undo: Undo = serde_json::from_value(value["change"].clone()).unwrap();
            things.contains(&thing(&undo)) || kept != bytes.len()
        };
        if made {
            break;
        }
        kept -= line.len();
        if text.contains("\"intend\"") {
            break;
        }
    }
    kept
}

#[tokio::test]
async fn a_crash_in_any_round_or_between_two_is_recovered() {
    let scratch = scratch();
    let mut stops = 0;
    for effects in 0.. {
        let path = scratch.path().join(format!("{effects}.jsonl"));
        let world = FakeWorld::new();
        world.crash_after(effects);
        let ended = until_crash(&world, live_in_rounds(&world, &path)).await;
        recover_fully(&world, &path).await;
        assert!(world.is_whole(), "stopped after {effects}");
        if ended {
            break;
        }
        stops += 1;
    }
    assert!(stops > 30, "two rounds have only {stops} effects");
}

#[tokio::test]
async fn what_a_round_could_not_take_back_is_tried_again_at_the_end() {
    struct Stubborn(FakeWorld);

    #[async_trait::async_trait]
    impl Revert for Stubborn {
        async fn revert(&self, undo: &Undo) -> Result<(), RevertError> {
            if matches!(undo, Undo::KillProcessGroup { .. }) {
                return Err(RevertError("it does not die".to_owned()));
            }
            self.0.revert(undo).await
        }
    }

    let scratch = scratch();
    let journal = Journal::create(&scratch.path().join("j.jsonl"), RUN).unwrap();
    let world = Stubborn(FakeWorld::new());
    let mark = journal.mark();
    for undo in changes() {
        make(&world.0, &journal, undo).await;
    }
    let unwound = unwind_since(&journal, mark, &world, DEADLINE).await;
    assert_eq!((unwound.reverted, unwound.left.len()), (4, 1));
    assert_eq!(journal.pending_since(mark).len(), 1);
    assert!(unwind(&journal, &world.0, DEADLINE).await.is_clean() && world.0.is_whole());
}
