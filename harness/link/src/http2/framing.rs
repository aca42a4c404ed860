//! Cuts the bytes of one direction into frames. It must not know what becomes of them.

use super::frame::{HEADER, Header, Malformed, PADDED, begins};
use crate::talk::Parcels;
use bytes::{Bytes, BytesMut};

/// A frame that came whole, or the header of one that goes on in pieces.
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) bytes: Bytes,
    /// It is still in front of the input.
    is_fresh: bool,
}

impl Frame {
    /// Whether it came whole.
    pub(super) fn is_whole(&self) -> bool {
        self.bytes.len() == HEADER + self.header.length
    }

    /// The payload without its padding.
    pub(super) fn content(&self) -> Result<Bytes, Malformed> {
        let payload = self.bytes.slice(HEADER..);
        if !self.header.has(PADDED) {
            return Ok(payload);
        }
        let padding = usize::from(*payload.first().ok_or(Malformed)?);
        let end = payload.len().checked_sub(padding).filter(|end| *end > 0).ok_or(Malformed)?;
        Ok(payload.slice(1..end))
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[HEADER..]
    }

    pub(super) fn pass(self, parcels: &mut Parcels) {
        if self.is_fresh { parcels.pass(self.bytes.len()) } else { parcels.insert(self.bytes) }
    }

    pub(super) fn skip(&self, parcels: &mut Parcels) {
        if self.is_fresh {
            parcels.skip(self.bytes.len());
        }
    }
}

/// What becomes of a frame that is not waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    Drop,
}

/// Where in its frames a direction is.
#[derive(Default)]
pub(super) struct Framing {
    /// The beginning of a frame, held back: nobody could use it.
    gathered: BytesMut,
    /// How many bytes that will be.
    wanted: usize,
    /// How much follows of a frame that goes on in pieces.
    left: usize,
    drops: bool,
    /// What is gathered went on already, before one knew that it would be.
    has_gone: bool,
}

impl Framing {
    /// Whether nothing of the next frame has come.
    pub(super) fn is_between(&self) -> bool {
        self.gathered.is_empty() && self.left == 0
    }

    /// Whether no frame is under way to its receiver: what is held back or thrown away is not.
    pub(super) fn is_open(&self) -> bool {
        (self.left == 0 || self.drops) && (self.gathered.is_empty() || !self.has_gone)
    }

    /// What was heard so far went on whatever was said about it.
    pub(super) fn has_gone(&mut self) {
        self.has_gone = true;
    }

    /// Whether the next frame may be of settings, the first of a side.
    pub(super) fn begins(&self, parcels: &Parcels) -> bool {
        begins(self.gathered.iter().chain(parcels.rest()))
    }

    /// The header of a frame was read, whose payload has this fate.
    pub(super) fn follow(&mut self, header: Header, fate: Fate) {
        self.left = header.length;
        self.drops = fate == Fate::Drop;
    }

    /// Whether the bytes that come are in a frame that goes on in pieces. If so some of them are decided about.
    pub(super) fn goes_on(&mut self, parcels: &mut Parcels) -> bool {
        let bytes = self.left.min(parcels.rest().len());
        self.left -= bytes;
        if self.drops {
            parcels.skip(bytes);
        } else {
            parcels.pass(bytes);
        }
        bytes > 0
    }

    /// The next frame, if enough of it has come; `is_whole` tells, once, whether all of it is waited for.
    pub(super) fn next(
        &mut self,
        parcels: &mut Parcels,
        is_whole: impl Fn(&Header) -> Result<bool, Malformed>,
    ) -> Result<Option<Frame>, Malformed> {
        let length_of = |header: &Header| Ok(HEADER + if is_whole(header)? { header.length } else { 0 });
        if self.gathered.is_empty()
            && let Some(header) = Header::read(parcels.rest())
        {
            self.wanted = length_of(&header)?;
            if self.wanted <= parcels.rest().len() {
                return Ok(Some(Frame { header, bytes: parcels.ahead(self.wanted), is_fresh: true }));
            }
        } else if self.gathered.len() < HEADER {
            self.gather(parcels, HEADER);
            let Some(header) = Header::read(&self.gathered) else { return Ok(None) };
            self.wanted = length_of(&header)?;
        }
        self.gather(parcels, self.wanted);
        match Header::read(&self.gathered) {
            Some(header) if self.gathered.len() == self.wanted => {
                self.has_gone = false;
                Ok(Some(Frame { header, bytes: self.gathered.split().freeze(), is_fresh: false }))
            }
            _ => Ok(None),
        }
    }

    fn gather(&mut self, parcels: &mut Parcels, wanted: usize) {
        let taken = parcels.rest().len().min(wanted - self.gathered.len());
        self.gathered.extend_from_slice(&parcels.rest()[..taken]);
        parcels.skip(taken);
    }

    /// A frame that was read is not decided about.
    pub(super) fn restore(&mut self, frame: &Frame) {
        if !frame.is_fresh {
            self.gathered.extend_from_slice(&frame.bytes);
        }
    }

    /// What is held back.
    pub(super) fn release(&mut self) -> Bytes {
        self.gathered.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::frame::{DATA, written};

    #[test]
    fn frames_are_found_however_they_are_cut_and_pass_as_they_came() {
        let frames =
            [written(DATA, 0, 1, b"in pieces"), written(8, 0, 0, b"four"), written(4, 1, 0, b""), written(DATA, 1, 3, b"")].concat();
        for at_once in 1..=frames.len() {
            let (mut framing, mut gone, mut headers) = (Framing::default(), Vec::new(), 0);
            for piece in frames.chunks(at_once) {
                let mut parcels = Parcels::new(Bytes::copy_from_slice(piece));
                while !parcels.rest().is_empty() {
                    if framing.goes_on(&mut parcels) {
                        continue;
                    }
                    let Some(frame) = framing.next(&mut parcels, |header| Ok(header.kind != DATA)).expect("it is well formed") else {
                        continue;
                    };
                    headers += 1;
                    if frame.header.kind == DATA {
                        framing.follow(frame.header, Fate::Pass);
                    }
                    frame.pass(&mut parcels);
                }
                gone.extend(parcels.finish().into_iter().flat_map(|parcel| parcel.bytes));
            }
            assert_eq!((headers, framing.is_between()), (4, true), "{at_once} at once");
            assert_eq!(gone, frames);
        }
    }
}
