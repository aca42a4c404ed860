//! Decisions at looks: what may pass or fail when, what findings say of it, and that decisions move one way only.

#![expect(clippy::float_cmp, reason = "turning a sample round or sorting it must not change the last digit")]

mod common;
mod verdicts;

use common::{Behaviour, Chance};
use shakedown_judge::{
    comparison::{Decision, Sample, decide_all},
    judge,
    stats::{rank_sum::RankSum, signed_rank::SignedRank, spending::Look},
};
use shakedown_model::{
    evidence::Evidence,
    result::Finding,
    run::{Abort, AbortKind, Rounds},
    verdict::Verdict,
};
use verdicts::{only, with};

const TOLERATED: f64 = 0.048_79;
const HARMFUL: f64 = 0.262_364;

fn differences(chance: &mut Chance, pairs: usize, shift: f64) -> Vec<f64> {
    (0..pairs).map(|_| shift + 0.1 * chance.normal()).collect()
}

fn decide(samples: &[Vec<f64>], look: Look) -> Vec<Decision> {
    let samples: Vec<Sample> = samples.iter().map(|sample| Sample::Paired(SignedRank::new(sample.clone()))).collect();
    let sized: Vec<(&Sample, f64, f64)> = samples.iter().map(|sample| (sample, TOLERATED, HARMFUL)).collect();
    decide_all(&sized, look)
}

fn verdict(sample: &[f64], look: Look) -> Verdict {
    decide(&[sample.to_vec()], look)[0].verdict
}

fn at(planned: u32, most: u32, done: u32) -> Look {
    Look::at(Rounds { planned, most, done }, 0.01, 0.05)
}

// What may be said at which look.

#[test]
fn before_the_planned_rounds_nothing_fails_however_clear_it_is() {
    let clear = vec![0.9; 60];
    assert_eq!([1, 2, 3, 4].map(|done| verdict(&clear, at(4, 4, done))), {
        use Verdict::{Fail, Inconclusive};
        [Inconclusive, Inconclusive, Inconclusive, Fail]
    });
}

#[test]
fn a_pass_may_come_from_the_second_round_on() {
    let clear = vec![0.01; 60];
    assert_eq!([0, 1, 2, 4, 5].map(|done| verdict(&clear, at(4, 4, done))), {
        use Verdict::{Inconclusive, Pass};
        [Inconclusive, Inconclusive, Pass, Pass, Inconclusive]
    });
}

#[test]
fn an_early_look_asks_for_more_than_the_only_one() {
    // Seven differences that agree: p = 2^-7 = 0.0078, enough for 1 % and not for the four ninths of it that the first look may spend.
    let sample = vec![0.3; 7];
    assert_eq!(verdict(&sample, Look::only(0.01, 0.05)), Verdict::Fail);
    assert_eq!(verdict(&sample, at(4, 6, 4)), Verdict::Inconclusive);
    // Five that agree: 0.031, enough for 5 % and not for a quarter of it.
    let sample = vec![0.0; 5];
    assert_eq!((verdict(&sample, Look::only(0.01, 0.05)), verdict(&sample, at(4, 4, 2))), (Verdict::Pass, Verdict::Inconclusive));
}

#[test]
fn only_the_last_look_hands_on_what_is_left_of_the_error() {
    let mut chance = Chance(5);
    let samples = [differences(&mut chance, 60, 0.8), differences(&mut chance, 60, 0.0)];
    let levels = |look: Look| decide(&samples, look).into_iter().map(|decision| decision.fail_alpha).collect::<Vec<f64>>();
    let interim = levels(at(4, 6, 5));
    assert!(interim.iter().all(|level| (level - 0.01 * 9.0 / 36.0 / 2.0).abs() < 1e-15), "{interim:?}");
    let last = levels(at(4, 4, 4));
    assert!((last[0] - 0.005).abs() < 1e-15 && (last[1] - 0.01).abs() < 1e-15, "{last:?}");
}

#[test]
fn bounds_are_those_of_the_levels_that_decide() {
    let mut chance = Chance(8);
    for look in [at(4, 6, 4), at(4, 6, 6), at(4, 4, 2), Look::only(0.01, 0.05)] {
        for shift in [-0.1, 0.0, 0.1, 0.2, 0.3, 0.6] {
            let sample = differences(&mut chance, 40, shift);
            let decision = decide(&[sample], look)[0];
            let expected = match decision {
                Decision { fail_alpha, lower, .. } if fail_alpha > 0.0 && lower > TOLERATED => Verdict::Fail,
                Decision { pass_alpha, upper, .. } if pass_alpha > 0.0 && upper < HARMFUL => Verdict::Pass,
                _ => Verdict::Inconclusive,
            };
            assert_eq!(decision.verdict, expected, "{decision:?}");
        }
    }
}

