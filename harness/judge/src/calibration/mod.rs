//! What runs of one commit against itself say of a machine: how often the gate would cry wolf, how much of that is the luck of an instance,
//! the smallest change it can see, and what to write into the config for it.

mod observe;
mod proposal;

pub use observe::observe;
pub use proposal::Proposal;

use crate::stats::{binomial, normal};
use serde::{Deserialize, Serialize};
use shakedown_model::{event::Phase, experiment::Gate, verdict::Verdict};

/// Error of the interval of the false-alarm rate.
const INTERVAL_ERROR: f64 = 0.05;
/// Standard normal quantile of the power (80 %) that the smallest visible change is stated for.
const POWER: f64 = 0.84;
/// Loss of the rank test against the t-test under normal noise, in standard errors.
const RANK_LOSS: f64 = 1.05;
/// Of the durations of a phase that are shown and proposed, all rounds together, in seconds.
pub const DURATIONS: [f64; 6] = [30.0, 60.0, 120.0, 240.0, 480.0, 960.0];
/// Multiples of the measured rate that are shown.
pub const RATES: [f64; 4] = [0.5, 1.0, 2.0, 4.0];

/// What one run of a commit against itself showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfRun {
    /// Its verdict.
    pub verdict: Verdict,
    /// Comparisons of its gate.
    pub comparisons: usize,
    /// Ids of those that failed, each a false alarm.
    pub false_alarms: Vec<String>,
    /// Comparisons that could not tell.
    pub inconclusive: usize,
    /// The tails behind it.
    pub series: Vec<Series>,
}

/// Block differences of the tail of one load in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Scenario.
    pub scenario: String,
    /// Load.
    pub load: String,
    /// Phase.
    pub phase: Phase,
    /// Requests per second of a slot.
    pub rate: f64,
    /// Length of a slot in seconds.
    pub slot_seconds: f64,
    /// P99 of both together, in seconds.
    pub p99: f64,
    /// Log ratios by round, block by block.
    pub rounds: Vec<Vec<f64>>,
    /// Variance of a log ratio that comes from having seen only so many requests; the rest is the machine's.
    pub sampling_variance: f64,
}

/// What a machine can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Runs behind it.
    pub runs: usize,
    /// Runs whose gate failed, though nothing had changed.
    pub gates: Share,
    /// Single comparisons that did.
    pub comparisons: Share,
    /// Comparisons that could not tell.
    pub inconclusive: Share,
    /// Standard deviation of what fresh instances add to the log ratio of one round; `None`: fewer than two rounds.
    pub instance_effect: Option<f64>,
    /// By load and phase.
    pub noise: Vec<Noise>,
    /// What to write into the config.
    pub proposal: Proposal,
}

/// A share with its exact interval (Clopper and Pearson 1934, 95 %).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// How many were so.
    pub hits: u64,
    /// Of how many.
    pub of: u64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Share {
    /// The share of `hits` among `of`, with its interval; of nothing, anything.
    pub fn new(hits: u64, of: u64) -> Share {
        let low = if hits == 0 { 0.0 } else { likely_at(hits, of, INTERVAL_ERROR / 2.0) };
        let high = if hits >= of { 1.0 } else { likely_at(hits + 1, of, 1.0 - INTERVAL_ERROR / 2.0) };
        Share { hits, of, low, high }
    }
}

