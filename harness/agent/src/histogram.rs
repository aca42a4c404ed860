//! How long packets were held: a histogram of fixed size, exact to 1 %.
//!
//! Values are sorted into powers of two, each cut into 128 equal parts.

/// log2 of the parts of each power of two.
const PART_BITS: u32 = 7;
const PARTS: usize = 1 << PART_BITS;
/// Up to 2^40 nanoseconds, some 18 minutes; longer counts as that.
const VALUE_BITS: u32 = 40;
const BUCKETS: usize = PARTS * (VALUE_BITS - PART_BITS + 1) as usize;

#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    sum: u128,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into_boxed_slice(), count: 0, sum: 0 }
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.sum += u128::from(nanos);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn mean(&self) -> Option<u64> {
        self.sum.checked_div(u128::from(self.count)).map(|mean| mean as u64)
    }

    /// The value below or at which `per_mille` of 1000 values lie: the upper end of its bucket.
    pub(crate) fn quantile(&self, per_mille: u64) -> Option<u64> {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.filter(|_| self.count > 0).map(|bucket| lower_end(bucket + 1) - 1)
    }
}

fn bucket(value: u64) -> usize {
    let value = value.min((1 << VALUE_BITS) - 1);
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PART_BITS + 1);
    PARTS * shift as usize + (value >> shift) as usize
}

fn lower_end(bucket: usize) -> u64 {
    let shift = (bucket / PARTS).saturating_sub(1);
    ((bucket - PARTS * shift) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_one_per_cent() {
        let mut histogram = Histogram::new();
        (1..=100_000_u64).for_each(|value| histogram.record(value * 1_000));
        for (per_mille, expected) in [(1, 100_000.0), (500, 50_000_000.0), (990, 99_000_000.0), (1000, 100_000_000.0)] {
            let found = histogram.quantile(per_mille).unwrap() as f64;
            assert!((found / expected - 1.0).abs() < 0.01, "{per_mille}: {found} for {expected}");
        }
        assert_eq!(histogram.mean(), Some(50_000_500));
    }

    #[test]
    fn an_empty_histogram_says_nothing_and_a_huge_value_fits() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.mean(), histogram.quantile(990)), (None, None));
        histogram.record(u64::MAX);
        histogram.record(0);
        assert!(histogram.quantile(1000).unwrap() > 1 << 39);
        assert_eq!(histogram.quantile(1), Some(0));
    }
}