// Bad input.

#[test]
fn what_is_no_number_is_never_a_pass_nor_a_fail() {
    let looks = [Look::only(0.01, 0.05), at(4, 4, 2), at(4, 4, 4), at(0, 0, 0), Look::only(f64::NAN, f64::NAN)];
    for odd in [f64::NAN, -f64::NAN] {
        for look in looks {
            assert_eq!(verdict(&[odd; 40], look), Verdict::Inconclusive);
            let mixed: Vec<f64> = [0.0; 12].into_iter().chain([odd; 28]).collect();
            assert_eq!(verdict(&mixed, look), Verdict::Inconclusive);
        }
        let unpaired = Sample::Unpaired(RankSum::new(&[odd; 20], &[0.0; 20]));
        assert_eq!(decide_all(&[(&unpaired, TOLERATED, HARMFUL)], Look::only(0.01, 0.05))[0].verdict, Verdict::Inconclusive);
    }
    let endless: Vec<f64> = [f64::INFINITY, f64::NEG_INFINITY].repeat(20);
    assert_eq!(verdict(&endless, Look::only(0.01, 0.05)), Verdict::Inconclusive);
    assert_eq!(verdict(&[f64::INFINITY; 20], Look::only(0.01, 0.05)), Verdict::Fail, "endlessly slower is slower");
}

// Decisions move one way.

/// How bad a verdict on the candidate is: worse evidence never makes it better.
fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Inconclusive => 1,
        Verdict::Fail => 2,
    }
}

#[test]
fn a_slower_candidate_never_gets_a_better_verdict() {
    let mut chance = Chance(11);
    for round in 0..300_u32 {
        let look = [Look::only(0.01, 0.05), at(4, 6, 4), at(4, 4, 2)][round as usize % 3];
        let before: Vec<Vec<f64>> = (0..3)
            .map(|_| {
                let shift = 0.35 * chance.share();
                // Few digits, so that there are ties.
                differences(&mut chance, 25, shift).iter().map(|d| (d * 50.0).round() / 50.0).collect()
            })
            .collect();
        let mut after = before.clone();
        for worse in &mut after[0] {
            let met = chance.share() < 0.4;
            *worse += if met { 0.01 + 0.2 * chance.share() } else { 0.0 };
        }
        let (before, after) = (decide(&before, look), decide(&after, look));
        assert!(badness(before[0].verdict) <= badness(after[0].verdict), "{round}");
        assert!(before[0].lower <= after[0].lower || before[0].lower_alpha != after[0].lower_alpha, "{round}");
        assert!(before[0].estimate <= after[0].estimate && before[0].upper <= after[0].upper, "{round}");
        // The others may fail where they did not, since Holm hands on; never the other way round.
        for (before, after) in before.iter().zip(&after) {
            assert!(badness(before.verdict) <= badness(after.verdict), "{round}");
        }
    }
}

#[test]
fn swapping_the_variants_turns_every_figure_round() {
    let mut chance = Chance(13);
    for _ in 0..100 {
        let shift = chance.share() - 0.5;
        let sample: Vec<f64> = differences(&mut chance, 21, shift).iter().map(|d| (d * 20.0).round() / 20.0).collect();
        let (ours, theirs) = (SignedRank::new(sample.clone()), SignedRank::new(sample.iter().map(|d| -d).collect()));
        for threshold in [0.0, 0.05, -0.1, 0.26] {
            assert_eq!(ours.p_above(threshold), theirs.p_below(-threshold));
        }
        assert_eq!(ours.estimate(), theirs.estimate().map(|estimate| 0.0 - estimate));
        assert_eq!((ours.lower(0.01), ours.upper(0.05)), (0.0 - theirs.upper(0.01), 0.0 - theirs.lower(0.05)));
    }
}

#[test]
fn the_order_of_blocks_and_of_comparisons_changes_nothing() {
    let mut chance = Chance(17);
    let samples: Vec<Vec<f64>> = [0.0, 0.1, 0.18, 0.5].iter().map(|shift| differences(&mut chance, 30, *shift)).collect();
    let forwards = decide(&samples, Look::only(0.01, 0.05));
    let backwards: Vec<Vec<f64>> = samples.iter().rev().map(|sample| sample.iter().rev().copied().collect()).collect();
    let mut turned = decide(&backwards, Look::only(0.01, 0.05));
    turned.reverse();
    assert_eq!(forwards, turned);
}

