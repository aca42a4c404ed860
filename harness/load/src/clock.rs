//! One pair of clocks: intervals are measured with the monotonic one and written down as Unix time, so that a step of the wall clock never
//! shows as latency.

use shakedown_model::time::UnixNanos;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The instant at which both clocks were read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anchor {
    pub(crate) instant: Instant,
    unix: UnixNanos,
}

impl Anchor {
    pub(crate) fn now() -> Anchor {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Anchor { instant: Instant::now(), unix: UnixNanos(unix.as_nanos() as u64) }
    }

    /// `instant` (not before the anchor) as Unix time.
    pub(crate) fn unix(self, instant: Instant) -> UnixNanos {
        self.unix + instant.saturating_duration_since(self.instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn differences_between_instants_survive_the_conversion() {
        let anchor = Anchor::now();
        let due = anchor.instant + Duration::from_millis(3);
        let done = due + Duration::from_nanos(1_234_567);
        assert_eq!(anchor.unix(done).since(anchor.unix(due)), Duration::from_nanos(1_234_567));
    }
}
