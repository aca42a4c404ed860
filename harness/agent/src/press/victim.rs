//! Whom the kernel kills first when the cgroup's memory runs out (`oom_score_adj`, see proc(5)).
//!
//! Any process may make itself the first victim. To be spared takes `CAP_SYS_RESOURCE`; without it, everybody else in
//! the cgroup is made a better victim instead, and a child of ours, which nobody has a reason to kill, waits for our end,
//! however it comes, and makes that undone.
//!
//! The kernel may ask for a second victim while the first one's memory is still on its way back: it counts a victim as
//! done once its pages are unmapped (`MMF_OOM_SKIP`), and on a busy machine the pages themselves come later (mm/mmap.c,
//! `exit_mmap`). That second one would be us, were there nobody between: so another child stands by to die in our stead,
//! a worse victim than the service and a better one than we.

use std::cell::Cell;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::sync::Arc;

use super::sys::{self, Child};
use super::wire::{Process, Victim};
use super::{refused, unsupported};
use crate::wire::Failure;

const FIRST: &str = "1000";
/// Half of the limit below the first, and as much above us.
const SECOND: &str = "500";
const NEVER: &str = "-1000";

/// Stands until dropped.
pub(super) struct Preference {
    said: String,
    /// Dropped in this order: the pipe's end is what the child waits for, then we wait for the child.
    _pipe: Option<PipeWriter>,
    _keeper: Option<Child>,
    standby: Option<Arc<Child>>,
}

impl Preference {
    /// For the report.
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    /// Who dies in the agent's stead, where somebody must.
    pub(super) fn standby(&self) -> Option<Arc<Child>> {
        self.standby.clone()
    }
}

/// Makes somebody the kernel's first choice.
pub(super) fn prefer(victim: Victim) -> Result<Preference, Failure> {
    let preference = |said: &str| Ok(Preference { said: said.to_owned(), _pipe: None, _keeper: None, standby: None });
    match victim {
        Victim::Agent if choose("self", FIRST).is_ok() => preference("if memory runs out, the kernel kills the agent first"),
        Victim::Agent => preference("if memory runs out, the kernel may kill anybody: oom_score_adj cannot be written"),
        Victim::Service if choose("self", NEVER).is_ok() => preference("the kernel never kills the agent for memory"),
        Victim::Service => prefer_others(),
    }
}

fn prefer_others() -> Result<Preference, Failure> {
    let (life, pipe) = io::pipe().map_err(|error| refused("pipe", &error))?;
    let (mut report, answer) = io::pipe().map_err(|error| refused("pipe", &error))?;
    let (ours, answer, mut life) = (Cell::new(Some(pipe)), Cell::new(Some(answer)), life);
    let child = |source: io::Error| {
        // A child that did start is waited for: let it go first.
        drop(ours.take());
        refused("cannot start a child", &source)
    };
    let standby = sys::in_child(|| {
        drop((ours.take(), answer.take()));
        let _ = life.read(&mut [0]);
    });
    let standby = standby.map_err(child)?;
    // Where it cannot be chosen nobody stands by, as nobody did before.
    let _ = choose(&standby.id().to_string(), SECOND);
    let own = [std::process::id(), standby.id()];
    let keeper = sys::in_child(|| {
        drop(ours.take());
        keep(&own, life, answer.take());
    });
    let keeper = keeper.map_err(child)?;
    drop(answer.take());
    let mut count = String::new();
    let _ = report.read_to_string(&mut count);
    let said = format!("{count} other processes of the cgroup are killed before the agent: it lacks CAP_SYS_RESOURCE");
    let preference = Preference { said, _pipe: ours.take(), _keeper: Some(keeper), standby: Some(Arc::new(standby)) };
    if count.parse().unwrap_or(0) > 0 {
        return Ok(preference);
    }
    let message = "the agent can neither be spared by the kernel nor make anybody else a better victim";
    Err(unsupported(message.to_owned(), "run it as the service's own user, or as root with CAP_SYS_RESOURCE (docker exec --privileged)"))
}

/// The keeper's life.
fn keep(own: &[u32], mut life: PipeReader, answer: Option<PipeWriter>) {
    let others = Neighbour::all().into_iter().filter(|other| !own.contains(&other.pid));
    // Read before it is changed: what cannot be put back is left alone.
    let changed: Vec<_> = others
        .filter_map(|other| Some((fs::read_to_string(adjustment(&other.pid.to_string())).ok()?, other)))
        .filter(|(_, other)| choose(&other.pid.to_string(), FIRST).is_ok())
        .collect();
    if let Some(mut answer) = answer {
        let _ = write!(answer, "{}", changed.len());
    }
    let _ = life.read(&mut [0]);
    for (before, other) in changed.iter().filter(|(_, other)| other.lives()) {
        let _ = choose(&other.pid.to_string(), before.trim());
    }
}

fn adjustment(pid: &str) -> String {
    format!("/proc/{pid}/oom_score_adj")
}

fn choose(pid: &str, value: &str) -> io::Result<()> {
    fs::write(adjustment(pid), value)
}

/// A process in the memory cgroup of this one.
#[derive(Debug, Clone)]
pub(super) struct Neighbour {
    pid: u32,
    parent: u32,
    name: String,
    /// In clock ticks since boot: tells it from a later process of the same number.
    started: u64,
}

impl Neighbour {
    /// All that can be seen but this process and its children.
    pub(super) fn all() -> Vec<Self> {
        let Some(own) = memory_cgroup("self") else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let ours = std::process::id();
        pids.filter(|pid| *pid != ours && memory_cgroup(&pid.to_string()).as_ref() == Some(&own))
            .filter_map(Self::look)
            .filter(|found| found.parent != ours)
            .collect()
    }

    fn look(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold anything; the state is the first field behind it.
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let mut fields = tail.split_ascii_whitespace();
        let dead = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        (!dead).then_some(Self { pid, parent, name, started })
    }

    pub(super) fn lives(&self) -> bool {
        Self::look(self.pid).is_some_and(|found| found.started == self.started)
    }

    pub(super) fn process(&self) -> Process {
        Process { pid: self.pid, name: self.name.clone() }
    }
}

/// The line of a process's `cgroup` file that says to whom its memory is charged.
fn memory_cgroup(pid: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let controllers = |line: &str| line.split(':').nth(1).map(ToOwned::to_owned);
    let of_memory = |line: &&str| controllers(line).is_some_and(|list| list.split(',').any(|name| name == "memory"));
    text.lines().find(of_memory).or_else(|| text.lines().find(|line| line.starts_with("0::"))).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_its_zombie_is_dead() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let found = Neighbour::look(child.id()).unwrap();
        assert!(found.lives());
        assert!(Neighbour::all().iter().all(|neighbour| neighbour.pid != child.id()), "a child of ours is no neighbour");
        assert!(!Neighbour { started: found.started + 1, ..found.clone() }.lives(), "another of the same number");
        child.kill().unwrap();
        // Not waited for: a zombie from here on, as soon as the kernel has done its work.
        while found.lives() {}
        child.wait().unwrap();
        assert!(!found.lives());
    }
}
