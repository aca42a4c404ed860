//! What looking several times costs: errors at the very edge of what is tolerated and of what is harmful, and false alarms of a whole gate.

use crate::{
    ALPHA, BETA, COMPARISONS, HARMFUL, TOLERATED,
    chance::Chance,
    gates::{DESIGN, verdicts},
    met,
    noise::{MODELS, Model},
    play::{Design, Played, comparison, gate},
    rate::{Rate, on_all_cores},
};
use shakedown_judge::{
    comparison::{Sample, decide_all},
    stats::{signed_rank::SignedRank, spending::Look},
};
use shakedown_model::{run::Rounds, verdict::Verdict};

const REPETITIONS: u64 = 4_000;
const GATES: u64 = 300;
const PLANNED: u32 = 4;
const MOST: u32 = 6;

pub(crate) fn print(share: u64) {
    println!("### Looks: after rounds 2, 3 and 4 of 4, extended to 5 and 6 where it is still open\n");
    println!(
        "A single comparison of 200 requests/s, 15 s a round. At the edge: the differences of blocks without a change are moved by exactly what is"
    );
    println!(
        "tolerated (a `fail` is then false, 1 % allowed) or by exactly what is harmful (a `pass` is then false, 5 % allowed). {} runs each.\n",
        REPETITIONS / share
    );
    println!(
        "| model | instances | false fail, looks | false fail, one look | false pass, looks | false pass, one look | allowed |\n|---|---|---|---|---|---|---|"
    );
    for model in &MODELS {
        edge(model, share, "with luck");
        if model.instance > 0.0 {
            edge(&model.alike(), share, "all alike");
        }
    }
    println!("\nGates of 20 comparisons as above without a change, looked at in the same way; {} of each model:\n", GATES / share);
    println!("| model | false fail | everything passed | rounds played, on average | |\n|---|---|---|---|---|");
    for model in &MODELS {
        whole(model, share);
    }
    println!();
}

/// The verdict of a run and the round at which it was reached, where looks go on until there is one.
fn looked(decide: impl Fn(Rounds) -> Verdict) -> (Verdict, u32) {
    let looks = (2..=MOST).map(|done| (decide(Rounds { planned: PLANNED, most: MOST, done }), done));
    looks.into_iter().find(|(verdict, _)| *verdict != Verdict::Inconclusive).unwrap_or((Verdict::Inconclusive, MOST))
}

fn edge(model: &Model, share: u64, instances: &str) {
    let runs = on_all_cores(REPETITIONS / share, |index| {
        let design = Design { rounds: u64::from(MOST), ..DESIGN };
        let played = comparison(model, design, &mut Chance::of(&[5, model.stream(), index, model.instance.to_bits()]));
        let moved = |by: f64| {
            let judged = |done: u32, look: Look| moved_verdict(&played, done, by, look);
            let many = looked(|rounds| judged(rounds.done, Look::at(rounds, ALPHA, BETA))).0;
            (many, judged(PLANNED, Look::only(ALPHA, BETA)))
        };
        let (tolerated, harmful) = (moved(TOLERATED), moved(HARMFUL));
        [tolerated.0 == Verdict::Fail, tolerated.1 == Verdict::Fail, harmful.0 == Verdict::Pass, harmful.1 == Verdict::Pass]
    });
    let rates: Vec<Rate> = (0..4).map(|column| Rate::of(runs.iter().map(|run| run[column]))).collect();
    let texts: Vec<String> = rates.iter().map(|rate| rate.text()).collect();
    // Excess counts where chance does not explain it.
    let held = rates[0].interval().0 <= ALPHA && rates[2].interval().0 <= BETA;
    println!("| {} | {instances} | {} | {} |", model.name, texts.join(" | "), if held { "held" } else { "EXCEEDED" });
}

fn moved_verdict(played: &Played, done: u32, by: f64, look: Look) -> Verdict {
    let differences = played.differences(u64::from(done)).into_iter().map(|difference| difference + by).collect();
    let sample = Sample::Paired(SignedRank::new(differences));
    decide_all(&[(&sample, TOLERATED, HARMFUL)], look)[0].verdict
}

fn whole(model: &Model, share: u64) {
    let runs = on_all_cores(GATES / share, |index| {
        let designs = [Design { rounds: u64::from(MOST), ..DESIGN }; 5];
        let played = gate(model, &designs, COMPARISONS / designs.len(), &mut Chance::of(&[6, model.stream(), index]));
        looked(|rounds| Verdict::merge(verdicts(&played, rounds)))
    });
    let failed = Rate::of(runs.iter().map(|run| run.0 == Verdict::Fail));
    let passed = Rate::of(runs.iter().map(|run| run.0 == Verdict::Pass));
    let rounds = runs.iter().map(|run| f64::from(run.1)).sum::<f64>() / runs.len().max(1) as f64;
    println!("| {} | {} | {} | {rounds:.1} | {} |", model.name, failed.text(), passed.text(), met(failed.share() <= ALPHA));
}
