//! Change points of the judge against labels that are known, beside E-divisive with its permutation test and beside never saying anything.
//! Prints Markdown. `--quick` plays a tenth: a smoke run.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

#[path = "../gate/chance.rs"]
#[expect(dead_code, reason = "the gate's bench draws more kinds of numbers")]
mod chance;
mod e_divisive;
#[path = "../gate/rate.rs"]
#[expect(dead_code, reason = "the gate's bench asks for more")]
mod rate;
mod score;
mod series;

use chance::Chance;
use rate::on_all_cores;
use score::Score;
use series::{KINDS, Labelled};
use shakedown_judge::stats::change_points::{Sensitivity, change_points};

const SERIES: u64 = 200;

/// Change points in the eyes of one method.
type Method = fn(&[f64], &mut Chance) -> Vec<usize>;

const METHODS: [(&str, Method); 4] = [
    ("Shakedown", ours),
    ("E-divisive, p 0.05", |values, chance| e_divisive::change_points(values, 0.05, chance)),
    ("E-divisive, p 0.01", |values, chance| e_divisive::change_points(values, 0.01, chance)),
    ("never a change", |_, _| Vec::new()),
];

fn ours(values: &[f64], _: &mut Chance) -> Vec<usize> {
    change_points(values, Sensitivity::default()).iter().map(|point| point.index).collect()
}

fn main() {
    let count = if std::env::args().any(|argument| argument == "--quick") { SERIES / 10 } else { SERIES };
    let begin = std::time::Instant::now();
    println!("### Change points: F1 against labels\n");
    println!(
        "{count} series of each kind, of 20 to 200 points; a label is met by a point at most {} away, which meets one label. The start counts as",
        score::MARGIN
    );
    println!(
        "a point that everybody finds (so that a series without labels has an F1); mean over series. In brackets precision and recall without it.\n"
    );
    println!("| series | {} |\n|---|{}", METHODS.map(|(name, _)| name).join(" | "), "---|".repeat(METHODS.len()));
    let mut all = vec![Score::default(); METHODS.len()];
    let mut changed = all.clone();
    let mut never_changed = Vec::new();
    for (number, kind) in (0..).zip(&KINDS) {
        let results = on_all_cores(count, |index| played(number, kind.draw, index));
        let mut scores = vec![Score::default(); METHODS.len()];
        for (labelled, found) in &results {
            for (method, found) in found.iter().enumerate() {
                scores[method].add(&labelled.labels, found);
                all[method].add(&labelled.labels, found);
                if kind.changes {
                    changed[method].add(&labelled.labels, found);
                }
            }
        }
        println!("| {} | {} |", kind.name, scores.iter().map(Score::text).collect::<Vec<_>>().join(" | "));
        if !kind.changes {
            let points = (0..METHODS.len()).map(|method| results.iter().map(|(_, found)| found[method].len()).sum::<usize>());
            never_changed.push((kind.name, points.map(|points| points as f64 * 100.0 / count as f64).collect::<Vec<_>>()));
        }
    }
    println!("| **all that change** | {} |", changed.iter().map(Score::text).collect::<Vec<_>>().join(" | "));
    println!("| **all** | {} |", all.iter().map(Score::text).collect::<Vec<_>>().join(" | "));
    println!("\nPoints found in 100 series whose level never jumps:\n");
    println!("| series | {} |\n|---|{}", METHODS.map(|(name, _)| name).join(" | "), "---|".repeat(METHODS.len()));
    for (name, rates) in never_changed {
        println!("| {name} | {} |", rates.iter().map(|rate| format!("{rate:.1}")).collect::<Vec<_>>().join(" | "));
    }
    let long = series::with_steps(1_000, &mut Chance::of(&[99]));
    let start = std::time::Instant::now();
    let points = change_points(&long.values, Sensitivity::default()).len();
    println!(
        "\nA series of 1,000 points ({points} found of {}): {:.0} ms. All of it took {:.0} s.\n",
        long.labels.len(),
        start.elapsed().as_secs_f64() * 1e3,
        begin.elapsed().as_secs_f64()
    );
}

/// A series with what each method finds in it.
fn played(kind: u64, draw: fn(&mut Chance) -> Labelled, index: u64) -> (Labelled, Vec<Vec<usize>>) {
    let mut chance = Chance::of(&[8, kind, index]);
    let labelled = draw(&mut chance);
    let found = METHODS.iter().map(|(_, method)| method(&labelled.values, &mut chance)).collect();
    (labelled, found)
}
