//! Descriptors that run out: keeps the soft limit of every process that is meant where so many are left below it.
//!
//! The limit is of numbers, not of a count: the kernel gives each new descriptor the lowest number that is free, and refuses
//! where that is not below the limit. What a process was allowed before is remembered here; see `kernel::Undo`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;

use super::stop::Trouble;
use super::{LOOSENED_MAX, Met, Process, Seen, census, is_meant, members, permit, sys};
use crate::wire::Processes;

/// How often all processes are gone through until none is left to change: they may fork meanwhile.
const PASSES: usize = 10;

/// The limits in force, and what they have met.
#[derive(Default)]
pub(crate) struct Limits {
    faults: BTreeMap<String, Limit>,
    loosened: VecDeque<(String, Limit)>,
    held: BTreeMap<Process, Held>,
}

/// One fault.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    processes: Processes,
    leave: u32,
    pub(crate) met: Met,
    /// Processes that were seen without a free descriptor.
    pub(crate) exhausted: BTreeSet<Process>,
}

/// What a process was allowed, and what it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    was: u64,
    /// What each fault on it would have, by name; the least of them is set.
    shares: BTreeMap<String, u64>,
    set: u64,
    /// All that we have ever set, by which its children are known.
    lent: BTreeSet<u64>,
}

impl Limits {
    /// Puts a limit in force. An error if it meets nobody; it is in force nevertheless until it ends.
    pub(crate) fn begin(&mut self, grip: &str, processes: Processes, leave: u32) -> Result<(), String> {
        permit(processes)?;
        let limit = Limit { processes, leave, met: Met::default(), exhausted: BTreeSet::new() };
        self.faults.insert(grip.to_owned(), limit);
        self.tend();
        match self.faults.get(grip) {
            Some(limit) if limit.met.count() == 0 => Err(limit.met.nobody(processes)),
            _ => Ok(()),
        }
    }

    /// Ends a limit: everybody has what they had, or it is an error, and worth another try.
    pub(crate) fn end(&mut self, grip: &str) -> Result<(), String> {
        if let Some(limit) = self.faults.remove(grip) {
            self.loosened.push_back((grip.to_owned(), limit));
            self.loosened.drain(..self.loosened.len().saturating_sub(LOOSENED_MAX));
        }
        self.held.values_mut().for_each(|held| held.shares.retain(|name, _| name != grip));
        let mut left = Vec::new();
        for _ in 0..PASSES {
            // Children that were born since the last look have their parents' limit.
            self.adopt();
            let freed;
            (freed, left) = self.loosen();
            if freed == 0 {
                break;
            }
        }
        let living: BTreeSet<Process> = census().into_iter().map(|seen| seen.process).collect();
        self.held.retain(|process, held| living.contains(process) && !(self.faults.is_empty() && held.set == held.was));
        left.into_iter().next().map_or(Ok(()), Err)
    }

    /// Brings every process that is meant to the limit that it is meant to have; returns whether any fault is in force.
    pub(crate) fn tend(&mut self) -> bool {
        let targets: BTreeSet<Processes> = self.faults.values().map(|limit| limit.processes).collect();
        let meant: BTreeSet<Seen> = targets.into_iter().flat_map(members).collect();
        for seen in meant {
            let result = self.settle(&seen);
            self.note(&seen, &result);
        }
        !self.faults.is_empty()
    }

    /// Limits one process, which no fault knows of and which is not given anything back.
    pub(super) fn try_out(process: Process, leave: u32) -> Result<(), Trouble> {
        let (soft, hard) = limits(process)?;
        let (shares, lent) = (BTreeMap::from([(String::new(), limit_that_leaves(leave, &open(process)?))]), BTreeSet::new());
        Held { was: soft, shares, set: soft, lent }.apply(process, hard)
    }

    /// What a fault has met; those that ended last are remembered.
    pub(crate) fn limit(&self, grip: &str) -> Option<&Limit> {
        self.faults.get(grip).or_else(|| self.loosened.iter().rev().find(|(name, _)| name == grip).map(|(_, limit)| limit))
    }

    /// Sets a process's limit, once; again only if it has taken another since. True if it has no descriptor left.
    fn settle(&mut self, seen: &Seen) -> Result<bool, Trouble> {
        let (soft, hard) = limits(seen.process)?;
        let open = open(seen.process)?;
        let inherited = self.held_by_parent(seen, soft);
        let lent = inherited.map(|_| soft).into_iter().collect();
        let fresh = || Held { was: inherited.unwrap_or(soft), shares: BTreeMap::new(), set: soft, lent };
        let held = self.held.entry(seen.process).or_insert_with(fresh);
        if soft != held.set {
            // It has chosen another limit for itself: that is what it gets back, and what it has now counts anew.
            (held.was, held.set) = (soft, soft);
            held.shares.clear();
        }
        for (name, limit) in self.faults.iter().filter(|(_, limit)| is_meant(limit.processes, seen)) {
            held.shares.entry(name.clone()).or_insert_with(|| limit_that_leaves(limit.leave, &open));
        }
        held.apply(seen.process, hard)?;
        if held.set == held.was {
            return Err(Trouble::Refused(format!("its own limit of {soft} leaves it no more than was asked for")));
        }
        Ok(free_below(held.set, &open) == 0)
    }

