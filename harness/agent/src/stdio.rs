//! The loop around a session: one thread that waits for a line, a deadline or a signal, whichever is first.
//!
//! It never blocks on its reader: replies wait in an outbox until there is room, so that a harness which has stopped
//! reading cannot keep a fault alive beyond its time to live. One that lets a mebibyte gather is given up on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use shakedown_line::{Heard, Lines, malformed};

use crate::kernel::Kernel;
use crate::netlink::sys::{self, Interest};
use crate::outbox::Outbox;
use crate::session::{HINT, Session};
use crate::wire::{Line, MAX_LINE_BYTES};

/// Why a conversation ended. Everything had been taken back by then, unless `clean` is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub clean: bool,
}

/// Serves until the input ends, a signal asks for the end, or nobody reads the output; then takes everything back.
///
/// Call it before other threads exist: it blocks SIGTERM, SIGINT, SIGHUP and SIGQUIT in order to wait for them.
pub fn serve<K: Kernel>(session: &mut Session<K>, input: impl AsFd, output: impl AsFd) -> io::Result<Ended> {
    let endings = sys::endings()?;
    let mut desk = Desk { input: input.as_fd(), lines: Lines::new(MAX_LINE_BYTES), outbox: Outbox::new(output.as_fd()) };
    let result = desk.converse(session, endings.as_fd());
    let (last_words, clean) = session.take_back_all();
    for line in &last_words {
        desk.outbox.say(line);
    }
    desk.outbox.part();
    result.map(|()| Ended { clean })
}

/// The two ends of the pipe.
struct Desk<'a> {
    input: BorrowedFd<'a>,
    lines: Lines,
    outbox: Outbox<'a>,
}

impl Desk<'_> {
    fn converse<K: Kernel>(&mut self, session: &mut Session<K>, endings: BorrowedFd<'_>) -> io::Result<()> {
        loop {
            let now = Instant::now();
            let timeout = session.next_tick(now).map(|tick| tick.saturating_duration_since(now));
            let mut watched = vec![(self.input, Interest::Read), (endings, Interest::Read)];
            watched.extend(self.outbox.interest());
            let ready = sys::wait(&watched, timeout)?;
            for event in session.tick(Instant::now()) {
                self.outbox.say(&event);
            }
            let reader_gone = ready.get(2) == Some(&true) && self.outbox.write().is_err();
            if ready[1] || reader_gone || self.outbox.overflows() {
                return Ok(());
            }
            if ready[0] && !self.listen(session)? {
                return Ok(());
            }
        }
    }

    /// Reads and answers; false at the end of the input.
    fn listen<K: Kernel>(&mut self, session: &mut Session<K>) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let length = match sys::read(self.input, &mut buffer) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let heard = if length == 0 { self.lines.end() } else { self.lines.feed(&buffer[..length]) };
        for line in heard {
            let reply = match line {
                Heard::Line(line) if line.trim_ascii().is_empty() => continue,
                Heard::Line(line) => session.answer(&line),
                Heard::TooLong => Line::reply(None, Err(malformed("the line is longer than 64 KiB", HINT))),
            };
            self.outbox.say(&reply);
        }
        Ok(length > 0)
    }
}