/// The probability at which so many hits or more are as likely as `wanted`, by bisection.
fn likely_at(hits: u64, of: u64, wanted: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if binomial::at_least(hits, of, middle) < wanted { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Noise of one load in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Load.
    pub load: String,
    /// Phase.
    pub phase: Phase,
    /// Requests per second of a slot.
    pub rate: f64,
    /// Standard deviation of the log ratio of one block, within a round.
    pub spread: f64,
    /// Part of its square that more requests would take away.
    pub sampling: f64,
    /// Blocks behind it.
    pub blocks: usize,
    /// Smallest change that is proven four times out of five: a row for each of [`DURATIONS`], a column for each of [`RATES`]; `None`: none.
    pub smallest_visible: Vec<Vec<Option<f64>>>,
}

/// Sums up; `None` where there was nothing that could be compared.
pub fn calibrate(runs: &[SelfRun], gate: &Gate) -> Option<Calibration> {
    let comparisons: usize = runs.iter().map(|run| run.comparisons).sum();
    let alike = alike(runs);
    if comparisons == 0 || alike.is_empty() {
        return None;
    }
    let each = runs.iter().map(|run| run.comparisons).max().unwrap_or(1).max(1);
    let alarms: usize = runs.iter().map(|run| run.false_alarms.len()).sum();
    let inconclusive: usize = runs.iter().map(|run| run.inconclusive).sum();
    let alarmed = runs.iter().filter(|run| !run.false_alarms.is_empty()).count();
    let instance_effect = instance_effect(runs);
    let sight = Sight { gate, comparisons: each, instance: instance_effect.unwrap_or(0.0) };
    Some(Calibration {
        runs: runs.len(),
        gates: Share::new(alarmed as u64, runs.len() as u64),
        comparisons: Share::new(alarms as u64, comparisons as u64),
        inconclusive: Share::new(inconclusive as u64, comparisons as u64),
        instance_effect,
        proposal: proposal::propose(&alike, &sight),
        noise: alike.iter().map(|series| series.noise(&sight)).collect(),
    })
}

/// The series of all runs that belong together: load and phase of a scenario, the worst scenario of each.
fn alike(runs: &[SelfRun]) -> Vec<Alike> {
    let mut all: Vec<Alike> = Vec::new();
    for series in runs.iter().flat_map(|run| &run.series) {
        let known = all.iter_mut().find(|one| one.scenario == series.scenario && one.load == series.load && one.phase == series.phase);
        match known {
            Some(known) => known.add(series),
            None => all.push(Alike::first(series)),
        }
    }
    let mut worst: Vec<Alike> = Vec::new();
    for one in all.into_iter().filter(|one| one.freedom > 0) {
        match worst.iter_mut().find(|known| known.load == one.load && known.phase == one.phase) {
            Some(known) if known.variance() >= one.variance() => {}
            Some(known) => *known = one,
            None => worst.push(one),
        }
    }
    worst
}

/// The series of one scenario, load and phase in all runs together.
#[derive(Debug, Clone)]
pub(crate) struct Alike {
    scenario: String,
    load: String,
    phase: Phase,
    rate: f64,
    slot_seconds: f64,
    p99: f64,
    blocks: usize,
    /// Sum of squares around the mean of each round.
    squares: f64,
    freedom: usize,
    /// Sampling variance times blocks.
    sampling: f64,
}

impl Alike {
    fn first(series: &Series) -> Alike {
        let mut one = Alike {
            scenario: series.scenario.clone(),
            load: series.load.clone(),
            phase: series.phase,
            rate: series.rate,
            slot_seconds: series.slot_seconds,
            p99: series.p99,
            blocks: 0,
            squares: 0.0,
            freedom: 0,
            sampling: 0.0,
        };
        one.add(series);
        one
    }

    fn add(&mut self, series: &Series) {
        self.p99 = self.p99.max(series.p99);
        for round in series.rounds.iter().filter(|round| round.len() > 1) {
            let mean = mean(round);
            self.squares += round.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>();
            self.freedom += round.len() - 1;
            self.blocks += round.len();
            self.sampling += series.sampling_variance * round.len() as f64;
        }
    }

    /// Of the log ratio of one block, within a round.
    fn variance(&self) -> f64 {
        self.squares / self.freedom.max(1) as f64
    }

    /// The part of the variance that comes from the number of requests.
    fn sampling_share(&self) -> f64 {
        let sampling = self.sampling / self.blocks.max(1) as f64;
        if self.variance() > 0.0 { (sampling / self.variance()).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The variance of a block at a multiple of the rate.
    fn variance_at(&self, rate: f64) -> f64 {
        self.variance() * (1.0 - self.sampling_share() + self.sampling_share() / rate)
    }

    fn noise(&self, sight: &Sight<'_>) -> Noise {
        let row = |seconds: &f64| RATES.iter().map(|rate| sight.smallest(self, *seconds, *rate, 4)).collect();
        Noise {
            load: self.load.clone(),
            phase: self.phase,
            rate: self.rate,
            spread: self.variance().sqrt(),
            sampling: self.sampling_share(),
            blocks: self.blocks,
            smallest_visible: DURATIONS.iter().map(row).collect(),
        }
    }
}

/// What the gate can see through the noise.
pub(crate) struct Sight<'a> {
    gate: &'a Gate,
    comparisons: usize,
    /// Standard deviation of what fresh instances add to the log ratio of a round.
    instance: f64,
}

impl Sight<'_> {
    fn level(&self) -> f64 {
        (1.0 - self.gate.confidence.0).clamp(1e-6, 0.5) / self.comparisons as f64
    }

    /// Standard error of the estimate after `seconds` in `rounds` rounds.
    fn error(&self, series: &Alike, seconds: f64, rate: f64, rounds: u32) -> f64 {
        let blocks = (seconds / (2.0 * series.slot_seconds)).floor().max(1.0);
        let luck = self.instance.powi(2) / f64::from(rounds.max(1));
        (RANK_LOSS.powi(2) * series.variance_at(rate) / blocks + luck).sqrt()
    }

    /// The smallest relative change that is proven four times out of five (statistics: reference MDE).
    fn smallest(&self, series: &Alike, seconds: f64, rate: f64, rounds: u32) -> Option<f64> {
        let blocks = (seconds / (2.0 * series.slot_seconds)).floor() as usize;
        let enough = blocks >= crate::stats::signed_rank::pairs_needed(self.level());
        let z = normal::quantile(1.0 - self.level()) + POWER;
        enough.then(|| (1.0 + self.gate.tolerance.0) * (z * self.error(series, seconds, rate, rounds)).exp() - 1.0)
    }

    /// The smallest harmful size that a run without any change is proven below, nineteen times out of twenty.
    fn provable(&self, series: &Alike, seconds: f64, rounds: u32) -> f64 {
        (2.0 * normal::quantile(0.95) * self.error(series, seconds, 1.0, rounds)).exp_m1()
    }
}

/// What fresh instances add to the log ratio of a round: the spread of the rounds' means around the truth, which is nought, beyond what the
/// blocks of a round explain (random effects, by the method of moments).
fn instance_effect(runs: &[SelfRun]) -> Option<f64> {
    let rounds: Vec<&Vec<f64>> =
        runs.iter().flat_map(|run| &run.series).flat_map(|series| &series.rounds).filter(|round| round.len() > 1).collect();
    if rounds.len() < 2 {
        return None;
    }
    let excess = rounds.iter().map(|round| {
        let mean = mean(round);
        let within = round.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (round.len() - 1) as f64;
        mean.powi(2) - within / round.len() as f64
    });
    Some((excess.sum::<f64>() / rounds.len() as f64).max(0.0).sqrt())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests;