    fn note(&mut self, seen: &Seen, result: &Result<bool, Trouble>) {
        for limit in self.faults.values_mut().filter(|limit| is_meant(limit.processes, seen)) {
            match result {
                Ok(exhausted) => {
                    limit.met.reached(seen.process);
                    if *exhausted {
                        limit.exhausted.insert(seen.process);
                    }
                }
                Err(Trouble::Gone) => {}
                Err(trouble) => limit.met.missed(seen.process, &trouble.to_string()),
            }
        }
    }

    /// What a process that was born with a limit of ours would have had: what its parent had, or, where that has ended,
    /// anybody whom we gave the same limit.
    fn held_by_parent(&self, child: &Seen, soft: u64) -> Option<u64> {
        let ours = || self.held.iter().filter(|(_, held)| held.lent.contains(&soft));
        let parent = ours().find(|(process, _)| process.pid == child.parent);
        parent.or_else(|| ours().next()).map(|(_, held)| held.was)
    }

    /// Takes note of processes that nobody has set a limit for and that have one of ours by birth.
    fn adopt(&mut self) {
        let seen = if self.held.is_empty() { Vec::new() } else { census() };
        for seen in seen {
            let Ok((soft, _)) = limits(seen.process) else { continue };
            let parent = self.held.iter().find(|(process, held)| process.pid == seen.parent && held.lent.contains(&soft));
            if let Some(held) = parent.map(|(_, held)| Held { set: soft, ..held.clone() }) {
                self.held.entry(seen.process).or_insert(held);
            }
        }
    }

    /// Gives back what no fault wants any more: how many got it, and who could not.
    fn loosen(&mut self) -> (usize, Vec<String>) {
        let (mut freed, mut left) = (0, Vec::new());
        for (process, held) in &mut self.held {
            let before = held.set;
            match limits(*process).and_then(|(soft, hard)| if soft == held.set { held.apply(*process, hard) } else { Ok(()) }) {
                Ok(()) => freed += usize::from(held.set != before),
                Err(Trouble::Gone) => {}
                Err(trouble) => left.push(format!("process {}: {trouble}", process.pid)),
            }
        }
        (freed, left)
    }
}

impl Held {
    /// Sets the least of the shares, or what the process had if there is none.
    fn apply(&mut self, process: Process, hard: u64) -> Result<(), Trouble> {
        let wanted = self.shares.values().copied().min().map_or(self.was, |least| least.min(self.was)).min(hard);
        if wanted != self.set {
            set(process, wanted, hard).map_err(|error| trouble(&error))?;
            self.set = wanted;
            self.lent.insert(wanted);
            if limits(process)?.0 != wanted {
                return Err(Trouble::Refused("its limit did not change".to_owned()));
            }
        }
        Ok(())
    }
}

/// The highest limit below which so many numbers are free: `poll` takes no more descriptors than the limit.
fn limit_that_leaves(leave: u32, open: &BTreeSet<u64>) -> u64 {
    let mut limit = u64::from(leave);
    for number in open {
        limit += u64::from(*number <= limit);
    }
    limit
}

fn free_below(limit: u64, open: &BTreeSet<u64>) -> u64 {
    limit - open.range(..limit).count() as u64
}

/// A process's soft and hard limit. Anybody may read this file, while `prlimit` tells them to its own user only.
pub(super) fn limits(process: Process) -> Result<(u64, u64), Trouble> {
    let text = fs::read_to_string(format!("/proc/{}/limits", process.pid)).map_err(|error| trouble(&error))?;
    let mut words = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default().split_ascii_whitespace();
    let mut number = || match words.next()? {
        "unlimited" => Some(u64::MAX),
        digits => digits.parse().ok(),
    };
    // Of a process that is ending the file is empty.
    Option::zip(number(), number()).ok_or(Trouble::Gone)
}

/// Sets them, in the process's own name where ours does not do.
fn set(process: Process, soft: u64, hard: u64) -> io::Result<()> {
    match sys::set_files_limit(process.pid, soft, hard) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            let (user, group) = owner(process).ok_or(error)?;
            sys::set_files_limit_as(user, group, process.pid, soft, hard)
        }
        result => result,
    }
}

/// A process's real user and group.
fn owner(process: Process) -> Option<(u32, u32)> {
    let text = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
    let first = |name| text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok());
    Option::zip(first("Uid:"), first("Gid:"))
}

/// The numbers of a process's open descriptors. `fdinfo` may be listed by whoever may trace (Linux 5.14); before that, and
/// `fd` always, by its owner.
fn open(process: Process) -> Result<BTreeSet<u64>, Trouble> {
    let listed = ["fdinfo", "fd"].iter().map(|name| fs::read_dir(format!("/proc/{}/{name}", process.pid)));
    let entries = listed.reduce(Result::or).unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()));
    let entries = entries.map_err(|error| trouble(&error))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn trouble(error: &io::Error) -> Trouble {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Trouble::Refused(format!(
            "{error}: processes of another user need CAP_SYS_PTRACE and either CAP_SETUID and CAP_SETGID or CAP_SYS_RESOURCE"
        )),
        _ => Trouble::of(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_leaves_as_many_numbers_as_asked_for_whatever_is_open() {
        let cases: [(u32, &[u64], u64); 6] =
            [(0, &[], 0), (0, &[0, 1, 2], 3), (0, &[0, 2], 1), (4, &[0, 1, 2], 7), (4, &[0, 1, 2, 100], 7), (2, &[0, 3, 4, 9], 5)];
        for (leave, open, limit) in cases {
            let open = open.iter().copied().collect();
            assert_eq!(limit_that_leaves(leave, &open), limit, "{leave} {open:?}");
            assert_eq!(free_below(limit, &open), u64::from(leave), "{open:?}");
        }
    }
}
