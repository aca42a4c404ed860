//! A stream of bytes cut into lines. It must not know what they say.

use std::mem;

/// Cuts a stream of bytes into lines, with bounded memory.
#[derive(Debug)]
pub struct Lines {
    max_bytes: usize,
    partial: Vec<u8>,
    /// Inside a line that was too long, until its newline.
    skipping: bool,
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line without its newline.
    Line(Vec<u8>),
    /// A line that is longer than it may be; said once for each, as soon as it is known.
    TooLong,
}

impl Lines {
    /// Lines of so many bytes at the most, without their newlines.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, partial: Vec::new(), skipping: false }
    }

    /// The lines that end in these bytes, together with what came before them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
            if !self.skipping && self.partial.len() + piece.len() > self.max_bytes {
                heard.push(Heard::TooLong);
                self.partial = Vec::new();
                self.skipping = true;
            }
            if !self.skipping {
                self.partial.extend_from_slice(piece);
            }
            if ends && !mem::take(&mut self.skipping) {
                heard.push(Heard::Line(mem::take(&mut self.partial)));
            }
        }
        heard
    }

    /// The last line, if it had no newline.
    pub fn end(&mut self) -> Vec<Heard> {
        let last = mem::take(&mut self.partial);
        if last.is_empty() { Vec::new() } else { vec![Heard::Line(last)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 64 * 1024;

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let stream = b"one\n\ntwo\nthree";
        for size in 1..=stream.len() {
            let mut lines = Lines::new(MAX);
            let mut heard: Vec<Heard> = stream.chunks(size).flat_map(|chunk| lines.feed(chunk)).collect();
            heard.extend(lines.end());
            let expected: Vec<Heard> = ["one", "", "two", "three"].map(|line| Heard::Line(line.into())).into();
            assert_eq!(heard, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_named_once_and_the_next_is_heard() {
        let mut stream = vec![b'x'; MAX * 3];
        stream.extend(b"\nnext\n");
        stream.extend(vec![b'y'; MAX]);
        stream.push(b'\n');
        for size in [1000, MAX, stream.len()] {
            let mut lines = Lines::new(MAX);
            let heard: Vec<Heard> = stream.chunks(size).flat_map(|chunk| lines.feed(chunk)).collect();
            assert_eq!(heard, [Heard::TooLong, Heard::Line(b"next".into()), Heard::Line(vec![b'y'; MAX])], "in pieces of {size}");
            assert!(lines.partial.is_empty());
        }
    }

    #[test]
    fn a_line_that_is_too_long_and_never_ends_leaves_nothing() {
        let mut lines = Lines::new(3);
        assert_eq!((lines.feed(b"four"), lines.feed(b"and"), lines.end()), (vec![Heard::TooLong], vec![], vec![]));
    }
}
