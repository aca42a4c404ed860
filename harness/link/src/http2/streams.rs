//! The streams of a connection that a rule is for. Of all others nothing is kept. It must not know frames.

use super::{block::Envelope, patching::Patching};
use bytes::Bytes;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// Streams that a rule is for at the same time, at most: no other is chosen meanwhile.
const CHOSEN: usize = 4 << 10;
/// Aborted streams that have ended and of which a late word is still thrown away.
const ENDED: usize = 4 << 10;

pub(super) struct Streams {
    pub(super) held: HashMap<u32, Queue>,
    pub(super) patched: HashMap<u32, Patching>,
    /// The caller may still send on these.
    aborted: HashSet<u32>,
    ended: HashSet<u32>,
    /// In their order.
    endings: VecDeque<u32>,
    /// The last that the caller opened.
    opened: u32,
    /// The last that the callee heard of.
    forwarded: u32,
}

/// The frames of an answer that do not go on yet. Those behind them wait too.
#[derive(Default)]
pub(super) struct Queue {
    /// What they wait for, but for room in the caller's window.
    pub(super) delay: Option<Delay>,
    pub(super) frames: VecDeque<Held>,
}

/// For how long an answer is held back.
pub(super) struct Delay {
    pub(super) delay: Duration,
    /// The setting that delays it.
    pub(super) epoch: u64,
    /// When the first of it came.
    pub(super) since: Option<Instant>,
}

/// A frame or a header block that is held back.
pub(super) enum Held {
    Frame(Bytes),
    Block(Envelope, Vec<u8>),
    /// Of which the callee has back what it took of the connection's window.
    Data {
        payload: Bytes,
        ends_stream: bool,
    },
}

impl Held {
    pub(super) fn len(&self) -> usize {
        match self {
            Held::Frame(bytes) => bytes.len(),
            Held::Block(_, block) => block.len(),
            Held::Data { payload, .. } => payload.len(),
        }
    }
}

impl Streams {
    pub(super) fn new() -> Streams {
        Streams {
            held: HashMap::new(),
            patched: HashMap::new(),
            aborted: HashSet::new(),
            ended: HashSet::new(),
            endings: VecDeque::new(),
            opened: 0,
            forwarded: 0,
        }
    }

    /// Whether the caller opens a stream with this number.
    pub(super) fn opens(&mut self, stream: u32) -> bool {
        let is_new = stream % 2 == 1 && stream > self.opened;
        self.opened = self.opened.max(stream);
        is_new
    }

    pub(super) fn has_room(&self) -> bool {
        self.held.len() + self.patched.len() + self.aborted.len() < CHOSEN
    }

    /// The callee hears of a stream. From here on it takes all before it for closed.
    pub(super) fn forward(&mut self, stream: u32) {
        self.forwarded = self.forwarded.max(stream);
    }

    /// The callee is never to hear of a stream.
    pub(super) fn abort(&mut self, stream: u32) {
        self.aborted.insert(stream);
    }

    /// Whether the callee is not to hear of this stream, which it would take for a violation.
    pub(super) fn is_aborted(&self, stream: u32) -> bool {
        let was_never_heard_of = stream % 2 == 1 && stream > self.forwarded && stream <= self.opened;
        was_never_heard_of || self.aborted.contains(&stream) || self.ended.contains(&stream)
    }

    /// The caller sends no more on a stream.
    pub(super) fn end(&mut self, stream: u32) {
        if !self.aborted.remove(&stream) {
            return;
        }
        self.ended.insert(stream);
        self.endings.push_back(stream);
        if self.endings.len() > ENDED
            && let Some(oldest) = self.endings.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aborted_stream_is_known_as_long_as_the_callee_could_stumble_over_it() {
        let mut streams = Streams::new();
        assert!(streams.opens(1) && !streams.opens(1) && !streams.opens(2));
        streams.forward(1);
        for stream in (3..=2 * ENDED as u32 + 9).step_by(2) {
            assert!(streams.opens(stream));
            streams.abort(stream);
            streams.end(stream);
        }
        // Nothing above the first was ever forwarded.
        assert!(!streams.is_aborted(1) && streams.is_aborted(3) && streams.has_room());
        let last = 2 * ENDED as u32 + 11;
        assert!(streams.opens(last));
        streams.forward(last);
        assert!(!streams.is_aborted(3) && streams.is_aborted(last - 2) && !streams.is_aborted(last) && !streams.is_aborted(last + 2));
        assert_eq!((streams.ended.len(), streams.endings.len()), (ENDED, ENDED));
    }
}
