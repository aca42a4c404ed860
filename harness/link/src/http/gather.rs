//! A head that comes in pieces, in bounded memory and linear time.

use super::body::Malformed;
use bytes::{Bytes, BytesMut};

/// Bytes of a head, at most.
pub(super) const HEAD: usize = 64 << 10;

/// A head and how many bytes it has.
pub(super) type Parsed<T> = Result<Option<(T, usize)>, Malformed>;

/// What came of a head that is not complete.
#[derive(Default)]
pub(super) struct Gather {
    bytes: BytesMut,
    /// How many of them went on already.
    gone: usize,
    has_line: bool,
}

impl Gather {
    /// Whether some of the head went on: it is too late to change it.
    pub(super) fn has_gone(&self) -> bool {
        self.gone > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The head that `input` continues, and how much of `input` belongs to it. Changes nothing.
    pub(super) fn read<T>(&mut self, input: &[u8], begins: fn(&[u8]) -> bool, parse: impl FnOnce(&[u8]) -> Parsed<T>) -> Parsed<T> {
        let before = self.bytes.len();
        if before == 0 {
            return if begins(input) { parse(&input[..input.len().min(HEAD)]) } else { Err(Malformed) };
        }
        self.bytes.extend_from_slice(&input[..input.len().min(HEAD - before)]);
        let read = self.parse(before, begins, parse);
        self.bytes.truncate(before);
        // Without the bytes before it was incomplete: it ends behind them.
        Ok(read?.map(|(head, length)| (head, length.saturating_sub(before))))
    }

    /// Parses only when a line break says that something may be new: a head that comes byte by byte is not parsed as often.
    fn parse<T>(&mut self, before: usize, begins: fn(&[u8]) -> bool, parse: impl FnOnce(&[u8]) -> Parsed<T>) -> Parsed<T> {
        if !begins(&self.bytes) {
            return Err(Malformed);
        }
        let first_line = !self.has_line && self.bytes[before..].contains(&b'\n');
        self.has_line |= first_line;
        if first_line || has_blank_line(&self.bytes[before.saturating_sub(3)..]) { parse(&self.bytes) } else { Ok(None) }
    }

    /// Keeps all of `input`, which did not complete the head.
    pub(super) fn keep(&mut self, input: &[u8]) -> Result<(), Malformed> {
        if self.bytes.len() + input.len() >= HEAD {
            return Err(Malformed);
        }
        self.has_line |= input.contains(&b'\n');
        self.bytes.extend_from_slice(input);
        Ok(())
    }

    /// What came earlier and did not go on yet. From here on it has.
    pub(super) fn release(&mut self) -> Bytes {
        let bytes = Bytes::copy_from_slice(&self.bytes[self.gone..]);
        self.let_go();
        bytes
    }

    /// All that came goes on by another way.
    pub(super) fn let_go(&mut self) {
        self.gone = self.bytes.len();
    }

    /// The next head begins. What of the last one did not go on yet, although it came earlier.
    pub(super) fn next(&mut self) -> Bytes {
        let bytes = self.release();
        *self = Gather::default();
        bytes
    }
}

fn has_blank_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_comes_byte_by_byte_is_parsed_twice_and_its_end_is_found() {
        let (mut gather, mut parsed) = (Gather::default(), 0);
        let text = b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
        for byte in &text[..text.len() - 5] {
            let read = gather.read(
                std::slice::from_ref(byte),
                |_| true,
                |bytes| {
                    parsed += usize::from(bytes.len() > 1);
                    Ok::<Option<((), usize)>, Malformed>(None)
                },
            );
            assert_eq!(read, Ok(None));
            gather.keep(&[*byte]).unwrap();
        }
        let read = gather.read(
            &text[text.len() - 5..],
            |_| true,
            |bytes| {
                parsed += 1;
                Ok(Some(((), bytes.len() - 4)))
            },
        );
        assert_eq!((read, parsed), (Ok(Some(((), 1))), 2));
    }

    #[test]
    fn a_head_has_a_bound() {
        let mut gather = Gather::default();
        gather.keep(&vec![b'a'; HEAD - 1]).unwrap();
        assert_eq!(gather.keep(b"a"), Err(Malformed));
    }
}
