//! The statistics of the gate against vectors worked out elsewhere, and its false alarms and power in simulation.

mod common;

use common::Chance;
use shakedown_judge::{
    comparison::{Sample, decide_all},
    stats::{rank_sum::RankSum, signed_rank::SignedRank, spending::Look, tail::mean_log_tail},
};
use shakedown_model::verdict::Verdict;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 + 1e-9 * b.abs()
}

#[test]
fn the_signed_rank_test_agrees_with_the_vectors() {
    let vectors: Vec<serde_json::Value> = serde_json::from_str(include_str!("fixtures/signed_rank_vectors.json")).unwrap();
    assert_eq!(vectors.len(), 13);
    for vector in &vectors {
        let differences: Vec<f64> = vector["d"].as_array().unwrap().iter().map(|d| d.as_f64().unwrap()).collect();
        let test = SignedRank::new(differences);
        let seen = [
            ("p_fail0", test.p_above(0.0)),
            ("p_fail5", test.p_above(1.05_f64.ln())),
            ("p_pass30", test.p_below(1.3_f64.ln())),
            ("hl", test.estimate().unwrap()),
            ("lower01", test.lower(0.01)),
            ("upper05", test.upper(0.05)),
        ];
        for (name, value) in seen {
            if let Some(expected) = vector.get(name).and_then(serde_json::Value::as_f64) {
                assert!(close(value, expected), "{name}: {value} instead of {expected}");
            }
        }
    }
}

/// One gate of `tests` comparisons of `blocks` pair-blocks each, on latencies with a slow path and noise that outlasts blocks.
fn gate(chance: &mut Chance, tests: usize, blocks: usize, ratio: f64) -> Vec<Verdict> {
    let mut samples = Vec::new();
    for test in 0..tests {
        let factor = if test == 0 { ratio } else { 1.0 };
        let mut weather = 0.0;
        let differences = (0..blocks).map(|_| {
            let mut arms = [0.0, 0.0];
            let first = usize::from(chance.share() < 0.5);
            for arm in [first, 1 - first] {
                weather = 0.85 * weather + 0.2 * chance.normal();
                let latencies: Vec<f64> = (0..100)
                    .map(|_| {
                        let slow = if chance.share() < 0.02 { 4.0 } else { 1.0 };
                        let own = if arm == 0 { factor } else { 1.0 };
                        0.02 * own * slow * (weather + 0.45 * chance.normal()).exp()
                    })
                    .collect();
                arms[arm] = mean_log_tail(&latencies).expect("a hundred latencies");
            }
            arms[0] - arms[1]
        });
        samples.push(Sample::Paired(SignedRank::new(differences.collect())));
    }
    let sized: Vec<(&Sample, f64, f64)> = samples.iter().map(|sample| (sample, 1.05_f64.ln(), 1.3_f64.ln())).collect();
    decide_all(&sized, Look::only(0.01, 0.05)).into_iter().map(|decision| decision.verdict).collect()
}

#[test]
fn of_three_hundred_gates_without_a_change_hardly_one_fails() {
    let mut chance = Chance(2026);
    let failed = (0..300).filter(|_| gate(&mut chance, 8, 14, 1.0).contains(&Verdict::Fail)).count();
    // One per cent is promised; four of 300 is what chance still gives at that rate, five and more it hardly does.
    assert!(failed <= 4, "{failed} of 300 gates cried wolf");
}

#[test]
fn a_tail_four_times_as_slow_is_found_among_eight_and_the_others_are_not_blamed() {
    let mut chance = Chance(7);
    let gates: Vec<Vec<Verdict>> = (0..60).map(|_| gate(&mut chance, 8, 14, 4.0)).collect();
    let found = gates.iter().filter(|gate| gate[0] == Verdict::Fail).count();
    let blamed = gates.iter().flat_map(|gate| &gate[1..]).filter(|verdict| **verdict == Verdict::Fail).count();
    assert!(found >= 50, "found in {found} of 60");
    assert!(blamed <= 2, "{blamed} innocents");
}

#[test]
fn a_recorded_baseline_fails_only_beyond_the_harmful_size() {
    let steps = |base: f64| (0..14).map(|i| base + f64::from(i * 5 % 14) / 200.0).collect::<Vec<f64>>();
    let decide = |shift: f64| {
        let sample = Sample::Unpaired(RankSum::new(&steps(shift), &steps(0.0)));
        decide_all(&[(&sample, 1.05_f64.ln(), 1.3_f64.ln())], Look::only(0.01, 0.05))[0].verdict
    };
    assert_eq!(decide(0.0), Verdict::Pass);
    assert_eq!(decide(0.15), Verdict::Pass, "beyond the tolerance, below the harm");
    assert_eq!(decide(0.26), Verdict::Inconclusive);
    assert_eq!(decide(0.6), Verdict::Fail);
}

#[test]
fn without_samples_nothing_is_decided() {
    assert!(decide_all(&[], Look::only(0.01, 0.05)).is_empty());
    let empty = Sample::Paired(SignedRank::new(Vec::new()));
    let decision = decide_all(&[(&empty, 0.05, 0.3)], Look::only(0.01, 0.05))[0];
    assert_eq!(decision.verdict, Verdict::Inconclusive);
    assert!(decision.smallest.is_none());
}
