//! The measures beside tail and success, and what the fault itself costs.

mod common;
mod verdicts;

use common::{Behaviour, Story, evidence};
use shakedown_judge::judge;
use shakedown_model::{event::Phase, verdict::Verdict};
use verdicts::{check, findings, healthy, only, with};

#[test]
fn the_median_is_compared_beside_the_tail() {
    let mut evidence = healthy();
    // The slowest requests stay as they are, all others take half as long again.
    for request in evidence.candidate.requests.iter_mut().filter(|request| request.phase == Phase::Fault) {
        let latency = request.latency();
        if latency < 0.33 {
            request.done = request.due + std::time::Duration::from_secs_f64((latency * 1.7).min(0.33));
        }
    }
    check(&evidence, "p50-vs-baseline", Verdict::Fail, "the median request of checkout changed by");
}

#[test]
fn throughput_sees_a_loss_where_little_succeeds() {
    let mut story = Story::slow_payment("slow-payment");
    story.baseline.failures = 0.9;
    story.candidate.failures = 0.97;
    let result = judge(&common::evidence_at(&[story], 400.0, 7));
    let lost = only(&result, "throughput-vs-baseline");
    assert_eq!(lost.verdict, Verdict::Fail, "{}", lost.reason);
    assert!(lost.change.unwrap() < -0.5 && lost.unit == "/s" && lost.observed < lost.baseline, "{}", lost.reason);
    assert!(lost.ci.unwrap()[0] < lost.ci.unwrap()[1]);
}

#[test]
fn where_many_fail_the_median_is_that_of_the_others() {
    let mut story = Story::slow_payment("slow-payment");
    story.baseline.failures = 0.5;
    story.candidate.failures = 0.5;
    let result = judge(&evidence(&[story]));
    let median = only(&result, "p50-vs-baseline");
    assert_eq!(median.verdict, Verdict::Pass, "{}", median.reason);
    assert!(median.reason.contains("of the requests that succeeded") && median.observed.unwrap() < 0.5, "{}", median.reason);
}

#[test]
fn the_penalty_of_the_fault_is_what_a_change_costs_beyond_the_steady_phase() {
    let penalty = |steady: f64, fault: f64| {
        let result = judge(&with(Behaviour { steady, fault, ..Behaviour::default() }));
        let finding = only(&result, "p50-vs-baseline");
        assert!(finding.reason.contains("beyond what the change costs without it"), "{}", finding.reason);
        assert!(findings(&result, "p50-vs-baseline")[0].penalty.is_none(), "before the fault there is none");
        finding.penalty.unwrap()
    };
    // Twice as slow with and without the fault: the fault adds nothing.
    let equal = penalty(0.04, 0.44);
    assert!(equal.change.abs() < 0.15 && equal.ci.is_some_and(|[low, high]| low < 0.0 && 0.0 < high), "{equal:?}");
    let worse = penalty(0.02, 0.44);
    assert!((0.7..1.4).contains(&worse.change) && worse.ci.is_some_and(|[low, _]| low > 0.5), "{worse:?}");
    assert!(penalty(0.04, 0.22).change < -0.3);
}
