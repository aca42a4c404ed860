//! What was said before one knows in which protocol. It must not know what a rule does.

use super::conversation::{Begins, Protocol};
use crate::{http, http2, pipe::Direction, postgres, redis};
use bytes::{Bytes, BytesMut};

/// Each before those that could take its first bytes for their own.
static PROTOCOLS: [Protocol; 4] = [postgres::PROTOCOL, redis::PROTOCOL, http2::PROTOCOL, http::PROTOCOL];

/// Bytes of one side before the protocol is told, at most. A server's greeting may come before the caller says what it speaks.
const MOST: usize = 16 << 10;

/// What both sides said so far.
#[derive(Default)]
pub(super) struct First {
    sides: [Said; 2],
}

#[derive(Default)]
struct Said {
    bytes: BytesMut,
    /// How many of them went on already.
    gone: usize,
}

/// What one side said: what went on already, and what was held back.
pub(super) struct Heard {
    pub(super) gone: Bytes,
    pub(super) held: Bytes,
}

impl First {
    pub(super) fn hear(&mut self, direction: Direction, bytes: &[u8]) {
        self.sides[direction as usize].bytes.extend_from_slice(bytes);
    }

    /// Which protocol it is; nothing where it is too early to tell.
    pub(super) fn decide(&self) -> Option<Result<&'static Protocol, Unknown>> {
        let [caller, callee] = &self.sides;
        let is_too_much = caller.bytes.len().max(callee.bytes.len()) > MOST;
        let may_be = |protocol: &&Protocol| callee.bytes.is_empty() || (protocol.callee)(&callee.bytes);
        for protocol in PROTOCOLS.iter().filter(may_be) {
            match if caller.bytes.is_empty() { Begins::Perhaps } else { (protocol.caller)(&caller.bytes) } {
                Begins::No => {}
                Begins::Perhaps => return is_too_much.then_some(Err(Unknown)),
                Begins::Yes => return Some(Ok(protocol)),
            }
        }
        Some(Err(Unknown))
    }

    /// What was held back. From here on it has gone.
    pub(super) fn release(&mut self, direction: Direction) -> Bytes {
        let said = &mut self.sides[direction as usize];
        let bytes = Bytes::copy_from_slice(&said.bytes[said.gone..]);
        said.gone = said.bytes.len();
        bytes
    }

    /// All of it, of the caller and of the callee.
    pub(super) fn into_heard(self) -> [Heard; 2] {
        self.sides.map(|Said { mut bytes, gone }| Heard { gone: bytes.split_to(gone).freeze(), held: bytes.freeze() })
    }
}

/// None that a rule could be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is known what the caller and the callee speak.
    fn decided(caller: &[u8], callee: &[u8]) -> Option<bool> {
        let mut first = First::default();
        first.hear(Direction::Out, caller);
        first.hear(Direction::Home, callee);
        first.decide().map(|protocol| protocol.is_ok())
    }

    #[test]
    fn a_protocol_is_told_by_the_first_bytes_and_not_before() {
        assert_eq!(decided(b"", b""), None);
        assert_eq!(decided(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", b""), None);
        assert_eq!(decided(b"P", b""), None);
        for known in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PO", "GET / HTTP/1.1", "\r\n", "PRI * HTTP/1.1\r\n"] {
            assert_eq!(decided(known.as_bytes(), b""), Some(true), "{known}");
        }
        assert_eq!(decided(b"\x16\x03\x01", b""), Some(false));
    }

    #[test]
    fn a_callee_that_speaks_first_is_unknown_unless_http2_begins_so() {
        assert_eq!(decided(b"", b"220 mail"), Some(false));
        assert_eq!(decided(b"P", b"J\0\0\0\x0a8.0.36\0"), Some(false));
        assert_eq!(decided(b"", b"\0\0\x06\x04\0\0\0\0\0\0\x03"), None);
        assert_eq!(decided(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0"), Some(true));
        assert_eq!(decided(b"", &[b"\0\x40\x02\x04\0\0\0\0\0".as_slice(), &[0; MOST]].concat()), Some(false));
    }
}