// What findings say.

fn after(rounds: Rounds, candidate: Behaviour) -> Evidence {
    let mut evidence = with(candidate);
    evidence.run.rounds = rounds;
    evidence
}

fn tail(rounds: Rounds, candidate: Behaviour) -> Finding {
    only(&judge(&after(rounds, candidate)), "p99-vs-baseline").clone()
}

#[test]
fn before_the_planned_rounds_a_finding_says_that_it_cannot_fail_yet() {
    let slow = || Behaviour { fault: 0.7, ..Behaviour::default() };
    let finding = tail(Rounds { planned: 4, most: 4, done: 1 }, slow());
    assert_eq!(finding.verdict, Verdict::Inconclusive);
    let undecided = "not decided: 1 of 4 rounds is over, a comparison takes 2 to pass and 4 to fail (";
    assert!(finding.reason.contains(undecided) && !finding.reason.contains("proven"), "{}", finding.reason);
    assert_eq!(finding.smallest_detectable, None);
    let finding = tail(Rounds { planned: 4, most: 4, done: 3 }, slow());
    let patient = "not proven below +30 %; a fail waits for round 4, and 3 are over (";
    assert!(finding.verdict == Verdict::Inconclusive && finding.reason.contains(patient), "{}", finding.reason);
    let finding = tail(Rounds { planned: 4, most: 4, done: 4 }, slow());
    assert_eq!(finding.verdict, Verdict::Fail, "{}", finding.reason);
}

#[test]
fn where_no_request_failed_a_finding_says_that_and_shows_no_interval_of_zeros() {
    let result = judge(&after(Rounds::default(), Behaviour::default()));
    let reason = |check| only(&result, check).reason.clone();
    assert!(
        reason("success-vs-baseline").contains("no request of checkout failed on either side; that is proven below"),
        "{}",
        reason("success-vs-baseline")
    );
    let throughput = reason("throughput-vs-baseline");
    assert!(
        throughput.contains("as many requests of checkout succeeded a second on both sides, 100/s; that")
            && !throughput.contains("at least"),
        "{throughput}"
    );
}

#[test]
fn a_finding_shows_the_confidence_that_it_was_decided_at() {
    let finding = tail(Rounds { planned: 4, most: 6, done: 4 }, Behaviour::default());
    // Fail: 1 % · 16/36 over eight comparisons; pass: 5 % · (16 − 9)/36.
    assert!(finding.reason.contains("at 99.94 % confidence") && finding.reason.contains("at 99.03 %"), "{}", finding.reason);
    let finding = tail(Rounds::default(), Behaviour::default());
    assert!(finding.reason.contains("at 99.88 % confidence") && finding.reason.contains("at 95 %"), "{}", finding.reason);
}

#[test]
fn a_run_that_broke_off_in_its_first_round_compares_nothing() {
    let mut evidence = after(Rounds { planned: 4, most: 4, done: 0 }, Behaviour::default());
    evidence.run.aborted = Some(Abort { kind: AbortKind::Environment, reason: "a service never got ready".to_owned() });
    let result = judge(&evidence);
    let checks: Vec<&str> = result.scenarios[0].findings.iter().map(|finding| finding.check.as_str()).collect();
    assert!(!checks.iter().any(|check| check.ends_with("-vs-baseline")), "{checks:?}");
    assert_eq!((result.verdict, result.exit_code), (Verdict::Inconclusive, 4));
}

#[test]
fn shards_share_the_error_of_the_gate() {
    let mut evidence = with(Behaviour::default());
    evidence.run.shards = 4;
    let finding = only(&judge(&evidence), "p99-vs-baseline").clone();
    // 1 % over four shards and eight comparisons.
    assert!(finding.reason.contains("at 99.97 % confidence") && finding.reason.contains("at 95 %"), "{}", finding.reason);
}

#[test]
fn tails_that_are_nothing_but_timeouts_on_both_sides_are_equal_for_a_reason() {
    let mut evidence = with(Behaviour { failures: 0.5, ..Behaviour::default() });
    let baseline = &mut evidence.baseline.as_mut().unwrap().evidence;
    for (index, request) in evidence.candidate.requests.iter_mut().chain(&mut baseline.requests).enumerate() {
        request.ok = false;
        request.done = request.due + std::time::Duration::from_micros(5_000 + index as u64);
    }
    let finding = only(&judge(&evidence), "p99-vs-baseline").clone();
    assert_eq!((finding.verdict, finding.change), (Verdict::Pass, Some(0.0)), "{}", finding.reason);
}
