//! Wall clocks that are off: keeps our shim in the vDSO of every process that is meant, and of no other.
//!
//! What is remembered is what is wanted: the skews in force. What a process has is read from its memory each time, and
//! changed where it differs: that meets processes that begin, programs that are started, faults that overlap (offsets add
//! up) and undos in one way, and an undo writes the kernel's own bytes, not remembered ones. The shim bears the name of
//! its agent. One whose agent has died is anybody's to change or remove.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::shim::Mark;
use super::stop::{Tracer, Trouble};
use super::swap::{Patient, base, own_base, own_vdso, read};
use super::vdso::{State, Vdso};
use super::{LOOSENED_MAX, Met, Process, Seen, census, is_meant, is_still, members, permit, seen};
use crate::netlink::sys::wait;
use crate::wire::Processes;

/// How long a skew's beginning or end is tried: threads may be in the way, and processes fork meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries: a signal handler is through by then.
const PAUSE: Duration = Duration::from_millis(1);
/// How long one pass may take before it leaves the rest to the next one.
const PASS: Duration = Duration::from_millis(500);
/// How often the removal of a shim that nothing leads to any more is tried.
const RESIDUE_TRIES: u8 = 40;

/// The skews in force, and what they have met.
pub(crate) struct Clocks {
    vdso: Result<Vdso, String>,
    /// What our shims say.
    owner: u64,
    tracer: Tracer,
    skews: BTreeMap<String, Skew>,
    loosened: VecDeque<(String, Skew)>,
    /// Where processes had their vDSO; a program that was started since has it elsewhere.
    bases: BTreeMap<Process, u64>,
    /// Processes that have had a shim of ours, as far as we know. Others can only have been born with one.
    shimmed: BTreeSet<Process>,
    /// Those that were there before the first skew: they have none by birth.
    elders: BTreeSet<Process>,
    /// Processes whose shim stays a while because a thread seemed to be in it, and how often its removal was tried.
    residue: BTreeMap<Process, u8>,
}

/// One fault.
#[derive(Debug, Clone)]
pub(crate) struct Skew {
    processes: Processes,
    offset_us: i64,
    pub(crate) met: Met,
    /// The offset that was read in a process's memory last.
    pub(crate) read_back: Option<i64>,
}

impl Clocks {
    pub(crate) fn new() -> Self {
        let owner = seen(std::process::id().cast_signed()).map_or(0, |seen| owner(seen.process));
        Self {
            vdso: own_vdso(),
            owner,
            tracer: Tracer::default(),
            skews: BTreeMap::new(),
            loosened: VecDeque::new(),
            bases: BTreeMap::new(),
            shimmed: BTreeSet::new(),
            elders: BTreeSet::new(),
            residue: BTreeMap::new(),
        }
    }

    /// Puts a skew in force. An error if it meets nobody; it is in force nevertheless until it ends.
    pub(crate) fn begin(&mut self, grip: &str, processes: Processes, offset_us: i64) -> Result<(), String> {
        permit(processes)?;
        self.vdso.as_ref().map_err(Clone::clone)?;
        if self.skews.is_empty() {
            self.elders = census().into_iter().map(|seen| seen.process).collect();
        }
        self.skews.insert(grip.to_owned(), Skew { processes, offset_us, met: Met::default(), read_back: None });
        let until = Instant::now() + PATIENCE;
        while self.pass() && Instant::now() < until {
            drop(wait(&[], Some(PAUSE)));
        }
        match self.skews.get(grip) {
            Some(skew) if skew.met.count() == 0 => Err(skew.met.nobody(processes)),
            _ => Ok(()),
        }
    }

