//! One direction of a connection: what of its frames is held back, and who writes its header blocks. It must not know rules.

use super::{
    PREFACE,
    block::{Blocks, Envelope},
    fields::Field,
    frame::{Malformed, SETTINGS},
    framing::{Fate, Frame, Framing},
    hpack::{Decoder, NO_TABLE, encoded},
};
use crate::{pipe::Direction, talk::Parcels};
use bytes::Bytes;

/// One direction.
pub(super) struct Lane {
    pub(super) framing: Framing,
    pub(super) blocks: Blocks,
    /// What its sender's table is.
    pub(super) decoder: Decoder,
    writer: Writer,
    /// How much of the preface is still to come.
    preface: usize,
    has_settings: bool,
    /// Its sender has ended.
    pub(super) is_over: bool,
}

/// Whose header blocks the receiver reads. Two who do not know of each other's table cannot both write them.
enum Writer {
    Sender,
    /// The link, once it took one away or wrote one; whether it said that it keeps no table.
    Link {
        said_so: bool,
    },
}

/// What becomes of a frame.
pub(super) enum Verdict {
    Pass,
    /// Neither it nor the rest of its block goes on.
    Skip,
    Instead(Bytes),
    /// It has come only so far as its header.
    Follow(Fate),
    /// Its block is not complete.
    Keep,
    /// With the rest of its block.
    PassBlock,
}

impl Verdict {
    /// Of a frame that is of no block.
    pub(super) fn of(frame: &Frame, fate: Fate) -> Verdict {
        match fate {
            _ if !frame.is_whole() => Verdict::Follow(fate),
            Fate::Pass => Verdict::Pass,
            Fate::Drop => Verdict::Skip,
        }
    }
}

impl Lane {
    pub(super) fn new(direction: Direction) -> Lane {
        Lane {
            framing: Framing::default(),
            blocks: Blocks::default(),
            decoder: Decoder::new(),
            writer: Writer::Sender,
            preface: if direction == Direction::Out { PREFACE.len() } else { 0 },
            has_settings: false,
            is_over: false,
        }
    }

    /// Whether frames of the link may go here and now.
    pub(super) fn is_open(&self) -> bool {
        self.has_begun() && self.framing.is_open()
    }

    /// Whether frames of the link may go at the end.
    pub(super) fn is_between(&self) -> bool {
        self.has_begun() && self.framing.is_between() && self.blocks.is_between()
    }

    /// Settings come first.
    fn has_begun(&self) -> bool {
        self.preface == 0 && self.has_settings
    }

    /// Whether its sender has not said all that a caller begins with.
    pub(super) fn is_in_preface(&self) -> bool {
        self.preface > 0
    }

    pub(super) fn is_rewritten(&self) -> bool {
        matches!(self.writer, Writer::Link { .. })
    }

    /// From here on the link writes all header blocks.
    pub(super) fn rewrite(&mut self) {
        if !self.is_rewritten() {
            self.writer = Writer::Link { said_so: false };
        }
    }

    /// Decides about what is in no frame that must be looked at. Whether something was.
    pub(super) fn goes_on(&mut self, parcels: &mut Parcels) -> Result<bool, Malformed> {
        let preface = self.preface.min(parcels.rest().len());
        self.preface -= preface;
        parcels.pass(preface);
        if preface == 0 && !self.has_settings && !self.framing.begins(parcels) {
            return Err(Malformed);
        }
        Ok(preface > 0 || self.framing.goes_on(parcels))
    }

    /// Whether this frame may come now.
    pub(super) fn check(&mut self, frame: &Frame) -> Result<(), Malformed> {
        self.has_settings |= frame.header.kind == SETTINGS;
        if self.blocks.admits(&frame.header) { Ok(()) } else { Err(Malformed) }
    }

    pub(super) fn obey(&mut self, verdict: Verdict, frame: Frame, parcels: &mut Parcels) {
        match verdict {
            Verdict::Pass => return frame.pass(parcels),
            Verdict::Follow(fate) => {
                self.framing.follow(frame.header, fate);
                if fate == Fate::Pass {
                    return frame.pass(parcels);
                }
            }
            Verdict::Skip => drop(self.blocks.release()),
            Verdict::Instead(bytes) => {
                drop(self.blocks.release());
                frame.skip(parcels);
                return parcels.insert(bytes);
            }
            Verdict::Keep => self.blocks.keep(&frame),
            Verdict::PassBlock => {
                parcels.insert(self.blocks.release());
                return frame.pass(parcels);
            }
        }
        frame.skip(parcels);
    }

    /// A block that its sender wrote goes on: as it came, or written anew.
    pub(super) fn forward(&mut self, envelope: &Envelope, fields: &[Field]) -> Verdict {
        if self.is_rewritten() { Verdict::Instead(self.write(envelope, &encoded(fields))) } else { Verdict::PassBlock }
    }

    /// Frames of a block that needs no table.
    pub(super) fn write(&mut self, envelope: &Envelope, block: &[u8]) -> Bytes {
        self.rewrite();
        match &mut self.writer {
            Writer::Link { said_so: said_so @ false } => {
                *said_so = true;
                envelope.filled(&[&[NO_TABLE], block].concat())
            }
            _ => envelope.filled(block),
        }
    }

    /// What is held back.
    pub(super) fn release(&mut self) -> Bytes {
        let (block, frame) = (self.blocks.release(), self.framing.release());
        if block.is_empty() { frame } else { [block, frame].concat().into() }
    }
}
