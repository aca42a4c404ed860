//! Every run that has something here, and the harnesses that own them: found by marks and by the journals that they hold open, and
//! ended, politely first.

use crate::{
    RuntimeError,
    docker::Engine,
    marks,
    owner::Owner,
    process::stat::{self, Stat},
    sweep::{Kind, list},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeMap,
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_millis(50);
/// What the kernel needs to end a process that was killed.
const DYING: Duration = Duration::from_secs(10);
const JOURNAL: &str = "journal.jsonl";

/// A run that has something here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marked {
    /// Its things: `container sd-…`, `process 42`.
    pub things: Vec<String>,
    /// Who conducts it, where that lives.
    pub harness: Option<Harness>,
}

/// A process that conducts a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Harness {
    pid: u32,
    start_time_ticks: u64,
}

/// How a harness ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ended when it was asked to.
    Asked,
    /// It had to be killed: what it made is still there.
    Killed,
}

/// Every run that anything here is marked with, by id. Where no engine answers there are processes only.
pub async fn marked() -> Result<BTreeMap<String, Marked>, RuntimeError> {
    let mut runs = BTreeMap::new();
    for stat in stat::all().into_iter().filter(|stat| stat.pid != std::process::id()) {
        let Some(run) = stat::variable(stat.pid, marks::RUN_VARIABLE) else { continue };
        note(&mut runs, &run, stat::variable(stat.pid, marks::OWNER_VARIABLE).as_ref(), format!("process {}", stat.pid));
    }
    let engine = match Engine::connect().await {
        Ok(engine) => engine,
        Err(RuntimeError::NoEngine { .. }) => return Ok(runs),
        Err(error) => return Err(error),
    };
    for kind in Kind::ALL {
        let found = list(&engine, kind, None).await.map_err(RuntimeError::engine(format!("list {}s", kind.word())))?;
        for (name, labels) in found {
            let run = labels.get(marks::RUN).cloned().unwrap_or_default();
            note(&mut runs, &run, labels.get(marks::OWNER), format!("{} {name}", kind.word()));
        }
    }
    Ok(runs)
}

fn note(runs: &mut BTreeMap<String, Marked>, run: &str, owner: Option<&String>, thing: String) {
    let marked = runs.entry(run.to_owned()).or_default();
    marked.things.push(thing);
    let owner = owner.and_then(|text| text.parse::<Owner>().ok());
    marked.harness = marked.harness.or_else(|| owner?.process().map(|stat| Harness::of(&stat)));
}

impl Harness {
    fn of(stat: &Stat) -> Harness {
        Harness { pid: stat.pid, start_time_ticks: stat.start_time_ticks }
    }

    /// Who has this file open, we apart: of a journal, who conducts its run.
    pub fn holding(path: &Path) -> Vec<Harness> {
        let Ok(wanted) = fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())) else { return Vec::new() };
        let is_it = |fd: &PathBuf| fs::metadata(fd).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == wanted);
        let others = stat::all().into_iter().filter(|stat| stat.pid != std::process::id());
        others.map(|stat| Harness::of(&stat)).filter(|harness| harness.open_files().iter().any(is_it)).collect()
    }

    /// The journals that it writes. Ask before it ends.
    pub fn journals(&self) -> Vec<PathBuf> {
        let paths = self.open_files().into_iter().filter_map(|fd| fs::read_link(fd).ok());
        paths.filter(|path| path.file_name().is_some_and(|name| name == JOURNAL)).collect()
    }

    fn open_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Asks it to end, as Ctrl-C does, and kills it where it has not within `patience`. Returns when it is dead.
    pub async fn end(self, patience: Duration) -> Result<End, String> {
        self.signal(Signal::TERM)?;
        if self.is_dead_within(patience).await {
            return Ok(End::Asked);
        }
        self.signal(Signal::KILL)?;
        if self.is_dead_within(DYING).await { Ok(End::Killed) } else { Err(format!("{self} does not die; end it by hand")) }
    }

    fn lives(self) -> bool {
        stat::read(self.pid).is_some_and(|stat| stat.start_time_ticks == self.start_time_ticks && !stat.is_zombie())
    }

    fn signal(self, signal: Signal) -> Result<(), String> {
        let Some(pid) = Pid::from_raw(self.pid.cast_signed()).filter(|_| self.lives()) else { return Ok(()) };
        match kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(format!("could not signal {self}: {error}; end it as the user who started it")),
        }
    }

    async fn is_dead_within(self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while self.lives() && Instant::now() < until {
            sleep(PAUSE).await;
        }
        !self.lives()
    }
}

impl fmt::Display for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn harness(child: &Child) -> Harness {
        Harness::of(&stat::read(child.id()).unwrap())
    }

    /// Waits until it has said a line.
    fn await_line(child: &mut Child) {
        use std::io::{BufRead as _, BufReader};
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    }

    #[tokio::test]
    async fn who_ends_when_asked_is_not_killed_and_who_does_not_is() {
        let (mut polite, mut deaf) = (shell("echo up; exec sleep 1000"), shell("trap '' TERM; echo up; while :; do sleep 1; done"));
        await_line(&mut polite);
        await_line(&mut deaf);
        assert_eq!(harness(&polite).end(DYING).await, Ok(End::Asked));
        assert_eq!(harness(&deaf).end(Duration::from_millis(100)).await, Ok(End::Killed));
        polite.wait().unwrap();
        deaf.wait().unwrap();
    }

    #[tokio::test]
    async fn another_process_with_the_pid_of_one_that_ended_is_not_touched() {
        let mut child = shell("exec sleep 1000");
        let other = Harness { start_time_ticks: harness(&child).start_time_ticks + 1, ..harness(&child) };
        assert_eq!(other.end(DYING).await, Ok(End::Asked));
        assert!(harness(&child).lives());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn who_writes_a_journal_is_found_and_so_is_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join(JOURNAL);
        let mut child = shell(&format!("exec 3> {}; echo up; exec sleep 1000", path.display()));
        await_line(&mut child);
        assert_eq!(Harness::holding(&path), [harness(&child)]);
        assert_eq!(harness(&child).journals(), [path]);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_run_whose_owner_is_this_process_or_unknown_has_no_harness_to_end() {
        let mut runs = BTreeMap::new();
        note(&mut runs, "r", Some(&Owner::current().to_string()), "container c".to_owned());
        note(&mut runs, "r", Some(&"nonsense".to_owned()), "network n".to_owned());
        assert_eq!(runs["r"], Marked { things: vec!["container c".to_owned(), "network n".to_owned()], harness: None });
    }
}
