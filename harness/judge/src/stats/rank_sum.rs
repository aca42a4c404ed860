//! The rank-sum test of Mann and Whitney on two unpaired samples, with the Hodges–Lehmann shift and its bounds.
//!
//! Ties count against the claim that is tested, and so does what is not a number. It cannot see an effect that a whole run shares: whoever uses it across runs must allow for that.

use super::{median_of_sorted, normal};

/// Largest product of the sample sizes for which the exact distribution is worked out.
const EXACT_UP_TO: usize = 2_500;

/// Two samples and the sorted differences between them (first minus second; positive: worse).
#[derive(Debug, Clone)]
pub struct RankSum {
    first: usize,
    second: usize,
    /// Those that are numbers, in order.
    differences: Vec<f64>,
    tail: Vec<f64>,
}

impl RankSum {
    /// Takes the samples in any order.
    pub fn new(first: &[f64], second: &[f64]) -> RankSum {
        let mut differences: Vec<f64> = first.iter().flat_map(|a| second.iter().map(move |b| a - b)).collect();
        differences.retain(|difference| !difference.is_nan());
        differences.sort_by(f64::total_cmp);
        let exact = first.len() * second.len() <= EXACT_UP_TO;
        let tail = if exact { upper_tail(first.len(), second.len()) } else { Vec::new() };
        RankSum { first: first.len(), second: second.len(), differences, tail }
    }

    /// Sizes of the two samples.
    pub fn sizes(&self) -> (usize, usize) {
        (self.first, self.second)
    }

    /// Median of all differences.
    pub fn estimate(&self) -> Option<f64> {
        median_of_sorted(&self.differences).filter(|middle| middle.is_finite())
    }

    /// One-sided p-value of "the shift is at most `threshold`": small where it is proven larger.
    pub fn p_above(&self, threshold: f64) -> f64 {
        self.at_least(self.differences.len() - self.differences.partition_point(|difference| *difference <= threshold))
    }

    /// One-sided p-value of "the shift is at least `threshold`": small where it is proven smaller.
    pub fn p_below(&self, threshold: f64) -> f64 {
        self.at_least(self.differences.partition_point(|difference| *difference < threshold))
    }

    /// The lower bound of the shift at one-sided error `alpha`; minus infinity where the samples are too small for one.
    pub fn lower(&self, alpha: f64) -> f64 {
        // What is unknown lies below all that is known.
        let place = self.margin(alpha).and_then(|margin| margin.checked_sub(self.unknown()));
        place.map_or(f64::NEG_INFINITY, |place| self.differences[place])
    }

    /// The upper bound of the shift at one-sided error `alpha`; infinity where the samples are too small for one.
    pub fn upper(&self, alpha: f64) -> f64 {
        let place = self.margin(alpha).and_then(|margin| margin.checked_sub(self.unknown()));
        place.map_or(f64::INFINITY, |place| self.differences[self.differences.len() - 1 - place])
    }

    fn unknown(&self) -> usize {
        self.first * self.second - self.differences.len()
    }

    fn moments(&self) -> (f64, f64) {
        let (m, n) = (self.first as f64, self.second as f64);
        (m * n / 2.0, (m * n * (m + n + 1.0) / 12.0).sqrt())
    }

    fn at_least(&self, u: usize) -> f64 {
        if self.differences.is_empty() {
            return 1.0;
        }
        if self.tail.is_empty() {
            let (mean, spread) = self.moments();
            return 1.0 - normal::cumulative((u as f64 - 0.5 - mean) / spread);
        }
        self.tail.get(u).copied().unwrap_or(0.0).min(1.0)
    }

    fn margin(&self, alpha: f64) -> Option<usize> {
        let size = self.first * self.second;
        if size == 0 {
            return None;
        }
        let critical = if self.tail.is_empty() {
            let (mean, spread) = self.moments();
            (mean + spread * normal::quantile(1.0 - alpha) + 0.5).ceil().max(0.0) as usize
        } else {
            self.tail.iter().position(|p| *p <= alpha)?
        };
        size.checked_sub(critical).filter(|margin| *margin < size)
    }
}

