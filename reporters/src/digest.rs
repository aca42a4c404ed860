//! What every report shows of a scenario first: worst things first, and the four figures of the overview.
//! It chooses among what the judge found; it judges nothing itself.

use shakedown_model::{
    event::Phase,
    result::{FaultResult, Finding, LoadExhibit, RunResult, ScenarioResult, Waived},
    verdict::Verdict,
};
use std::cmp::Reverse;

/// Scenarios, the worst first, else in the order of the plan.
pub(crate) fn scenarios(result: &RunResult) -> Vec<&ScenarioResult> {
    let mut scenarios: Vec<_> = result.scenarios.iter().collect();
    scenarios.sort_by_key(|scenario| Reverse(scenario.verdict));
    scenarios
}

/// Findings, the worst first, else in the order of the judge.
pub(crate) fn findings(scenario: &ScenarioResult) -> Vec<&Finding> {
    let mut findings: Vec<_> = scenario.findings.iter().collect();
    // What decides nothing comes last.
    findings.sort_by_key(|finding| (finding.advisory, finding.waived.is_some(), Reverse(finding.verdict)));
    findings
}

/// Findings that did not pass, with their scenario, the worst first.
pub(crate) fn not_passed(result: &RunResult) -> Vec<(&ScenarioResult, &Finding)> {
    let mut found: Vec<_> = scenarios(result)
        .into_iter()
        .flat_map(|scenario| findings(scenario).into_iter().map(move |finding| (scenario, finding)))
        .filter(|(_, finding)| finding.weight().is_some_and(|verdict| verdict != Verdict::Pass))
        .collect();
    found.sort_by_key(|(_, finding)| Reverse(finding.verdict));
    found
}

/// What failed and does not block, with its scenario and who answers for it.
pub(crate) fn waived(result: &RunResult) -> Vec<(&ScenarioResult, &Finding, &Waived)> {
    let all = result.scenarios.iter().flat_map(|scenario| scenario.findings.iter().map(move |finding| (scenario, finding)));
    all.filter_map(|(scenario, finding)| Some((scenario, finding, finding.waived.as_ref()?))).collect()
}

/// The comparison of P99 with the baseline that says most: under the fault before other phases, the worst, then the largest.
pub(crate) fn comparison(scenario: &ScenarioResult) -> Option<&Finding> {
    scenario.findings.iter().filter(|finding| finding.check == "p99-vs-baseline" && finding.change.is_some()).max_by(|a, b| {
        let key = |finding: &Finding| (finding.phase == Some(Phase::Fault), finding.verdict);
        key(a).cmp(&key(b)).then(a.change.unwrap_or(0.0).total_cmp(&b.change.unwrap_or(0.0)))
    })
}

/// The recovery that took longest, or did not come.
pub(crate) fn recovery(scenario: &ScenarioResult) -> Option<&Finding> {
    scenario
        .findings
        .iter()
        .filter(|finding| finding.check == "recovery")
        .max_by(|a, b| a.verdict.cmp(&b.verdict).then(a.observed.unwrap_or(f64::MAX).total_cmp(&b.observed.unwrap_or(f64::MAX))))
}

/// Success before, during and after the fault, of the load that suffered most from it.
pub(crate) fn success(scenario: &ScenarioResult) -> Option<(&LoadExhibit, [Option<f64>; 3])> {
    scenario
        .exhibits
        .loads
        .iter()
        .map(|load| (load, [Phase::Steady, Phase::Fault, Phase::Recovery].map(|phase| success_in(load, phase))))
        .min_by(|(_, a), (_, b)| a[1].unwrap_or(2.0).total_cmp(&b[1].unwrap_or(2.0)))
}

fn success_in(load: &LoadExhibit, phase: Phase) -> Option<f64> {
    load.table.iter().find(|row| row.phase == phase && row.candidate.requests > 0).map(|row| row.candidate.success)
}

/// Faults of the play that the pictures show: the candidate's; where a run measured no candidate, all of them.
pub(crate) fn faults(scenario: &ScenarioResult) -> Vec<&FaultResult> {
    let shown = || scenario.faults.iter().filter(|fault| scenario.is_shown(fault.round, fault.episode));
    let of_candidate: Vec<_> = shown().filter(|fault| fault.variant == "candidate").collect();
    if of_candidate.is_empty() { shown().collect() } else { of_candidate }
}

/// How many findings say what: `[fail, inconclusive, pass]`.
pub(crate) fn tally(scenario: &ScenarioResult) -> [usize; 3] {
    [Verdict::Fail, Verdict::Inconclusive, Verdict::Pass]
        .map(|verdict| scenario.findings.iter().filter(|finding| finding.verdict == verdict && !finding.advisory).count())
}

/// What went wrong with the run as a whole, as (name, sentence): none of it belongs to a scenario.
pub(crate) fn troubles(result: &RunResult) -> Vec<(&'static str, String)> {
    let mut troubles = Vec::new();
    if !result.clean {
        let what = if result.left.is_empty() { "something that the run changed".to_owned() } else { result.left.join("; ") };
        troubles.push(("clean", format!("not clean: {what} was left behind; run `shakedown recover` on this machine")));
    }
    if let Some(reason) = &result.run.aborted {
        let by = result.run.ended_by.as_deref().map(|by| format!(" ({by})")).unwrap_or_default();
        troubles.push(("ended-early", format!("the run ended early{by}: {reason}")));
    }
    if result.scenarios.is_empty() {
        troubles.push(("nothing-run", "no scenario was run, so nothing can be said about this commit".to_owned()));
    }
    troubles
}
