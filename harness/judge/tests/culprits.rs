//! Whom the judge blames, how sure it is, and that it blames nobody where nothing differs.

mod common;
mod verdicts;

use common::{Behaviour, Story, at, in_rounds};
use shakedown_judge::{accused, judge};
use shakedown_model::{
    evidence::{Attributes, Evidence, SpanRecord, VariantEvidence},
    result::{Blame, Culprit, RunResult},
    run::Imported,
    text::Text,
    verdict::Verdict,
};
use std::{sync::Arc, time::Duration};
use verdicts::{healthy, with};

fn blamed(result: &RunResult) -> (&Culprit, &Blame) {
    let scenario = &result.scenarios[0];
    (scenario.culprits.first().expect("a culprit"), scenario.blame.as_ref().expect("blame"))
}

fn both(evidence: &mut Evidence) -> [&mut VariantEvidence; 2] {
    [&mut evidence.candidate, &mut evidence.baseline.as_mut().expect("a baseline").evidence]
}

/// Spans of a name that began while the fault was on.
fn under_fault<'a>(side: &'a mut VariantEvidence, service: &'a str, name: &'a str) -> impl Iterator<Item = &'a mut SpanRecord> {
    let window = at(0, 12.1)..at(0, 26.0);
    side.spans.iter_mut().filter(move |span| *span.service == *service && *span.name == *name && window.contains(&span.start))
}

fn says(culprit: &Culprit, words: &str) -> bool {
    culprit.evidence.iter().any(|note| note.text.contains(words))
}

#[test]
fn a_retry_storm_is_the_callers_and_the_account_adds_up() {
    let result = judge(&with(Behaviour { fault: 0.7, calls: 4, ..Behaviour::default() }));
    let (culprit, blame) = blamed(&result);
    assert_eq!((culprit.service.as_str(), culprit.operation.as_str()), ("orders", "POST /payment"));
    let (share, [low, high]) = (culprit.share.unwrap(), culprit.share_ci.unwrap());
    assert!(low <= share && share <= high && share > 0.5, "{share} {low} {high}");
    assert!(culprit.first_in.unwrap() > 0.95 && !blame.ambiguous && blame.margin > 0.3, "{blame:?}");
    assert!(culprit.channels["time"] >= share && culprit.added.unwrap() <= blame.regression.unwrap());
    assert!(culprit.added_without_fault.unwrap().abs() < 0.01 && says(culprit, "only under the fault"), "{culprit:?}");
    let others: Vec<&str> = blame.ruled_out.iter().map(|suspect| suspect.service.as_str()).collect();
    let named: Vec<&str> = result.scenarios[0].culprits.iter().map(|culprit| culprit.service.as_str()).collect();
    for service in ["gateway", "payment"] {
        assert!(others.contains(&service) || named.contains(&service), "{service} is neither blamed nor ruled out");
    }
}

#[test]
fn the_path_leads_from_the_fault_to_where_requests_come_in() {
    let result = judge(&with(Behaviour { fault: 0.7, ..Behaviour::default() }));
    let (culprit, blame) = blamed(&result);
    let path: Vec<&str> = blame.path.iter().map(|hop| hop.service.as_str()).collect();
    assert_eq!(path, ["payment", "orders", "gateway"], "{blame:?}");
    assert!(blame.path[..2].iter().all(|hop| hop.injected) && !blame.path[2].injected);
    assert!(blame.path[1].added > 0.3 && blame.path[1].since.is_some(), "{:?}", blame.path);
    assert!(says(culprit, "payment (fault") && says(culprit, "-> gateway (+"), "{culprit:?}");
    let pair = &blame.pairs[0];
    assert!(pair.candidate_seconds > pair.reference_seconds && pair.candidate != pair.reference, "{pair:?}");
    assert!(pair.largest.as_ref().unwrap().1 > 0.0);
}

#[test]
fn what_is_always_slower_is_told_apart_from_what_the_fault_reveals() {
    let result = judge(&with(Behaviour { steady: 0.12, fault: 0.36, ..Behaviour::default() }));
    let (culprit, _) = blamed(&result);
    assert!(culprit.added_without_fault.unwrap() > 0.05 && says(culprit, "always slower"), "{culprit:?}");
}

#[test]
fn nobody_is_accused_where_nothing_differs() {
    assert!(judge(&healthy()).scenarios[0].blame.is_none());
    for seed in 0..3 {
        let evidence = common::evidence_at(&[Story::slow_payment("slow-payment")], 100.0, 100 + seed);
        assert!(accused(&evidence)[0].is_empty(), "{:?}", accused(&evidence)[0]);
    }
}