    /// Ends a skew: nobody has its offset any more, or it is an error, and worth another try.
    pub(crate) fn end(&mut self, grip: &str) -> Result<(), String> {
        if let Some(skew) = self.skews.remove(grip) {
            self.loosened.push_back((grip.to_owned(), skew));
            self.loosened.drain(..self.loosened.len().saturating_sub(LOOSENED_MAX));
        }
        let until = Instant::now() + PATIENCE;
        let left = loop {
            let (changed, left) = self.sweep();
            if changed == 0 && left.is_empty() || Instant::now() > until {
                break left;
            }
            if !left.is_empty() {
                drop(wait(&[], Some(PAUSE)));
            }
        };
        self.shimmed.retain(|process| is_still(*process));
        self.bases.retain(|process, _| is_still(*process));
        left.into_iter().next().map_or(Ok(()), Err)
    }

    /// Brings every process that is meant to what it is meant to have; returns whether any skew is in force.
    pub(crate) fn tend(&mut self) -> bool {
        self.pass();
        !self.skews.is_empty()
    }

    /// One look at all processes that are meant; returns whether another one may find more to do.
    fn pass(&mut self) -> bool {
        self.tracer.release_late();
        let (until, mut again) = (Instant::now() + PASS, false);
        for seen in self.meant() {
            let Some(wanted) = self.wanted(&seen) else { continue };
            let result = if Instant::now() < until { self.settle(seen.process, Some(wanted)) } else { Err(Trouble::Busy) };
            again |= matches!(result, Err(Trouble::Busy));
            self.note(&seen, wanted, &result);
        }
        again
    }

    /// Removes what could not be removed at once; returns whether any of it has to be tried again.
    pub(crate) fn tidy(&mut self) -> bool {
        for (process, tries) in std::mem::take(&mut self.residue) {
            let removed = self.sweep_out(process);
            if tries < RESIDUE_TRIES && matches!(removed, Err(Trouble::Busy)) {
                self.residue.insert(process, tries + 1);
            }
        }
        self.tracer.release_late() || !self.residue.is_empty()
    }

    /// What a skew has met; those that ended last are remembered.
    pub(crate) fn skew(&self, grip: &str) -> Option<&Skew> {
        self.skews.get(grip).or_else(|| self.loosened.iter().rev().find(|(name, _)| name == grip).map(|(_, skew)| skew))
    }

    /// As if the vDSO had no room behind its image.
    #[cfg(test)]
    pub(super) fn cramped() -> Self {
        let clocks = Self::new();
        Self { vdso: clocks.vdso.map(Vdso::cramped), ..Self::new() }
    }

    /// Whether not one byte of ours is left in a process.
    #[cfg(test)]
    pub(super) fn is_as_the_kernel_made_it(&mut self, process: Process) -> bool {
        matches!(self.look(process), Ok(State::Original))
    }

    /// Where the agent itself has `clock_gettime`.
    pub(super) fn own_clock_gettime(&self) -> Result<u64, String> {
        let vdso = self.vdso.as_ref().map_err(Clone::clone)?;
        Ok(own_base()? + vdso.clock_gettime() as u64)
    }

    fn meant(&self) -> BTreeSet<Seen> {
        let targets: BTreeSet<Processes> = self.skews.values().map(|skew| skew.processes).collect();
        targets.into_iter().flat_map(members).collect()
    }

    /// The sum of all that is meant for a process, if anything is.
    fn wanted(&self, seen: &Seen) -> Option<i64> {
        self.skews.values().filter(|skew| is_meant(skew.processes, seen)).map(|skew| skew.offset_us).reduce(i64::saturating_add)
    }

    fn note(&mut self, seen: &Seen, wanted: i64, result: &Result<(), Trouble>) {
        for skew in self.skews.values_mut().filter(|skew| is_meant(skew.processes, seen)) {
            match result {
                Ok(()) => {
                    skew.met.reached(seen.process);
                    skew.read_back = Some(wanted);
                }
                Err(Trouble::Gone) => {}
                Err(trouble) => skew.met.missed(seen.process, &trouble.to_string()),
            }
        }
    }

