//! How well the generator kept its own schedule, counted as it goes.

use hdrhistogram::Histogram;
use shakedown_model::event::GeneratorReport;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The longest lateness that is told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// The counts of one drive.
pub(crate) struct Tally(Mutex<Counts>);

struct Counts {
    due: u64,
    sent: u64,
    shed: u64,
    late_max: Duration,
    late: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        let late = Histogram::new_with_bounds(1, LONGEST, 3).expect("1 µs to an hour at three digits are valid bounds");
        Tally(Mutex::new(Counts { due: 0, sent: 0, shed: 0, late_max: Duration::ZERO, late }))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A due time was reached.
    pub(crate) fn due(&self) {
        self.with(|counts| counts.due += 1);
    }

    /// A request was ready to go this long after it was due. A connection that the service refuses does not take this back: that is the service's.
    pub(crate) fn sent(&self, late: Duration) {
        self.with(|counts| {
            counts.sent += 1;
            counts.late_max = counts.late_max.max(late);
            counts.late.saturating_record(late.as_micros() as u64);
        });
    }

    /// A request was not sent, because of this machine.
    pub(crate) fn shed(&self) {
        self.with(|counts| counts.shed += 1);
    }

    pub(crate) fn report(&self) -> GeneratorReport {
        self.with(|counts| GeneratorReport {
            due: counts.due,
            sent: counts.sent,
            late_p99_ms: if counts.sent == 0 { 0.0 } else { counts.late.value_at_quantile(0.99) as f64 / 1e3 },
            late_max_ms: counts.late_max.as_secs_f64() * 1e3,
            shed: counts.shed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_tells_the_p99_and_the_largest_lateness() {
        let tally = Tally::new();
        for micros in 1..=1_000 {
            tally.due();
            tally.sent(Duration::from_micros(micros));
        }
        tally.due();
        tally.shed();
        let report = tally.report();
        assert_eq!((report.due, report.sent, report.shed), (1_001, 1_000, 1));
        assert!((report.late_p99_ms - 0.99).abs() < 0.002, "{}", report.late_p99_ms);
        assert!((report.late_max_ms - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_report_of_nothing_has_no_lateness() {
        assert_eq!(Tally::new().report(), GeneratorReport::default());
    }
}
