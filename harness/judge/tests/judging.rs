//! What the judge says of whole runs: each check's bad weather, and that nothing passes without proof.

mod common;
mod verdicts;

use common::{Behaviour, Story, at, evidence, source, span};
use shakedown_judge::judge;
use shakedown_model::{
    event::{Event, Phase, TimedEvent},
    evidence::{Evidence, LogRecord, MetricPoint, VariantEvidence},
    experiment::{BaselineMode, Check, Expectation},
    fault::{Action, Target},
    result::RunResult,
    run::{Abort, AbortKind},
    stack::Variant,
    verdict::{GateMode, Verdict},
};
use verdicts::{check, findings, healthy, only, with};

#[test]
fn an_unchanged_candidate_passes_and_says_so() {
    let result = judge(&healthy());
    let shown: Vec<String> = result.scenarios[0].findings.iter().map(|finding| format!("{} {}", finding.verdict, finding.reason)).collect();
    assert_eq!(result.verdict, Verdict::Pass, "{shown:#?}");
    assert_eq!(result.exit_code, 0);
    assert!(result.headline.starts_with("PASS — 1 scenario"), "{}", result.headline);
    assert!(result.scenarios[0].culprits.is_empty());
    let throughput = only(&result, "throughput-vs-baseline");
    assert!(throughput.reason.contains("as many requests of checkout succeeded a second on both sides, 100/s"), "{}", throughput.reason);
}

#[test]
fn a_change_that_makes_the_fault_hurt_more_fails_and_names_the_culprit() {
    let result = judge(&with(Behaviour { fault: 0.7, calls: 4, ..Behaviour::default() }));
    assert_eq!((result.verdict, result.exit_code), (Verdict::Fail, 1));
    let tail = only(&result, "p99-vs-baseline");
    assert_eq!(tail.verdict, Verdict::Fail, "{}", tail.reason);
    let [low, high] = tail.ci.unwrap();
    assert!(low > 0.05 && low < tail.change.unwrap() && tail.change.unwrap() < high);
    assert_eq!(only(&result, "retries").verdict, Verdict::Fail);
    let culprit = &result.scenarios[0].culprits[0];
    assert_eq!((culprit.service.as_str(), culprit.operation.as_str()), ("orders", "POST /payment"));
    assert!(culprit.evidence.iter().any(|note| note.text.contains("calls per request 1 -> 4")), "{:?}", culprit.evidence);
    assert!(result.headline.contains("culprit orders / POST /payment"), "{}", result.headline);
    let steady = findings(&result, "p99-vs-baseline").into_iter().find(|finding| finding.phase == Some(Phase::Steady)).unwrap();
    assert_eq!(steady.verdict, Verdict::Pass, "{}", steady.reason);
}

#[test]
fn failing_fast_is_not_getting_faster() {
    let result = judge(&with(Behaviour { fault: 0.01, failures: 0.3, ..Behaviour::default() }));
    assert_eq!(only(&result, "p99-vs-baseline").verdict, Verdict::Fail);
    assert_eq!(only(&result, "success-vs-baseline").verdict, Verdict::Fail);
    assert_eq!(only(&result, "success").verdict, Verdict::Fail);
    assert!(result.scenarios[0].culprits.iter().any(|culprit| culprit.evidence.iter().any(|note| note.kind == "error")));
}

#[test]
fn the_same_evidence_gives_the_same_bytes() {
    let evidence = with(Behaviour { fault: 0.5, failures: 0.05, calls: 3, ..Behaviour::default() });
    let bytes = || serde_json::to_vec(&judge(&evidence)).unwrap();
    let first = bytes();
    assert!(first == bytes());
    let read: RunResult = serde_json::from_slice(&first).unwrap();
    assert_eq!(
        (read.verdict, read.scenarios[0].findings.len()),
        (Verdict::Fail, judge(&evidence).scenarios[0].findings.len()),
        "it can be read again"
    );
}

