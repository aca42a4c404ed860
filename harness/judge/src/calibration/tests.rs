use super::*;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use shakedown_model::verdict::GateMode;

const ROUNDS: usize = 40;
const BLOCKS: usize = 30;

fn gate() -> Gate {
    let share = shakedown_model::units::Percent;
    Gate { tolerance: share(0.05), harmful: share(0.3), confidence: share(0.99), inconclusive: GateMode::Block, mode: GateMode::Block }
}

/// A standard normal number (Box and Muller 1958).
fn normal_of(chance: &mut ChaCha8Rng) -> f64 {
    let (one, two): (f64, f64) = (chance.random(), chance.random());
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * two).cos()
}

/// Runs of four rounds each, with this spread of blocks and this luck of rounds.
fn runs(spread: f64, luck: f64, sampling: f64) -> Vec<SelfRun> {
    let mut chance = ChaCha8Rng::seed_from_u64(7);
    let mut round = || {
        let shift = luck * normal_of(&mut chance);
        (0..BLOCKS).map(|_| shift + spread * normal_of(&mut chance)).collect::<Vec<f64>>()
    };
    let mut run = || SelfRun {
        verdict: Verdict::Pass,
        comparisons: 4,
        false_alarms: Vec::new(),
        inconclusive: 1,
        series: vec![Series {
            scenario: "slow".to_owned(),
            load: "checkout".to_owned(),
            phase: Phase::Fault,
            rate: 100.0,
            slot_seconds: 0.5,
            p99: 0.05,
            rounds: (0..4).map(|_| round()).collect(),
            sampling_variance: sampling,
        }],
    };
    (0..ROUNDS / 4).map(|_| run()).collect()
}

fn near(found: f64, expected: f64, share: f64) -> bool {
    (found - expected).abs() <= share * expected
}

#[test]
fn intervals_of_shares_are_those_of_the_tables() {
    for (hits, of, low, high) in
        [(0, 30, 0.0, 0.1157), (1, 20, 0.001_27, 0.2487), (5, 10, 0.1871, 0.8129), (3, 3, 0.2924, 1.0), (0, 0, 0.0, 1.0)]
    {
        let share = Share::new(hits, of);
        assert!((share.low - low).abs() < 1e-4 && (share.high - high).abs() < 1e-4, "{hits}/{of}: {share:?}");
    }
}

#[test]
fn noise_within_a_round_and_luck_between_rounds_are_told_apart() {
    let calibration = calibrate(&runs(0.2, 0.06, 0.01), &gate()).unwrap();
    assert!(near(calibration.noise[0].spread, 0.2, 0.05), "{:?}", calibration.noise);
    assert!(near(calibration.instance_effect.unwrap(), 0.06, 0.3), "{:?}", calibration.instance_effect);
    assert!(near(calibration.noise[0].sampling, 0.25, 0.1));
    let lucky = calibrate(&runs(0.2, 0.0, 0.01), &gate()).unwrap();
    assert!(lucky.instance_effect.unwrap() < 0.03, "{:?}", lucky.instance_effect);
}

#[test]
fn longer_phases_and_more_requests_see_smaller_changes() {
    let noise = &calibrate(&runs(0.2, 0.02, 0.02), &gate()).unwrap().noise[0];
    let column = |rate: usize| noise.smallest_visible.iter().filter_map(|row| row[rate]).collect::<Vec<f64>>();
    assert!(column(1).windows(2).all(|pair| pair[1] < pair[0]), "{noise:?}");
    assert!(column(3).iter().zip(column(0)).all(|(more, less)| *more < less), "{noise:?}");
    // Never less than what is tolerated.
    assert!(column(3).iter().all(|change| *change > 0.05));
}

#[test]
fn a_lucky_instance_asks_for_more_rounds_and_then_for_more_tolerance() {
    let of = |luck: f64| calibrate(&runs(0.1, luck, 0.0), &gate()).unwrap().proposal;
    let (calm, uneven, wild) = (of(0.0), of(0.058), of(0.2));
    assert_eq!((calm.rounds, calm.tolerance), (4, 0.05));
    assert!(uneven.rounds > 4 && uneven.tolerance <= 0.06, "{uneven:?}");
    assert!(wild.rounds == 12 && wild.tolerance > 0.08 && wild.harmful >= 2.0 * wild.tolerance, "{wild:?}");
}

#[test]
fn a_proposal_reads_as_config() {
    let proposal = calibrate(&runs(0.1, 0.0, 0.0), &gate()).unwrap().proposal;
    assert!(
        proposal.to_yaml().starts_with("baseline: { rounds: 4, slot: 500ms }\ngate: { tolerance: 5%, harmful: 30% }\n"),
        "{}",
        proposal.to_yaml()
    );
}

#[test]
fn nothing_compared_is_no_calibration() {
    assert_eq!(calibrate(&[], &gate()), None);
    let mut empty = runs(0.1, 0.0, 0.0);
    for run in &mut empty {
        run.series[0].rounds = vec![vec![0.1]; 4];
    }
    assert_eq!(calibrate(&empty, &gate()), None);
}
