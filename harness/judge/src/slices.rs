//! A quantity over time, in a dozen slices with as many requests each: what differs must differ in most of them, so that one bad moment that
//! candidate or baseline had to itself is no difference.

use crate::stats::rank_sum::RankSum;

/// Slices of a phase.
pub(crate) const SLICES: usize = 12;
/// Fewer slices with observations than this prove nothing.
const FEWEST: usize = 4;

/// Sums and numbers of observations by slice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sliced {
    sums: [f64; SLICES],
    counts: [u32; SLICES],
}

/// The slice of number `place` among `count`.
pub(crate) fn slice(place: usize, count: usize) -> usize {
    (place * SLICES / count.max(1)).min(SLICES - 1)
}

impl Sliced {
    pub(crate) fn add(&mut self, slice: usize, value: f64) {
        self.sums[slice] += value;
        self.counts[slice] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Sliced) {
        for slice in 0..SLICES {
            self.sums[slice] += other.sums[slice];
            self.counts[slice] += other.counts[slice];
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sums.iter().sum()
    }

    /// Over all slices; zero where there is nothing.
    pub(crate) fn mean(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.sum() / self.count() as f64 }
    }

    /// By slice, those that have any.
    pub(crate) fn means(&self) -> impl Iterator<Item = (usize, f64)> {
        let pairs = self.sums.iter().zip(&self.counts).enumerate();
        pairs.filter(|(_, (_, count))| **count > 0).map(|(slice, (sum, count))| (slice, sum / f64::from(*count)))
    }

    /// One-sided p-value of "not larger than there" (Mann and Whitney, on the means of slices).
    pub(crate) fn p_above(&self, other: &Sliced) -> f64 {
        let means = |sliced: &Sliced| sliced.means().map(|(_, mean)| mean).collect::<Vec<f64>>();
        p_above(&means(self), &means(other))
    }

    /// The first slice that lies above all of the other's; `None`: none does.
    pub(crate) fn onset(&self, other: &Sliced) -> Option<usize> {
        let most = other.means().map(|(_, mean)| mean).fold(0.0, f64::max);
        self.means().find(|(_, mean)| *mean > most).map(|(slice, _)| slice)
    }
}

/// The same for means that are there already.
pub(crate) fn p_above(ours: &[f64], theirs: &[f64]) -> f64 {
    if ours.len() < FEWEST || theirs.len() < FEWEST { 1.0 } else { RankSum::new(ours, theirs).p_above(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sliced(of: impl Fn(usize) -> f64) -> Sliced {
        let mut sliced = Sliced::default();
        for slice in 0..SLICES {
            sliced.add(slice, of(slice));
            sliced.add(slice, of(slice));
        }
        sliced
    }

    #[test]
    fn one_bad_moment_proves_nothing_and_a_shift_in_all_slices_does() {
        let base = sliced(|slice| 1.0 + slice as f64 / 100.0);
        let moment = sliced(|slice| if slice == 3 { 50.0 } else { 1.0 + slice as f64 / 100.0 });
        let shift = sliced(|slice| 1.5 + slice as f64 / 100.0);
        assert!(moment.p_above(&base) > 0.3, "{}", moment.p_above(&base));
        assert!(shift.p_above(&base) < 1e-6, "{}", shift.p_above(&base));
        assert_eq!((moment.onset(&base), shift.onset(&base), base.onset(&shift)), (Some(3), Some(0), None));
    }

    #[test]
    fn what_was_hardly_seen_proves_nothing() {
        let mut few = Sliced::default();
        few.add(0, 9.0);
        assert!((few.p_above(&sliced(|_| 1.0)) - 1.0).abs() < 1e-12);
        assert!(Sliced::default().mean().abs() < 1e-12);
        assert_eq!((slice(0, 24), slice(23, 24), slice(5, 0)), (0, 11, 11));
    }
}
