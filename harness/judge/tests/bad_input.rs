//! Evidence that is not what it should be: each kind has a verdict and a sentence of its own, and none passes.

mod common;
mod verdicts;

use common::{Behaviour, Story, at, in_rounds, span};
use shakedown_judge::judge;
use shakedown_model::{
    event::{Event, Phase},
    evidence::{Evidence, Request, VariantEvidence},
    experiment::BaselineMode,
    result::HealthNote,
    stack::Variant,
    time::UnixNanos,
    verdict::Verdict,
};
use std::time::Duration;
use verdicts::{check, findings, healthy, only};

/// Both sides of a paired run.
fn sides(evidence: &mut Evidence) -> [&mut VariantEvidence; 2] {
    [&mut evidence.candidate, &mut evidence.baseline.as_mut().expect("a baseline").evidence]
}

fn requests(evidence: &mut Evidence) -> impl Iterator<Item = &mut Request> {
    sides(evidence).into_iter().flat_map(|side| &mut side.requests)
}

fn note<'a>(notes: &'a [HealthNote], name: &str) -> &'a HealthNote {
    notes.iter().find(|note| note.name == name).unwrap_or_else(|| panic!("no note {name} in {notes:?}"))
}

/// Not a pass, and exit code 3, with a note that says so.
#[track_caller]
fn spoilt(evidence: &Evidence, name: &str, says: &str) {
    let result = judge(evidence);
    assert_eq!((result.verdict, result.exit_code), (Verdict::Inconclusive, 3), "{}", result.headline);
    let note = note(&result.health, name);
    assert!(note.forces_inconclusive && note.text.contains(says), "{says:?} is not in: {}", note.text);
}

// Time

/// Moves what the wall clock wrote from `from` on.
fn set_clock(evidence: &mut Evidence, from: f64, shift: impl Fn(UnixNanos) -> UnixNanos) {
    let late = |moment: &mut UnixNanos| {
        if *moment >= at(0, from) {
            *moment = shift(*moment);
        }
    };
    for phase in &mut evidence.run.scenarios[0].phases {
        late(&mut phase.start);
        late(&mut phase.end);
    }
    for fault in sides(evidence).into_iter().flat_map(|side| &mut side.faults) {
        fault.applied_at.as_mut().map(late);
        fault.reverted_at.as_mut().map(late);
    }
}

#[test]
fn a_clock_that_is_set_while_load_runs_is_seen_by_the_requests() {
    let mut ahead = healthy();
    set_clock(&mut ahead, 8.0, |moment| moment + Duration::from_mins(5));
    spoilt(
        &ahead,
        "clock",
        "requests of the recovery phase were due 4 min 59 s and more outside it: the clock was set, or the machine slept",
    );
    for name in ["p99", "success", "p99-vs-baseline", "recovery"] {
        assert_ne!(only(&judge(&ahead), name).verdict, Verdict::Pass, "{name}");
    }
    let mut back = healthy();
    set_clock(&mut back, 13.0, |moment| UnixNanos(moment.0 - 10_000_000_000));
    spoilt(&back, "clock", "outside it");
}

#[test]
fn time_that_passes_between_two_phases_is_no_jump() {
    let mut evidence = healthy();
    evidence.run.scenarios[0].phases[1].end = at(0, 9.0);
    evidence.run.scenarios[0].phases[3].end = at(0, 33.0);
    evidence.run.scenarios[0].phases[0].start = at(0, 1.9);
    assert!(judge(&evidence).health.is_empty(), "{:?}", judge(&evidence).health);
}

#[test]
fn a_clock_that_goes_back_between_phases_is_named() {
    let mut evidence = healthy();
    evidence.run.scenarios[0].phases[2].start = at(0, 4.0);
    spoilt(&evidence, "clock", "the clock went back by 8.00 s in or before the fault phase");
}

#[test]
fn a_machine_that_sleeps_at_the_end_leaves_a_silence() {
    let mut evidence = healthy();
    evidence.run.scenarios[0].phases[3].end = at(0, 636.0);
    spoilt(&evidence, "clock", "no request was due for 10 min 00 s although 100/s are asked for");
    let mut hole = healthy();
    for side in sides(&mut hole) {
        side.requests.retain(|request| request.due < at(0, 5.0) || request.due > at(0, 9.0));
    }
    spoilt(&hole, "clock", "no request was due for 4.0");
}

#[test]
fn a_jump_in_one_round_names_the_round() {
    let mut evidence = in_rounds(&Story::slow_payment("slow-payment"), &[Behaviour::default(), Behaviour::default()]);
    for side in sides(&mut evidence) {
        side.requests.retain(|request| request.due < at(1, 5.0) || request.due > at(1, 9.0));
    }
    spoilt(&evidence, "clock", "slow-payment: in round 2 of 2: no request was due");
}

// Samples

#[test]
fn samples_that_are_all_equal_prove_nothing_and_give_no_nan() {
    let mut evidence = healthy();
    for request in requests(&mut evidence) {
        request.done = request.due + Duration::from_millis(20);
    }
    check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, "took exactly 20.0 ms: a clock that stands still measures nothing");
    let result = judge(&evidence);
    assert_eq!((result.verdict, result.exit_code), (Verdict::Inconclusive, 3));
    assert!(!serde_json::to_string(&result).unwrap().contains("NaN"));
}

#[test]
fn a_run_without_requests_proves_nothing() {
    let mut evidence = healthy();
    for side in sides(&mut evidence) {
        side.requests.clear();
    }
    spoilt(&evidence, "no-requests", "not a single request was recorded");
    check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, "no request of checkout was due in the fault phase");
    check(&evidence, "success", Verdict::Inconclusive, "no request was due while the fault was on");
}

