//! A thread that listens to one queue and does with its packets what a [`Line`] says, or swallows them.
//!
//! If it fails, its socket closes and the kernel lets later packets pass untouched; the dose says so.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::histogram::Histogram;
use crate::kernel::Treatment;
use crate::line::corrupt::{Flips, flip};
use crate::line::delay::Delays;
use crate::line::duplicate::Copies;
use crate::line::loss::Losses;
use crate::line::mtu::Limit;
use crate::line::rate::Rate;
use crate::line::reorder::Stragglers;
use crate::line::{Fate, Line, Packet, Tally};
use crate::netlink::nfqueue::{Copying, Queue, Verdict, overflow};
use crate::netlink::sys::{self, Interest};

/// Rounds of receiving before due packets get their turn, so that neither side starves under load.
const ROUNDS: usize = 16;

/// What the listener measured.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) tally: Tally,
    pub(crate) delays: Histogram,
    pub(crate) held: u64,
    /// Packets that went on before they were due, when the queue closed.
    pub(crate) early: u64,
    pub(crate) overflow: u64,
    pub(crate) trouble: Option<String>,
}

/// A running listener. Dropping it releases what it holds and stops it.
pub(crate) struct Listener {
    number: u16,
    stop: Arc<OwnedFd>,
    measured: Arc<Mutex<Measured>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Binds a queue and listens to it in a thread of its own. Bound when this returns.
    pub(crate) fn start(number: u16, treatment: &Treatment) -> io::Result<Self> {
        let queue = Queue::bind(number, copying(treatment))?;
        let stop = Arc::new(sys::event()?);
        let measured = Measured { tally: Tally::default(), delays: Histogram::new(), held: 0, early: 0, overflow: 0, trouble: None };
        let measured = Arc::new(Mutex::new(measured));
        let (flag, shared) = (Arc::clone(&stop), Arc::clone(&measured));
        let line = line(treatment);
        let thread = std::thread::Builder::new().name(format!("queue {number}")).spawn(move || {
            sys::wake_on_time();
            let mut worker = Worker { queue, line, stop: &flag, shared: &shared, origin: Instant::now() };
            let result = worker.run();
            drop(worker);
            lock(&shared).trouble = result.err().map(|error| format!("the queue stopped: {error}"));
        })?;
        Ok(Self { number, stop, measured, thread: Some(thread) })
    }

    /// Whether packets wait here.
    pub(crate) fn holds_packets(&self) -> bool {
        lock(&self.measured).held > 0
    }

    /// What it has measured so far.
    pub(crate) fn measured(&self) -> Measured {
        let overflow = overflow(self.number);
        let mut measured = lock(&self.measured);
        // Once the queue is closed the kernel has forgotten, and the last number known stands.
        measured.overflow = measured.overflow.max(overflow);
        measured.clone()
    }

    /// Lets the held packets go on at once, in order, and stops. Disarm the rules first.
    pub(crate) fn close(mut self) -> Measured {
        let _ = self.measured();
        self.stop();
        lock(&self.measured).clone()
    }

    fn stop(&mut self) {
        // An eventfd that nobody has raised before takes one more.
        let _ = sys::raise(self.stop.as_fd());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            lock(&self.measured).trouble = Some("the queue stopped: a bug in the agent".to_owned());
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(measured: &Mutex<Measured>) -> MutexGuard<'_, Measured> {
    measured.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The line that a treatment asks for; none if it swallows everything.
fn line(treatment: &Treatment) -> Option<Line> {
    match treatment {
        Treatment::Hold(latency) => Some(Line::new(Delays::new(latency.clone()))),
        Treatment::Swallow => None,
        Treatment::Lose(loss) => Some(Line::new(Losses::new(loss))),
        Treatment::Reorder(reorder) => Some(Line::new(Stragglers::new(reorder))),
        Treatment::Pace(bandwidth) => Some(Line::new(Rate::new(bandwidth))),
        Treatment::Corrupt(corrupt) => Some(Line::new(Flips::new(corrupt))),
        Treatment::Duplicate(duplicate) => Some(Line::new(Copies::new(duplicate))),
        Treatment::Limit(mtu) => Some(Line::new(Limit::new(mtu))),
    }
}

/// Only what is to be changed has to be seen whole, and only what is measured in its segments.
fn copying(treatment: &Treatment) -> Copying {
    match treatment {
        Treatment::Corrupt(_) => Copying::Whole,
        Treatment::Limit(_) => Copying::HeadOfSegment,
        _ => Copying::Head,
    }
}

/// What is to be said of a packet at once; nothing of one that waits.
fn verdict(packet: &Packet<'_>, fate: Fate) -> Option<Verdict> {
    match fate {
        Fate::Pass => Some(Verdict::Accept),
        Fate::Lose => Some(Verdict::Drop),
        Fate::Hold { .. } => None,
        Fate::Duplicate => Some(Verdict::Duplicate { mark: packet.mark }),
        Fate::Flip { bit } => {
            let mut bytes = packet.head.to_vec();
            flip(&mut bytes, bit);
            Some(Verdict::Replace(bytes))
        }
    }
}

struct Worker<'a> {
    queue: Queue,
    /// Without it every packet is swallowed.
    line: Option<Line>,
    stop: &'a OwnedFd,
    shared: &'a Mutex<Measured>,
    origin: Instant,
}

impl Worker<'_> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let due = self.line.as_ref().and_then(Line::next_due);
            let timeout = due.map(|due| Duration::from_nanos(due.saturating_sub(self.now())));
            let watched = [(self.queue.fd(), Interest::Read), (self.stop.as_fd(), Interest::Read)];
            let ready = sys::wait(&watched, timeout)?;
            if ready[0] {
                self.receive(ROUNDS)?;
            }
            if ready[1] {
                self.receive(usize::MAX)?;
                return self.release(u64::MAX);
            }
            self.release(self.now())?;
        }
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn receive(&mut self, rounds: usize) -> io::Result<()> {
        let mut verdicts = Vec::new();
        for _ in 0..rounds {
            let now = self.now();
            let Self { queue, line, .. } = self;
            let more = queue.receive(|packet| {
                let fate = line.as_mut().map_or(Fate::Lose, |line| line.take(packet, now));
                verdicts.extend(verdict(&packet, fate).map(|verdict| (packet.id, verdict)));
            })?;
            if !more {
                break;
            }
        }
        for (id, verdict) in verdicts {
            self.queue.judge(id, verdict)?;
        }
        self.queue.flush()
    }

    /// Lets every packet go on that is due at `until`, and writes down what was done.
    fn release(&mut self, until: u64) -> io::Result<()> {
        let Some(line) = &mut self.line else {
            return Ok(());
        };
        let mut released = Vec::new();
        while let Some(held) = line.release(until) {
            self.queue.judge(held.id, Verdict::Accept)?;
            released.push(held);
        }
        let (left, tally) = (line.len() as u64, line.tally());
        self.queue.flush()?;
        let now = self.now();
        let mut measured = lock(self.shared);
        measured.held = left;
        measured.tally = tally;
        for held in released {
            if held.due <= now {
                measured.delays.record(now.saturating_sub(held.arrived));
            } else {
                measured.early += 1;
            }
        }
        Ok(())
    }
}