    /// One pass over all processes that may have a shim of ours: how many were changed, and in whom something wrong of ours is left.
    fn sweep(&mut self) -> (usize, Vec<String>) {
        let (mut changed, mut left) = (0, Vec::new());
        let suspects = census().into_iter().filter(|seen| self.shimmed.contains(&seen.process) || !self.elders.contains(&seen.process));
        for seen in suspects.collect::<Vec<_>>() {
            let (process, wanted) = (seen.process, self.wanted(&seen));
            let wrong = match self.look(process) {
                Ok(state @ State::Shimmed { mark, .. }) => self.is_ours(mark) && !self.satisfies(state, wanted),
                Err(trouble) => !matches!(trouble, Trouble::Gone) && self.shimmed.contains(&process),
                Ok(_) => false,
            };
            match if wrong { self.settle(process, wanted) } else { continue } {
                Ok(()) => changed += 1,
                Err(Trouble::Gone) => {}
                Err(trouble) => left.push(format!("process {}: {trouble}", process.pid)),
            }
        }
        (changed, left)
    }

    /// Brings a process to what is wanted of it, and reads it back.
    pub(super) fn settle(&mut self, process: Process, wanted: Option<i64>) -> Result<(), Trouble> {
        let state = self.look(process)?;
        if self.satisfies(state, wanted) {
            return Ok(());
        }
        match state {
            State::Strange => return Err(Trouble::Refused("its vDSO is not the one that 64-bit programs have here".to_owned())),
            State::Shimmed { mark, .. } if !self.is_ours(mark) => {
                return Err(Trouble::Refused("another agent has its clock in hand".to_owned()));
            }
            _ => {}
        }
        let (vdso, owner) = (self.vdso()?.clone(), self.owner);
        let change = self.tracer.hold(process.pid, |stopped| {
            let mut patient = Patient { base: base(process)?, vdso: &vdso, stopped };
            match wanted {
                Some(offset_us) => patient.shim(Mark { owner, offset_us }).map(|()| false),
                None => patient.unshim(),
            }
        });
        if change? {
            self.residue.insert(process, 0);
        }
        let state = self.look(process)?;
        if wanted.is_some() {
            self.shimmed.insert(process);
        }
        if self.satisfies(state, wanted) { Ok(()) } else { Err(Trouble::Busy) }
    }

    fn sweep_out(&mut self, process: Process) -> Result<(), Trouble> {
        if self.look(process)? != State::Residue {
            return Ok(());
        }
        let vdso = self.vdso()?.clone();
        self.tracer.hold(process.pid, |stopped| Patient { base: base(process)?, vdso: &vdso, stopped }.remove_shim())
    }

    fn satisfies(&self, state: State, wanted: Option<i64>) -> bool {
        match (state, wanted) {
            (State::Shimmed { mark, whole }, Some(offset_us)) => whole && mark == Mark { owner: self.owner, offset_us },
            (State::Shimmed { mark, .. }, None) => !self.is_ours(mark),
            (_, None) => true,
            (_, Some(_)) => false,
        }
    }

    /// Whether a shim is ours to change: we wrote it, or its agent is no more.
    fn is_ours(&self, mark: Mark) -> bool {
        mark.owner == self.owner || seen((mark.owner >> 32) as i32).is_none_or(|seen| owner(seen.process) != mark.owner)
    }

    /// Reads what a process has, while it runs.
    fn look(&mut self, process: Process) -> Result<State, Trouble> {
        let known = self.bases.get(&process).copied();
        let vdso = self.vdso()?;
        let state = |base| read(process, base, vdso.len()).map(|image| vdso.state(&image));
        if let Some(Ok(state)) = known.map(state).filter(|state| !matches!(state, Ok(State::Strange) | Err(_))) {
            return Ok(state);
        }
        let base = base(process)?;
        let state = state(base)?;
        self.bases.insert(process, base);
        Ok(state)
    }

    fn vdso(&self) -> Result<&Vdso, Trouble> {
        self.vdso.as_ref().map_err(|why| Trouble::Refused(why.clone()))
    }
}

/// What names an agent in its shims: no two live at once that have it.
fn owner(process: Process) -> u64 {
    u64::from(process.pid.unsigned_abs()) << 32 | process.started & 0xffff_ffff
}
