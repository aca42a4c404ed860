//! Plays a comparison on a simulated machine: rounds with fresh instances, blocks of two slots in random order, requests that come when they come.

use crate::{
    chance::Chance,
    noise::{Model, OwnStalls, Weather, service_time},
};
use shakedown_judge::{
    comparison::Sample,
    stats::{signed_rank::SignedRank, tail::mean_log_tail},
};

/// Seconds of a slot.
pub(crate) const SLOT: f64 = 0.5;

/// How a load is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Design {
    /// Requests a second, whichever variant is on.
    pub(crate) rate: f64,
    /// Seconds of the phase in each round.
    pub(crate) seconds: f64,
    pub(crate) rounds: u64,
    /// How much slower the candidate's code is.
    pub(crate) slowdown: f64,
}

/// Latencies of one block, in seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub(crate) round: u64,
    pub(crate) candidate: Vec<f64>,
    pub(crate) baseline: Vec<f64>,
}

/// All that was measured of one comparison.
pub(crate) struct Played {
    pub(crate) blocks: Vec<Block>,
}

impl Played {
    /// Differences of the tails of the blocks of the first `rounds` rounds.
    pub(crate) fn differences(&self, rounds: u64) -> Vec<f64> {
        let blocks = self.blocks.iter().filter(|block| block.round < rounds);
        blocks.filter_map(|block| Some(mean_log_tail(&block.candidate)? - mean_log_tail(&block.baseline)?)).collect()
    }

    /// What the judge takes.
    pub(crate) fn sample(&self, rounds: u64) -> Sample {
        Sample::Paired(SignedRank::new(self.differences(rounds)))
    }
}

/// The luck of the instances of one endpoint: by round, candidate and baseline (log).
pub(crate) fn luck(model: &Model, rounds: u64, chance: &mut Chance) -> Vec<[f64; 2]> {
    (0..rounds).map(|_| [model.instance * chance.normal(), model.instance * chance.normal()]).collect()
}

/// One comparison on a machine of its own.
pub(crate) fn comparison(model: &Model, design: Design, chance: &mut Chance) -> Played {
    let luck = luck(model, design.rounds, chance);
    let blocks = luck.iter().zip(0..).flat_map(|(luck, round)| {
        let weather = Weather::draw(model, design.seconds, 2.0 * SLOT, chance);
        play(model, design, &weather, *luck, round, chance)
    });
    Played { blocks: blocks.collect() }
}

/// A gate of `phases` times as many endpoints as `designs`: endpoints of a phase share the weather, phases of a round share the instances.
pub(crate) fn gate(model: &Model, designs: &[Design], phases: usize, chance: &mut Chance) -> Vec<Played> {
    let rounds = designs[0].rounds;
    let luck: Vec<Vec<[f64; 2]>> = designs.iter().map(|_| luck(model, rounds, chance)).collect();
    let mut played = Vec::new();
    for _ in 0..phases {
        let mut blocks: Vec<Vec<Block>> = vec![Vec::new(); designs.len()];
        for round in 0..rounds {
            let weather = Weather::draw(model, designs[0].seconds, 2.0 * SLOT, chance);
            for ((design, luck), blocks) in designs.iter().zip(&luck).zip(&mut blocks) {
                blocks.extend(play(model, *design, &weather, luck[round as usize], round, chance));
            }
        }
        played.extend(blocks.into_iter().map(|blocks| Played { blocks }));
    }
    played
}

fn play(model: &Model, design: Design, weather: &Weather, luck: [f64; 2], round: u64, chance: &mut Chance) -> Vec<Block> {
    let own = [OwnStalls::draw(model, design.seconds, chance), OwnStalls::draw(model, design.seconds, chance)];
    let speed = [luck[0] + design.slowdown.ln(), luck[1]];
    let count = (design.seconds / (2.0 * SLOT)) as u64;
    let blocks = (0..count).map(|number| {
        let start = number as f64 * 2.0 * SLOT;
        let first = usize::from(chance.share() < 0.5);
        let mut slots = [Vec::new(), Vec::new()];
        for (arm, begin) in [(first, start), (1 - first, start + SLOT)] {
            let mut time = begin + chance.exponential(1.0 / design.rate);
            while time < begin + SLOT {
                let work = (service_time(chance) + speed[arm] + weather.factor(time)).exp();
                slots[arm].push(work + weather.wait(time) + own[arm].wait(time));
                time += chance.exponential(1.0 / design.rate);
            }
        }
        let [candidate, baseline] = slots;
        Block { round, candidate, baseline }
    });
    blocks.collect()
}
