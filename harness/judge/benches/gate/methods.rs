//! How others would decide, on the same requests: the naive ratio, the plain bootstrap, the rank-sum test on requests, and Kayenta's judge.

use crate::{chance::Chance, play::Played};
use shakedown_judge::stats::{normal, quantile};

/// Whether a comparison fails in the eyes of one method.
pub(crate) type Method = fn(&Pooled, &mut Chance) -> bool;

/// The methods, by name.
pub(crate) const METHODS: [(&str, Method); 4] =
    [("P99 > 1.10 ×", naive), ("Kayenta's judge", kayenta), ("plain bootstrap", bootstrap), ("Mann–Whitney on requests", rank_sum)];

/// Replicates of the bootstrap.
const REPLICATES: usize = 500;
/// One-sided error of the bootstrap and of the rank-sum test on requests.
const ERROR: f64 = 0.01;
/// Kayenta's `confLevel` and `tolerance` (`NetflixACAJudge.scala`).
const KAYENTA_CONFIDENCE: f64 = 0.98;
const KAYENTA_TOLERANCE: f64 = 0.25;

/// The requests of a comparison as these methods take them: sorted, and the P99 of each slot.
pub(crate) struct Pooled {
    candidate: Vec<f64>,
    baseline: Vec<f64>,
    slots: Vec<(f64, f64)>,
}

impl Pooled {
    pub(crate) fn of(played: &Played) -> Pooled {
        let slots = played.blocks.iter().filter_map(|block| Some((p99(&block.candidate)?, p99(&block.baseline)?))).collect();
        let candidate = played.blocks.iter().flat_map(|block| &block.candidate).copied().collect();
        let baseline = played.blocks.iter().flat_map(|block| &block.baseline).copied().collect();
        Pooled { candidate: quantile::sorted(candidate), baseline: quantile::sorted(baseline), slots }
    }
}

fn p99(latencies: &[f64]) -> Option<f64> {
    quantile::of_sorted(&quantile::sorted(latencies.to_vec()), 0.99)
}

fn naive(pooled: &Pooled, _: &mut Chance) -> bool {
    let of = |sorted: &[f64]| quantile::of_sorted(sorted, 0.99).unwrap_or(0.0);
    of(&pooled.candidate) > 1.10 * of(&pooled.baseline)
}

/// Whether the lower end of the bootstrapped ratio of P99s lies above one. A resampled quantile is an order statistic whose place is a beta variate, so
/// nothing needs to be resampled.
fn bootstrap(pooled: &Pooled, chance: &mut Chance) -> bool {
    let mut ratios: Vec<f64> =
        (0..REPLICATES).map(|_| resampled(&pooled.candidate, chance) / resampled(&pooled.baseline, chance)).collect();
    ratios.sort_by(f64::total_cmp);
    quantile::of_sorted(&ratios, ERROR).is_some_and(|low| low > 1.0)
}

fn resampled(sorted: &[f64], chance: &mut Chance) -> f64 {
    let n = sorted.len() as f64;
    let rank = (0.99 * n).ceil();
    let (below, above) = (chance.gamma(rank), chance.gamma(n - rank + 1.0));
    let place = (n * below / (below + above)).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

/// One-sided, by the normal distribution, on all requests as if they knew nothing of one another.
fn rank_sum(pooled: &Pooled, _: &mut Chance) -> bool {
    let (m, n) = (pooled.candidate.len() as f64, pooled.baseline.len() as f64);
    let mut below = 0;
    let mut wins = 0_u64;
    for latency in &pooled.candidate {
        while pooled.baseline.get(below).is_some_and(|other| other < latency) {
            below += 1;
        }
        wins += below as u64;
    }
    let z = (wins as f64 - m * n / 2.0 - 0.5) / (m * n * (m + n + 1.0) / 12.0).sqrt();
    1.0 - normal::cumulative(z) < ERROR
}

/// High where the lower end of the shift's two-sided interval (Mann–Whitney, on P99s of slots) is above a quarter of the estimate.
fn kayenta(pooled: &Pooled, _: &mut Chance) -> bool {
    let mut shifts: Vec<f64> =
        pooled.slots.iter().flat_map(|(ours, _)| pooled.slots.iter().map(move |(_, theirs)| ours - theirs)).collect();
    shifts.sort_by(f64::total_cmp);
    let n = pooled.slots.len() as f64;
    let z = normal::quantile(0.5 + KAYENTA_CONFIDENCE / 2.0);
    let place = (n * n / 2.0 - 0.5 - z * (n * n * (2.0 * n + 1.0) / 12.0).sqrt()).floor();
    if place < 0.0 || shifts.is_empty() {
        return false;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| pooled.slots.iter().map(of).sum::<f64>();
    let estimate = quantile::of_sorted(&shifts, 0.5).unwrap_or(0.0);
    shifts[place as usize] > KAYENTA_TOLERANCE * estimate.abs() && mean(|slot| slot.0) >= mean(|slot| slot.1)
}