#[test]
fn ids_are_unique_and_the_same_in_every_run() {
    let mut evidence = healthy();
    let again = evidence.experiment.scenarios[0].expect_fault[0].clone();
    evidence.experiment.scenarios[0].expect_fault.push(again);
    let result = judge(&evidence);
    let mut ids: Vec<&str> = result.scenarios[0].findings.iter().map(|finding| finding.id.as_str()).collect();
    assert!(ids.contains(&"slow-payment/fault/checkout/p99") && ids.contains(&"slow-payment/fault/checkout/p99#2"), "{ids:?}");
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

// Environment

#[test]
fn empty_evidence_passes_nothing() {
    let mut evidence = healthy();
    evidence.candidate = VariantEvidence::default();
    evidence.baseline = None;
    evidence.events.clear();
    evidence.generator.clear();
    let result = judge(&evidence);
    assert_eq!(result.verdict, Verdict::Inconclusive);
    assert!(result.scenarios[0].findings.iter().all(|finding| finding.verdict != Verdict::Pass), "{:#?}", result.scenarios[0].findings);
    evidence.run.scenarios.clear();
    assert_eq!(judge(&evidence).verdict, Verdict::Inconclusive);
    evidence.experiment.scenarios.clear();
    let result = judge(&evidence);
    assert_eq!(result.verdict, Verdict::Inconclusive);
    assert!(result.headline.contains("nothing was exercised"), "{}", result.headline);
}

#[test]
fn a_scenario_that_did_not_run_is_inconclusive() {
    let mut evidence = healthy();
    evidence.run.scenarios.clear();
    check(&evidence, "environment", Verdict::Inconclusive, "did not run");
}

#[test]
fn a_scenario_that_never_reached_its_fault_is_inconclusive() {
    let mut evidence = healthy();
    evidence.run.scenarios[0].phases.truncate(2);
    evidence.candidate.faults.clear();
    check(&evidence, "environment", Verdict::Inconclusive, "never reached its fault phase");
}

#[test]
fn broken_steady_state_ends_with_the_code_of_the_environment() {
    let mut evidence = healthy();
    evidence.run.scenarios[0].phases.truncate(2);
    evidence.run.scenarios[0].steady_broken = Some("checkout: success 12 %".to_owned());
    check(&evidence, "environment", Verdict::Inconclusive, "steady state was broken before any fault");
    assert_eq!(judge(&evidence).exit_code, 4);
}

#[test]
fn how_a_run_ended_decides_its_exit_code() {
    for (kind, code) in [(AbortKind::Environment, 4), (AbortKind::Interrupted, 130), (AbortKind::Terminated, 143)] {
        let mut evidence = healthy();
        evidence.run.aborted = Some(Abort { kind, reason: "SIGINT".to_owned() });
        let result = judge(&evidence);
        assert_eq!((result.verdict, result.exit_code), (Verdict::Inconclusive, code), "{kind:?}");
        evidence.run.clean = false;
        assert_eq!(judge(&evidence).exit_code, 5, "{kind:?}");
    }
}

#[test]
fn warn_modes_say_it_and_exit_with_zero() {
    let mut evidence = with(Behaviour { failures: 0.4, ..Behaviour::default() });
    evidence.experiment.gate.mode = GateMode::Warn;
    let result = judge(&evidence);
    assert_eq!((result.verdict, result.exit_code, result.inconclusive_blocks), (Verdict::Fail, 0, false));
}

#[test]
fn a_scenario_of_which_nothing_is_expected_does_not_pass() {
    let mut evidence = healthy();
    let scenario = &mut evidence.experiment.scenarios[0];
    scenario.expect_fault.clear();
    scenario.recover_within = None;
    scenario.forbid_logs.clear();
    evidence.experiment.baseline.mode = BaselineMode::None;
    check(&evidence, "environment", Verdict::Inconclusive, "nothing was judged");
}

#[test]
fn a_stop_condition_keeps_a_scenario_from_passing() {
    let mut evidence = healthy();
    evidence.run.scenarios[0].stopped = Some("checkout: success 40 % for 5s".to_owned());
    check(&evidence, "environment", Verdict::Inconclusive, "ended early by a stop condition");
}

// Load, generator

#[test]
fn a_late_or_shedding_generator_takes_every_verdict_from_the_load_but_not_from_the_logs() {
    let spoilers: [fn(&mut Evidence); 4] = [
        |evidence| evidence.generator[0].late_p99_ms = 25.0,
        |evidence| evidence.generator[0].shed = 3,
        |evidence| evidence.generator[0].sent = 3_000,
        |evidence| evidence.generator.clear(),
    ];
    for spoil in spoilers {
        let mut evidence = with(Behaviour { failures: 0.4, ..Behaviour::default() });
        evidence.candidate.logs.push(LogRecord {
            at: at(0, 20.0),
            service: "orders".into(),
            severity: None,
            body: "thread 'main' panicked at src/pay.rs:7".to_owned(),
            trace_id: None,
        });
        spoil(&mut evidence);
        let result = judge(&evidence);
        for name in ["generator", "success", "p99", "p99-vs-baseline", "success-vs-baseline", "recovery"] {
            assert_eq!(only(&result, name).verdict, Verdict::Inconclusive, "{name}: {}", only(&result, name).reason);
        }
        assert_eq!(only(&result, "logs").verdict, Verdict::Fail);
        assert_eq!(result.verdict, Verdict::Fail);
        assert!(result.health.iter().any(|note| note.name == "generator" && note.forces_inconclusive));
    }
}

#[test]
fn too_few_requests_pass_nothing_yet_a_plain_failure_is_still_one() {
    let thin = |failures: f64| {
        let mut story = Story::slow_payment("slow-payment");
        story.candidate.failures = failures;
        common::evidence_at(&[story], 3.0, 7)
    };
    let result = judge(&thin(0.0));
    assert_eq!(only(&result, "p99").verdict, Verdict::Inconclusive);
    assert_eq!(only(&result, "success").verdict, Verdict::Inconclusive);
    assert!(only(&result, "p99-vs-baseline").reason.contains("raise the rate"), "{}", only(&result, "p99-vs-baseline").reason);
    assert_eq!(only(&judge(&thin(1.0)), "success").verdict, Verdict::Fail);
}

#[test]
fn a_bad_moment_before_the_fault_took_hold_is_not_charged_to_it() {
    let mut evidence = healthy();
    evidence.candidate.faults[0].applied_at = Some(at(0, 14.0));
    for request in evidence.candidate.requests.iter_mut().filter(|request| request.due >= at(0, 12.0) && request.due < at(0, 14.0)) {
        request.ok = false;
    }
    check(&evidence, "success", Verdict::Pass, "100 %");
}

// Probes and retries

#[test]
fn a_probe_is_judged_by_every_answer_under_the_fault() {
    let probed = |values: &[f64]| {
        let mut evidence = healthy();
        let probe = Check::Http { method: "GET".into(), service: "gateway".into(), port: 8080, path: "/healthz".into(), status: 200 };
        evidence.experiment.scenarios[0].expect_fault.push(Expectation { check: probe, source: source(11) });
        evidence.candidate.metrics = values
            .iter()
            .enumerate()
            .map(|(index, value)| MetricPoint {
                at: at(0, 13.0 + index as f64),
                service: "gateway".into(),
                name: "shakedown_probe_http_status".into(),
                labels: "phase=\"fault\",probe=\"2\",scenario=\"slow-payment\"".into(),
                value: *value,
            })
            .collect();
        evidence
    };
    check(&probed(&[200.0, 200.0]), "http", Verdict::Pass, "all 2 times");
    check(&probed(&[200.0, 503.0]), "http", Verdict::Fail, "first: 503");
    check(&probed(&[200.0, 0.0]), "http", Verdict::Fail, "first: no answer");
    check(&probed(&[]), "http", Verdict::Inconclusive, "nothing was recorded");
}

#[test]
fn a_query_without_a_value_is_inconclusive() {
    let mut evidence = healthy();
    let query = Check::Prometheus { url: "http://prometheus:9090".to_owned(), query: "up".to_owned(), expect: ">= 1".parse().unwrap() };
    evidence.experiment.scenarios[0].expect_fault.push(Expectation { check: query, source: source(11) });
    for (value, verdict) in [(f64::NAN, Verdict::Inconclusive), (0.0, Verdict::Fail), (1.0, Verdict::Pass)] {
        evidence.candidate.metrics = vec![MetricPoint {
            at: at(0, 20.0),
            service: "prometheus".into(),
            name: "shakedown_probe_value".into(),
            labels: "phase=\"fault\",probe=\"2\",scenario=\"slow-payment\"".into(),
            value,
        }];
        check(&evidence, "prometheus", verdict, "the query");
    }
}

#[test]
fn retries_without_spans_or_with_a_failed_source_are_inconclusive() {
    let mut evidence = healthy();
    evidence.candidate.spans.clear();
    check(&evidence, "retries", Verdict::Inconclusive, "do both send traces?");
    let mut evidence = healthy();
    evidence.events.push(TimedEvent {
        at: at(0, 15.0),
        event: Event::SourceFailed { variant: Variant::Candidate, source: "otlp".to_owned(), error: "port in use".to_owned() },
    });
    check(&evidence, "retries", Verdict::Inconclusive, "port in use");
}

#[test]
fn calls_without_an_answering_span_are_counted_too() {
    let mut evidence = with(Behaviour { calls: 3, ..Behaviour::default() });
    let mut number = 0;
    evidence.candidate.spans.retain(|span| {
        number += 1;
        &*span.service != "payment" || number % 5 == 0
    });
    check(&evidence, "retries", Verdict::Fail, "called payment 3 times");
}

// Recovery

#[test]
fn recovery_is_timed_from_the_end_of_the_fault() {
    let evidence = with(Behaviour { sick: 2.0, ..Behaviour::default() });
    let result = judge(&evidence);
    let finding = only(&result, "recovery");
    assert_eq!(finding.verdict, Verdict::Pass, "{}", finding.reason);
    assert!((1.5..2.6).contains(&finding.observed.unwrap()), "{}", finding.reason);
    assert_eq!(finding.baseline, Some(0.0));
}

#[test]
fn a_slow_or_missing_recovery_fails_where_it_was_watched_long_enough() {
    check(&with(Behaviour { sick: 7.0, ..Behaviour::default() }), "recovery", Verdict::Fail, "asked for 5.00 s");
    check(&with(Behaviour { sick: 10.0, ..Behaviour::default() }), "recovery", Verdict::Fail, "did not meet its steady state again");
    let mut evidence = with(Behaviour { sick: 10.0, ..Behaviour::default() });
    evidence.experiment.scenarios[0].recover_within = Some((span("30s"), source(9)));
    check(&evidence, "recovery", Verdict::Inconclusive, "make the recovery phase longer");
}

#[test]
fn one_slow_request_is_no_relapse_but_a_second_outage_is() {
    let spoiled = |from: f64, to: f64| {
        let mut evidence = healthy();
        for request in evidence.candidate.requests.iter_mut().filter(|request| request.due >= at(0, from) && request.due < at(0, to)) {
            request.ok = false;
        }
        evidence
    };
    check(&spoiled(33.0, 33.011), "recovery", Verdict::Pass, "as soon as");
    check(&spoiled(32.0, 34.0), "recovery", Verdict::Fail, "asked for 5.00 s");
}

#[test]
fn recovery_without_a_phase_a_bound_or_requests_is_inconclusive() {
    let mut evidence = healthy();
    evidence.run.scenarios[0].phases.truncate(3);
    check(&evidence, "recovery", Verdict::Inconclusive, "never reached its recovery phase");
    let mut evidence = healthy();
    evidence.experiment.steady_state.clear();
    check(&evidence, "recovery", Verdict::Inconclusive, "steady_state bounds no load");
    let mut evidence = healthy();
    evidence.candidate.requests.retain(|request| request.phase != Phase::Recovery);
    check(&evidence, "recovery", Verdict::Inconclusive, "only 0 requests");
}

// Logs and crashes

#[test]
fn a_forbidden_line_fails_and_is_quoted_without_its_control_characters() {
    let mut evidence = healthy();
    let line = |seconds: f64| LogRecord {
        at: at(0, seconds),
        service: "orders".into(),
        severity: None,
        body: "\u{1b}[31mpanicked at 'boom'".to_owned(),
        trace_id: None,
    };
    evidence.candidate.logs.push(line(5.0));
    check(&evidence, "logs", Verdict::Pass, "none of");
    evidence.candidate.logs.push(line(20.0));
    check(&evidence, "logs", Verdict::Fail, "orders: \\u{1b}[31mpanicked at 'boom'");
    let result = judge(&evidence);
    assert!(result.scenarios[0].exhibits.logs.iter().any(|line| line.why == "forbidden"));
}

#[test]
fn silence_proves_nothing() {
    let mut evidence = healthy();
    evidence.candidate.logs.clear();
    check(&evidence, "logs", Verdict::Inconclusive, "silence proves nothing");
    let mut evidence = healthy();
    evidence.experiment.scenarios[0].forbid_logs = vec![("(".to_owned(), source(10))];
    check(&evidence, "logs", Verdict::Inconclusive, "no regular expression");
}

#[test]
fn an_unaimed_death_fails_and_an_aimed_one_does_not() {
    let died = |action: Action, on: &str| {
        let mut story = Story::slow_payment("slow-payment");
        story.fault.action = action;
        story.fault.on = on.parse::<Target>().unwrap();
        let mut evidence = evidence(&[story]);
        for variant in [Variant::Candidate, Variant::Baseline] {
            let event = Event::ServiceChanged { variant, service: "payment".to_owned(), what: "exited with code 101".to_owned() };
            evidence.events.push(TimedEvent { at: at(0, 15.0), event });
        }
        judge(&evidence)
    };
    let result = died(Action::Pause, "orders");
    let finding = only(&result, "crash");
    assert_eq!(finding.verdict, Verdict::Fail);
    assert!(
        finding.reason.contains("payment exited with code 101") && finding.reason.contains("the baseline's did too"),
        "{}",
        finding.reason
    );
    assert!(findings(&died(Action::Kill, "payment"), "crash").is_empty());
}

// Baselines

#[test]
fn a_missing_baseline_is_one_inconclusive_finding_with_a_way_out() {
    let mut evidence = healthy();
    evidence.baseline = None;
    evidence.run.commit.baseline_source = "none: shallow clone".to_owned();
    check(&evidence, "baseline", Verdict::Inconclusive, "--baseline-mode none");
    let result = judge(&evidence);
    assert_eq!((result.verdict, result.exit_code), (Verdict::Inconclusive, 3));
    evidence.experiment.baseline.mode = BaselineMode::None;
    let result = judge(&evidence);
    assert_eq!(result.verdict, Verdict::Pass, "{}", result.headline);
    assert!(findings(&result, "baseline").is_empty() && findings(&result, "p99-vs-baseline").is_empty());
}

fn recorded(candidate: Behaviour) -> Evidence {
    let mut evidence = with(candidate);
    let run = evidence.run.clone();
    let baseline = evidence.baseline.as_mut().expect("a baseline");
    baseline.paired = false;
    baseline.run = Some(run);
    evidence.experiment.baseline.mode = BaselineMode::Recorded;
    evidence
}

#[test]
fn a_recorded_baseline_is_compared_with_care_and_says_so() {
    let result = judge(&recorded(Behaviour::default()));
    assert_eq!(only(&result, "p99-vs-baseline").verdict, Verdict::Pass, "{}", only(&result, "p99-vs-baseline").reason);
    assert!(result.health.iter().any(|note| note.name == "recorded-baseline"));
    let result = judge(&recorded(Behaviour { fault: 0.7, ..Behaviour::default() }));
    assert_eq!(only(&result, "p99-vs-baseline").verdict, Verdict::Fail, "{}", only(&result, "p99-vs-baseline").reason);
}

#[test]
fn a_recorded_baseline_of_another_machine_is_refused() {
    let mut evidence = recorded(Behaviour::default());
    evidence.baseline.as_mut().unwrap().run.as_mut().unwrap().machine.cpu = "Apple M3".to_owned();
    check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, "Apple M3");
    let mut evidence = recorded(Behaviour::default());
    evidence.baseline.as_mut().unwrap().run = None;
    check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, "shakedown baseline save");
}

