//! When, and how many at once, the bytes of a pipe that are due may go on. It must not know the bytes.

use crate::{
    behaviour::{Behaviour, Setting},
    line::{Line, Slot},
    link::Shared,
    pipe::Direction,
};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes that are held before reading stops. It bounds the memory, and the throughput under latency: 2 MiB over the delay, more than any service of
/// an experiment sends on one connection.
const HELD: usize = 2 << 20;
/// The same where bytes are paced: whoever sends them is to feel it.
const HELD_BACK: usize = 64 << 10;
/// Of a second's bytes that a line holds where that is more: a late timer must not leave a fast line empty.
const LINE_SHARE: u64 = 10;

/// The pace of one pipe under one setting.
pub(crate) struct Pace<'a> {
    kind: Kind<'a>,
    epoch: u64,
    shared: &'a Shared,
    /// What may go next, and when.
    slot: Option<Slot>,
}

enum Kind<'a> {
    Free,
    Line { line: &'a Line, bytes_per_second: u64 },
    Slices { size: usize, delay: Duration, next: Instant },
    Limit { left: u64 },
}

impl<'a> Pace<'a> {
    pub(crate) fn new(setting: &Setting, direction: Direction, shared: &'a Shared) -> Pace<'a> {
        let kind = match setting.behaviour {
            Behaviour::Bandwidth { bytes_per_second } => Kind::Line { line: shared.line(direction), bytes_per_second },
            Behaviour::Slicer { size, delay } => Kind::Slices { size: size.max(1), delay, next: Instant::now() },
            Behaviour::Down => Kind::Limit { left: 0 },
            Behaviour::LimitData { bytes } if direction == Direction::Home => Kind::Limit { left: bytes },
            _ => Kind::Free,
        };
        Pace { kind, epoch: setting.epoch, shared, slot: None }
    }

    /// Whether it changes when bytes go on.
    pub(crate) fn slows(&self) -> bool {
        matches!(self.kind, Kind::Line { .. } | Kind::Slices { .. })
    }

    /// Whether nothing more may go on, ever.
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self.kind, Kind::Limit { left: 0 })
    }

    /// Bytes that are held before reading stops.
    pub(crate) fn room(&self) -> usize {
        match self.kind {
            Kind::Free | Kind::Limit { .. } => HELD,
            Kind::Slices { .. } => HELD_BACK,
            Kind::Line { bytes_per_second, .. } => {
                usize::try_from(bytes_per_second / LINE_SHARE).unwrap_or(usize::MAX).clamp(HELD_BACK, HELD)
            }
        }
    }

    /// When the first of `waiting` bytes, which could have gone since `ready`, may go.
    pub(crate) fn release(&mut self, ready: Instant, waiting: usize) -> Instant {
        if let Some(slot) = &self.slot {
            return slot.until;
        }
        let slot = match &self.kind {
            Kind::Free | Kind::Limit { .. } => return ready,
            Kind::Line { line, bytes_per_second } => line.take(self.epoch, *bytes_per_second, ready, waiting),
            Kind::Slices { size, next, .. } => Slot { until: ready.max(*next), bytes: waiting.min(*size), saturated: false },
        };
        self.slot.insert(slot).until
    }

    /// How many of `waiting` bytes may go together.
    pub(crate) fn most(&self, waiting: usize) -> usize {
        match (&self.kind, &self.slot) {
            (Kind::Limit { left }, _) => usize::try_from(*left).unwrap_or(usize::MAX).min(waiting),
            (_, Some(slot)) => slot.bytes.min(waiting),
            (_, None) => waiting,
        }
    }

    /// The receiver has no room: it is not for the line that the bytes wait.
    pub(crate) fn blocked(&mut self) {
        if let Some(slot) = &mut self.slot {
            slot.saturated = false;
        }
    }

    /// These bytes went on, of those that might.
    pub(crate) fn went(&mut self, bytes: usize) {
        if let Kind::Limit { left } = &mut self.kind {
            *left = left.saturating_sub(bytes as u64);
        }
        let Some(slot) = self.slot.take() else { return };
        if bytes < slot.bytes {
            // The receiver has no room for the rest.
            self.slot = Some(Slot { bytes: slot.bytes - bytes, saturated: false, ..slot });
            return;
        }
        match &mut self.kind {
            Kind::Line { line, .. } => {
                if let Some(busy) = line.left(&slot) {
                    self.shared.counter.saturated(self.epoch, slot.bytes, busy);
                }
            }
            Kind::Slices { delay, next, .. } => {
                let now = Instant::now();
                *next = now.checked_add(*delay).unwrap_or(now);
                self.shared.counter.slice(self.epoch);
            }
            Kind::Free | Kind::Limit { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    /// For how long the line was short, of two slots, where `between` happens to the second before it goes.
    async fn saturated(between: impl FnOnce(&mut Pace<'_>)) -> Duration {
        let (shared, begun) = (Shared::new(), Instant::now());
        shared.counter.begin(1);
        let setting = Setting { behaviour: Behaviour::Bandwidth { bytes_per_second: 1_000 }, epoch: 1, toxicity: None };
        let mut pace = Pace::new(&setting, Direction::Out, &shared);
        pace.release(begun, 20);
        advance(Duration::from_millis(10)).await;
        pace.went(10);
        pace.release(begun, 10);
        between(&mut pace);
        advance(Duration::from_millis(10)).await;
        pace.went(10);
        shared.counter.dose().saturated
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_short_while_bytes_wait_for_it_and_not_while_they_wait_for_their_receiver() {
        assert_eq!(saturated(|_| {}).await, Duration::from_millis(10));
        let blocked = |pace: &mut Pace<'_>| {
            pace.blocked();
        };
        assert_eq!(saturated(blocked).await, Duration::ZERO);
        assert_eq!(saturated(|pace| pace.went(4)).await, Duration::ZERO);
    }

    #[test]
    fn a_slow_line_holds_little_and_a_fast_one_a_tenth_of_a_second() {
        let shared = Shared::new();
        let room = |bytes_per_second| {
            let setting = Setting { behaviour: Behaviour::Bandwidth { bytes_per_second }, epoch: 1, toxicity: None };
            Pace::new(&setting, Direction::Home, &shared).room()
        };
        assert_eq!([0, 10_000_000, u64::MAX].map(room), [HELD_BACK, 1_000_000, HELD]);
    }
}
