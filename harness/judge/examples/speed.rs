//! How long judging takes: 4 minutes at 2,000 requests a second of five loads in four plays, every tenth request traced.
//! `cargo run --release -p shakedown-judge --example speed`.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Chance, SLOT, Story, at, played};
use shakedown_model::{
    event::Phase,
    evidence::{Evidence, Request, SpanRecord},
    ids::TraceId,
    plan::Slots,
    run::Play,
};
use std::{
    io::Write as _,
    time::{Duration, Instant},
};

const RATE: f64 = 2_000.0;
const PLAY_SECONDS: f64 = 36.0;
const PLAYS: u32 = 7;
const LOADS: [&str; 5] = ["browse", "cart", "checkout", "orders", "search"];
const TRACED: u64 = 10;

fn main() -> std::io::Result<()> {
    let evidence = evidence();
    let requests = evidence.candidate.requests.len() + evidence.baseline.as_ref().map_or(0, |baseline| baseline.evidence.requests.len());
    let spans = evidence.candidate.spans.len();
    let mut out = std::io::stdout().lock();
    for _ in 0..3 {
        let began = Instant::now();
        let result = shakedown_judge::judge(&evidence);
        let took = began.elapsed();
        let compared = result.scenarios[0].findings.iter().filter(|finding| finding.check.ends_with("-vs-baseline")).count();
        writeln!(
            out,
            "{requests} requests, {spans} spans of the candidate, {compared} comparisons: {:.3} s ({})",
            took.as_secs_f64(),
            result.verdict
        )?;
    }
    Ok(())
}

fn evidence() -> Evidence {
    let story = Story::slow_payment("slow-payment");
    let plays: Vec<(Play, Story)> = (1..=PLAYS).map(|round| (Play { round, episode: 1 }, story.clone())).collect();
    // A thin run gives faults, phases, events and traces; the requests are made here.
    let mut evidence = played(&plays, 10.0, 7);
    let load = evidence.experiment.loads["checkout"].clone();
    evidence.experiment.loads = LOADS
        .iter()
        .map(|name| {
            let mut load = load.clone();
            (load.name, load.rate.0) = ((*name).to_owned(), RATE / LOADS.len() as f64);
            ((*name).to_owned(), load)
        })
        .collect();
    let template = evidence.candidate.requests[0].clone();
    let spans: Vec<SpanRecord> = evidence.candidate.spans.iter().take(5).cloned().collect();
    let mut chance = Chance(7);
    let mut sides = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    for play in 0..PLAYS as usize {
        let slots = Slots { slot: SLOT, seed: play as u64 };
        for number in 0..(RATE * PLAY_SECONDS) as u64 {
            let seconds = number as f64 / RATE;
            let (block, half) = slots.position(Duration::from_secs_f64(seconds + 1e-9));
            let is_baseline = (half == 0) == slots.baseline_first(block);
            let phase = match seconds {
                s if s < 2.0 => Phase::Warmup,
                s if s < 12.0 => Phase::Steady,
                s if s < 26.0 => Phase::Fault,
                _ => Phase::Recovery,
            };
            let median = if phase == Phase::Fault { 0.22 } else { 0.02 };
            let due = at(play, seconds);
            let done = due + Duration::from_secs_f64(median * (0.3 * chance.normal()).exp());
            let id = (play as u64 + 1) << 32 | (number + 1);
            let trace_id = TraceId::of(&u128::from(id).to_be_bytes()).unwrap_or(template.trace_id);
            let side = &mut sides[usize::from(is_baseline)];
            side.0.push(Request {
                load: LOADS[number as usize % LOADS.len()].to_owned(),
                phase,
                block,
                due,
                sent: Some(due),
                done,
                trace_id,
                ..template.clone()
            });
            if number % TRACED == 0 {
                side.1.extend(spans.iter().map(|span| SpanRecord { trace_id, start: due, end: done, ..span.clone() }));
            }
        }
    }
    let [(ours, our_spans), (theirs, their_spans)] = sides;
    (evidence.candidate.requests, evidence.candidate.spans) = (ours, our_spans);
    if let Some(baseline) = &mut evidence.baseline {
        (baseline.evidence.requests, baseline.evidence.spans) = (theirs, their_spans);
    }
    evidence
}
