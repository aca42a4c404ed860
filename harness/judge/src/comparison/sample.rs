//! Blocks made into the numbers that a test takes: one per pair-block, or one per block of each run.

use super::blocks::{Block, Blocks};
use crate::stats::{rank_sum::RankSum, signed_rank::SignedRank, tail::MIN_PER_BLOCK};

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

impl Sample {
    /// Differences between the two variants of every pair-block of which the statistic can be told of both, or the two sets of blocks.
    pub(crate) fn of(blocks: &Blocks, statistic: impl Fn(&Block) -> Option<f64>) -> Result<Sample, NoSample> {
        match blocks {
            Blocks::Paired(pairs) => {
                let differences = differences(pairs, statistic);
                match (pairs.len(), differences.len()) {
                    (0, _) => Err(NoSample::Empty),
                    (blocks, 0) => Err(NoSample::Thin { blocks }),
                    _ => Ok(Sample::Paired(SignedRank::new(differences))),
                }
            }
            Blocks::Unpaired(ours, theirs) => {
                let values = |blocks: &[Block]| blocks.iter().filter_map(&statistic).collect::<Vec<f64>>();
                let (first, second) = (values(ours), values(theirs));
                if ours.is_empty() || theirs.is_empty() {
                    Err(NoSample::Empty)
                } else if first.is_empty() || second.is_empty() {
                    Err(NoSample::Thin { blocks: ours.len().min(theirs.len()) })
                } else {
                    Ok(Sample::Unpaired(RankSum::new(&first, &second)))
                }
            }
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

/// Candidate minus baseline, of each pair-block of which the statistic can be told of both.
pub(crate) fn differences(pairs: &[(Block, Block)], statistic: impl Fn(&Block) -> Option<f64>) -> Vec<f64> {
    pairs.iter().filter_map(|(ours, theirs)| Some(statistic(ours)? - statistic(theirs)?)).collect()
}
