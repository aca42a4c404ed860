//! Alerts of a rule file over what was recorded: which the change sets off, damage of which none tells, and what is not evaluated.

mod common;
mod verdicts;

use common::{Behaviour, at, source, span};
use shakedown_judge::judge;
use shakedown_model::{
    evidence::{Evidence, MetricPoint},
    experiment::AlertRule,
    result::{AlertExhibit, RunResult},
    verdict::Verdict,
};
use verdicts::{findings, healthy, with};

fn rule(name: &str, expr: &str, lasts: &str) -> AlertRule {
    AlertRule { name: name.to_owned(), expr: expr.to_owned(), lasts: span(lasts), severity: Some("page".to_owned()), source: source(3) }
}

/// A gauge of orders, each second: small, and from the fault on as large as this.
fn queue(large: f64) -> Vec<MetricPoint> {
    let point = |second: u32| MetricPoint {
        at: at(0, f64::from(second)),
        service: "orders".into(),
        name: "queue.length".into(),
        labels: "pool=\"db\"".into(),
        value: if (13..26).contains(&second) { large } else { 2.0 },
    };
    (0..36).map(point).collect()
}

fn evidence(mut evidence: Evidence, ours: f64, theirs: f64, rules: Vec<AlertRule>) -> Evidence {
    evidence.candidate.metrics = queue(ours);
    evidence.baseline.as_mut().expect("a baseline").evidence.metrics = queue(theirs);
    evidence.experiment.telemetry.alerts = rules;
    evidence
}

fn alerts(result: &RunResult) -> &[AlertExhibit] {
    &result.scenarios[0].exhibits.alerts
}

fn full() -> AlertRule {
    rule("QueueFull", "sum by (service) (queue_length{job=\"orders\"}) > 10", "3s")
}

#[test]
fn an_alert_that_the_change_sets_off_is_told_and_decides_nothing() {
    let result = judge(&evidence(healthy(), 50.0, 2.0, vec![full()]));
    let [alert] = alerts(&result) else { panic!("{:?}", alerts(&result)) };
    let (ours, theirs) = (alert.candidate.as_ref().unwrap(), alert.baseline.as_ref().unwrap());
    assert!(ours.fires && !ours.fired_before && !theirs.fires, "{alert:?}");
    // It is large from one second after the fault on, three seconds must pass, and the last sample is that of second 25.
    assert!((3.0..6.0).contains(&ours.after.unwrap()) && (8.0..12.0).contains(&ours.fired_for), "{ours:?}");
    let said = findings(&result, "alert");
    assert_eq!((said.len(), said[0].verdict, said[0].advisory), (1, Verdict::Fail, true));
    assert!(said[0].reason.contains("QueueFull (page) fires under the fault on the candidate"), "{}", said[0].reason);
    assert_eq!(result.verdict, Verdict::Pass);
}

#[test]
fn an_alert_of_both_is_shown_and_not_told() {
    let result = judge(&evidence(healthy(), 50.0, 50.0, vec![full()]));
    assert!(findings(&result, "alert").is_empty());
    assert!(alerts(&result)[0].baseline.as_ref().unwrap().fires);
}

#[test]
fn damage_of_which_no_alert_tells_is_told_with_the_alert_that_came_nearest() {
    let slow = || with(Behaviour { fault: 1.5, ..Behaviour::default() });
    let patient = rule("Patient", "queue_length > 10", "1m");
    let result = judge(&evidence(slow(), 50.0, 50.0, vec![patient.clone(), rule("Deaf", "queue_length > 1000", "0s")]));
    let said = findings(&result, "alert");
    let [said] = &said[..] else { panic!("{said:?}") };
    assert!(said.reason.contains("none of 2 alerts fires: the condition of Patient held for 1"), "{}", said.reason);
    assert!(said.reason.ends_with("of the 1 min 00 s that it needs"), "{}", said.reason);
    // Where one fires somebody is told.
    assert!(findings(&judge(&evidence(slow(), 50.0, 50.0, vec![patient, full()])), "alert").is_empty());
}

#[test]
fn an_alert_that_cannot_be_evaluated_is_named_with_the_reason() {
    let rules = vec![
        full(),
        rule("Slow", "topk(3, queue_length) > 1", "0s"),
        rule("Down", "up == 0", "0s"),
        rule("Elsewhere", "queue_length{namespace=\"prod\"} > 1", "0s"),
        rule("Number", "1 + 1", "0s"),
    ];
    let result = judge(&evidence(healthy(), 2.0, 2.0, rules));
    let said = findings(&result, "alert");
    let [said] = &said[..] else { panic!("{said:?}") };
    assert_eq!((said.verdict, said.advisory, result.verdict), (Verdict::Inconclusive, true, Verdict::Pass));
    for words in ["4 of 5 alerts not evaluated", "Slow (the function `topk`", "Down (no samples of `up`", "`namespace`", "no condition"] {
        assert!(said.reason.contains(words), "{words:?} is not in {}", said.reason);
    }
    let problems = alerts(&result).iter().filter(|alert| alert.problem.is_some() && alert.candidate.is_none()).count();
    assert_eq!(problems, 4);
}

#[test]
fn hostile_rules_are_bounded_and_cleaned() {
    let rules = (0..50).map(|number| rule(&format!("{}\u{202e}{number}", "n".repeat(400)), &format!("{}{number}", "((".repeat(200)), "0s"));
    let result = judge(&evidence(healthy(), 2.0, 2.0, rules.collect()));
    let reason = &findings(&result, "alert")[0].reason;
    assert!(reason.len() < 2_000 && reason.contains("and 45 more") && !reason.contains('\u{202e}'), "{reason}");
}
