//! Where messages of PostgreSQL's protocol 3 begin and end. It must not know what they say.

use crate::talk::Parcels;
use bytes::{BufMut, Bytes, BytesMut};
use std::time::Duration;

/// A message is no longer than that (`PQ_LARGE_MESSAGE_LIMIT` of the server is a byte less than 1 GiB).
const LONGEST: u64 = 1 << 30;
/// An introduction is no longer than that (`MAX_STARTUP_PACKET_LENGTH` of the server).
const LONGEST_INTRODUCTION: u64 = 10_000;
/// Tag and length.
pub(super) const HEAD: usize = 5;
/// Length and version of an introduction, which has no tag.
pub(super) const INTRODUCTION: usize = 8;

/// What no such message begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A message of the link.
pub(super) fn message(tag: u8, body: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEAD + body.len());
    bytes.put_u8(tag);
    bytes.put_u32(4 + body.len() as u32);
    bytes.put_slice(body);
    bytes.freeze()
}

/// The text that `bytes` begin with, up to its zero byte, and what is behind it.
pub(super) fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// How messages begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With a tag and a length.
    Tagged,
    /// With a length.
    Introduction,
}

/// The messages of one direction, in pieces as they come.
#[derive(Default)]
pub(super) struct Reader {
    /// What came of a message about which nothing is decided.
    kept: BytesMut,
    /// How much of it went on already.
    gone: usize,
    /// How much of a message still comes about which all is decided.
    left: u64,
    /// Whether that is thrown away.
    drops: bool,
}

/// As much of a message as is to be looked at. Nothing is decided about it yet.
pub(super) struct Message {
    /// Zero for an introduction.
    pub(super) tag: u8,
    pub(super) bytes: Bytes,
    /// Of the message, with its head.
    total: u64,
    /// Bytes of it that are in the parcels.
    fresh: usize,
    /// Those that came before them and were held.
    earlier: Bytes,
    /// Whether some went on.
    has_gone: bool,
}

impl Message {
    /// Behind the head.
    pub(super) fn body(&self) -> &[u8] {
        let head = if self.tag == 0 { INTRODUCTION } else { HEAD };
        &self.bytes[head.min(self.bytes.len())..]
    }

    /// Whether all of it is here and none of it went on.
    pub(super) fn can_change(&self) -> bool {
        !self.has_gone && self.bytes.len() as u64 == self.total
    }
}

impl Reader {
    /// Goes on by at least a byte, or to the next message that is wanted: `wanted` tells for a tag and a length how many bytes.
    pub(super) fn read(
        &mut self,
        parcels: &mut Parcels,
        form: Form,
        holds: bool,
        wanted: impl Fn(u8, u64) -> u64,
    ) -> Result<Option<Message>, Malformed> {
        if self.left > 0 {
            self.go_on(parcels);
            return Ok(None);
        }
        let Some((tag, total)) = self.head(parcels.rest(), form)? else {
            self.keep(parcels, holds);
            return Ok(None);
        };
        let least = if tag == 0 { INTRODUCTION } else { HEAD } as u64;
        let wanted = (wanted(tag, total).clamp(least, total) as usize).max(self.kept.len());
        if self.kept.len() + parcels.rest().len() < wanted {
            self.keep(parcels, holds);
            return Ok(None);
        }
        let (fresh, has_gone) = (wanted - self.kept.len(), self.gone > 0);
        let mut bytes = std::mem::take(&mut self.kept);
        let earlier = Bytes::copy_from_slice(&bytes[self.gone..]);
        self.gone = 0;
        let bytes = if bytes.is_empty() {
            parcels.ahead(fresh)
        } else {
            bytes.extend_from_slice(&parcels.rest()[..fresh]);
            bytes.freeze()
        };
        Ok(Some(Message { tag, bytes, total, fresh, earlier, has_gone }))
    }

    /// Tag and length of the message that begins.
    fn head(&self, rest: &[u8], form: Form) -> Result<Option<(u8, u64)>, Malformed> {
        let mut head = [0; INTRODUCTION];
        let length = if form == Form::Introduction { INTRODUCTION } else { HEAD };
        if self.kept.len() + rest.len() < length {
            return Ok(None);
        }
        for (place, byte) in head[..length].iter_mut().zip(self.kept.iter().chain(rest)) {
            *place = *byte;
        }
        let [tag, one, two, three, four, ..] = head;
        let (tag, total, bounds) = match form {
            Form::Tagged => (tag, u64::from(u32::from_be_bytes([one, two, three, four])) + 1, HEAD as u64..=LONGEST),
            Form::Introduction => (0, u64::from(u32::from_be_bytes([tag, one, two, three])), INTRODUCTION as u64..=LONGEST_INTRODUCTION),
        };
        let is_message = bounds.contains(&total) && (form == Form::Introduction || tag.is_ascii_alphanumeric());
        if is_message { Ok(Some((tag, total))) } else { Err(Malformed) }
    }

    fn keep(&mut self, parcels: &mut Parcels, holds: bool) {
        // Once some of a message went on there is no use in holding the rest.
        if holds && self.gone == 0 {
            self.kept.extend_from_slice(parcels.rest());
            parcels.skip_rest();
        } else {
            parcels.insert(self.release());
            self.kept.extend_from_slice(parcels.rest());
            self.gone = self.kept.len();
            parcels.pass_rest();
        }
    }

    fn go_on(&mut self, parcels: &mut Parcels) {
        let rest = parcels.rest().len();
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest);
        self.left -= length as u64;
        if self.drops { parcels.skip(length) } else { parcels.pass(length) }
    }

    /// The message goes on as it came.
    pub(super) fn pass(&mut self, parcels: &mut Parcels, message: &Message) {
        parcels.insert(message.earlier.clone());
        parcels.pass(message.fresh);
        self.decide(message, false);
    }

    /// The message is thrown away.
    pub(super) fn drop(&mut self, parcels: &mut Parcels, message: &Message) {
        parcels.skip(message.fresh);
        self.decide(message, true);
    }

    /// The message goes on later.
    pub(super) fn delay(&mut self, parcels: &mut Parcels, message: &Message, delay: Duration) {
        parcels.delay(&message.earlier, message.fresh, delay);
        self.decide(message, false);
    }

    fn decide(&mut self, message: &Message, drops: bool) {
        self.left = message.total - message.bytes.len() as u64;
        self.drops = drops;
    }

    /// What is held. From here on it has gone.
    pub(super) fn release(&mut self) -> Bytes {
        let bytes = Bytes::copy_from_slice(&self.kept[self.gone..]);
        self.gone = self.kept.len();
        bytes
    }

    /// What is held, where no more messages are told apart.
    pub(super) fn close(&mut self) -> Bytes {
        let bytes = self.release();
        *self = Reader::default();
        bytes
    }

    /// Whether the rest of a message is being thrown away.
    pub(super) fn drops(&self) -> bool {
        self.drops && self.left > 0
    }
}