#[test]
fn too_few_blocks_say_how_many_it_takes() {
    let mut evidence = with(Behaviour { fault: 0.7, ..Behaviour::default() });
    let short = at(0, 16.0);
    evidence.experiment.scenarios[0].faults[0].lasts = span("4s");
    for side in [&mut evidence.candidate, &mut evidence.baseline.as_mut().unwrap().evidence] {
        side.faults[0].reverted_at = Some(short);
    }
    check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, "a fail needs 10");
}

// Exhibits and health

#[test]
fn exhibits_are_bounded_and_hostile_text_is_harmless() {
    let mut evidence = with(Behaviour { failures: 0.5, ..Behaviour::default() });
    let hostile = "x\u{202e}\u{0}".repeat(5_000);
    for line in &mut evidence.candidate.logs {
        line.severity = Some("ERROR".into());
        line.body.clone_from(&hostile);
    }
    for span in &mut evidence.candidate.spans {
        span.name = hostile.as_str().into();
    }
    let result = judge(&evidence);
    let exhibits = &result.scenarios[0].exhibits;
    assert!(exhibits.traces.len() <= 6 && exhibits.traces.iter().all(|trace| trace.spans.len() <= 200));
    assert_eq!(exhibits.logs.len(), 200);
    assert!(exhibits.logs_left_out > 0 && exhibits.logs.iter().all(|line| line.body.len() <= 2_052));
    assert!(exhibits.loads[0].candidate.len() <= 301 && exhibits.loads[0].table.len() == 4);
    let text = serde_json::to_string(&result).unwrap();
    assert!(!text.contains('\u{202e}') && !text.contains("\\u0000"));
}

#[test]
fn losses_and_leftovers_are_said_aloud() {
    let mut evidence = healthy();
    evidence.candidate.losses.insert("spans dropped".to_owned(), 12);
    evidence.run.clean = false;
    let result = judge(&evidence);
    let names: Vec<&str> = result.health.iter().map(|note| note.name.as_str()).collect();
    assert_eq!(names, ["not-clean", "telemetry-lost"]);
    assert_eq!((result.verdict, result.exit_code), (Verdict::Pass, 5));
}
