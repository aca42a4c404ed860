//! How long deciding takes: from the latencies of blocks to verdicts, on one core.

use crate::{
    COMPARISONS,
    chance::Chance,
    gates::verdicts,
    met,
    noise::MODELS,
    play::{Design, Played, comparison},
};
use shakedown_model::run::Rounds;
use std::time::Instant;

/// A run of four minutes at 2,000 requests a second.
const SECONDS: f64 = 240.0;
const RATE: f64 = 2_000.0;

pub(crate) fn print(_: u64) {
    println!("### Speed: deciding 20 comparisons of 4 minutes, on one core\n");
    println!("Tail statistics of 240 pair-blocks each, exact tests, bounds and corrections; what is kept of a block is one number.\n");
    println!("| requests | kept numbers | seconds | aim 1 s |\n|---|---|---|---|");
    // All comparisons share the load, or each has all of it.
    for rate in [RATE / COMPARISONS as f64, RATE] {
        let design = Design { rate, seconds: SECONDS / 4.0, rounds: 4, slowdown: 1.0 };
        let distinct = if rate < RATE { COMPARISONS } else { 2 };
        let played: Vec<Played> = (0..distinct).map(|index| comparison(&MODELS[1], design, &mut Chance::of(&[7, index as u64]))).collect();
        let requests: usize =
            played.iter().flat_map(|played| &played.blocks).map(|block| block.candidate.len() + block.baseline.len()).sum();
        let kept: usize = played.iter().map(|played| played.blocks.len()).sum();
        let begin = Instant::now();
        let repeated = COMPARISONS / distinct;
        let decided: usize = (0..repeated).map(|_| verdicts(&played, Rounds { planned: 4, most: 4, done: 4 }).len()).sum();
        let took = begin.elapsed().as_secs_f64();
        assert_eq!(decided, COMPARISONS);
        println!("| {} | {} | {took:.3} | {} |", requests * repeated, kept * repeated, met(took <= 1.0));
    }
    println!();
}
