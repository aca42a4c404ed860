//! Whom the judge blames, how sure it is, and that it blames nobody where nothing differs.

mod common;
mod verdicts;

use common::{Behaviour, Story, at, in_rounds};
use shakedown_judge::{accused, judge};
use shakedown_model::{
    evidence::{Attributes, Evidence, LogRecord, MetricPoint, SpanRecord, VariantEvidence},
    result::{Blame, Culprit, PatternChange, RunResult},
    run::{Imported, ServiceChanges},
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

/// Every request of this variant that was due in these seconds, of so many one, writes such a line.
fn write(side: &mut VariantEvidence, seconds: (f64, f64), every: usize, service: &str, severity: &str, body: impl Fn(usize) -> String) {
    let window = at(0, seconds.0)..at(0, seconds.1);
    let due = side.requests.iter().filter(|request| window.contains(&request.due)).step_by(every).enumerate();
    let lines = due.map(|(number, request)| LogRecord {
        at: request.due + Duration::from_millis(3),
        service: service.into(),
        severity: Some(severity.into()),
        body: body(number),
        trace_id: Some(request.trace_id),
    });
    side.logs.extend(lines.collect::<Vec<_>>());
    side.logs.sort_by_key(|line| line.at);
}

const UNDER_FAULT: (f64, f64) = (12.1, 26.0);
const WHOLE: (f64, f64) = (2.0, 36.0);

fn log_score(evidence: &Evidence, service: &str) -> Option<f64> {
    let culprits = &judge(evidence).scenarios[0].culprits;
    culprits.iter().find(|culprit| culprit.service == service).and_then(|culprit| culprit.channels.get("logs").copied())
}

#[test]
fn a_line_that_is_new_under_this_commit_and_this_fault_is_evidence_with_counts_a_line_and_its_trace() {
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    write(&mut evidence.candidate, UNDER_FAULT, 3, "orders", "ERROR", |number| {
        format!("payment gave up after {number} attempts\u{1b}[31m")
    });
    let result = judge(&evidence);
    let (culprit, _) = blamed(&result);
    assert_eq!(culprit.service, "orders");
    assert!((0.4..=0.5).contains(&culprit.channels["logs"]), "{:?}", culprit.channels);
    let note = culprit.evidence.iter().find(|note| note.kind == "log").expect("a line");
    for words in [
        "writes new: ERROR payment gave up after <*>",
        "0 against the baseline",
        "first after",
        "one of them: payment gave up after 0 attempts",
    ] {
        assert!(note.text.contains(words), "{words:?} is not in {}", note.text);
    }
    assert!(note.reference.as_ref().is_some_and(|id| id.len() == 32) && !note.text.contains('\u{1b}'));
    let diff = result.scenarios[0].exhibits.log_diff.as_ref().expect("a difference");
    let new = &diff.patterns[0];
    assert_eq!((diff.against.as_str(), new.change, new.service.as_str()), ("the baseline", PatternChange::New, "orders"));
    assert!(new.lines > 100 && new.reference == 0 && new.before == 0 && new.first_seen.is_some() && new.trace_id.is_some(), "{new:?}");
}

#[test]
fn errors_that_are_gone_accuse_nobody_and_are_shown_as_lost() {
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    let [_, baseline] = both(&mut evidence);
    write(baseline, UNDER_FAULT, 2, "payment", "ERROR", |number| format!("queue {number} is full"));
    assert_eq!(log_score(&evidence, "payment"), None);
    let result = judge(&evidence);
    let diff = result.scenarios[0].exhibits.log_diff.as_ref().unwrap();
    let lost = diff.patterns.iter().find(|pattern| pattern.change == PatternChange::Lost).expect("what was lost");
    assert_eq!((lost.service.as_str(), lost.lines), ("payment", 0));
    assert!(lost.template.starts_with("queue <*>") && lost.reference > 100, "{lost:?}");
}

#[test]
fn another_wording_and_lines_that_are_there_in_the_calm_as_well_accuse_nobody() {
    let slow = Behaviour { fault: 0.7, ..Behaviour::default() };
    let mut reworded = with(slow.clone());
    let [candidate, baseline] = both(&mut reworded);
    write(candidate, UNDER_FAULT, 2, "payment", "WARN", |_| "the provider is slow, trying again".to_owned());
    write(baseline, UNDER_FAULT, 2, "payment", "WARN", |_| "retry of a request to the provider".to_owned());
    assert_eq!(log_score(&reworded, "payment"), None);
    let mut always = with(slow.clone());
    write(&mut always.candidate, WHOLE, 2, "payment", "ERROR", |_| "cannot reach the metrics endpoint".to_owned());
    assert_eq!(log_score(&always, "payment"), None);
    let mut once = with(slow);
    write(&mut once.candidate, (14.0, 14.6), 1, "payment", "ERROR", |_| "the pool was rebuilt".to_owned());
    assert_eq!(log_score(&once, "payment"), None, "one bad moment");
}

#[test]
fn who_is_asked_more_often_may_write_more() {
    // orders calls payment four times as often, and payment writes one line for each call.
    let mut evidence = with(Behaviour { fault: 0.7, calls: 4, ..Behaviour::default() });
    for (side, calls) in both(&mut evidence).into_iter().zip([4, 1]) {
        for _ in 0..calls {
            write(side, UNDER_FAULT, 1, "payment", "ERROR", |_| "the provider is slow".to_owned());
        }
    }
    assert_eq!(log_score(&evidence, "payment"), None);
}

#[test]
fn who_complains_of_a_service_that_is_accused_itself_counts_for_less() {
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    write(&mut evidence.candidate, UNDER_FAULT, 1, "gateway", "ERROR", |_| "orders is slow".to_owned());
    let result = judge(&evidence);
    let (culprit, _) = blamed(&result);
    assert_eq!(culprit.service, "orders");
    let most = culprit.channels.values().copied().fold(0.0, f64::max);
    let gateway = log_score(&evidence, "gateway").expect("its lines are new");
    assert!(gateway <= most / 2.0 && gateway < 0.5, "{gateway} beside {most}");
}

#[test]
fn without_lines_of_the_baseline_the_steady_phase_is_what_lines_are_compared_with() {
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    write(&mut evidence.candidate, UNDER_FAULT, 3, "orders", "ERROR", |_| "gave up".to_owned());
    evidence.baseline.as_mut().unwrap().evidence.logs.clear();
    let result = judge(&evidence);
    let diff = result.scenarios[0].exhibits.log_diff.as_ref().unwrap();
    assert_eq!((diff.against.as_str(), diff.patterns[0].template.as_str()), ("its own steady phase", "gave up"));
    assert!(!blamed(&result).0.channels.contains_key("logs"), "nothing is known of the baseline's");
}

#[test]
fn a_flood_of_hostile_lines_is_bounded_and_crashes_nothing() {
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    let odd = |number: usize| format!("{} {}\u{202e}\u{0}", "x".repeat(number % 3_000), letters(number));
    write(&mut evidence.candidate, WHOLE, 1, &"s".repeat(500), "ERROR", odd);
    let result = judge(&evidence);
    let diff = result.scenarios[0].exhibits.log_diff.as_ref().unwrap();
    assert!(diff.patterns.len() <= 24, "{}", diff.patterns.len());
    for pattern in &diff.patterns {
        assert!(pattern.template.len() < 400 && pattern.example.len() < 400 && pattern.service.len() < 200);
    }
    assert!(!serde_json::to_string(&result).unwrap().contains('\u{202e}'));
}

/// A number without a digit, so that no mask hides it.
fn letters(number: usize) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

#[test]
fn a_full_processor_speaks_beside_the_baseline_under_the_same_fault() {
    let metrics = |share: f64| -> Vec<MetricPoint> {
        let points = (3..26).map(|second| MetricPoint {
            at: at(0, f64::from(second)),
            service: "orders".into(),
            name: "container_cpu_utilization".into(),
            labels: "".into(),
            value: 0.2 + f64::from(second % 3) / 100.0 + if second > 12 { share } else { 0.0 },
        });
        points.collect()
    };
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    evidence.candidate.metrics = metrics(0.6);
    evidence.baseline.as_mut().unwrap().evidence.metrics = metrics(0.0);
    let result = judge(&evidence);
    let (culprit, _) = blamed(&result);
    assert!((0.5..0.7).contains(&culprit.channels["resources"]), "{:?}", culprit.channels);
    assert!(says(culprit, "container_cpu_utilization 0.21 -> 0.81, "), "{:?}", culprit.evidence);
    evidence.baseline.as_mut().unwrap().evidence.metrics = metrics(0.6);
    let same = judge(&evidence);
    assert!(!blamed(&same).0.channels.contains_key("resources"), "the baseline's was as busy under this fault");
    assert!(!says(blamed(&same).0, "container_cpu"));
}

#[test]
fn the_files_that_the_commit_changes_in_the_culprit_are_named() {
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    let result = judge(&evidence);
    let note = blamed(&result).0.evidence.iter().find(|note| note.kind == "change").expect("changed files").clone();
    assert_eq!(note.text, "the change touches services/orders/client.rs, services/orders/retry.rs");
    assert_eq!(note.reference.as_deref(), Some("services/orders/client.rs"));
    let changes = evidence.run.changes.as_mut().unwrap();
    changes.services["orders"] = ServiceChanges { files: 40, named: vec!["a\u{202e}.rs".to_owned()] };
    assert!(says(blamed(&judge(&evidence)).0, "the change touches a\\u{202e}.rs and 39 more of its files"));
    evidence.run.changes.as_mut().unwrap().services["orders"] = ServiceChanges::default();
    assert!(says(blamed(&judge(&evidence)).0, "the change touches none of its files (3 files elsewhere)"));
    evidence.run.changes = None;
    assert!(!blamed(&judge(&evidence)).0.evidence.iter().any(|note| note.kind == "change"), "a run of before this was known");
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
