//! A header block and the frames it travels in. It must not know what it says.

use super::{
    frame::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS, Header, Malformed, PAYLOAD, PRIORITIZED, PUSH_PROMISE, put},
    framing::Frame,
};
use bytes::{Bytes, BytesMut};

/// Of all frames of a block together.
const BLOCK: usize = 128 << 10;

/// What the frames of a block say beside the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    kind: u8,
    pub(super) stream: u32,
    pub(super) ends_stream: bool,
    /// The priority of a stream, or the stream that is promised.
    prefix: Bytes,
}

impl Envelope {
    /// Of an answer or of trailers.
    pub(super) fn headers(stream: u32, ends_stream: bool) -> Envelope {
        Envelope { kind: HEADERS, stream, ends_stream, prefix: Bytes::new() }
    }

    pub(super) fn is_promise(&self) -> bool {
        self.kind == PUSH_PROMISE
    }

    /// The frames of a block, each as small as everyone must take.
    pub(super) fn filled(&self, block: &[u8]) -> Bytes {
        let (mut bytes, mut prefix, mut rest, mut kind) = (Vec::with_capacity(block.len() + 64), &*self.prefix, block, self.kind);
        let mut flags = if self.ends_stream { END_STREAM } else { 0 };
        if kind == HEADERS && !prefix.is_empty() {
            flags |= PRIORITIZED;
        }
        loop {
            let (part, others) = rest.split_at(rest.len().min(PAYLOAD - prefix.len()));
            let last = if others.is_empty() { END_HEADERS } else { 0 };
            put(&mut bytes, kind, flags | last, self.stream, &[prefix, part]);
            if others.is_empty() {
                return bytes.into();
            }
            (prefix, rest, kind, flags) = (&[], others, CONTINUATION, 0);
        }
    }
}

/// Takes the first frame of a block apart.
fn opened(frame: &Frame) -> Result<(Envelope, Bytes), Malformed> {
    let Header { kind, stream, .. } = frame.header;
    let mut payload = frame.content()?;
    let prefix = match kind {
        PUSH_PROMISE => 4,
        HEADERS if frame.header.has(PRIORITIZED) => 5,
        _ => 0,
    };
    if stream == 0 || payload.len() < prefix {
        return Err(Malformed);
    }
    let prefix = payload.split_to(prefix);
    Ok((Envelope { kind, stream, ends_stream: frame.header.ends_stream(), prefix }, payload))
}

/// The blocks of one direction: of one whose end has not come the frames are held back, as nothing may come between them.
#[derive(Default)]
pub(super) struct Blocks {
    unfinished: Option<(Envelope, BytesMut)>,
    /// The frames of the block but for its last, as they came, until it is decided about.
    raw: BytesMut,
}

impl Blocks {
    pub(super) fn is_between(&self) -> bool {
        self.unfinished.is_none()
    }

    /// Whether this frame may come now.
    pub(super) fn admits(&self, header: &Header) -> bool {
        match &self.unfinished {
            Some((envelope, _)) => header.kind == CONTINUATION && header.stream == envelope.stream,
            None => header.kind != CONTINUATION,
        }
    }

    /// The block that ends with this frame, if one does.
    pub(super) fn hear(&mut self, frame: &Frame) -> Result<Option<(Envelope, Bytes)>, Malformed> {
        if self.raw.len() + frame.bytes.len() > BLOCK {
            return Err(Malformed);
        }
        let is_last = frame.header.has(END_HEADERS);
        match self.unfinished.as_mut() {
            None if is_last => return opened(frame).map(Some),
            None => {
                let (envelope, part) = opened(frame)?;
                self.unfinished = Some((envelope, BytesMut::from(&*part)));
            }
            Some((_, block)) => block.extend_from_slice(frame.payload()),
        }
        if is_last {
            return Ok(self.unfinished.take().map(|(envelope, block)| (envelope, block.freeze())));
        }
        Ok(None)
    }

    /// Holds a frame back until its block is complete.
    pub(super) fn keep(&mut self, frame: &Frame) {
        self.raw.extend_from_slice(&frame.bytes);
    }

    /// The frames that were held back.
    pub(super) fn release(&mut self) -> Bytes {
        self.raw.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http2::{frame::PADDED, framing::Framing},
        talk::Parcels,
    };

    fn heard(bytes: &[u8]) -> Result<Vec<(Envelope, Bytes)>, Malformed> {
        let (mut framing, mut blocks, mut all) = (Framing::default(), Blocks::default(), Vec::new());
        let mut parcels = Parcels::new(Bytes::copy_from_slice(bytes));
        while let Some(frame) = framing.next(&mut parcels, |_| Ok(true))? {
            if !blocks.admits(&frame.header) {
                return Err(Malformed);
            }
            all.extend(blocks.hear(&frame)?);
            blocks.keep(&frame);
            frame.skip(&mut parcels);
        }
        Ok(all)
    }

    #[test]
    fn what_is_filled_is_opened_however_long() {
        for length in [0, 1, PAYLOAD - 5, PAYLOAD, 3 * PAYLOAD] {
            for (kind, prefix) in [(HEADERS, ""), (HEADERS, "prior"), (PUSH_PROMISE, "\0\0\0\u{2}")] {
                let envelope = Envelope { kind, stream: 7, ends_stream: kind == HEADERS, prefix: prefix.into() };
                let block = vec![b'x'; length];
                assert_eq!(heard(&envelope.filled(&block)), Ok(vec![(envelope, block.into())]), "{length}");
            }
        }
    }

    #[test]
    fn padding_is_taken_off_and_what_is_too_short_for_it_is_malformed() {
        let frame = |flags, payload: &[u8]| {
            let mut bytes = Vec::new();
            put(&mut bytes, HEADERS, flags | END_HEADERS, 1, &[payload]);
            bytes
        };
        let envelope = Envelope { prefix: "prior".into(), ..Envelope::headers(1, true) };
        assert_eq!(heard(&frame(PADDED | PRIORITIZED | END_STREAM, b"\x02priorblock\0\0")), Ok(vec![(envelope, "block".into())]));
        for (flags, payload) in [(PADDED, b"".as_slice()), (PADDED, b"\x01"), (PADDED | PRIORITIZED, b"\x01prio\0"), (PRIORITIZED, b"prio")]
        {
            assert!(heard(&frame(flags, payload)).is_err(), "{payload:?}");
        }
    }

    #[test]
    fn nothing_comes_between_the_frames_of_a_block_and_a_block_has_a_bound() {
        let (mut open, mut between) = (Vec::new(), Vec::new());
        put(&mut open, HEADERS, 0, 1, &[b"a"]);
        put(&mut between, 8, 0, 1, &[b"four"]);
        assert!(heard(&[open.clone(), between].concat()).is_err());
        let mut endless = open;
        for _ in 0..=BLOCK / 9 {
            put(&mut endless, CONTINUATION, 0, 1, &[]);
        }
        assert!(heard(&endless).is_err());
    }
}
