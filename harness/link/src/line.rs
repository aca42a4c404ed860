//! The line that the connections of a link share in one direction: it carries one piece after the other, each for as long as its bytes take at
//! the rate. It must not know whose bytes they are.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A timer fires late, and a receiver may have no room: this much of the line's time is made up for, what is lost beyond it is lost.
const LATENESS: Duration = Duration::from_millis(20);
/// Slots of the line per second and connection at least, unless that is less than a byte: connections take turns so often.
const SLOTS_PER_SECOND: u64 = 100;

/// One direction of the line of a link.
pub(crate) struct Line(Mutex<Time>);

/// What of the line's time is taken.
struct Time {
    /// The setting that it was taken under.
    epoch: u64,
    /// All of it is taken until then.
    free: Instant,
    /// Until then it is known what the line carried.
    accounted: Instant,
}

/// The line's time for some bytes. They leave at its end, as the last bit does on a wire.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) until: Instant,
    pub(crate) bytes: usize,
    /// Whether the bytes had to wait because other bytes were on the line.
    pub(crate) saturated: bool,
}

impl Line {
    pub(crate) fn new() -> Line {
        let now = Instant::now();
        Line(Mutex::new(Time { epoch: 0, free: now, accounted: now }))
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next time of the line for the first of `waiting` bytes that could have gone since `ready`. Under a new setting the line is empty.
    pub(crate) fn take(&self, epoch: u64, bytes_per_second: u64, ready: Instant, waiting: usize) -> Slot {
        let mut time = self.time();
        let now = Instant::now();
        let is_first = time.epoch < epoch;
        if is_first {
            *time = Time { epoch, free: now, accounted: now };
        }
        let bytes = waiting.min(most_at_once(bytes_per_second));
        let start = time.free.max(ready).max(now.checked_sub(LATENESS).unwrap_or(now));
        let saturated = !is_first && start == time.free && time.free > ready;
        let until = start + duration_of(bytes, bytes_per_second);
        // A connection that did not yet hear of the new setting takes no time from those that did.
        if time.epoch == epoch {
            time.free = until;
        }
        Slot { until, bytes, saturated }
    }

    /// The bytes of a slot left: for how long the line was busy, if others had to wait.
    pub(crate) fn left(&self, slot: &Slot) -> Option<Duration> {
        let mut time = self.time();
        // Where nobody had to wait, the span begins when the line was free again: a late timer makes no rate look higher than it was.
        let at = if slot.saturated { Instant::now() } else { slot.until };
        let busy = at.saturating_duration_since(time.accounted);
        time.accounted = time.accounted.max(at);
        slot.saturated.then_some(busy)
    }
}

fn most_at_once(bytes_per_second: u64) -> usize {
    usize::try_from(bytes_per_second / SLOTS_PER_SECOND).unwrap_or(usize::MAX).max(1)
}

/// Rounded up: no byte leaves before its time.
fn duration_of(bytes: usize, bytes_per_second: u64) -> Duration {
    let nanos = (bytes as u128 * 1_000_000_000).div_ceil(u128::from(bytes_per_second.max(1)));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn two_that_share_the_line_take_turns() {
        let (line, begun) = (Line::new(), Instant::now());
        let ends: Vec<Duration> = (0..4).map(|_| line.take(1, 1_000, begun, 5_000).until - begun).collect();
        assert_eq!(ends, [10, 20, 30, 40].map(Duration::from_millis));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_line_saves_nothing_up() {
        let line = Line::new();
        line.take(1, 1_000, Instant::now(), 10);
        advance(SECOND).await;
        let now = Instant::now();
        assert_eq!(line.take(1, 1_000, now, 10).until, now + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_timer_is_made_up_for_and_a_long_stall_is_not() {
        let (line, begun) = (Line::new(), Instant::now());
        line.take(1, 1_000, begun, 10);
        advance(Duration::from_millis(25)).await;
        assert_eq!(line.take(1, 1_000, begun, 10).until - begun, Duration::from_millis(20));
        advance(SECOND).await;
        let now = Instant::now();
        assert_eq!(line.take(1, 1_000, begun, 10).until, now - LATENESS + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_setting_finds_the_line_empty_and_an_old_one_takes_nothing_from_it() {
        let (line, begun) = (Line::new(), Instant::now());
        line.take(1, 1, begun, 1);
        assert_eq!(line.take(2, 1_000, begun, 10).until - begun, Duration::from_millis(10));
        line.take(1, 1, begun, 1);
        assert_eq!(line.take(2, 1_000, begun, 10).until - begun, Duration::from_millis(20));
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_busy_only_while_others_wait_and_a_late_timer_does_not_raise_its_rate() {
        let (line, begun) = (Line::new(), Instant::now());
        // Between its arrival and its turn.
        advance(Duration::from_millis(1)).await;
        let first = line.take(1, 1_000, begun, 10);
        advance(Duration::from_millis(13)).await;
        assert_eq!(line.left(&first), None);
        let second = line.take(1, 1_000, begun, 10);
        advance(Duration::from_millis(7)).await;
        // From 11 ms, when the first had its last byte on the line, to 21 ms.
        assert_eq!(line.left(&second), Some(Duration::from_millis(10)));
    }

    #[test]
    fn the_fastest_and_the_slowest_line_have_a_rate() {
        assert_eq!(duration_of(1 << 14, u64::MAX), Duration::from_nanos(1));
        assert_eq!(duration_of(most_at_once(1), 1), SECOND);
        assert!(most_at_once(u64::MAX) >= 1 << 20);
    }
}
