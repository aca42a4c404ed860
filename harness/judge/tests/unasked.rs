//! What the judge says although nobody asked: each kind where it is so, none where it is not, and never as a verdict.

mod common;
mod verdicts;

use common::{Behaviour, Story, at};
use shakedown_judge::judge;
use shakedown_model::{
    event::Phase,
    evidence::{Attributes, Evidence, MetricPoint, SpanRecord, VariantEvidence},
    experiment::Check,
    result::Finding,
    text::Text,
    verdict::Verdict,
};
use std::sync::Arc;
use verdicts::{findings, healthy, with};

const KINDS: [&str; 6] = ["amplification", "missing-timeout", "swallowed-error", "written-twice", "pool-exhausted", "hangover"];

/// The only finding of a kind; it is advice.
#[track_caller]
fn advice(evidence: &Evidence, kind: &str, says: &str) -> Finding {
    let result = judge(evidence);
    let found = findings(&result, kind);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].advisory && found[0].verdict == Verdict::Fail);
    assert!(found[0].reason.contains(says), "{says:?} is not in: {}", found[0].reason);
    found[0].clone()
}

#[track_caller]
fn silent(evidence: &Evidence, kind: &str) {
    let result = judge(evidence);
    assert!(findings(&result, kind).is_empty(), "{:#?}", findings(&result, kind));
}

fn baseline(evidence: &mut Evidence) -> &mut VariantEvidence {
    &mut evidence.baseline.as_mut().expect("a baseline").evidence
}

fn ask_for_no_retries(evidence: &mut Evidence) {
    evidence.experiment.scenarios[0].expect_fault.retain(|expectation| !matches!(expectation.check, Check::Retries { .. }));
}

/// Spans of a service that began while the fault was on.
fn under_fault<'a>(side: &'a mut VariantEvidence, service: &'a str) -> impl Iterator<Item = &'a mut SpanRecord> {
    let window = at(0, 12.1)..at(0, 26.0);
    side.spans.iter_mut().filter(move |span| *span.service == *service && &*span.name == "POST /payment" && window.contains(&span.start))
}

#[test]
fn a_sound_run_gets_no_advice() {
    let result = judge(&healthy());
    for kind in KINDS {
        assert!(findings(&result, kind).is_empty(), "{:#?}", findings(&result, kind));
    }
}

#[test]
fn calls_that_the_fault_multiplies_are_named_unless_an_expectation_asks() {
    let mut evidence = with(Behaviour { calls: 3, ..Behaviour::default() });
    silent(&evidence, "amplification");
    ask_for_no_retries(&mut evidence);
    let found = advice(&evidence, "amplification", "by the baseline 1 times; without the fault 1 times");
    assert_eq!((found.subject.as_str(), found.observed), ("orders / POST /payment", Some(3.0)));
    assert_eq!(judge(&evidence).verdict, Verdict::Pass, "advice decides nothing");
}

#[test]
fn calls_that_both_variants_multiply_are_not() {
    let mut story = Story::slow_payment("slow-payment");
    (story.candidate.calls, story.baseline.calls) = (3, 3);
    let mut evidence = common::evidence(&[story]);
    ask_for_no_retries(&mut evidence);
    silent(&evidence, "amplification");
}

#[test]
fn calls_that_wait_for_the_end_of_the_fault_have_no_timeout() {
    let mut evidence = healthy();
    for span in under_fault(&mut evidence.candidate, "orders").take(5) {
        span.end = at(0, 26.3);
    }
    let found = advice(&evidence, "missing-timeout", "5 calls waited until the fault was gone");
    assert!(found.reason.contains("none of the baseline's did"), "{}", found.reason);
    let mut few = healthy();
    under_fault(&mut few.candidate, "orders").take(2).for_each(|span| span.end = at(0, 26.3));
    silent(&few, "missing-timeout");
}

#[test]
fn calls_that_take_so_long_anyway_are_not_waiting_for_the_fault() {
    let mut evidence = healthy();
    under_fault(&mut evidence.candidate, "orders").take(5).for_each(|span| span.end = at(0, 26.3));
    let steady = evidence.candidate.spans.iter_mut().filter(|span| &*span.service == "orders" && span.start < at(0, 11.0));
    steady.skip(600).take(2).for_each(|span| span.end = at(0, 26.3));
    silent(&evidence, "missing-timeout");
}

fn failing_calls(told: u16) -> Evidence {
    let mut evidence = healthy();
    under_fault(&mut evidence.candidate, "orders").for_each(|span| span.error = true);
    let side = baseline(&mut evidence);
    under_fault(side, "orders").for_each(|span| span.error = true);
    side.requests.iter_mut().filter(|request| request.phase == Phase::Fault).for_each(|request| request.status = told);
    evidence
}

#[test]
fn a_failure_that_is_answered_as_success_is_swallowed_where_the_baseline_tells() {
    let found = advice(&failing_calls(202), "swallowed-error", "the baseline answers such requests 202");
    assert_eq!(found.subject, "orders / POST /payment");
    silent(&failing_calls(201), "swallowed-error");
    // A fallback where there was none is no error swallowed.
    silent(&failing_calls(503), "swallowed-error");
}

#[test]
fn the_same_write_twice_in_a_request_is_named_and_two_different_ones_are_not() {
    for (key, is_said) in [("same", true), ("different", false)] {
        let mut evidence = with(Behaviour { calls: 2, ..Behaviour::default() });
        let mark = |side: &mut VariantEvidence| {
            for (place, span) in side.spans.iter_mut().filter(|span| &*span.service == "payment").enumerate() {
                let value = if key == "same" { span.trace_id.to_string() } else { place.to_string() };
                let pair = (Text::from("http.request.header.idempotency-key"), Text::from(value.as_str()));
                span.attributes = Attributes::from_iter([Arc::new(pair)]);
            }
        };
        mark(&mut evidence.candidate);
        mark(baseline(&mut evidence));
        if is_said { drop(advice(&evidence, "written-twice", "by the baseline in 0 of")) } else { silent(&evidence, "written-twice") }
    }
}

#[test]
fn a_pool_that_runs_out_under_the_fault_is_named() {
    let gauge = |name: &str, calm: f64| {
        let mut evidence = healthy();
        evidence.candidate.metrics = (3..26)
            .map(|second| MetricPoint {
                at: at(0, f64::from(second)),
                service: "orders".into(),
                name: name.into(),
                labels: "".into(),
                value: if second < 13 { calm } else { f64::from(second) },
            })
            .collect();
        evidence
    };
    advice(&gauge("db.client.connection.pending_requests", 0.0), "pool-exhausted", "went up to 25");
    silent(&gauge("db.client.connection.pending_requests", 1.0), "pool-exhausted");
    silent(&gauge("db_pool_wait_time_seconds", 0.0), "pool-exhausted");
}

#[test]
fn an_effect_that_outlives_its_fault_is_a_hangover_unless_recovery_is_asked_for() {
    let mut evidence = with(Behaviour { sick: 10.0, ..Behaviour::default() });
    silent(&evidence, "hangover");
    evidence.experiment.scenarios[0].recover_within = None;
    advice(&evidence, "hangover", "of the baseline's 0 %");
    let mut well = with(Behaviour { sick: 2.0, ..Behaviour::default() });
    well.experiment.scenarios[0].recover_within = None;
    silent(&well, "hangover");
}