#[test]
fn requests_of_one_side_only_name_the_other() {
    let mut evidence = healthy();
    evidence.candidate.requests.clear();
    check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, "no request of checkout reached the candidate");
}

#[test]
fn half_of_the_blocks_lost_is_inconclusive_even_where_the_rest_is_clear() {
    for fault in [0.22, 0.7] {
        let mut story = Story::slow_payment("slow-payment");
        story.candidate.fault = fault;
        let mut evidence = in_rounds(&story, &vec![story.candidate.clone(); 4]);
        evidence.candidate.requests.retain(|request| request.block % 2 == 0);
        check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, "pair-blocks hold requests of both");
        assert_ne!(judge(&evidence).verdict, Verdict::Pass);
    }
}

#[test]
fn a_few_lost_blocks_are_survived() {
    let mut evidence = healthy();
    evidence.candidate.requests.retain(|request| request.block % 5 != 0);
    check(&evidence, "p99-vs-baseline", Verdict::Pass, "pair-blocks");
}

#[test]
fn a_generator_that_sheds_is_said_to_be_saturated() {
    let mut evidence = healthy();
    evidence.generator[0].shed = 7;
    spoilt(&evidence, "generator", "had to shed 7 of 3600 requests because too many were open");
}

// The baseline

#[test]
fn a_baseline_out_of_its_own_steady_state_is_named_as_such() {
    let mut evidence = healthy();
    for timed in &mut evidence.events {
        if let Event::SteadyState { variant: Variant::Baseline, holds, detail, .. } = &mut timed.event {
            (*holds, *detail) = (false, "checkout: success 12 %".to_owned());
        }
    }
    let result = judge(&evidence);
    assert_eq!((result.verdict, result.exit_code), (Verdict::Inconclusive, 3));
    let finding = findings(&result, "steady-state").into_iter().find(|finding| finding.subject == "baseline").unwrap();
    assert!(finding.reason.contains("the baseline did not hold its own steady state before the fault"), "{}", finding.reason);
}

#[test]
fn a_baseline_without_the_endpoint_is_not_compared_with() {
    let mut evidence = healthy();
    for request in &mut evidence.baseline.as_mut().unwrap().evidence.requests {
        (request.status, request.ok) = (404, false);
    }
    check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, "the baseline does not have this endpoint: it answered each of");
    check(&evidence, "success-vs-baseline", Verdict::Inconclusive, "(POST /checkout) with 404");
    check(&evidence, "success", Verdict::Pass, "100 %");
    assert_eq!(judge(&evidence).verdict, Verdict::Inconclusive);
}

#[test]
fn where_nothing_succeeds_on_either_side_nothing_is_compared() {
    let mut evidence = healthy();
    for request in requests(&mut evidence) {
        (request.status, request.ok) = (503, false);
    }
    let result = judge(&evidence);
    let steady = findings(&result, "p99-vs-baseline").into_iter().find(|finding| finding.phase == Some(Phase::Steady)).unwrap();
    assert_eq!(steady.verdict, Verdict::Inconclusive);
    assert!(steady.reason.contains("no request of checkout succeeded on either side"), "{}", steady.reason);
}

fn recorded(rename: fn(&mut Evidence)) -> Evidence {
    let mut evidence = healthy();
    let run = evidence.run.clone();
    let baseline = evidence.baseline.as_mut().expect("a baseline");
    (baseline.paired, baseline.run) = (false, Some(run));
    evidence.experiment.baseline.mode = BaselineMode::Recorded;
    rename(&mut evidence);
    evidence
}

#[test]
fn a_scenario_or_a_load_with_another_name_in_the_recorded_baseline_is_named() {
    let renamed_scenario = recorded(|evidence| {
        let baseline = evidence.baseline.as_mut().unwrap();
        baseline.run.as_mut().unwrap().scenarios[0].name = "payment-slow".to_owned();
        for request in &mut baseline.evidence.requests {
            request.scenario = "payment-slow".to_owned();
        }
        for fault in &mut baseline.evidence.faults {
            fault.scenario = "payment-slow".to_owned();
        }
    });
    let result = judge(&renamed_scenario);
    let steady = findings(&result, "p99-vs-baseline").into_iter().find(|finding| finding.phase == Some(Phase::Steady)).unwrap();
    assert!(steady.reason.contains("the recorded baseline has no scenario slow-payment (it has payment-slow)"), "{}", steady.reason);
    assert_eq!(result.verdict, Verdict::Inconclusive);
    let renamed_load = recorded(|evidence| {
        for request in &mut evidence.baseline.as_mut().unwrap().evidence.requests {
            request.load = "buy".to_owned();
        }
    });
    check(&renamed_load, "p99-vs-baseline", Verdict::Inconclusive, "the recorded baseline has no load checkout (it has buy)");
}

// The machine

#[test]
fn a_machine_that_slows_down_over_the_run_is_told_and_changes_no_verdict() {
    let unchanged = vec![Behaviour::default(); 4];
    let mut evidence = in_rounds(&Story::slow_payment("slow-payment"), &unchanged);
    assert!(judge(&evidence).health.is_empty());
    for request in requests(&mut evidence) {
        let factor = 1.0 + (request.due.seconds_from(at(0, 0.0)) / 40.0).floor() * 0.2;
        request.done = request.due + Duration::from_secs_f64(request.latency() * factor);
    }
    evidence.experiment.scenarios[0].expect_fault.clear();
    evidence.experiment.scenarios[0].recover_within = Some((span("9s"), common::source(9)));
    let result = judge(&evidence);
    let note = note(&result.health, "drift");
    assert!(!note.forces_inconclusive && note.text.contains("the median of checkout on the baseline changed by +"), "{}", note.text);
    assert_eq!(only(&result, "p99-vs-baseline").verdict, Verdict::Pass);
}
