//! The processes of a service, as `/proc` shows them, and what is done to them: [`clocks`] and [`limits`].
//!
//! Nothing here knows faults by name or JSON. The unsafe code is in [`sys`].

pub(crate) mod clocks;
pub(crate) mod limits;
mod shim;
mod stop;
pub(crate) mod survey;
mod swap;
mod sys;
pub(crate) mod trial;
mod vdso;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::wire::Processes;

/// `PROC_PID_INIT_INO`: the pid namespace that the machine booted with.
const MACHINES_OWN: &str = "pid:[4026531836]";
/// What a grip has done is remembered this often after it was loosened: a dose is read right after.
const LOOSENED_MAX: usize = 8;

/// A process, told from a later one with the same number by when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    started: u64,
}

/// A line of the census.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    process: Process,
    parent: i32,
    group: i32,
}

/// Whom a grip has met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Met {
    reached: BTreeSet<Process>,
    missed: BTreeSet<Process>,
    /// Why one of those that were missed was.
    trouble: Option<String>,
}

impl Met {
    fn reached(&mut self, process: Process) {
        self.reached.insert(process);
        self.missed.remove(&process);
    }

    /// Not reached this time; if never before, missed until it is.
    fn missed(&mut self, process: Process, why: &str) {
        if !self.reached.contains(&process) && self.missed.insert(process) {
            self.trouble = Some(format!("process {}: {why}", process.pid));
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.reached.len() as u64
    }

    pub(crate) fn missed_count(&self) -> u64 {
        self.missed.len() as u64
    }

    /// Why some were missed, if any still are.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.clone().filter(|_| !self.missed.is_empty())
    }

    /// What to say where nobody was reached.
    fn nobody(&self, processes: Processes) -> String {
        let which = match processes {
            Processes::Namespace => "of this pid namespace".to_owned(),
            Processes::Group(group) => format!("of the group {group}"),
        };
        let why = self.trouble().unwrap_or_else(|| "there are none but the agent".to_owned());
        format!("no process {which} could be reached: {why}")
    }
}

/// The processes that live, except agents: us, and those of the same executable.
fn census() -> Vec<Seen> {
    members(Processes::Namespace)
}

/// Which of them are meant. A kernel thread is in no group.
fn members(processes: Processes) -> Vec<Seen> {
    let ours = executable("self");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let meant = pids.filter_map(seen).filter(|it| is_meant(processes, it));
    let is_agent = |pid: i32| u32::try_from(pid) == Ok(std::process::id()) || ours.is_some() && executable(&pid.to_string()) == ours;
    meant.filter(|it| !is_agent(it.process.pid)).collect()
}

fn is_meant(processes: Processes, seen: &Seen) -> bool {
    match processes {
        Processes::Namespace => true,
        Processes::Group(group) => seen.group == group,
    }
}

/// Refuses what would be the whole machine.
fn permit(processes: Processes) -> Result<(), String> {
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    if processes == Processes::Namespace && namespace.as_os_str() == MACHINES_OWN {
        return Err("the agent's pid namespace is the machine's own, of which a service is only a part: name a process group".to_owned());
    }
    Ok(())
}

/// What a process runs, as far as we may know.
fn executable(pid: &str) -> Option<(u64, u64)> {
    fs::metadata(format!("/proc/{pid}/exe")).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn seen(pid: i32) -> Option<Seen> {
    let stat = stat(&format!("/proc/{pid}/stat"))?;
    let process = Process { pid, started: stat.started };
    stat.lives.then_some(Seen { process, parent: stat.parent, group: stat.group })
}

/// Whether a process is still the one it was.
fn is_still(process: Process) -> bool {
    seen(process.pid).is_some_and(|seen| seen.process == process)
}

/// What `/proc/PID/stat` says: see proc(5).
struct Stat {
    lives: bool,
    parent: i32,
    group: i32,
    started: u64,
}

fn stat(path: &str) -> Option<Stat> {
    let text = fs::read(path).ok()?;
    // The name is in brackets and may hold anything, brackets and spaces too.
    let after_name = text.iter().rposition(|byte| *byte == b')')?;
    let text = str::from_utf8(&text[after_name + 1..]).ok()?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let lives = !matches!(*fields.first()?, "Z" | "X" | "x");
    Some(Stat { lives, parent: fields.get(1)?.parse().ok()?, group: fields.get(2)?.parse().ok()?, started: fields.get(19)?.parse().ok()? })
}
