//! The requests of one load in one phase cut into blocks, of both variants and all plays. Knows no test and no verdict.

use crate::{
    stats::tail::{MIN_PER_BLOCK, mean_log_tail},
    view::{Arm, charged},
};
use shakedown_model::{evidence::Request, experiment::Load, time::Window};
use std::collections::BTreeMap;

/// Successful answers that their median needs.
const MIN_GOOD: usize = 3;

/// What one variant did in one block. Times are logarithms of seconds, failed requests charged with at least the timeout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Block {
    /// Mean of the slowest two per cent.
    pub(crate) tail: Option<f64>,
    /// Median of all.
    pub(crate) median: Option<f64>,
    /// Median of those that succeeded.
    pub(crate) median_of_good: Option<f64>,
    /// Share that failed.
    pub(crate) errors: Option<f64>,
    /// Logarithm of the share of what was due that succeeded: answers a second at the rate that was asked.
    pub(crate) goodput: Option<f64>,
}

impl Block {
    pub(super) fn of(requests: &[&Request], load: Option<&Load>) -> Block {
        let times: Vec<f64> = requests.iter().map(|request| charged(request, load)).collect();
        let good: Vec<f64> = requests.iter().filter(|request| request.ok).map(|request| request.latency()).collect();
        let (count, succeeded) = (times.len(), good.len());
        let enough = count >= MIN_PER_BLOCK;
        Block {
            tail: mean_log_tail(&times),
            median_of_good: (enough && succeeded >= MIN_GOOD).then(|| log_median(good)).flatten(),
            errors: enough.then(|| (count - succeeded) as f64 / count as f64),
            // Half an answer stands for none, so that the logarithm is finite.
            goodput: enough.then(|| ((succeeded as f64).max(0.5) / count as f64).ln()),
            median: enough.then(|| log_median(times)).flatten(),
        }
    }
}

fn log_median(mut times: Vec<f64>) -> Option<f64> {
    let middle = times.len() / 2;
    let (_, upper, _) = (middle < times.len()).then(|| times.select_nth_unstable_by(middle, f64::total_cmp))?;
    let upper = *upper;
    let lower = if times.len() % 2 == 1 { upper } else { times[..middle].iter().copied().fold(f64::NEG_INFINITY, f64::max) };
    Some(f64::midpoint(lower.max(1e-9).ln(), upper.max(1e-9).ln()))
}

/// Blocks of both variants.
#[derive(Debug)]
pub(crate) enum Blocks {
    /// Candidate and baseline of each pair-block that has both, by play and block.
    Paired(Vec<(Block, Block)>),
    /// Blocks of two runs.
    Unpaired(Vec<Block>, Vec<Block>),
}

impl Blocks {
    /// Adds the pair-blocks of one play that lie whole inside `window`. Says how many there are.
    pub(crate) fn add_pairs(&mut self, candidate: &Arm<'_>, baseline: &Arm<'_>, load: (&str, Option<&Load>), window: Window) -> usize {
        let mut cut = outside(candidate, load.0, window);
        cut.extend(outside(baseline, load.0, window));
        cut.sort_unstable();
        cut.dedup();
        let whole = |arm: &Arm<'_>| {
            let mut blocks = by(arm.due_in(load.0, window), |request| u64::from(request.block));
            blocks.retain(|block, _| cut.binary_search(&(*block as u32)).is_err());
            blocks.into_iter().map(|(block, requests)| (block, Block::of(&requests, load.1))).collect::<BTreeMap<u64, Block>>()
        };
        let (ours, theirs) = (whole(candidate), whole(baseline));
        let both: Vec<(Block, Block)> = ours.iter().filter_map(|(block, ours)| Some((*ours, *theirs.get(block)?))).collect();
        let count = both.len();
        if let Blocks::Paired(pairs) = self {
            pairs.extend(both);
        }
        count
    }

    /// Adds the blocks of one play of one of two runs: of `seconds` each, counted from the start of the window; a last one that it cuts is left out.
    pub(crate) fn of_run(arm: &Arm<'_>, load: (&str, Option<&Load>), window: Window, seconds: f64) -> Vec<Block> {
        let number = |offset: f64| (offset / seconds.max(1e-3)).floor() as u64;
        let whole = number(window.length().as_secs_f64() + 1e-6);
        let mut blocks = by(arm.due_in(load.0, window), |request| number(request.due.since(window.start).as_secs_f64()));
        blocks.retain(|block, _| *block < whole);
        blocks.into_values().map(|requests| Block::of(&requests, load.1)).collect()
    }
}

/// Blocks of requests that the window cuts off.
fn outside(arm: &Arm<'_>, load: &str, window: Window) -> Vec<u32> {
    let mut blocks: Vec<u32> = Vec::new();
    for request in arm.of_load(load).iter().filter(|request| !window.contains(request.due)) {
        if blocks.last() != Some(&request.block) {
            blocks.push(request.block);
        }
    }
    blocks
}

fn by<'a>(requests: &[&'a Request], key: impl Fn(&Request) -> u64) -> BTreeMap<u64, Vec<&'a Request>> {
    let mut blocks: BTreeMap<u64, Vec<&Request>> = BTreeMap::new();
    for run in requests.chunk_by(|a, b| key(a) == key(b)) {
        blocks.entry(key(run[0])).or_default().extend(run);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle_on_the_scale_of_ratios() {
        assert_eq!(log_median(Vec::new()), None);
        assert!((log_median(vec![0.4, 0.1, 9.0]).unwrap() - 0.4_f64.ln()).abs() < 1e-12);
        assert!((log_median(vec![0.4, 0.1, 9.0, 0.1]).unwrap() - 0.2_f64.ln()).abs() < 1e-12);
        assert!(log_median(vec![0.0]).unwrap().is_finite());
    }
}
