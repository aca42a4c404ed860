//! The faults in force: which operation meets which of them, and what they have done.
//!
//! Knows nothing of FUSE: an operation asks [`Desk::meet`] what becomes of it, is told a [`Verdict`], and does what it says.

use hdrhistogram::Histogram;
use shakedown_line::{Past, failure, unix_ns};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::check;
use crate::errno;
use crate::hold::{Answering, Ended, Hold};
use crate::pattern::Pattern;
use crate::random::Random;
use crate::wire::{Delay, Dose, Effect, Failure, FaultSpec, Op, Reverted};

/// All faults of all mounts.
pub(crate) struct Desk {
    hold: Hold,
    /// How many are in force: looked at by every operation, so that passing through costs one load.
    armed: AtomicUsize,
    standing: RwLock<Vec<Arc<Standing>>>,
    past: Mutex<Past<Dose>>,
    sequence: AtomicUsize,
}

/// A fault in force.
pub(crate) struct Standing {
    pub(crate) spec: FaultSpec,
    /// Unlike its name, never used again.
    number: u64,
    pattern: Option<Pattern>,
    tally: Mutex<Tally>,
}

struct Tally {
    random: Random,
    dose: Dose,
    /// In microseconds.
    delays: Histogram<u64>,
    /// The fault has ended, and its dose is told.
    is_closed: bool,
}

/// What becomes of an operation.
#[derive(Default)]
pub(crate) struct Verdict {
    /// It is not done, and answered with this number.
    pub(crate) refuse: Option<i32>,
    spoils: Vec<Arc<Standing>>,
    holds: Vec<(Arc<Standing>, Duration)>,
}

impl Desk {
    pub(crate) fn start() -> std::io::Result<Self> {
        Ok(Self {
            hold: Hold::start()?,
            armed: AtomicUsize::new(0),
            standing: RwLock::default(),
            past: Mutex::default(),
            sequence: AtomicUsize::new(0),
        })
    }

    /// What becomes of one operation on this mount; `path` is asked for only if a fault wants to know it.
    pub(crate) fn meet(&self, mount: &str, op: Op, bytes: u64, path: &dyn Fn() -> Vec<u8>) -> Verdict {
        let mut verdict = Verdict::default();
        if self.armed.load(Ordering::Acquire) == 0 {
            return verdict;
        }
        let standing = self.standing.read().unwrap_or_else(PoisonError::into_inner);
        for fault in standing.iter().filter(|fault| fault.concerns(mount, op, path)) {
            fault.strike(op, bytes, &mut verdict);
        }
        verdict
    }

    /// Answers now, or when the verdict says.
    pub(crate) fn answer(&self, verdict: Verdict, answer: impl FnOnce() + Send + 'static) {
        let Some(longest) = verdict.holds.iter().max_by_key(|(_, hold)| *hold) else { return answer() };
        let (fault, done, due) = (longest.0.number, Instant::now(), Instant::now() + longest.1);
        let holders: Vec<Arc<Standing>> = verdict.holds.into_iter().map(|(holder, _)| holder).collect();
        let send: Answering = Box::new(move |ended| {
            for holder in &holders {
                holder.tally().let_go(ended, done);
            }
            answer();
        });
        self.hold.until(due, fault, send);
        // It may have been taken back since it was asked: nobody else would release what came later.
        if !self.stands(fault) {
            self.hold.release(fault);
        }
    }

