//! Wilcoxon's signed-rank test on differences of pairs, exact, with the bounds that belong to it (Walsh averages).
//!
//! It needs one thing only: that swapping the two variants of a block would have been as likely (the order is randomised in each block).
//! Zeros are dropped. Ties are counted against the claim that is tested, so that the test stays valid where values are discrete.

use super::{median_of_sorted, normal};

/// Above this many pairs the normal distribution takes over; its error is far below any level in use.
const EXACT_UP_TO: usize = 200;

/// The differences of all blocks of one comparison (positive: worse).
#[derive(Debug, Clone)]
pub struct SignedRank {
    differences: Vec<f64>,
    walsh: Vec<f64>,
    upper_tail: UpperTail,
}

impl SignedRank {
    /// Takes finite differences.
    pub fn new(differences: Vec<f64>) -> SignedRank {
        let upper_tail = UpperTail::of(differences.len());
        let walsh = walsh_averages(&differences);
        SignedRank { differences, walsh, upper_tail }
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.differences.len()
    }

    /// Hodges–Lehmann estimate of the shift: the median of the Walsh averages.
    pub fn estimate(&self) -> Option<f64> {
        median_of_sorted(&self.walsh)
    }

    /// Exact one-sided p-value of "the shift is at most `threshold`": small where it is proven larger.
    pub fn p_above(&self, threshold: f64) -> f64 {
        one_sided(self.differences.iter().map(|difference| difference - threshold).collect())
    }

    /// Exact one-sided p-value of "the shift is at least `threshold`": small where it is proven smaller.
    pub fn p_below(&self, threshold: f64) -> f64 {
        one_sided(self.differences.iter().map(|difference| threshold - difference).collect())
    }

    /// The lower bound of the shift at one-sided error `alpha`; minus infinity where the pairs are too few for one.
    pub fn lower(&self, alpha: f64) -> f64 {
        self.margin(alpha).map_or(f64::NEG_INFINITY, |margin| self.walsh[margin])
    }

    /// The upper bound of the shift at one-sided error `alpha`; infinity where the pairs are too few for one.
    pub fn upper(&self, alpha: f64) -> f64 {
        self.margin(alpha).map_or(f64::INFINITY, |margin| self.walsh[self.walsh.len() - 1 - margin])
    }

    /// Standard deviation of the differences; zero for fewer than two.
    pub fn spread(&self) -> f64 {
        let n = self.differences.len() as f64;
        if n < 2.0 {
            return 0.0;
        }
        let mean = self.differences.iter().sum::<f64>() / n;
        (self.differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    }

    /// How many Walsh averages lie outside the bound at `alpha`.
    fn margin(&self, alpha: f64) -> Option<usize> {
        let critical = self.upper_tail.critical(alpha)?;
        Some(self.walsh.len() - critical)
    }
}

/// Smallest number of pairs with which anything can be proven at one-sided error `alpha`: all of them agree.
pub fn pairs_needed(alpha: f64) -> usize {
    (1.0 / alpha).log2().ceil().max(1.0) as usize
}

fn walsh_averages(values: &[f64]) -> Vec<f64> {
    let mut averages = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
    for (index, first) in values.iter().enumerate() {
        averages.extend(values[index..].iter().map(|second| f64::midpoint(*first, *second)));
    }
    averages.sort_by(f64::total_cmp);
    averages
}

/// `P(W+ >= w)` of the values seen, `w` counted over Walsh averages above zero: a tie of opposite signs counts as nothing.
fn one_sided(values: Vec<f64>) -> f64 {
    let mut kept: Vec<f64> = values.into_iter().filter(|value| *value != 0.0).collect();
    kept.sort_by(f64::total_cmp);
    // For each value the partners from itself on that lift the sum above zero: two fingers over the sorted values.
    let (mut above, mut low) = (0_usize, kept.len());
    for (index, value) in kept.iter().enumerate() {
        while low > 0 && kept[low - 1] + value > 0.0 {
            low -= 1;
        }
        above += kept.len() - low.max(index);
    }
    UpperTail::of(kept.len()).at_least(above)
}

/// The null distribution of the rank sum.
#[derive(Debug, Clone)]
enum UpperTail {
    /// `tail[w] = P(W+ >= w)`.
    Exact(Vec<f64>),
    /// Mean and standard deviation.
    Normal { mean: f64, spread: f64, largest: usize },
}

impl UpperTail {
    fn of(pairs: usize) -> UpperTail {
        let n = pairs as f64;
        if pairs > EXACT_UP_TO {
            let mean = n * (n + 1.0) / 4.0;
            let spread = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt();
            return UpperTail::Normal { mean, spread, largest: pairs * (pairs + 1) / 2 };
        }
        let mut tail = null_distribution(pairs);
        for w in (0..tail.len() - 1).rev() {
            tail[w] += tail[w + 1];
        }
        UpperTail::Exact(tail)
    }

