//! Series as histories of a benchmark look, with the places where their level really jumps.

use crate::chance::Chance;

/// Level at the start; noise has a standard deviation of one.
const LEVEL: f64 = 50.0;
/// Points between two jumps, and before the first and after the last.
const APART: usize = 10;

/// A series and the places of the first values after each jump.
pub(crate) struct Labelled {
    pub(crate) values: Vec<f64>,
    pub(crate) labels: Vec<usize>,
}

/// A way to make series.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Whether the level jumps.
    pub(crate) changes: bool,
    pub(crate) draw: fn(&mut Chance) -> Labelled,
}

pub(crate) const KINDS: [Kind; 11] = [
    Kind { name: "one step of 2 to 6 σ", changes: true, draw: |chance| steps(length(chance), 1, chance) },
    Kind { name: "several steps", changes: true, draw: |chance| with_steps(length(chance), chance) },
    Kind { name: "a rise taken back after 10 to 25", changes: true, draw: bump },
    Kind {
        name: "a step among outliers (5 %)",
        changes: true,
        draw: |chance| {
            let made = steps(length(chance), 1, chance);
            outliers(made, chance)
        },
    },
    Kind {
        name: "a step in noise with memory (0.5)",
        changes: true,
        draw: |chance| {
            let made = steps(length(chance), 1, chance);
            remembering(made, 0.5, chance)
        },
    },
    Kind { name: "nothing", changes: false, draw: |chance| flat(length(chance), chance) },
    Kind {
        name: "outliers (5 %)",
        changes: false,
        draw: |chance| {
            let made = flat(length(chance), chance);
            outliers(made, chance)
        },
    },
    Kind { name: "drift of 3 to 8 σ", changes: false, draw: drift },
    Kind { name: "noise three times as loud from somewhere", changes: false, draw: louder },
    Kind {
        name: "noise with memory (0.5)",
        changes: false,
        draw: |chance| {
            let made = flat(length(chance), chance);
            remembering(made, 0.5, chance)
        },
    },
    Kind {
        name: "nothing but memory (0.7)",
        changes: false,
        draw: |chance| {
            let length = length(chance);
            remembering(Labelled { values: vec![LEVEL; length], labels: Vec::new() }, 0.7, chance)
        },
    },
];

fn length(chance: &mut Chance) -> usize {
    chance.between(20.0, 200.0) as usize
}

fn flat(length: usize, chance: &mut Chance) -> Labelled {
    Labelled { values: (0..length).map(|_| LEVEL + chance.normal()).collect(), labels: Vec::new() }
}

/// About one jump in 50 points.
pub(crate) fn with_steps(length: usize, chance: &mut Chance) -> Labelled {
    steps(length, (length / 50).max(2), chance)
}

/// As many jumps as asked for, or as there is room for.
fn steps(length: usize, count: usize, chance: &mut Chance) -> Labelled {
    let Labelled { mut values, mut labels } = flat(length, chance);
    for _ in 0..20 * count {
        let place = chance.between(APART as f64, (length - APART) as f64 + 1.0) as usize;
        if labels.len() < count && place + APART <= length && labels.iter().all(|label| place.abs_diff(*label) >= APART) {
            labels.push(place);
        }
    }
    labels.sort_unstable();
    for label in &labels {
        let jump = chance.between(2.0, 6.0).copysign(chance.share() - 0.4);
        values[*label..].iter_mut().for_each(|value| *value += jump);
    }
    Labelled { values, labels }
}

fn bump(chance: &mut Chance) -> Labelled {
    let length = 40 + length(chance);
    let Labelled { mut values, .. } = flat(length, chance);
    let lasts = chance.between(10.0, 26.0) as usize;
    let start = chance.between(10.0, (length - lasts - 10) as f64) as usize;
    let height = chance.between(3.0, 8.0);
    values[start..start + lasts].iter_mut().for_each(|value| *value += height);
    Labelled { values, labels: vec![start, start + lasts] }
}

fn outliers(mut made: Labelled, chance: &mut Chance) -> Labelled {
    for value in &mut made.values {
        if chance.share() < 0.05 {
            *value += chance.between(8.0, 40.0).copysign(chance.share() - 0.3);
        }
    }
    made
}

/// Adds noise that remembers, of the same size as the noise that does not.
fn remembering(mut made: Labelled, memory: f64, chance: &mut Chance) -> Labelled {
    let push = (1.0 - memory * memory).sqrt();
    let mut state = chance.normal();
    for value in &mut made.values {
        *value += state;
        state = memory * state + push * chance.normal();
    }
    made
}

fn drift(chance: &mut Chance) -> Labelled {
    let mut made = flat(length(chance), chance);
    let (slope, length) = (chance.between(3.0, 8.0), made.values.len() as f64);
    made.values.iter_mut().zip(0..).for_each(|(value, place)| *value += slope * f64::from(place) / length);
    made
}

fn louder(chance: &mut Chance) -> Labelled {
    let mut made = flat(length(chance), chance);
    let from = chance.between(8.0, made.values.len() as f64 - 8.0) as usize;
    made.values[from..].iter_mut().for_each(|value| *value = LEVEL + 3.0 * (*value - LEVEL));
    made
}
