//! What one run of a commit against itself showed, out of its evidence and its result.

use super::{SelfRun, Series};
use crate::{
    stats::{quantile, tail::mean_log_tail},
    view::charged,
};
use shakedown_model::{
    event::Phase,
    evidence::{Evidence, Request},
    experiment::Load,
    result::RunResult,
    run::{PhaseRun, ScenarioRun},
    time::Window,
    verdict::Verdict,
};
use std::collections::BTreeMap;

/// Blocks that a round needs to say anything of its noise.
const MIN_BLOCKS: usize = 3;

/// Reads a run that was judged.
pub fn observe(evidence: &Evidence, result: &RunResult) -> SelfRun {
    let compared: Vec<_> =
        result.scenarios.iter().flat_map(|scenario| &scenario.findings).filter(|finding| finding.check.ends_with("-vs-baseline")).collect();
    let with = |verdict: Verdict| compared.iter().filter(move |finding| finding.verdict == verdict);
    SelfRun {
        verdict: result.verdict,
        comparisons: compared.len(),
        false_alarms: with(Verdict::Fail).map(|finding| finding.id.clone()).collect(),
        inconclusive: with(Verdict::Inconclusive).count(),
        series: series(evidence),
    }
}

fn series(evidence: &Evidence) -> Vec<Series> {
    let (Some(slot_seconds), Some(baseline)) = (evidence.run.slot_seconds, &evidence.baseline) else { return Vec::new() };
    let mut found = Vec::new();
    // Plays of a search differ by their doses.
    for scenario in evidence.experiment.scenarios.iter().filter(|scenario| scenario.searched().is_none()) {
        for load in evidence.experiment.loads.values() {
            let ours = of(&evidence.candidate.requests, &scenario.name, &load.name);
            let theirs = of(&baseline.evidence.requests, &scenario.name, &load.name);
            for phase in [Phase::Steady, Phase::Fault] {
                let plays = evidence.run.scenarios.iter().filter(|play| play.name == scenario.name);
                let blocks: Vec<Vec<Block>> =
                    plays.filter_map(|play| window(play, phase)).map(|window| blocks(&ours, &theirs, window, load)).collect();
                let all: Vec<&Block> = blocks.iter().flatten().collect();
                if all.is_empty() {
                    continue;
                }
                found.push(Series {
                    scenario: scenario.name.clone(),
                    load: load.name.clone(),
                    phase,
                    rate: load.rate.0,
                    slot_seconds,
                    p99: p99(&ours, &theirs, load),
                    sampling_variance: all.iter().map(|block| block.sampling).sum::<f64>() / all.len() as f64,
                    rounds: blocks.iter().map(|round| round.iter().map(|block| block.difference).collect()).collect(),
                });
            }
        }
    }
    found
}

fn of<'a>(requests: &'a [Request], scenario: &str, load: &str) -> Vec<&'a Request> {
    requests.iter().filter(|request| request.scenario == scenario && request.load == load).collect()
}

fn window(play: &ScenarioRun, phase: Phase) -> Option<Window> {
    let found: Option<&PhaseRun> = play.phases.iter().find(|ran| ran.name == phase);
    found.map(|phase| Window { start: phase.start, end: phase.end })
}

fn p99(ours: &[&Request], theirs: &[&Request], load: &Load) -> f64 {
    let all = ours.iter().chain(theirs).map(|request| charged(request, Some(load))).collect();
    quantile::of_sorted(&quantile::sorted(all), 0.99).unwrap_or(0.0)
}

/// What a pair-block says.
struct Block {
    difference: f64,
    /// Variance of the difference that the number of requests explains.
    sampling: f64,
}

/// The whole blocks of a window: the first and the last, which it may cut, are left out.
fn blocks(ours: &[&Request], theirs: &[&Request], window: Window, load: &Load) -> Vec<Block> {
    let by_block = |requests: &[&Request]| {
        let mut blocks: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for request in requests.iter().filter(|request| window.contains(request.due)) {
            blocks.entry(request.block).or_default().push(charged(request, Some(load)));
        }
        blocks.pop_first();
        blocks.pop_last();
        blocks
    };
    let (ours, theirs) = (by_block(ours), by_block(theirs));
    let both = ours.iter().filter_map(|(block, ours)| Some((ours, theirs.get(block)?)));
    let found: Vec<Block> = both
        .filter_map(|(ours, theirs)| {
            let difference = mean_log_tail(ours)? - mean_log_tail(theirs)?;
            Some(Block { difference, sampling: sampling(ours) + sampling(theirs) })
        })
        .collect();
    if found.len() < MIN_BLOCKS { Vec::new() } else { found }
}

/// Variance of a block's tail that the number of its requests explains: its two halves, taken in turns, differ by four times as much in the mean
/// square. 0 where the halves are too small to have a tail.
fn sampling(latencies: &[f64]) -> f64 {
    let half = |first: usize| mean_log_tail(&latencies.iter().skip(first).step_by(2).copied().collect::<Vec<f64>>());
    half(0).zip(half(1)).map_or(0.0, |(even, odd)| (even - odd).powi(2) / 4.0)
}
