//! Frames (RFC 9113, sections 4 and 6): their headers, and those that a link writes. It must not know what is in a header block.

use bytes::Bytes;

/// Neither side could go on from here, or a bound is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Bytes of a frame's header.
pub(super) const HEADER: usize = 9;
/// Payload that everyone must take.
pub(super) const PAYLOAD: usize = 16 << 10;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
/// Of a HEADERS frame: it has a priority in front.
pub(super) const PRIORITIZED: u8 = 0x20;

/// A setting's number: the window of new streams.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// What the first bytes of a frame say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Header {
    /// Of at least as many bytes as a header has.
    pub(super) fn read(bytes: &[u8]) -> Option<Header> {
        let [high, middle, low, kind, flags, a, b, c, d] = *bytes.first_chunk::<HEADER>()?;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        Some(Header { length, kind, flags, stream: number([a, b, c, d]) })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.has(END_STREAM)
    }
}

/// The first bit of a number is reserved.
fn number(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & (u32::MAX >> 1)
}

/// Whether a side's first frame begins so: it is of settings.
pub(super) fn begins<'a>(first: impl IntoIterator<Item = &'a u8>) -> bool {
    let shape = [Some(0), None, None, Some(SETTINGS), Some(0), Some(0), Some(0), Some(0), Some(0)];
    first.into_iter().zip(shape).all(|(byte, expected)| expected.is_none_or(|expected| *byte == expected))
}

/// The increment of a WINDOW_UPDATE.
pub(super) fn increment(payload: &[u8]) -> Result<u32, Malformed> {
    payload.try_into().map(number).map_err(|_| Malformed)
}

/// The window of new streams, if these settings change it.
pub(super) fn initial_window(payload: &[u8]) -> Result<Option<u32>, Malformed> {
    let (settings, rest) = payload.as_chunks::<6>();
    if !rest.is_empty() {
        return Err(Malformed);
    }
    let mut windows = settings.iter().filter(|setting| setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes());
    Ok(windows.next_back().map(|[_, _, value @ ..]| number(*value)))
}

pub(super) fn put(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    bytes.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    for part in payload {
        bytes.extend_from_slice(part);
    }
}

pub(super) fn written(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    put(&mut bytes, kind, flags, stream, &[payload]);
    bytes.into()
}

pub(super) fn window_update(stream: u32, increment: u32) -> Bytes {
    written(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes = window_update(7, 0x0102_0304);
        let header = Header::read(&bytes).expect("it is long enough");
        assert_eq!(header, Header { length: 4, kind: WINDOW_UPDATE, flags: 0, stream: 7 });
        assert_eq!(increment(&bytes[HEADER..]), Ok(0x0102_0304));
        assert_eq!(Header::read(&bytes[..8]), None);
    }

    #[test]
    fn the_last_of_several_windows_holds() {
        let settings = [0, 3, 0, 0, 0, 9, 0, 4, 0, 0, 0, 1, 0, 4, 0, 1, 0, 0];
        assert_eq!(initial_window(&settings), Ok(Some(1 << 16)));
        assert_eq!((initial_window(&settings[..6]), initial_window(&settings[..7])), (Ok(None), Err(Malformed)));
    }
}
