//! Verdict and reason in one sentence, for a scenario and for the run.

use crate::{text, waivers};
use shakedown_model::{
    evidence::Evidence,
    experiment::BaselineMode,
    result::{Blame, Culprit, Finding, ScenarioResult},
    run::AbortKind,
    verdict::Verdict,
};

/// Bytes of a reason that a headline takes.
const REASON: usize = 300;

/// One scenario's.
pub(crate) fn of_scenario(verdict: Verdict, findings: &[Finding], culprits: &[Culprit], blame: Option<&Blame>) -> String {
    format!("{} — {}", word(verdict), scenario_body(verdict, findings, culprits, blame))
}

/// The run's.
pub(crate) fn of_run(verdict: Verdict, scenarios: &[ScenarioResult], evidence: &Evidence) -> String {
    let word = word(verdict);
    match &evidence.run.aborted {
        Some(abort) if abort.kind == AbortKind::Environment && verdict != Verdict::Fail => {
            return format!("{word} — the run ended early: {}", text::clean(&abort.reason, REASON));
        }
        Some(abort) if abort.kind != AbortKind::Environment => {
            return format!("{word} — interrupted: {}", text::clean(&abort.reason, REASON));
        }
        _ => {}
    }
    let of_verdict: Vec<&ScenarioResult> = scenarios.iter().filter(|scenario| scenario.verdict == verdict).collect();
    let Some(first) = of_verdict.first() else {
        return format!("{word} — nothing was exercised: the experiment holds no scenario that ran");
    };
    let waived = waivers::said(scenarios.iter().flat_map(|scenario| &scenario.findings));
    if verdict == Verdict::Pass {
        return format!("{word} — {}{waived}", passed(scenarios, evidence, !waived.is_empty()));
    }
    let more = match of_verdict.len() - 1 {
        0 => String::new(),
        more => format!(" (and {})", text::count(more as u64, "more scenario")),
    };
    format!("{word} — {}: {}{more}", first.name, scenario_body(verdict, &first.findings, &first.culprits, first.blame.as_ref()))
}

fn passed(scenarios: &[ScenarioResult], evidence: &Evidence, some_waived: bool) -> String {
    let findings = scenarios.iter().flat_map(|scenario| &scenario.findings).filter(|finding| !finding.advisory).count();
    let counted = format!("{}, {}", text::count(scenarios.len() as u64, "scenario"), text::count(findings as u64, "finding"));
    if some_waived {
        return format!("{counted}; what is not waived held");
    }
    if evidence.experiment.baseline.mode == BaselineMode::None || evidence.baseline.is_none() {
        return format!("{counted}; every expectation held (no baseline was compared)");
    }
    format!("{counted}; nothing got worse by {} or more", text::change(evidence.experiment.gate.harmful.0))
}

fn scenario_body(verdict: Verdict, findings: &[Finding], culprits: &[Culprit], blame: Option<&Blame>) -> String {
    let decisive: Vec<&Finding> = findings.iter().filter(|finding| finding.weight() == Some(verdict)).collect();
    let Some(first) = decisive.iter().min_by_key(|finding| weight(finding)) else {
        return "nothing was judged".to_owned();
    };
    if verdict == Verdict::Pass {
        let held = decisive.iter().filter(|finding| finding.waived.is_none()).count();
        return format!("{} held{}", text::count(held as u64, "finding"), waivers::said(findings.iter()));
    }
    let blame = culprits.first().map_or_else(String::new, |culprit| blamed(culprit, blame));
    let more = match decisive.len() - 1 {
        0 => String::new(),
        more => format!(" (+{more} more)"),
    };
    format!("{}{more}{blame}", sentence(first))
}

/// The culprit, and who it may be as well.
fn blamed(culprit: &Culprit, blame: Option<&Blame>) -> String {
    let name = |service: &str, operation: &str| if operation.is_empty() { service.to_owned() } else { format!("{service} / {operation}") };
    let first = name(&culprit.service, &culprit.operation);
    match blame.filter(|blame| blame.ambiguous).and_then(|blame| blame.runner_up.as_ref()) {
        Some(next) => format!("; ambiguous culprit: {first} or {}", name(&next.service, &next.operation)),
        None => format!("; culprit {first}"),
    }
}

/// Which finding speaks for its scenario: the comparison under the fault first, as it holds the change responsible.
fn weight(finding: &Finding) -> u8 {
    use shakedown_model::event::Phase::Fault;
    match (finding.check.as_str(), finding.verdict) {
        ("environment" | "baseline", Verdict::Inconclusive) => 0,
        ("dose" | "generator", Verdict::Inconclusive) | ("crash", _) => 1,
        (check, _) if check.ends_with("-vs-baseline") && finding.phase == Some(Fault) => 2,
        (check, _) if check.ends_with("-vs-baseline") => 3,
        _ => 4,
    }
}

fn sentence(finding: &Finding) -> String {
    match (finding.check.as_str(), finding.verdict, finding.observed, finding.baseline, finding.change) {
        ("p99-vs-baseline", Verdict::Fail, Some(ours), Some(theirs), Some(change)) => {
            let bounds = finding
                .ci
                .map_or_else(String::new, |[low, high]| format!(", proven between {} and {}", text::change(low), text::change(high)));
            format!(
                "{} P99 {} vs {} (slowest requests {}{bounds})",
                finding.subject,
                text::seconds(ours),
                text::seconds(theirs),
                text::change(change)
            )
        }
        ("success-vs-baseline", Verdict::Fail, Some(ours), Some(theirs), _) => {
            format!("{} success {} vs {}", finding.subject, text::share(ours), text::share(theirs))
        }
        _ => text::clean(&finding.reason, REASON),
    }
}

pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Fail => "FAIL",
    }
}
