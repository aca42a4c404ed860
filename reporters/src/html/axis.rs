//! Axes: from a value to a coordinate, and where the ticks stand. Knows no latency and no time.

/// How values become coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// Equal factors, not equal steps, have equal lengths.
    pub(super) is_log: bool,
}

impl Axis {
    /// `low..high` laid over `from..to`.
    pub(super) fn linear(low: f64, high: f64, from: f64, to: f64) -> Axis {
        let high = if high > low { high } else { low + 1.0 };
        Axis { low, high, from, to, is_log: false }
    }

    /// As [`Axis::linear`], logarithmic; `low` must be above zero.
    pub(super) fn log(low: f64, high: f64, from: f64, to: f64) -> Axis {
        let low = low.max(1e-9);
        Axis { low, high: high.max(low * 1.01), from, to, is_log: true }
    }

    /// The coordinate of `value`; what lies outside, or is no number, stands on the edge.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if value.is_nan() { self.low } else { value.clamp(self.low, self.high) };
        let share =
            if self.is_log { (value / self.low).ln() / (self.high / self.low).ln() } else { (value - self.low) / (self.high - self.low) };
        self.from + share * (self.to - self.from)
    }

    /// First and last value.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Round values inside the axis: about `wanted` of them.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<f64> {
        if self.is_log { self.log_ticks(wanted) } else { self.linear_ticks(wanted) }
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<f64> {
        let step = round_step((self.high - self.low) / wanted.max(1) as f64);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }

    fn log_ticks(&self, wanted: usize) -> Vec<f64> {
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let of = |factors: &[f64]| -> Vec<f64> {
            decades
                .clone()
                .flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)))
                .filter(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick))
                .collect()
        };
        let fine = of(&[1.0, 2.0, 5.0]);
        if fine.len() <= wanted * 2 { fine } else { of(&[1.0]) }
    }
}

/// The round step (1, 2 or 5 times a power of ten) that is at least `step`.
fn round_step(step: f64) -> f64 {
    let magnitude = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * magnitude).find(|round| *round >= step * 0.999).unwrap_or(10.0 * magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Axis::linear(-20.0, 35.0, 0.0, 1.0).ticks(6), [-20.0, -10.0, 0.0, 10.0, 20.0, 30.0]);
        let ticks = Axis::log(0.011, 2.5, 0.0, 1.0).ticks(5);
        let expected = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0];
        assert_eq!(ticks.len(), expected.len());
        assert!(ticks.iter().zip(expected).all(|(tick, expected)| (tick - expected).abs() < 1e-9), "{ticks:?}");
    }

    #[test]
    fn both_kinds_meet_their_ends_and_hold_what_lies_outside() {
        for axis in [Axis::linear(1.0, 100.0, 200.0, 20.0), Axis::log(1.0, 100.0, 200.0, 20.0)] {
            assert!((axis.place(1.0) - 200.0).abs() < 1e-9 && (axis.place(100.0) - 20.0).abs() < 1e-9);
            assert!((axis.place(1e9) - 20.0).abs() < 1e-9 && (axis.place(0.0) - 200.0).abs() < 1e-9);
        }
        assert!((Axis::log(1.0, 100.0, 0.0, 1.0).place(10.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn an_empty_range_still_has_a_place_for_every_value() {
        assert!(Axis::linear(3.0, 3.0, 0.0, 10.0).place(3.0).is_finite());
        assert!(Axis::log(0.0, 0.0, 0.0, 10.0).place(0.0).is_finite());
    }
}
