//! Single comparisons: how often a change of a known size is proven at the level of one in 20, and how often no change ends in a pass.

use crate::{
    ALPHA, BETA, COMPARISONS, HARMFUL, TOLERATED,
    chance::Chance,
    met,
    noise::{MODELS, Model},
    play::{Design, comparison},
    rate::{Rate, on_all_cores},
};
use shakedown_judge::{
    comparison::decide_all,
    stats::{quantile, spending::Look},
};
use shakedown_model::{run::Rounds, verdict::Verdict};

const REPETITIONS: u64 = 1_000;

/// A change that must be found so often.
struct Aim {
    ratio: f64,
    rate: f64,
    minutes: f64,
    found: f64,
}

const AIMS: [Aim; 3] = [
    Aim { ratio: 1.3, rate: 500.0, minutes: 2.0, found: 0.95 },
    Aim { ratio: 1.5, rate: 100.0, minutes: 1.0, found: 0.75 },
    Aim { ratio: 2.0, rate: 100.0, minutes: 1.0, found: 0.95 },
];

pub(crate) fn print(share: u64) {
    println!("### A single comparison at the corrected level (1 % / 20): changes found\n");
    println!(
        "`code` slows the work of each request by the ratio; `P99` slows it by as much as moves the P99 of all requests by the ratio, stalls"
    );
    println!("included (the slow-down of the code that takes stands in brackets). 4 rounds; {} runs each.\n", REPETITIONS / share);
    println!("| change | load | model | found, code | found, P99 | aim | code, P99 |\n|---|---|---|---|---|---|---|");
    for aim in &AIMS {
        for model in &MODELS {
            let slowdown = code_for(model, aim.ratio);
            let (code, p99) = (found(model, aim, aim.ratio, share), found(model, aim, slowdown, share));
            let within = |found: Rate| met(found.share() >= aim.found);
            println!(
                "| × {} | {:.0}/s, {:.0} min | {} | {} | {} [× {slowdown:.2}] | {:.0} % | {}, {} |",
                aim.ratio,
                aim.rate,
                aim.minutes,
                model.name,
                code.text(),
                p99.text(),
                100.0 * aim.found,
                within(code),
                within(p99)
            );
        }
    }
    passes(share);
}

fn found(model: &Model, aim: &Aim, slowdown: f64, share: u64) -> Rate {
    let design = Design { rate: aim.rate, seconds: aim.minutes * 15.0, rounds: 4, slowdown };
    let level = Look::only(ALPHA / COMPARISONS as f64, BETA);
    Rate::of(on_all_cores(REPETITIONS / share, |index| {
        let mut chance = Chance::of(&[2, model.stream(), index, slowdown.to_bits(), aim.rate as u64]);
        let sample = comparison(model, design, &mut chance).sample(design.rounds);
        decide_all(&[(&sample, TOLERATED, HARMFUL)], level)[0].verdict == Verdict::Fail
    }))
}

/// The slow-down of the code that moves the P99 of all requests by `ratio`, by bisection on the same chance.
fn code_for(model: &Model, ratio: f64) -> f64 {
    let model = model.alike();
    let p99 = |slowdown: f64| {
        let phases = on_all_cores(24, |index| {
            let design = Design { rate: 250.0, seconds: 100.0, rounds: 1, slowdown };
            let played = comparison(&model, design, &mut Chance::of(&[3, model.stream(), index]));
            played.blocks.into_iter().flat_map(|block| block.candidate).collect::<Vec<f64>>()
        });
        quantile::of_sorted(&quantile::sorted(phases.concat()), 0.99).unwrap_or(0.0)
    };
    let wanted = ratio * p99(1.0);
    let (mut low, mut high) = (1.0, 4.0 * ratio);
    for _ in 0..10 {
        let middle = f64::midpoint(low, high);
        if p99(middle) < wanted { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

fn passes(share: u64) {
    println!("\n### No change, 500 requests/s, 1 minute: ends in `pass`\n");
    println!("4 rounds of 15 s; looks after rounds 2, 3 and 4 spend the 5 % together; {} runs each.\n", REPETITIONS / share);
    println!("| model | after round 2 | by round 3 | by round 4 | one look at the end, 5 % | aim 97 % |\n|---|---|---|---|---|---|");
    for model in &MODELS {
        let runs = on_all_cores(REPETITIONS / share, |index| {
            let design = Design { rate: 500.0, seconds: 15.0, rounds: 4, slowdown: 1.0 };
            let played = comparison(model, design, &mut Chance::of(&[4, model.stream(), index]));
            let passed = |done: u32, look: Look| {
                let sample = played.sample(u64::from(done));
                decide_all(&[(&sample, TOLERATED, HARMFUL)], look)[0].verdict == Verdict::Pass
            };
            let by: Vec<bool> = (2..=4).map(|done| passed(done, Look::at(Rounds { planned: 4, most: 4, done }, ALPHA, BETA))).collect();
            [by[0], by[0] || by[1], by.contains(&true), passed(4, Look::only(ALPHA, BETA))]
        });
        let rates: Vec<Rate> = (0..4).map(|column| Rate::of(runs.iter().map(|run| run[column]))).collect();
        let texts: Vec<String> = rates.iter().map(|rate| rate.text()).collect();
        println!("| {} | {} | {} |", model.name, texts.join(" | "), met(rates[2].share() >= 0.97));
    }
    println!();
}
