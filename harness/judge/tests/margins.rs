//! Searched doses: what the margins of candidate and baseline come to, and what a single play of a search answers.

mod common;
mod verdicts;

use common::{Behaviour, Story, evidence, played};
use shakedown_judge::{answer, judge};
use shakedown_model::{
    evidence::Evidence,
    fault::{Action, Bandwidth, DoseUnit, Search, Worse},
    result::Finding,
    run::{MarginPlay, MarginRun, MarginVariant, Play},
    stack::Variant,
    units::Throughput,
    verdict::Verdict,
};
use verdicts::{findings, only};

const NAME: &str = "slow-payment";

/// `latency.delay` between 50 ms and 2 s in steps of 50 ms.
fn delay() -> Search {
    Search { path: "latency.delay".to_owned(), unit: DoseUnit::Seconds, worse: Worse::Larger, from: 0.05, to: 2.0, step: 0.05 }
}

/// What was found of a variant in two plays.
fn found(variant: Variant, holds_up_to: Option<f64>, breaks_at: Option<f64>) -> MarginVariant {
    let play =
        |episode, dose, held| MarginPlay { play: Play { round: 1, episode }, dose, held: Some(held), reason: "P99 was seen".to_owned() };
    let plays = holds_up_to.map(|dose| play(1, dose, true)).into_iter().chain(breaks_at.map(|dose| play(2, dose, false))).collect();
    MarginVariant { variant, holds_up_to, breaks_at, open: None, plays }
}

/// A run in which a search made two plays and found this.
fn searched(search: &Search, variants: Vec<MarginVariant>) -> Evidence {
    let story = Story::slow_payment(NAME);
    let plays: Vec<(Play, Story)> = (1..=2).map(|episode| (Play { round: 1, episode }, story.clone())).collect();
    let mut evidence = played(&plays, 100.0, 7);
    let scenario = &mut evidence.experiment.scenarios[0];
    scenario.faults[0].search = Some(search.clone());
    scenario.forbid_logs.clear();
    evidence.run.margins = vec![MarginRun {
        scenario: NAME.to_owned(),
        fault: 0,
        target: "orders -> payment".to_owned(),
        path: search.path.clone(),
        unit: search.unit,
        from: search.from,
        to: search.to,
        step: search.step,
        variants,
    }];
    evidence
}

type Ends = (Option<f64>, Option<f64>);

fn both(ours: Ends, theirs: Ends) -> Evidence {
    searched(&delay(), vec![found(Variant::Candidate, ours.0, ours.1), found(Variant::Baseline, theirs.0, theirs.1)])
}

fn compared(ours: Ends, theirs: Ends) -> Finding {
    only(&judge(&both(ours, theirs)), "margin-vs-baseline").clone()
}

fn ends(holds: f64, breaks: f64) -> Ends {
    (Some(holds), Some(breaks))
}

#[test]
fn a_candidate_that_bears_less_by_more_than_a_step_and_more_than_is_harmful_fails() {
    let finding = compared(ends(0.43, 0.48), ends(0.61, 0.66));
    assert_eq!(finding.verdict, Verdict::Fail, "{}", finding.reason);
    assert_eq!((finding.observed, finding.baseline, finding.unit.as_str()), (Some(0.43), Some(0.61), "s"));
    assert!(finding.change.is_some_and(|change| (change - (0.43 / 0.61 - 1.0)).abs() < 1e-12));
    let says =
        "with latency.delay on orders -> payment the expectations hold for the candidate up to 430 ms, for the baseline up to 610 ms";
    assert!(finding.reason.starts_with(says) && finding.reason.contains("1.42 times as much"), "{}", finding.reason);
    let result = judge(&both(ends(0.43, 0.48), ends(0.61, 0.66)));
    assert_eq!(result.verdict, Verdict::Fail);
}

#[test]
fn a_candidate_that_bears_as_much_or_more_passes() {
    for (ours, theirs) in [
        (ends(0.61, 0.66), ends(0.61, 0.66)),
        (ends(0.9, 0.95), ends(0.61, 0.66)),
        ((Some(2.0), None), ends(0.61, 0.66)),
        ((Some(2.0), None), (Some(2.0), None)),
        (ends(0.61, 0.66), (None, Some(0.05))),
        // Within the tolerated 5 %.
        (ends(0.60, 0.65), ends(0.61, 0.66)),
        // A step less, and however the boundaries lie within theirs it is not the harmful 30 %.
        (ends(0.56, 0.61), ends(0.61, 0.66)),
    ] {
        let finding = compared(ours, theirs);
        assert_eq!(finding.verdict, Verdict::Pass, "{ours:?} {theirs:?}: {}", finding.reason);
    }
    assert!(compared((Some(2.0), None), ends(0.61, 0.66)).reason.contains("up to 2 s at least"));
}