#[test]
fn an_error_that_the_baseline_bore_is_not_where_the_failure_began() {
    let mut evidence = with(Behaviour { failures: 0.4, ..Behaviour::default() });
    for side in both(&mut evidence) {
        for (place, span) in under_fault(side, "payment", "POST /payment").enumerate() {
            span.error = place % 2 == 0;
        }
    }
    let result = judge(&evidence);
    let (culprit, _) = blamed(&result);
    assert_eq!((culprit.service.as_str(), culprit.operation.as_str()), ("orders", "POST /payment"), "{culprit:?}");
    assert!(culprit.evidence.iter().any(|note| note.kind == "error" && note.reference.is_some()));
}

#[test]
fn values_that_slow_requests_share_are_evidence() {
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    let slow: Vec<_> =
        evidence.candidate.requests.iter().filter(|request| request.latency() > 0.75).map(|request| request.trace_id).collect();
    let value = |text: &str| Attributes::from_iter([Arc::new((Text::from("tenant"), Text::from(text)))]);
    for span in evidence.candidate.spans.iter_mut().filter(|span| &*span.service == "orders") {
        span.attributes = if slow.contains(&span.trace_id) { value("big\u{202e}") } else { value("small") };
    }
    let result = judge(&evidence);
    let (_, blame) = blamed(&result);
    let found = &blame.differences[0];
    assert_eq!((found.service.as_str(), found.key.as_str()), ("orders", "tenant"));
    assert_eq!(found.value, "big\\u{202e}", "it is cleaned");
    assert!(found.slow > found.others || found.slow == found.slow_of, "{found:?}");
}

#[test]
fn without_a_baseline_it_is_compared_with_its_own_steady_phase() {
    let mut evidence = with(Behaviour { fault: 1.2, ..Behaviour::default() });
    evidence.baseline = None;
    let result = judge(&evidence);
    let (culprit, blame) = blamed(&result);
    assert_eq!(blame.against, "its own steady phase");
    // On the edge that was disturbed it is the caller who waits.
    assert_eq!((culprit.service.as_str(), culprit.operation.as_str()), ("orders", "POST /payment"));
}

#[test]
fn the_same_evidence_gives_the_same_blame_and_another_seed_the_same_culprit() {
    let mut evidence = with(Behaviour { fault: 0.7, calls: 3, ..Behaviour::default() });
    let first = judge(&evidence);
    let text = |result: &RunResult| serde_json::to_string(&result.scenarios[0].blame).unwrap();
    assert_eq!(text(&first), text(&judge(&evidence)));
    evidence.run.seed += 1;
    assert_eq!(blamed(&judge(&evidence)).0.service, blamed(&first).0.service);
}

#[test]
fn of_a_run_that_others_recorded_a_culprit_is_named_although_nothing_fails() {
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    evidence.run.imported = Some(Imported::default());
    evidence.experiment.scenarios[0].expect_fault.clear();
    let result = judge(&evidence);
    assert_ne!(result.verdict, Verdict::Fail);
    assert_eq!(blamed(&result).0.service, "orders");
    let mut same = healthy();
    same.run.imported = Some(Imported::default());
    assert!(judge(&same).scenarios[0].culprits.is_empty());
}

#[test]
fn rounds_are_one_sample() {
    let worse = Behaviour { fault: 0.7, ..Behaviour::default() };
    let result = judge(&in_rounds(&Story::slow_payment("slow-payment"), &[worse.clone(), worse]));
    assert_eq!(result.scenarios[0].verdict, Verdict::Fail);
    assert_eq!(blamed(&result).0.service, "orders");
}

#[test]
fn hostile_traces_blame_somebody_or_nobody_and_crash_nothing() {
    let mut evidence = with(Behaviour { fault: 0.7, failures: 0.2, ..Behaviour::default() });
    for side in both(&mut evidence) {
        for (place, span) in side.spans.iter_mut().enumerate() {
            match place % 11 {
                0 => span.parent_id = Some(span.span_id),
                1 => std::mem::swap(&mut span.start, &mut span.end),
                2 => span.service = "\u{1b}[31m".repeat(200).as_str().into(),
                3 => span.name = format!("op {place}").as_str().into(),
                4 => span.start = span.start + Duration::from_secs(86_400),
                5 => span.parent_id = None,
                _ => {}
            }
        }
        let again: Vec<SpanRecord> = side.spans.iter().step_by(7).cloned().collect();
        side.spans.extend(again);
    }
    let result = judge(&evidence);
    let json = serde_json::to_string(&result).unwrap();
    assert!(!json.contains('\u{1b}'));
    for culprit in &result.scenarios[0].culprits {
        assert!((0.0..=1.0).contains(&culprit.score) && culprit.service.len() < 200, "{culprit:?}");
    }
}
