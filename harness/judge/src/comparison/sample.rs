//! Blocks of requests made into the numbers that a test takes: one per pair-block, or one per block of each run.

use crate::stats::{
    rank_sum::RankSum,
    signed_rank::SignedRank,
    tail::{MIN_PER_BLOCK, mean_log_tail},
};
use shakedown_model::{evidence::Request, time::Window};
use std::collections::BTreeMap;

/// What a comparison rests on. Positive: the candidate is worse.
#[derive(Debug, Clone)]
pub enum Sample {
    /// Differences of pair-blocks, measured interleaved.
    Paired(SignedRank),
    /// Blocks of two runs.
    Unpaired(RankSum),
}

/// Why there is no sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoSample {
    Empty,
    Thin { blocks: usize },
}

impl std::fmt::Display for NoSample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoSample::Empty => f.write_str("no block of requests of both lies inside the phase"),
            NoSample::Thin { blocks } => {
                write!(f, "none of {blocks} blocks holds {MIN_PER_BLOCK} requests of both: raise the rate or the length of the slots")
            }
        }
    }
}

/// Mean log tail of a block.
pub(crate) fn tails(requests: &[&Request], charged: impl Fn(&Request) -> f64) -> Option<f64> {
    mean_log_tail(&requests.iter().map(|request| charged(request)).collect::<Vec<f64>>())
}

/// Share of a block that failed.
pub(crate) fn errors(requests: &[&Request]) -> Option<f64> {
    (requests.len() >= MIN_PER_BLOCK).then(|| requests.iter().filter(|request| !request.ok).count() as f64 / requests.len() as f64)
}

type Blocks<'a> = BTreeMap<u64, Vec<&'a Request>>;

impl Sample {
    /// Differences between the two variants of every block that has both.
    pub(crate) fn paired(
        candidate: &[&Request],
        baseline: &[&Request],
        statistic: impl Fn(&[&Request]) -> Option<f64>,
    ) -> Result<Sample, NoSample> {
        let ours = by(candidate, |request| u64::from(request.block));
        let theirs = by(baseline, |request| u64::from(request.block));
        let both: Vec<_> = ours.iter().filter_map(|(block, ours)| Some((ours, theirs.get(block)?))).collect();
        let differences: Vec<f64> = both.iter().filter_map(|(ours, theirs)| Some(statistic(ours)? - statistic(theirs)?)).collect();
        match (both.len(), differences.len()) {
            (0, _) => Err(NoSample::Empty),
            (blocks, 0) => Err(NoSample::Thin { blocks }),
            _ => Ok(Sample::Paired(SignedRank::new(differences))),
        }
    }

    /// Blocks of `seconds` of both runs, counted from the start of each one's window; a last block that the window cuts is left out.
    pub(crate) fn unpaired(
        candidate: (&[&Request], Window),
        baseline: (&[&Request], Window),
        seconds: f64,
        statistic: impl Fn(&[&Request]) -> Option<f64>,
    ) -> Result<Sample, NoSample> {
        let cut = |(requests, window): (&[&Request], Window)| {
            let number = |offset: f64| (offset / seconds.max(1e-3)).floor() as u64;
            let whole = number(window.length().as_secs_f64() + 1e-6);
            let mut blocks = by(requests, |request| number(request.due.since(window.start).as_secs_f64()));
            blocks.retain(|block, _| *block < whole);
            let values: Vec<f64> = blocks.values().filter_map(|requests| statistic(requests)).collect();
            (blocks.len(), values)
        };
        let ((our_blocks, ours), (their_blocks, theirs)) = (cut(candidate), cut(baseline));
        if our_blocks == 0 || their_blocks == 0 {
            Err(NoSample::Empty)
        } else if ours.is_empty() || theirs.is_empty() {
            Err(NoSample::Thin { blocks: our_blocks.min(their_blocks) })
        } else {
            Ok(Sample::Unpaired(RankSum::new(&ours, &theirs)))
        }
    }

    /// Number of pair-blocks, or of blocks of the smaller run.
    pub fn blocks(&self) -> usize {
        match self {
            Sample::Paired(test) => test.pairs(),
            Sample::Unpaired(test) => test.sizes().0.min(test.sizes().1),
        }
    }

    /// Hodges–Lehmann estimate.
    pub fn estimate(&self) -> Option<f64> {
        match self {
            Sample::Paired(test) => test.estimate(),
            Sample::Unpaired(test) => test.estimate(),
        }
    }

    /// Small where the shift is proven above `threshold`.
    pub fn p_above(&self, threshold: f64) -> f64 {
        match self {
            Sample::Paired(test) => test.p_above(threshold),
            Sample::Unpaired(test) => test.p_above(threshold),
        }
    }

    /// Small where the shift is proven below `threshold`.
    pub fn p_below(&self, threshold: f64) -> f64 {
        match self {
            Sample::Paired(test) => test.p_below(threshold),
            Sample::Unpaired(test) => test.p_below(threshold),
        }
    }

    /// Lower bound at one-sided error `alpha`.
    pub fn lower(&self, alpha: f64) -> f64 {
        match self {
            Sample::Paired(test) => test.lower(alpha),
            Sample::Unpaired(test) => test.lower(alpha),
        }
    }

    /// Upper bound at one-sided error `alpha`.
    pub fn upper(&self, alpha: f64) -> f64 {
        match self {
            Sample::Paired(test) => test.upper(alpha),
            Sample::Unpaired(test) => test.upper(alpha),
        }
    }
}

fn by<'a>(requests: &[&'a Request], key: impl Fn(&Request) -> u64) -> Blocks<'a> {
    let mut blocks = Blocks::new();
    for request in requests {
        blocks.entry(key(request)).or_default().push(request);
    }
    blocks
}