    fn stands(&self, number: u64) -> bool {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).iter().any(|fault| fault.number == number)
    }

    pub(crate) fn apply(&self, spec: &FaultSpec) -> Result<(), Failure> {
        check::fault(spec)?;
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        if standing.iter().any(|fault| fault.spec.name == spec.name) {
            return Err(failure("name_taken", format!("a fault `{}` is in force", spec.name), "choose another name, or revert it first"));
        }
        let number = self.sequence.fetch_add(1, Ordering::Relaxed) as u64;
        standing.push(Arc::new(Standing::new(spec, number)));
        self.armed.store(standing.len(), Ordering::Release);
        drop(standing);
        self.past().forget(&spec.name);
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Standing>> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).iter().find(|fault| fault.spec.name == name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let standing = self.standing.read().unwrap_or_else(PoisonError::into_inner);
        let names: BTreeSet<&str> = standing.iter().map(|fault| fault.spec.name.as_str()).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn dose(&self, name: &str) -> Result<Dose, Failure> {
        let known = self.find(name).map(|fault| fault.dose());
        let past = || self.past().recall(name).dose;
        known.or_else(past).ok_or_else(|| failure("unknown_fault", format!("no fault `{name}` was applied"), "apply it first"))
    }

    /// Takes a fault back: what it holds is answered at once.
    pub(crate) fn revert(&self, name: &str) -> Reverted {
        let begun = Instant::now();
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        let found = standing.iter().position(|fault| fault.spec.name == name).map(|at| standing.remove(at));
        self.armed.store(standing.len(), Ordering::Release);
        drop(standing);
        match found {
            Some(fault) => self.end(&fault, begun),
            None => Reverted { took_us: begun.elapsed().as_micros() as u64, ..self.past().recall(name) },
        }
    }

    fn end(&self, fault: &Standing, begun: Instant) -> Reverted {
        self.hold.release(fault.number);
        let reverted = Reverted {
            name: fault.spec.name.clone(),
            already_gone: false,
            dose: Some(fault.last_dose()),
            reverted_at_unix_ns: Some(unix_ns()),
            took_us: begun.elapsed().as_micros() as u64,
        };
        self.past().keep(&reverted);
        reverted
    }

    fn past(&self) -> MutexGuard<'_, Past<Dose>> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn new(spec: &FaultSpec, number: u64) -> Self {
        let tally = Tally { random: Random::new(spec.seed), dose: Dose::default(), delays: no_delays(), is_closed: false };
        Self { pattern: spec.pattern.as_deref().map(Pattern::new), spec: spec.clone(), number, tally: Mutex::new(tally) }
    }

    fn concerns(&self, mount: &str, op: Op, path: &dyn Fn() -> Vec<u8>) -> bool {
        self.spec.path == mount && self.spec.ops.contains(&op) && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(&path()))
    }

    fn strike(self: &Arc<Self>, op: Op, bytes: u64, verdict: &mut Verdict) {
        let mut tally = self.tally();
        *tally.dose.seen.of(op) += 1;
        if !tally.random.strikes(self.spec.share_ppm) {
            return;
        }
        *tally.dose.struck.of(op) += 1;
        tally.dose.bytes += bytes;
        match &self.spec.effect {
            Effect::Errno(name) => {
                tally.dose.errors += 1;
                verdict.refuse = verdict.refuse.or_else(|| errno::number(name));
            }
            Effect::Delay(delay) => {
                tally.dose.held += 1;
                verdict.holds.push((Arc::clone(self), tally.draw(delay)));
            }
            Effect::Short {} | Effect::Corrupt {} => verdict.spoils.push(Arc::clone(self)),
        }
    }

    fn dose(&self) -> Dose {
        let tally = self.tally();
        let told = |micros: u64| (!tally.delays.is_empty()).then_some(micros);
        let (mean, p99) = (tally.delays.mean() as u64, tally.delays.value_at_quantile(0.99));
        Dose { mean_delay_us: told(mean), p99_delay_us: told(p99), ..tally.dose.clone() }
    }

    /// All that it did. What is still being done will be answered at once: that counts as sooner.
    fn last_dose(&self) -> Dose {
        self.tally().close();
        self.dose()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to an hour, at three digits.
fn no_delays() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("these are valid bounds")
}

impl Tally {
    fn draw(&mut self, delay: &Delay) -> Duration {
        let spread = self.random.below(2 * delay.jitter_us + 1);
        Duration::from_micros(delay.delay_us - delay.jitter_us + spread)
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.dose.released_early += std::mem::take(&mut self.dose.held);
    }

    fn let_go(&mut self, ended: Ended, since: Instant) {
        if self.is_closed {
            return;
        }
        self.dose.held -= 1;
        match ended {
            Ended::Early => self.dose.released_early += 1,
            Ended::InTime => {
                self.dose.delayed += 1;
                self.delays.saturating_record(since.elapsed().as_micros() as u64);
            }
        }
    }
}

