//! A thread that listens to one queue and treats its packets: holds them in a [`DelayLine`], or swallows them.
//!
//! If it fails, its socket closes and the kernel lets later packets pass untouched; the dose says so.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::delay::DelayLine;
use crate::histogram::Histogram;
use crate::kernel::Treatment;
use crate::netlink::nfqueue::{Queue, Verdict, overflow};
use crate::netlink::sys::{self, Interest};

/// Rounds of receiving before due packets get their turn, so that neither side starves under load.
const ROUNDS: usize = 16;

/// What the listener measured.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
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
        let queue = Queue::bind(number)?;
        let stop = Arc::new(sys::event()?);
        let measured = Measured { delays: Histogram::new(), held: 0, early: 0, overflow: 0, trouble: None };
        let measured = Arc::new(Mutex::new(measured));
        let (flag, shared) = (Arc::clone(&stop), Arc::clone(&measured));
        let hold = match treatment {
            Treatment::Hold(latency) => Some(DelayLine::new(latency.clone())),
            Treatment::Swallow => None,
        };
        let thread = std::thread::Builder::new().name(format!("queue {number}")).spawn(move || {
            sys::wake_on_time();
            let mut worker = Worker { queue, hold, stop: &flag, shared: &shared, origin: Instant::now(), arrivals: 0 };
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

struct Worker<'a> {
    queue: Queue,
    /// Without it every packet is swallowed.
    hold: Option<DelayLine>,
    stop: &'a OwnedFd,
    shared: &'a Mutex<Measured>,
    origin: Instant,
    arrivals: u64,
}

impl Worker<'_> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let due = self.hold.as_ref().and_then(DelayLine::next_due);
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
        let mut swallowed = Vec::new();
        for _ in 0..rounds {
            let now = self.now();
            let Self { queue, hold, arrivals, .. } = self;
            let more = queue.receive(|packet| match hold {
                Some(line) => {
                    *arrivals += 1;
                    line.hold(*arrivals, packet.id, packet.hook, packet.head, now);
                }
                None => swallowed.push(packet.id),
            })?;
            if !more {
                break;
            }
        }
        for id in swallowed {
            self.queue.judge(id, Verdict::Drop)?;
        }
        self.queue.flush()
    }

    /// Lets every packet go on that is due at `until`, and measures how long it was held.
    fn release(&mut self, until: u64) -> io::Result<()> {
        let Some(line) = &mut self.hold else {
            return Ok(());
        };
        let mut released = Vec::new();
        while let Some(held) = line.release(until) {
            self.queue.judge(held.id, Verdict::Accept)?;
            released.push(held);
        }
        let left = line.len() as u64;
        self.queue.flush()?;
        let now = self.now();
        let mut measured = lock(self.shared);
        measured.held = left;
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
