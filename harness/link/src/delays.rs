//! Delays that were really added. It must not know to what.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest delay that is told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// A distribution of delays.
pub(crate) struct Delays {
    total: Duration,
    histogram: Histogram<u64>,
}

impl Delays {
    pub(crate) fn new() -> Delays {
        let histogram = Histogram::new_with_bounds(1, LONGEST, 3).expect("1 µs to an hour at three digits are valid bounds");
        Delays { total: Duration::ZERO, histogram }
    }

    pub(crate) fn record(&mut self, delay: Duration) {
        self.total += delay;
        self.histogram.saturating_record(delay.as_micros() as u64);
    }

    /// How many there were.
    pub(crate) fn len(&self) -> u64 {
        self.histogram.len()
    }

    /// Zero where there was none.
    pub(crate) fn mean(&self) -> Duration {
        if self.len() == 0 { Duration::ZERO } else { self.total.div_f64(self.len() as f64) }
    }

    /// Zero where there was none.
    pub(crate) fn p99(&self) -> Duration {
        if self.len() == 0 { Duration::ZERO } else { Duration::from_micros(self.histogram.value_at_quantile(0.99)) }
    }
}
