//! The loop around a session: one thread that waits for a line, a deadline or a signal, whichever is first.
//!
//! It never blocks on its reader: replies wait in an outbox until there is room, so that a harness which has stopped
//! reading cannot keep a fault alive beyond its time to live. One that lets a mebibyte gather is given up on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use crate::kernel::Kernel;
use crate::netlink::sys::{self, Interest};
use crate::outbox::Outbox;
use crate::session::{Session, malformed};
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
    let mut desk = Desk { input: input.as_fd(), lines: Lines::default(), outbox: Outbox::new(output.as_fd()) };
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
                Heard::TooLong => Line::reply(None, Err(malformed("the line is longer than 64 KiB"))),
            };
            self.outbox.say(&reply);
        }
        Ok(length > 0)
    }
}

/// Cuts a stream of bytes into lines, with bounded memory.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
    /// Inside a line that was too long, until its newline.
    skipping: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Line(Vec<u8>),
    TooLong,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
            if !self.skipping && self.partial.len() + piece.len() > MAX_LINE_BYTES {
                heard.push(Heard::TooLong);
                self.partial.clear();
                self.skipping = true;
            }
            if !self.skipping {
                self.partial.extend_from_slice(piece);
            }
            if ends && !std::mem::take(&mut self.skipping) {
                heard.push(Heard::Line(std::mem::take(&mut self.partial)));
            }
        }
        heard
    }

    /// The last line, if it had no newline.
    fn end(&mut self) -> Vec<Heard> {
        let last = std::mem::take(&mut self.partial);
        if last.is_empty() { Vec::new() } else { vec![Heard::Line(last)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let stream = b"one\n\ntwo\nthree";
        for size in 1..=stream.len() {
            let mut lines = Lines::default();
            let mut heard: Vec<Heard> = stream.chunks(size).flat_map(|chunk| lines.feed(chunk)).collect();
            heard.extend(lines.end());
            let expected: Vec<Heard> = ["one", "", "two", "three"].map(|line| Heard::Line(line.into())).into();
            assert_eq!(heard, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_named_once_and_the_next_is_heard() {
        let mut stream = vec![b'x'; MAX_LINE_BYTES * 3];
        stream.extend(b"\nnext\n");
        stream.extend(vec![b'y'; MAX_LINE_BYTES]);
        stream.push(b'\n');
        let mut lines = Lines::default();
        let heard: Vec<Heard> = stream.chunks(1000).flat_map(|chunk| lines.feed(chunk)).collect();
        assert_eq!(heard[..2], [Heard::TooLong, Heard::Line(b"next".into())]);
        assert_eq!(heard[2], Heard::Line(vec![b'y'; MAX_LINE_BYTES]));
        assert!(lines.partial.is_empty());
    }
}
