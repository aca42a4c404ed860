//! What to write into the config, given what was measured.

use super::{Alike, DURATIONS, Sight};
use serde::{Deserialize, Serialize};

/// Rounds that are proposed, least first.
const ROUNDS: [u32; 4] = [4, 6, 8, 12];
/// A tolerance is at least so many standard errors of what the instances' luck leaves (statistics: δ ≥ 2·sd/√R).
const LUCKS: f64 = 2.0;
/// Tolerance where the machine allows it.
const TOLERANCE: f64 = 0.05;
/// Harmful size where the machine allows it.
const HARMFUL: f64 = 0.30;
/// A slot is at least so many times the P99, so that a slow answer does not reach into the other variant's slot.
const SLOT_P99S: f64 = 5.0;
/// Requests that a slot should hold.
const SLOT_REQUESTS: f64 = 25.0;

/// What to write into the config.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// `gate.tolerance`.
    pub tolerance: f64,
    /// `gate.harmful`.
    pub harmful: f64,
    /// `baseline.rounds`.
    pub rounds: u32,
    /// `baseline.slot`, in seconds.
    pub slot_seconds: f64,
    /// Length of the steady phase and of faults in each round, in seconds.
    pub phase_seconds: f64,
    /// The noisiest load would be seen to change by this much four times out of five; `None`: not even that can be promised.
    pub smallest_visible: Option<f64>,
}

impl Proposal {
    /// As it is written into `shakedown.yaml`.
    pub fn to_yaml(&self) -> String {
        let percent = |share: f64| format!("{:.0}%", share * 100.0);
        let seconds = |seconds: f64| format!("{:.0}ms", seconds * 1e3);
        format!(
            "baseline: {{ rounds: {}, slot: {} }}\ngate: {{ tolerance: {}, harmful: {} }}\nphases: {{ steady: {:.0}s }} # and faults `for: {:.0}s`\n",
            self.rounds,
            seconds(self.slot_seconds),
            percent(self.tolerance),
            percent(self.harmful),
            self.phase_seconds,
            self.phase_seconds,
        )
    }
}

pub(super) fn propose(all: &[Alike], sight: &Sight<'_>) -> Proposal {
    let luck = |rounds: u32| LUCKS * sight.instance / f64::from(rounds).sqrt();
    let rounds = ROUNDS.into_iter().find(|rounds| luck(*rounds).exp_m1() <= TOLERANCE).unwrap_or(ROUNDS[ROUNDS.len() - 1]);
    let tolerance = up_to_percent(luck(rounds).exp_m1().max(TOLERANCE));
    let provable = |seconds: f64| all.iter().map(|series| sight.provable(series, seconds, rounds)).fold(0.0, f64::max);
    let smallest = |seconds: f64| {
        let each: Option<Vec<f64>> = all.iter().map(|series| sight.smallest(series, seconds, 1.0, rounds)).collect();
        each.map(|each| each.into_iter().fold(0.0, f64::max))
    };
    let longest = DURATIONS[DURATIONS.len() - 1];
    let sees = |seconds: &f64| provable(*seconds) <= HARMFUL && smallest(*seconds).is_some_and(|change| change <= 2.0 * HARMFUL);
    let seconds = DURATIONS.into_iter().find(sees).unwrap_or(longest);
    let p99 = all.iter().map(|series| series.p99).fold(0.0, f64::max);
    let rate = all.iter().map(|series| series.rate).fold(f64::INFINITY, f64::min);
    Proposal {
        tolerance,
        harmful: up_to_percent(provable(seconds).max(HARMFUL).max(2.0 * tolerance)),
        rounds,
        slot_seconds: (SLOT_P99S * p99).max(SLOT_REQUESTS / rate.max(1.0)).clamp(0.5, 10.0),
        phase_seconds: (seconds / f64::from(rounds)).ceil(),
        smallest_visible: smallest(seconds),
    }
}

fn up_to_percent(share: f64) -> f64 {
    (share * 100.0 - 1e-9).ceil() / 100.0
}
