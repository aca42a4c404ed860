//! The two threads of a pressure: one that works, and the main one that waits for whatever is first: a word of the
//! other, the end of stdin, a signal, the deadline, room on stdout. The main one never does work that could block.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use shakedown_line::unix_ns;

use super::stop::Stop;
use super::wire::{Dose, Ended, Ready, Spec, Word};
use super::{Outcome, Pressure, refused};
use crate::netlink::sys::{self, Interest};
use crate::outbox::Outbox;
use crate::wire::Failure;

/// Between two looks at a pressure.
const TEND: Duration = Duration::from_millis(100);
const DOSE_EVERY: Duration = Duration::from_secs(1);
/// How long the worker may take to let go; then the process ends, and the kernel lets go for it.
const FAREWELL: Duration = Duration::from_secs(2);

pub(super) struct Desk<'a> {
    input: BorrowedFd<'a>,
    endings: OwnedFd,
    outbox: Outbox<'a>,
}

/// The other thread, as seen from the main one. It has ended when its sender is gone.
pub(super) struct Work {
    stop: Arc<Stop>,
    words: Receiver<Word>,
    news: Arc<OwnedFd>,
    expires: Instant,
}

impl<'a> Desk<'a> {
    pub(super) fn new(input: BorrowedFd<'a>, outbox: Outbox<'a>) -> io::Result<Self> {
        Ok(Self { input, endings: sys::endings()?, outbox })
    }

    pub(super) fn refuse(&mut self, failure: Failure) -> Outcome {
        self.fail(&Word::Failed(failure));
        Outcome::Refused
    }

    pub(super) fn fail(&mut self, word: &Word) -> Outcome {
        self.outbox.say(word);
        Outcome::Failed
    }

    pub(super) fn part(&mut self) {
        self.outbox.part();
    }

    /// Begins to work. `note` becomes part of the mechanism.
    pub(super) fn start(&self, spec: &Spec, pressure: Box<dyn Pressure>, note: String) -> Result<Work, Failure> {
        let (sender, words) = channel();
        let event = || sys::event().map(Arc::new).map_err(|error| refused("eventfd", &error));
        let (news, ttl) = (event()?, Duration::from_millis(spec.ttl_ms));
        let stop = Arc::new(Stop::new().map_err(|error| refused("eventfd", &error))?);
        let worker =
            Worker { news: News { sender: Some(sender), event: news.clone() }, stop: stop.clone(), note, ttl, began_unix_ns: unix_ns() };
        let thread = std::thread::Builder::new().spawn(move || worker.run(pressure));
        thread.map_err(|error| refused("cannot start a thread", &error))?;
        Ok(Work { stop, words, news, expires: Instant::now() + ttl })
    }

    /// Stays until the work has ended, by itself or because it was asked to.
    pub(super) fn attend(&mut self, work: &Work) -> io::Result<Outcome> {
        let mut failed = false;
        while !work.stop.asked() {
            if !self.hear(work, &mut failed) {
                return Ok(Outcome::Failed); // of itself it ends only when it cannot begin
            }
            if let Some(why) = self.wait(work)? {
                work.stop.ask(why);
            }
        }
        let until = Instant::now() + FAREWELL;
        while self.hear(work, &mut failed) && Instant::now() < until {
            sys::wait(&[(work.news.as_fd(), Interest::Read)], Some(until.saturating_duration_since(Instant::now())))?;
        }
        Ok(if failed { Outcome::Failed } else { Outcome::Ended })
    }

    /// Waits for something to happen; returns why it is time to end, if it is.
    fn wait(&mut self, work: &Work) -> io::Result<Option<Ended>> {
        let left = work.expires.saturating_duration_since(Instant::now());
        let mut watched = vec![(self.input, Interest::Read), (self.endings.as_fd(), Interest::Read), (work.news.as_fd(), Interest::Read)];
        watched.extend(self.outbox.interest());
        let ready = sys::wait(&watched, Some(left))?;
        Ok(if ready.get(3) == Some(&true) && self.outbox.write().is_err() || self.outbox.overflows() {
            Some(Ended::ReaderGone)
        } else if ready[1] {
            Some(Ended::Signal)
        } else if ready[0] && at_end(self.input) {
            Some(Ended::EndOfInput)
        } else if Instant::now() >= work.expires {
            Some(Ended::Expired)
        } else {
            None
        })
    }

    /// Passes on what the worker has said; false once it will never say anything again.
    fn hear(&mut self, work: &Work, failed: &mut bool) -> bool {
        // Lowered before the words are taken, so that none is missed.
        if sys::wait(&[(work.news.as_fd(), Interest::Read)], Some(Duration::ZERO)).is_ok_and(|ready| ready[0]) {
            let _ = sys::read(work.news.as_fd(), &mut [0; 8]);
        }
        loop {
            match work.words.try_recv() {
                Ok(word) => {
                    *failed |= matches!(word, Word::Failed(_));
                    self.outbox.say(&word);
                }
                Err(end) => return end == TryRecvError::Empty,
            }
        }
    }
}

/// What is said on stdin means nothing; that it ends does.
fn at_end(input: BorrowedFd<'_>) -> bool {
    match sys::read(input, &mut [0; 4096]) {
        Ok(length) => length == 0,
        Err(error) => !matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock),
    }
}

/// Words on their way to the main thread.
struct News {
    sender: Option<Sender<Word>>,
    event: Arc<OwnedFd>,
}

impl News {
    fn say(&self, word: Word) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(word);
            let _ = sys::raise(self.event.as_fd());
        }
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.sender = None;
        let _ = sys::raise(self.event.as_fd());
    }
}

/// The thread that works.
struct Worker {
    news: News,
    stop: Arc<Stop>,
    note: String,
    ttl: Duration,
    began_unix_ns: u64,
}

impl Worker {
    /// The pressure is dropped before the news, so that all is let go when the main thread hears of the end.
    fn run(self, mut pressure: Box<dyn Pressure>) {
        match pressure.begin(&self.stop) {
            Ok(mechanism) if !self.stop.asked() => self.news.say(Word::Ready(self.ready(&mechanism))),
            Ok(_) => {}
            Err(failure) => {
                drop(pressure);
                return self.news.say(Word::Failed(failure));
            }
        }
        self.keep(&mut *pressure, Instant::now());
        drop(pressure);
    }

    fn keep(&self, pressure: &mut dyn Pressure, begun: Instant) {
        let mut next = begun + DOSE_EVERY;
        while !self.stop.wait(TEND) {
            pressure.tend(&self.stop);
            if Instant::now() >= next {
                self.news.say(self.dose(pressure, begun));
                next = Instant::now() + DOSE_EVERY;
            }
        }
        self.news.say(self.dose(pressure, begun));
    }

    fn ready(&self, mechanism: &str) -> Ready {
        Ready {
            pid: std::process::id(),
            mechanism: format!("{mechanism}; {}", self.note),
            at_unix_ns: unix_ns(),
            expires_at_unix_ns: self.began_unix_ns + self.ttl.as_nanos() as u64,
        }
    }

    fn dose(&self, pressure: &mut dyn Pressure, begun: Instant) -> Word {
        let measured = pressure.measure();
        Word::Dose(Dose {
            at_unix_ns: unix_ns(),
            elapsed_ms: begun.elapsed().as_millis() as u64,
            ended: self.stop.why(),
            figures: measured.figures,
            missing: measured.missing,
            trouble: measured.trouble,
        })
    }
}
