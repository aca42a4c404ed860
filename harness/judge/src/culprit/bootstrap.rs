//! How sure the account is: the same with requests drawn again from those that were seen (Efron 1979). Seeded, so that it comes out the same each time.

use super::{
    attribution::{Owners, Split, added, share},
    keys::{KeyId, Keys},
    tail::{Means, Tail},
};

/// How often requests are drawn again, …
const RESAMPLES: usize = 1_000;
/// … at least, …
const FEWEST: usize = 200;
/// … and how much may be added up for that.
const WORK: usize = 60_000_000;

/// One entry operation of both sides, and what it weighs.
pub(super) struct Pair {
    pub(super) ours: Tail,
    pub(super) theirs: Tail,
    pub(super) weight: f64,
}

/// What the resamples say, by number of service.
pub(super) struct Certainty {
    pub(super) resamples: usize,
    /// 95 % interval of the share.
    pub(super) intervals: Vec<[f64; 2]>,
    /// The same of one operation of each.
    pub(super) of_operation: Vec<[f64; 2]>,
    /// Share of the resamples in which it was the first.
    pub(super) first: Vec<f64>,
}

/// `named` is an operation of each service.
pub(super) fn certainty(pairs: &[Pair], keys: &Keys<'_>, owners: &Owners, named: &[KeyId], seed: u64) -> Certainty {
    let work: usize = pairs.iter().map(|pair| pair.ours.work() + pair.theirs.work()).sum::<usize>() + keys.len() + keys.ways();
    let resamples = (WORK / work.max(1)).clamp(FEWEST, RESAMPLES);
    let mut chance = Chance(seed);
    let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(resamples); owners.services.len()];
    let mut of_operation = drawn.clone();
    let mut first = vec![0.0; owners.services.len()];
    let (mut ours, mut theirs, mut split) = (Means::default(), Means::default(), Split::of(keys));
    for _ in 0..resamples {
        split.clear();
        for pair in pairs {
            pair.ours.means_of(chance.draw(pair.ours.len()).into_iter(), keys.ways(), &mut ours);
            pair.theirs.means_of(chance.draw(pair.theirs.len()).into_iter(), keys.ways(), &mut theirs);
            split.add(keys, &ours, &theirs, pair.weight);
        }
        let seconds = owners.by_service(&split);
        let by_operation = owners.by_operation(&split);
        let total = added(&seconds);
        let shares: Vec<f64> = seconds.iter().map(|seconds| share(*seconds, total)).collect();
        let best = (0..shares.len()).rev().max_by(|a, b| shares[*a].total_cmp(&shares[*b]));
        for (service, share_of_service) in shares.into_iter().enumerate() {
            drawn[service].push(share_of_service);
            of_operation[service].push(share(by_operation[named[service]].min(seconds[service]), total));
            if Some(service) == best && share_of_service > 0.0 {
                first[service] += 1.0 / resamples as f64;
            }
        }
    }
    let intervals = |drawn: Vec<Vec<f64>>| drawn.into_iter().map(interval).collect();
    Certainty { resamples, intervals: intervals(drawn), of_operation: intervals(of_operation), first }
}

fn interval(mut drawn: Vec<f64>) -> [f64; 2] {
    drawn.sort_by(f64::total_cmp);
    let at = |share: f64| drawn.get((share * (drawn.len() - 1) as f64).round() as usize).copied().unwrap_or(0.0);
    [at(0.025), at(0.975)]
}

/// SplitMix64 (Steele et al. 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// As many numbers below `count` as there are; by multiplication, whose bias is far below what a thousand draws can show (Lemire 2019).
    fn draw(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| ((u128::from(self.next()) * count as u128) >> 64) as usize).collect()
    }
}
