//! What a judge says of one check, for tests that ask for it.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use crate::common::{Behaviour, Story, evidence};
use shakedown_judge::judge;
use shakedown_model::{
    event::Phase,
    evidence::Evidence,
    result::{Finding, RunResult},
    verdict::Verdict,
};

pub(crate) fn healthy() -> Evidence {
    evidence(&[Story::slow_payment("slow-payment")])
}

pub(crate) fn with(candidate: Behaviour) -> Evidence {
    let mut story = Story::slow_payment("slow-payment");
    story.candidate = candidate;
    evidence(&[story])
}

pub(crate) fn findings<'a>(result: &'a RunResult, check: &str) -> Vec<&'a Finding> {
    result.scenarios.iter().flat_map(|scenario| &scenario.findings).filter(|finding| finding.check == check).collect()
}

/// The only finding of a check (in the fault phase, where there are several).
pub(crate) fn only<'a>(result: &'a RunResult, check: &str) -> &'a Finding {
    let found = findings(result, check);
    let in_fault: Vec<&&Finding> = found.iter().filter(|finding| finding.phase == Some(Phase::Fault)).collect();
    match (found.as_slice(), in_fault.as_slice()) {
        ([one], _) => one,
        (_, [one]) => one,
        _ => panic!("{} findings of {check}", found.len()),
    }
}

#[track_caller]
pub(crate) fn check(evidence: &Evidence, name: &str, verdict: Verdict, says: &str) {
    let result = judge(evidence);
    let finding = only(&result, name);
    assert_eq!(finding.verdict, verdict, "{}: {}", finding.id, finding.reason);
    assert!(finding.reason.contains(says), "{says:?} is not in: {}", finding.reason);
}