/// `P(U >= u)` without ties: the number of ways to choose, by the Gaussian binomial recursion, over all ways.
pub(super) fn upper_tail(first: usize, second: usize) -> Vec<f64> {
    // weights[k][u]: probability-free counts of choosing k of the values seen so far with statistic u.
    let largest = first * second;
    let mut counts = vec![vec![0.0_f64; largest + 1]; first + 1];
    counts[0][0] = 1.0;
    for seen in 0..first + second {
        for taken in (1..=first.min(seen + 1)).rev() {
            // Taking the next larger value puts it above all that were seen and left: `seen - (taken - 1)`.
            let gain = seen + 1 - taken;
            if gain > second {
                continue;
            }
            let (lower, upper) = counts.split_at_mut(taken);
            for u in (gain..=largest).rev() {
                upper[0][u] += lower[taken - 1][u - gain];
            }
        }
    }
    let mut tail = counts.swap_remove(first);
    let total: f64 = tail.iter().sum();
    for u in (0..tail.len() - 1).rev() {
        tail[u] += tail[u + 1];
    }
    for weight in &mut tail {
        *weight /= total;
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_what_enumeration_gives() {
        let (first, second) = (3_usize, 4_usize);
        let mut counts = vec![0.0; first * second + 1];
        let mut total = 0.0;
        for chosen in 0..1_u32 << (first + second) {
            if chosen.count_ones() as usize == first {
                let u = (0..first + second)
                    .filter(|bit| chosen >> bit & 1 == 1)
                    .map(|bit| (0..bit).filter(|below| chosen >> below & 1 == 0).count())
                    .sum::<usize>();
                counts[u] += 1.0;
                total += 1.0;
            }
        }
        let tail = upper_tail(first, second);
        for u in 0..counts.len() {
            let expected = counts[u..].iter().sum::<f64>() / total;
            assert!((tail[u] - expected).abs() < 1e-12, "{u}: {} {expected}", tail[u]);
        }
    }

    #[test]
    fn a_clear_shift_is_found_and_bounded() {
        let slow: Vec<f64> = (0..12).map(|i| 1.0 + f64::from(i) / 100.0).collect();
        let fast: Vec<f64> = (0..12).map(|i| 0.5 + f64::from(i * 5 % 12) / 100.0).collect();
        let test = RankSum::new(&slow, &fast);
        assert!(test.p_above(0.3) < 1e-4 && test.p_below(0.7) < 1e-4 && test.p_above(0.5) > 0.3);
        assert!(test.lower(0.01) < 0.5 && test.upper(0.01) > 0.5 && test.lower(0.01) > 0.4);
    }

    #[test]
    fn equal_or_missing_samples_prove_nothing() {
        let equal = RankSum::new(&[0.2; 15], &[0.2; 15]);
        assert!(equal.p_above(0.0) >= 1.0 && equal.p_below(0.0) >= 1.0);
        let empty = RankSum::new(&[], &[1.0]);
        assert!(empty.p_above(0.0) >= 1.0 && empty.estimate().is_none() && empty.lower(0.05).is_infinite());
    }

    #[test]
    fn large_samples_use_the_normal_distribution_without_a_step() {
        let values = |n: u32, shift: f64| (0..n).map(|i| f64::from(i * 37 % 101) / 100.0 + shift).collect::<Vec<_>>();
        let exact = RankSum::new(&values(50, 0.1), &values(50, 0.0));
        let normal = RankSum::new(&values(51, 0.1), &values(51, 0.0));
        assert!((exact.p_above(0.0) - normal.p_above(0.0)).abs() < 0.02);
    }
    #[test]
    fn what_is_no_number_proves_neither_claim() {
        let known: Vec<f64> = (0..12).map(|i| 0.5 + f64::from(i) / 100.0).collect();
        let odd: Vec<f64> = known.iter().copied().chain([f64::NAN; 3]).collect();
        let (plain, odd) = (RankSum::new(&known, &[0.1; 12]), RankSum::new(&odd, &[0.1; 12]));
        assert!(odd.p_above(0.3) > plain.p_above(0.3) && odd.p_below(0.7) > plain.p_below(0.7));
        assert!(odd.lower(0.001) < plain.lower(0.001) && odd.upper(0.001) > plain.upper(0.001));
        let nothing = RankSum::new(&[f64::NAN; 15], &[0.1; 15]);
        assert!(nothing.p_above(0.0) >= 1.0 && nothing.p_below(0.0) >= 1.0 && nothing.estimate().is_none());
        let endless = RankSum::new(&[f64::INFINITY; 15], &[f64::INFINITY; 15]);
        assert!(endless.p_above(0.0) >= 1.0 && endless.p_below(0.0) >= 1.0 && endless.lower(0.05) == f64::NEG_INFINITY);
    }
}