#[test]
fn a_difference_of_a_step_that_could_be_harmful_is_inconclusive() {
    let finding = compared(ends(0.1, 0.15), ends(0.15, 0.2));
    assert_eq!(finding.verdict, Verdict::Inconclusive, "{}", finding.reason);
    assert!(finding.reason.contains("smaller steps tell more"), "{}", finding.reason);
}

#[test]
fn where_not_even_the_mildest_dose_is_borne_the_expectation_is_broken() {
    let finding = compared((None, Some(0.05)), ends(0.61, 0.66));
    assert_eq!(finding.verdict, Verdict::Fail);
    assert!(finding.reason.contains("not even at 50 ms") && finding.reason.contains("P99 was seen"), "{}", finding.reason);
}

#[test]
fn without_a_baseline_the_margin_is_stated() {
    let mut evidence = searched(&delay(), vec![found(Variant::Candidate, Some(0.43), Some(0.48))]);
    evidence.baseline = None;
    evidence.experiment.baseline.mode = shakedown_model::experiment::BaselineMode::None;
    let result = judge(&evidence);
    let finding = only(&result, "margin");
    assert_eq!((finding.verdict, finding.observed, finding.baseline), (Verdict::Pass, Some(0.43), None), "{}", finding.reason);
    assert_eq!(result.verdict, Verdict::Pass);
}

#[test]
fn where_less_is_worse_the_one_that_needs_more_bears_less() {
    let search = Search {
        path: "bandwidth.rate".to_owned(),
        unit: DoseUnit::BytesPerSecond,
        worse: Worse::Smaller,
        from: 1024.0,
        to: 65_536.0,
        step: 1024.0,
    };
    let of = |ours: Ends, theirs: Ends| {
        let variants = vec![found(Variant::Candidate, ours.0, ours.1), found(Variant::Baseline, theirs.0, theirs.1)];
        let mut evidence = searched(&search, variants);
        evidence.experiment.scenarios[0].faults[0].action = Action::Bandwidth(Bandwidth { rate: Throughput(1024) });
        only(&judge(&evidence), "margin-vs-baseline").clone()
    };
    let worse = of(ends(20_480.0, 19_456.0), ends(10_240.0, 9_216.0));
    assert_eq!(worse.verdict, Verdict::Fail, "{}", worse.reason);
    assert!(worse.reason.contains("down to 20 KiB/s, for the baseline down to 10 KiB/s"), "{}", worse.reason);
    assert_eq!(of(ends(10_240.0, 9_216.0), ends(20_480.0, 19_456.0)).verdict, Verdict::Pass);
}

#[test]
fn limits_doses_and_comparisons_are_not_held_against_doses_that_differ() {
    let mut evidence = both(ends(0.61, 0.66), ends(0.61, 0.66));
    for request in &mut evidence.candidate.requests {
        request.done = request.due + std::time::Duration::from_secs(1);
    }
    let result = judge(&evidence);
    let checks: Vec<&str> = result.scenarios[0].findings.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(checks, ["margin-vs-baseline"]);
}

#[test]
fn a_search_that_did_not_end_or_left_nothing_behind_never_passes() {
    let mut open = both(ends(0.61, 0.66), ends(0.61, 0.66));
    open.run.margins[0].variants[1].open = Some("at 1 s nothing can be said".to_owned());
    let finding = only(&judge(&open), "margin-vs-baseline").clone();
    assert_eq!(finding.verdict, Verdict::Inconclusive);
    assert!(finding.reason.contains("the boundary of the baseline is not known: at 1 s nothing can be said"), "{}", finding.reason);

    let mut nothing = both(ends(0.61, 0.66), ends(0.61, 0.66));
    nothing.run.margins.clear();
    assert_eq!(judge(&nothing).verdict, Verdict::Inconclusive);
    assert!(only(&judge(&nothing), "margin").reason.contains("no record"));

    let mut mute = both(ends(0.61, 0.66), ends(0.61, 0.66));
    for play in &mut mute.run.margins[0].variants[0].plays {
        play.held = None;
    }
    assert_eq!(judge(&mute).verdict, Verdict::Inconclusive);

    let mut never = both(ends(0.61, 0.66), ends(0.61, 0.66));
    never.run.scenarios.clear();
    let result = judge(&never);
    assert_eq!(result.verdict, Verdict::Inconclusive);
    assert!(findings(&result, "margin-vs-baseline").is_empty() && !findings(&result, "environment").is_empty());
}

