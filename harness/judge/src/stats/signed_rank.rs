//! Wilcoxon's signed-rank test on differences of pairs, exact, with the bounds that belong to it (Walsh averages).
//!
//! It needs one thing only: that swapping the two variants of a block would have been as likely (the order is randomised in each block).
//! A difference that equals the threshold is dropped, as Wilcoxon did. What is doubtful counts against the claim that is tested: ties of opposite signs,
//! and what is not a number. So the test stays valid where values are discrete.

use super::normal;

/// Above this many pairs the normal distribution takes over; its error is far below any level in use.
const EXACT_UP_TO: usize = 400;

/// What stands for infinity, so that sums of infinities stay numbers.
const HUGE: f64 = f64::MAX;
/// A result beyond this came from one that stood for infinity.
const BEYOND: f64 = 1e300;

/// The differences of all blocks of one comparison (positive: worse).
#[derive(Debug, Clone)]
pub struct SignedRank {
    /// Those that are numbers, in order.
    sorted: Vec<f64>,
    /// How many were no numbers.
    unknown: usize,
    upper_tail: UpperTail,
}

impl SignedRank {
    /// Takes the differences in any order.
    pub fn new(mut differences: Vec<f64>) -> SignedRank {
        let pairs = differences.len();
        differences.retain(|difference| !difference.is_nan());
        for difference in &mut differences {
            *difference = difference.clamp(-HUGE, HUGE);
        }
        differences.sort_by(f64::total_cmp);
        SignedRank { unknown: pairs - differences.len(), sorted: differences, upper_tail: UpperTail::of(pairs) }
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.sorted.len() + self.unknown
    }

    /// Hodges–Lehmann estimate of the shift: the median of the Walsh averages. `None` without a finite one.
    pub fn estimate(&self) -> Option<f64> {
        let averages = Walsh(&self.sorted);
        let last = averages.len().checked_sub(1)?;
        let middle = f64::midpoint(averages.at(last / 2), averages.at(last.div_ceil(2)));
        (middle.abs() < BEYOND).then_some(middle)
    }

    /// Exact one-sided p-value of "the shift is at most `threshold`": small where it is proven larger.
    pub fn p_above(&self, threshold: f64) -> f64 {
        self.one_sided(self.sorted.iter().map(|difference| difference - threshold))
    }

    /// Exact one-sided p-value of "the shift is at least `threshold`": small where it is proven smaller.
    pub fn p_below(&self, threshold: f64) -> f64 {
        self.one_sided(self.sorted.iter().rev().map(|difference| threshold - difference))
    }

    /// The lower bound of the shift at one-sided error `alpha`; minus infinity where the pairs are too few for one.
    pub fn lower(&self, alpha: f64) -> f64 {
        self.bound(-1.0, alpha, |_, margin| margin)
    }

    /// The upper bound of the shift at one-sided error `alpha`; infinity where the pairs are too few for one.
    pub fn upper(&self, alpha: f64) -> f64 {
        self.bound(1.0, alpha, |count, margin| count - 1 - margin)
    }

    /// Standard deviation of the differences; zero for fewer than two.
    pub fn spread(&self) -> f64 {
        let n = self.sorted.len() as f64;
        if n < 2.0 {
            return 0.0;
        }
        let mean = self.sorted.iter().sum::<f64>() / n;
        (self.sorted.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    }

    /// `P(W+ >= w)` of sorted values.
    fn one_sided(&self, values: impl Iterator<Item = f64>) -> f64 {
        let kept: Vec<f64> = values.filter(|value| *value != 0.0).collect();
        let above = pairs_above_zero(&kept);
        if kept.len() == self.sorted.len() {
            self.upper_tail.at_least(above)
        } else {
            UpperTail::of(kept.len() + self.unknown).at_least(above)
        }
    }

    /// The Walsh average that so many lie outside of as `alpha` allows, where what is unknown lies at the end of this sign.
    fn bound(&self, sign: f64, alpha: f64, place: impl Fn(usize, usize) -> usize) -> f64 {
        let count = self.pairs() * (self.pairs() + 1) / 2;
        let Some(margin) =
            self.upper_tail.critical(alpha).and_then(|critical| count.checked_sub(critical)).filter(|margin| *margin < count)
        else {
            return sign * f64::INFINITY;
        };
        let mut values = self.sorted.clone();
        values.extend(std::iter::repeat_n(sign * HUGE, self.unknown));
        values.sort_by(f64::total_cmp);
        let bound = Walsh(&values).at(place(count, margin));
        if bound.abs() < BEYOND { bound } else { bound.signum() * f64::INFINITY }
    }
}

/// Smallest number of pairs with which anything can be proven at one-sided error `alpha`: all of them agree.
pub fn pairs_needed(alpha: f64) -> usize {
    (1.0 / alpha).log2().ceil().max(1.0) as usize
}

/// The averages of all pairs of sorted values, each value with itself too. They are counted, never listed: there are too many of them.
struct Walsh<'a>(&'a [f64]);