    fn at_least(&self, w: usize) -> f64 {
        match self {
            UpperTail::Exact(tail) => tail.get(w).copied().unwrap_or(0.0).min(1.0),
            UpperTail::Normal { mean, spread, .. } => 1.0 - normal::cumulative((w as f64 - 0.5 - mean) / spread),
        }
    }

    /// The smallest rank sum that is significant at `alpha`.
    fn critical(&self, alpha: f64) -> Option<usize> {
        match self {
            UpperTail::Exact(tail) => tail.iter().position(|p| *p <= alpha),
            UpperTail::Normal { mean, spread, largest } => {
                let w = (mean + spread * normal::quantile(1.0 - alpha) + 0.5).ceil().max(0.0) as usize;
                (w <= *largest).then_some(w)
            }
        }
    }
}

/// `P(W+ = w)` by the recursion over ranks: each rank is in the sum or not, with a fair coin.
fn null_distribution(pairs: usize) -> Vec<f64> {
    let mut weights = vec![1.0];
    for rank in 1..=pairs {
        let mut next = vec![0.0; weights.len() + rank];
        for (w, weight) in weights.iter().enumerate() {
            next[w] += weight / 2.0;
            next[w + rank] += weight / 2.0;
        }
        weights = next;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_null_distribution_is_what_enumeration_gives() {
        for pairs in 1..=10_u32 {
            let mut counts = vec![0.0; (pairs * (pairs + 1) / 2 + 1) as usize];
            for signs in 0..1_u32 << pairs {
                let w: u32 = (0..pairs).filter(|rank| signs >> rank & 1 == 1).map(|rank| rank + 1).sum();
                counts[w as usize] += 1.0 / f64::from(1_u32 << pairs);
            }
            let exact = null_distribution(pairs as usize);
            assert!(exact.iter().zip(&counts).all(|(a, b)| (a - b).abs() < 1e-12), "{pairs}");
        }
    }

    #[test]
    fn p_values_are_what_enumeration_of_all_signs_gives() {
        let values = [0.3_f64, -0.1, 0.75, 0.2, -0.45, 1.1, 0.05, 0.6];
        let rank = |value: f64| values.iter().filter(|other| other.abs() <= value.abs()).count();
        let seen: usize = values.iter().filter(|value| **value > 0.0).map(|value| rank(*value)).sum();
        let as_extreme = (0..1_u32 << values.len())
            .filter(|signs| {
                values.iter().enumerate().filter(|(bit, _)| signs >> bit & 1 == 1).map(|(_, v)| rank(*v)).sum::<usize>() >= seen
            })
            .count();
        let expected = as_extreme as f64 / f64::from(1_u32 << values.len());
        assert!((SignedRank::new(values.to_vec()).p_above(0.0) - expected).abs() < 1e-12);
    }

    #[test]
    fn a_bound_lies_beyond_a_threshold_exactly_where_the_test_rejects() {
        let values: Vec<f64> = (0..14).map(|i| 0.1 + f64::from((i * 7) % 14) / 20.0 - 0.2).collect();
        let test = SignedRank::new(values);
        for alpha in [0.05, 0.01, 0.001] {
            let lower = test.lower(alpha);
            assert!(test.p_above(lower - 1e-9) <= alpha && test.p_above(lower + 1e-9) > alpha, "{alpha}");
            let upper = test.upper(alpha);
            assert!(test.p_below(upper + 1e-9) <= alpha && test.p_below(upper - 1e-9) > alpha, "{alpha}");
        }
    }

    #[test]
    fn too_few_pairs_prove_nothing_and_say_how_many_would() {
        let test = SignedRank::new(vec![1.0; 5]);
        assert!(test.lower(0.01).is_infinite() && test.p_above(0.0) > 0.01);
        assert_eq!(pairs_needed(0.01), 7);
        assert_eq!(pairs_needed(0.001_25), 10);
        assert!(SignedRank::new(vec![1.0; 7]).p_above(0.0) <= 0.01);
    }

    #[test]
    fn equal_and_empty_samples_stay_finite_and_unproven() {
        let equal = SignedRank::new(vec![0.0; 20]);
        assert!(equal.p_above(0.0) >= 1.0 && equal.p_above(0.05) > 0.99);
        assert_eq!(equal.estimate(), Some(0.0));
        let empty = SignedRank::new(Vec::new());
        assert!(empty.p_above(0.0) >= 1.0 && empty.p_below(0.3) >= 1.0 && empty.estimate().is_none());
    }

    #[test]
    fn the_normal_distribution_takes_over_without_a_step() {
        let values = |n: u32| (0..n).map(|i| f64::from((i * 37) % 101) / 100.0 - 0.42).collect::<Vec<_>>();
        let (exact, approximate) = (SignedRank::new(values(200)), SignedRank::new(values(202)));
        assert!((exact.p_above(0.0) - approximate.p_above(0.0)).abs() < 0.02);
        assert!((exact.lower(0.01) - approximate.lower(0.01)).abs() < 0.02);
    }
}
