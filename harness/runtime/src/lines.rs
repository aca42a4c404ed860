//! From bytes to log lines: bounded in length and in number, so that a service that shouts cannot fill our memory.

use shakedown_model::{evidence::RawLine, time::UnixNanos};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// Longer lines are cut.
pub(crate) const MAX_LINE: usize = 64 * 1024;
/// Lines that may wait for whoever takes them.
const MAX_WAITING: usize = 16 * 1024;
/// Lines per service that an error message shows.
const RECENT: usize = 20;

/// Where the lines of all services of a stack go.
#[derive(Debug, Clone)]
pub(crate) struct LineSink {
    sender: mpsc::Sender<RawLine>,
    lost: Arc<AtomicU64>,
    recent: Arc<Mutex<HashMap<String, VecDeque<String>>>>,
}

impl LineSink {
    pub(crate) fn new() -> (LineSink, mpsc::Receiver<RawLine>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (LineSink { sender, lost: Arc::default(), recent: Arc::default() }, receiver)
    }

    /// Never waits: a line that finds no room is counted as lost.
    pub(crate) fn put(&self, service: &str, at: UnixNanos, line: String) {
        self.remember(service, &line);
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(RawLine { at, service: service.to_owned(), line }) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// The last lines of a service, for an error message.
    pub(crate) fn recent(&self, service: &str) -> String {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        match recent.get(service) {
            Some(lines) if !lines.is_empty() => quote(lines.iter().map(String::as_str)),
            _ => quote(std::iter::once("(it said nothing)")),
        }
    }

    fn remember(&self, service: &str, line: &str) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = recent.entry(service.to_owned()).or_default();
        if lines.len() == RECENT {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(400).collect());
    }
}

/// Lines as an error message shows them: indented, without control characters that a terminal would obey.
pub(crate) fn quote<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let clean = |line: &str| line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect::<String>();
    lines.map(|line| format!("  | {}", clean(line))).collect::<Vec<_>>().join("\n")
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    held: Vec<u8>,
}

impl Splitter {
    /// Takes more bytes and gives each whole line to `each`, without its end, invalid UTF-8 replaced. What is longer than the
    /// bound is dropped up to the next line end.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = MAX_LINE - self.held.len();
            self.held.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                each(self.take());
            }
        }
    }

    /// The last line, where the stream ended without a line end.
    pub(crate) fn rest(&mut self) -> Option<String> {
        (!self.held.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let bytes = std::mem::take(&mut self.held);
        let text = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
        String::from_utf8_lossy(text).into_owned()
    }
}

/// Now, by the wall clock.
pub(crate) fn now() -> UnixNanos {
    UnixNanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(piece, |line| lines.push(line));
        }
        lines.extend(splitter.rest());
        lines
    }

    #[test]
    fn lines_are_whole_wherever_the_stream_is_cut() {
        assert_eq!(lines(&[b"one\ntw", b"o\r\n", b"\nthree"]), ["one", "two", "", "three"]);
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_whole_again() {
        let shout = vec![b'a'; MAX_LINE];
        let cut = lines(&[&shout, b"more", b"\nquiet\n"]);
        assert_eq!((cut[0].len(), cut[1].as_str()), (MAX_LINE, "quiet"));
    }

    #[test]
    fn lines_that_nobody_takes_are_counted_and_the_last_ones_are_remembered() {
        let (sink, receiver) = LineSink::new();
        for number in 0..MAX_WAITING + 3 {
            sink.put("orders", UnixNanos(0), format!("line {number}"));
        }
        assert_eq!(sink.lost(), 3);
        assert!(sink.recent("orders").ends_with(&format!("line {}", MAX_WAITING + 2)));
        assert!(sink.recent("payment").contains("said nothing"));
        drop(receiver);
    }

    #[test]
    fn an_error_message_does_not_carry_terminal_commands() {
        assert_eq!(quote(["\u{1b}[2Jgone"].into_iter()), "  | \u{fffd}[2Jgone");
    }
}