impl Verdict {
    /// Makes what a read returns shorter, or wrong.
    pub(crate) fn spoil(&self, data: &mut Vec<u8>) {
        for fault in &self.spoils {
            let mut tally = fault.tally();
            match fault.spec.effect {
                Effect::Short {} if data.len() > 1 => {
                    let length = 1 + tally.random.below(data.len() as u64 - 1) as usize;
                    data.truncate(length);
                    tally.dose.short += 1;
                }
                Effect::Corrupt {} if !data.is_empty() => {
                    let bit = tally.random.below(8 * data.len() as u64);
                    data[(bit / 8) as usize] ^= 1 << (bit % 8);
                    tally.dose.corrupted += 1;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn spec(name: &str, ops: &[Op], effect: Effect) -> FaultSpec {
        let (path, ops) = ("/data".to_owned(), ops.to_vec());
        FaultSpec { name: name.to_owned(), ttl_ms: 1_000, path, ops, share_ppm: 1_000_000, seed: 1, pattern: None, effect }
    }

    fn nowhere() -> Vec<u8> {
        Vec::new()
    }

    #[test]
    fn only_operations_of_its_kind_mount_and_files_meet_a_fault() {
        let desk = Desk::start().unwrap();
        let eio = FaultSpec { pattern: Some("*.wal".to_owned()), ..spec("eio", &[Op::Fsync], Effect::Errno("EIO".to_owned())) };
        desk.apply(&eio).unwrap();
        let refused = |mount: &str, op, path: &[u8]| desk.meet(mount, op, 0, &|| path.to_vec()).refuse;
        assert_eq!(refused("/data", Op::Fsync, b"1.wal"), Some(libc::EIO));
        assert_eq!(refused("/other", Op::Fsync, b"1.wal"), None);
        assert_eq!(refused("/data", Op::Write, b"1.wal"), None);
        assert_eq!(refused("/data", Op::Fsync, b"1.dat"), None);
        let reverted = desk.revert("eio");
        let dose = reverted.dose.unwrap();
        assert_eq!((dose.seen.total(), dose.struck.fsync, dose.errors), (1, 1, 1));
        assert_eq!(refused("/data", Op::Fsync, b"1.wal"), None);
        assert!(desk.revert("eio").already_gone && desk.revert("eio").dose.is_some());
        assert_eq!(desk.dose("never").unwrap_err().code, "unknown_fault");
    }

    #[test]
    fn a_name_is_taken_until_its_fault_is_gone() {
        let desk = Desk::start().unwrap();
        let short = spec("short", &[Op::Read], Effect::Short {});
        desk.apply(&short).unwrap();
        assert_eq!(desk.apply(&short).unwrap_err().code, "name_taken");
        desk.revert("short");
        desk.apply(&short).unwrap();
        assert_eq!(desk.names(), ["short"]);
    }

    #[test]
    fn what_is_held_is_answered_when_the_fault_ends_and_counted_apart() {
        let desk = Desk::start().unwrap();
        desk.apply(&spec("slow", &[Op::Write], Effect::Delay(Delay { delay_us: 60_000_000, jitter_us: 0 }))).unwrap();
        let verdict = desk.meet("/data", Op::Write, 100, &nowhere);
        let late = desk.meet("/data", Op::Write, 100, &nowhere);
        let (sender, receiver) = mpsc::channel();
        let again = sender.clone();
        desk.answer(verdict, move || sender.send(()).unwrap());
        assert!(receiver.try_recv().is_err() && desk.dose("slow").unwrap().held == 2);
        desk.revert("slow");
        receiver.try_recv().unwrap();
        desk.answer(late, move || again.send(()).unwrap());
        receiver.try_recv().unwrap();
        let dose = desk.dose("slow").unwrap();
        assert_eq!((dose.struck.write, dose.bytes, dose.delayed, dose.mean_delay_us), (2, 200, 0, None));
    }

    #[test]
    fn what_is_still_being_done_when_the_fault_ends_is_in_its_last_dose() {
        let desk = Desk::start().unwrap();
        desk.apply(&spec("slow", &[Op::Fsync], Effect::Delay(Delay { delay_us: 60_000_000, jitter_us: 0 }))).unwrap();
        let verdict = desk.meet("/data", Op::Fsync, 0, &nowhere);
        let dose = desk.revert("slow").dose.unwrap();
        assert_eq!((dose.released_early, dose.held, dose.delayed), (1, 0, 0));
        let (sender, receiver) = mpsc::channel();
        desk.answer(verdict, move || sender.send(()).unwrap());
        receiver.recv().unwrap();
        assert_eq!(desk.dose("slow").unwrap(), dose);
    }

    #[test]
    fn a_spoiled_read_is_shorter_but_not_empty_or_has_one_bit_turned_over() {
        let desk = Desk::start().unwrap();
        desk.apply(&spec("short", &[Op::Read], Effect::Short {})).unwrap();
        for length in [2, 3, 4096] {
            let mut data = vec![7; length];
            desk.meet("/data", Op::Read, length as u64, &nowhere).spoil(&mut data);
            assert!((1..length).contains(&data.len()));
        }
        desk.revert("short");
        desk.apply(&spec("corrupt", &[Op::Read], Effect::Corrupt {})).unwrap();
        let mut data = vec![0_u8; 4096];
        desk.meet("/data", Op::Read, 4096, &nowhere).spoil(&mut data);
        assert_eq!((data.len(), data.iter().map(|byte| byte.count_ones()).sum::<u32>()), (4096, 1));
        let mut nothing = Vec::new();
        desk.meet("/data", Op::Read, 4096, &nowhere).spoil(&mut nothing);
        let dose = desk.dose("corrupt").unwrap();
        assert_eq!((dose.struck.read, dose.corrupted), (2, 1), "a read at the end of a file has nothing to corrupt");
    }
}