#[test]
fn a_play_that_counts_as_borne_although_its_fault_touched_nothing_proves_nothing() {
    for of_baseline in [false, true] {
        let mut evidence = both(ends(0.61, 0.66), ends(0.61, 0.66));
        let faults = match (of_baseline, &mut evidence.baseline) {
            (true, Some(baseline)) => &mut baseline.evidence.faults,
            _ => &mut evidence.candidate.faults,
        };
        faults[0].dose.touched = 0;
        let finding = only(&judge(&evidence), "margin-vs-baseline").clone();
        assert_eq!(finding.verdict, Verdict::Inconclusive, "{}", finding.reason);
        assert!(
            finding.reason.contains("610 ms counts as borne by the") && finding.reason.contains("touched nothing"),
            "{}",
            finding.reason
        );
    }
}

#[test]
fn a_load_that_pauses_for_the_other_variant_does_not_stand_still() {
    let mut story = Story::slow_payment(NAME);
    story.fault.search = Some(delay());
    let mut beside = evidence(&[story]);
    let pause = common::at(0, 15.0)..common::at(0, 18.0);
    beside.candidate.requests.retain(|request| !pause.contains(&request.due));
    let (held, why) = answer(&beside);
    assert_eq!(held, Some(true), "{why}");
    let (held, why) = answer(&Evidence { baseline: None, ..beside });
    assert!(held.is_none(), "alone it does: {why}");
}

/// What a play with this behaviour answers.
fn answered(candidate: Behaviour) -> (Option<bool>, String) {
    let mut story = Story::slow_payment(NAME);
    story.candidate = candidate;
    story.fault.search = Some(delay());
    answer(&Evidence { baseline: None, ..evidence(&[story]) })
}

#[test]
fn a_play_holds_where_limits_and_recovery_do_and_the_dose_was_what_was_asked() {
    assert_eq!(answered(Behaviour::default()).0, Some(true));
    let (held, why) = answered(Behaviour { fault: 1.5, ..Behaviour::default() });
    assert!(held == Some(false) && why.contains("P99 of"), "{why}");
    let (held, why) = answered(Behaviour { sick: 9.0, ..Behaviour::default() });
    assert!(held == Some(false) && why.contains("steady state"), "{why}");
}

#[test]
fn a_play_whose_fault_touched_nothing_or_did_something_else_says_nothing() {
    let (held, why) = answered(Behaviour { touched: 0, ..Behaviour::default() });
    assert!(held.is_none() && why.contains("touched nothing"), "{why}");
    let (held, why) = answered(Behaviour { delay_ms: 20.0, ..Behaviour::default() });
    assert!(held.is_none() && why.contains("too far off"), "{why}");
    // Neither does harm that nothing, or more than was asked, has done.
    assert_eq!(answered(Behaviour { touched: 0, fault: 1.5, ..Behaviour::default() }).0, None);
    assert_eq!(answered(Behaviour { delay_ms: 900.0, fault: 1.5, ..Behaviour::default() }).0, None);
    // Harm that less than was asked has done is harm.
    assert_eq!(answered(Behaviour { delay_ms: 20.0, fault: 1.5, ..Behaviour::default() }).0, Some(false));
}

#[test]
fn a_play_that_a_stop_condition_ended_does_not_hold_and_one_with_a_bad_generator_says_nothing() {
    let mut story = Story::slow_payment(NAME);
    story.fault.search = Some(delay());
    let mut stopped = Evidence { baseline: None, ..evidence(&[story]) };
    let mut late = stopped.clone();
    stopped.run.scenarios[0].stopped = Some("checkout: success 3 %".to_owned());
    let (held, why) = answer(&stopped);
    assert!(held == Some(false) && why.contains("success 3 %"), "{why}");
    if let Some(report) = late.generator.get_mut(NAME) {
        report.late_p99_ms = 500.0;
    }
    let (held, why) = answer(&late);
    assert!(held.is_none() && why.contains("ran late"), "{why}");
}
