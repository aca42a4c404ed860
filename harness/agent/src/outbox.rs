//! Words on their way to a reader who may be slow: they wait in memory until there is room, so that nobody who has
//! stopped reading keeps the agent from its deadlines.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use serde::Serialize;
use shakedown_line::said;

use crate::netlink::sys::{self, Interest};

/// Bytes that may wait for a reader.
const UNREAD_MAX_BYTES: usize = 1024 * 1024;
/// `PIPE_BUF`: a pipe that is ready takes this much without blocking.
const WRITE_BYTES: usize = 4096;
/// How long the last words wait for a reader.
const FAREWELL: Duration = Duration::from_secs(1);

/// JSON lines and where they go.
pub(crate) struct Outbox<'a> {
    output: BorrowedFd<'a>,
    unread: VecDeque<u8>,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(output: BorrowedFd<'a>) -> Self {
        Self { output, unread: VecDeque::new() }
    }

    pub(crate) fn say(&mut self, word: &impl Serialize) {
        if let Ok(text) = said(word) {
            self.unread.extend(text);
        }
    }

    /// What to wait for before [`Outbox::write`], if anything waits for its reader.
    pub(crate) fn interest(&self) -> Option<(BorrowedFd<'a>, Interest)> {
        (!self.unread.is_empty()).then_some((self.output, Interest::Write))
    }

    /// Whether so much waits that its reader must have given up.
    pub(crate) fn overflows(&self) -> bool {
        self.unread.len() > UNREAD_MAX_BYTES
    }

    /// Writes what a ready output takes.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let (first, _) = self.unread.as_slices();
        let written = sys::write(self.output, &first[..first.len().min(WRITE_BYTES)])?;
        self.unread.drain(..written);
        Ok(())
    }

    /// Writes what is left, if somebody reads it within a second.
    pub(crate) fn part(&mut self) {
        let until = Instant::now() + FAREWELL;
        while let Some(interest) = self.interest() {
            let left = until.saturating_duration_since(Instant::now());
            match sys::wait(&[interest], Some(left)) {
                Ok(ready) if ready[0] && self.write().is_ok() => {}
                _ => return,
            }
        }
    }
}
