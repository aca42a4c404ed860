//! Whole gates of 20 comparisons: how often one fails without a change, and how often one slower endpoint is found.

use crate::{
    ALPHA, BETA, COMPARISONS, HARMFUL, TOLERATED,
    chance::Chance,
    met,
    methods::{METHODS, Pooled},
    noise::{MODELS, Model},
    play::{Design, Played, gate},
    rate::{Rate, on_all_cores},
};
use shakedown_judge::{
    comparison::{Sample, decide_all},
    stats::spending::Look,
};
use shakedown_model::{run::Rounds, verdict::Verdict};

const GATES: u64 = 1_000;
const GATES_WITH_A_CHANGE: u64 = 200;
const ENDPOINTS: usize = 5;
const PHASES: usize = COMPARISONS / ENDPOINTS;
const ROUNDS: Rounds = Rounds { planned: 4, most: 4, done: 4 };
/// Per endpoint: 200 requests a second, 60 s of each phase in four rounds.
pub(crate) const DESIGN: Design = Design { rate: 200.0, seconds: 15.0, rounds: 4, slowdown: 1.0 };

/// Our verdicts on all comparisons of a gate, after `rounds.done` rounds.
pub(crate) fn verdicts(played: &[Played], rounds: Rounds) -> Vec<Verdict> {
    let samples: Vec<Sample> = played.iter().map(|played| played.sample(u64::from(rounds.done))).collect();
    let sized: Vec<(&Sample, f64, f64)> = samples.iter().map(|sample| (sample, TOLERATED, HARMFUL)).collect();
    decide_all(&sized, Look::at(rounds, ALPHA, BETA)).into_iter().map(|decision| decision.verdict).collect()
}

/// What all methods say of one gate: which comparisons fail, ours first.
fn failed(model: &Model, index: u64, designs: &[Design]) -> Vec<Vec<bool>> {
    let mut chance = Chance::of(&[1, model.stream(), index, designs[0].slowdown.to_bits()]);
    let played = gate(model, designs, PHASES, &mut chance);
    let pooled: Vec<Pooled> = played.iter().map(Pooled::of).collect();
    let ours = verdicts(&played, ROUNDS).into_iter().map(|verdict| verdict == Verdict::Fail).collect();
    let others = METHODS.iter().map(|(_, method)| pooled.iter().map(|pooled| method(pooled, &mut chance)).collect());
    std::iter::once(ours).chain(others).collect()
}

pub(crate) fn print(share: u64) {
    println!("### False `fail` of a gate of 20 comparisons without a change\n");
    println!(
        "5 endpoints of 200 requests/s, 4 phases of 60 s in 4 rounds with fresh instances; {} gates of each model; in brackets 95 % intervals.\n",
        GATES / share
    );
    header();
    for model in &MODELS {
        let gates = on_all_cores(GATES / share, |index| failed(model, index, &[DESIGN; ENDPOINTS]));
        let rates = by_method(&gates, |comparisons| comparisons.contains(&true));
        row(model, &rates, met(rates[0].share() <= 0.01));
    }
    println!("\n### One endpoint of the five × 1.5 in its code: found in a gate of 20\n");
    println!("One of its four comparisons, the same in all gates, is asked for; {} gates of each model.\n", GATES_WITH_A_CHANGE / share);
    header();
    for model in &MODELS {
        let mut designs = [DESIGN; ENDPOINTS];
        designs[0].slowdown = 1.5;
        let gates = on_all_cores(GATES_WITH_A_CHANGE / share, |index| failed(model, index, &designs));
        let found = by_method(&gates, |comparisons| comparisons[0]);
        let blamed = Rate::of(gates.iter().map(|gate| gate[0].iter().enumerate().any(|(index, failed)| index % ENDPOINTS != 0 && *failed)));
        row(model, &found, &format!("another endpoint blamed by us: {}", blamed.text()));
    }
    println!();
}

fn by_method(gates: &[Vec<Vec<bool>>], holds: impl Fn(&[bool]) -> bool) -> Vec<Rate> {
    (0..=METHODS.len()).map(|method| Rate::of(gates.iter().map(|gate| holds(&gate[method])))).collect()
}

fn header() {
    let names: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
    println!("| model | Shakedown | {} | |\n|---|---|{}---|", names.join(" | "), "---|".repeat(names.len()));
}

fn row(model: &Model, rates: &[Rate], note: &str) {
    let rates: Vec<String> = rates.iter().map(|rate| rate.text()).collect();
    println!("| {} | {} | {note} |", model.name, rates.join(" | "));
}