impl Walsh<'_> {
    fn len(&self) -> usize {
        self.0.len() * (self.0.len() + 1) / 2
    }

    /// The average at `place` in ascending order, by bisection over the numbers that there are.
    fn at(&self, place: usize) -> f64 {
        let (mut low, mut high) = (ordinal(-HUGE), ordinal(HUGE));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.up_to(number(middle)) > place { high = middle } else { low = middle + 1 }
        }
        // Minus zero comes before zero; nobody means it.
        number(low) + 0.0
    }

    /// How many are at most `bound`: two fingers over the values.
    fn up_to(&self, bound: f64) -> usize {
        let (mut count, mut end) = (0, self.0.len());
        for (index, value) in self.0.iter().enumerate() {
            while end > index && f64::midpoint(*value, self.0[end - 1]) > bound {
                end -= 1;
            }
            if end <= index {
                break;
            }
            count += end - index;
        }
        count
    }
}

/// The place of a number among all numbers.
fn ordinal(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The number at a place.
fn number(ordinal: u64) -> f64 {
    f64::from_bits(if ordinal >> 63 == 1 { ordinal & !(1 << 63) } else { !ordinal })
}

/// The rank sum `W+` of sorted values as the number of Walsh averages above zero: a tie of opposite signs counts as nothing.
fn pairs_above_zero(sorted: &[f64]) -> usize {
    let (mut above, mut low) = (0_usize, sorted.len());
    for (index, value) in sorted.iter().enumerate() {
        while low > 0 && sorted[low - 1] + value > 0.0 {
            low -= 1;
        }
        above += sorted.len() - low.max(index);
    }
    above
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
    let mut weights = vec![0.0; pairs * (pairs + 1) / 2 + 1];
    weights[0] = 1.0;
    let mut reached = 0;
    for rank in 1..=pairs {
        reached += rank;
        for w in (rank..=reached).rev() {
            weights[w] = f64::midpoint(weights[w], weights[w - rank]);
        }
        for weight in &mut weights[..rank] {
            *weight /= 2.0;
        }
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
            assert_eq!(exact.len(), counts.len());
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
        let (exact, approximate) = (SignedRank::new(values(400)), SignedRank::new(values(402)));
        assert!((exact.p_above(0.0) - approximate.p_above(0.0)).abs() < 0.02);
        assert!((exact.lower(0.01) - approximate.lower(0.01)).abs() < 0.02);
    }
    #[test]
    fn what_is_no_number_proves_neither_claim() {
        let clear = |odd: &[f64]| SignedRank::new([0.5; 12].iter().chain(odd).copied().collect());
        let (plain, odd) = (clear(&[]), clear(&[f64::NAN; 3]));
        assert!(odd.pairs() == 15 && odd.p_above(0.05) > plain.p_above(0.05) && odd.p_below(0.6) > plain.p_below(0.6));
        assert!(odd.lower(0.001).is_infinite() && odd.upper(0.001).is_infinite());
        let nothing = SignedRank::new(vec![f64::NAN; 30]);
        assert!(nothing.p_above(0.05) >= 1.0 && nothing.p_below(0.3) >= 1.0 && nothing.estimate().is_none());
        assert!(nothing.lower(0.05) == f64::NEG_INFINITY && nothing.upper(0.05) == f64::INFINITY);
    }

    #[test]
    fn infinite_differences_are_the_largest_ranks() {
        let with = |odd: f64| SignedRank::new((1..=12).map(|i| f64::from(i) / 10.0).chain([odd]).collect());
        assert!(with(f64::INFINITY).p_above(0.05) <= with(9.0).p_above(0.05));
        assert!(with(f64::NEG_INFINITY).p_above(0.05) >= with(-9.0).p_above(0.05));
        assert!(with(f64::INFINITY).upper(0.001).is_infinite() && with(f64::INFINITY).estimate().is_some_and(|middle| middle < 1.0));
        let both = SignedRank::new([f64::INFINITY, f64::NEG_INFINITY].repeat(10));
        assert!(both.p_above(0.05) > 0.4 && both.p_below(0.3) > 0.4 && both.estimate() == Some(0.0));
    }

    #[test]
    fn a_difference_that_equals_the_threshold_proves_nothing() {
        let test = SignedRank::new(vec![0.25; 30]);
        assert!(test.p_above(0.25) >= 1.0 && test.p_below(0.25) >= 1.0 && test.p_above(0.24) < 1e-8);
    }

    #[test]
    fn counted_averages_are_the_listed_ones() {
        let values = [-0.7_f64, -0.2, -0.2, 0.0, 0.1, 0.35, 0.35, 2.5];
        let mut listed = Vec::new();
        for (index, first) in values.iter().enumerate() {
            listed.extend(values[index..].iter().map(|second| f64::midpoint(*first, *second)));
        }
        listed.sort_by(f64::total_cmp);
        let counted: Vec<f64> = (0..listed.len()).map(|place| Walsh(&values).at(place)).collect();
        assert_eq!(counted, listed);
        for number_seen in [-1.5, -0.0, 0.0, 1e-300, 7.0] {
            assert_eq!(number(ordinal(number_seen)).to_bits(), number_seen.to_bits());
        }
    }
}
