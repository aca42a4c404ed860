//! Whether it is good, and who is to blame: evidence in, result out.
//!
//! Pure: no clock, disk, network or chance; the same evidence gives the same result to the byte. It must not know how evidence was obtained, nor how
//! a report says what was found. In doubt a finding is inconclusive, never a quiet pass.

mod checks;
pub mod comparison;
mod critical_path;
mod culprit;
mod exhibits;
mod finding;
mod headline;
mod health;
pub mod stats;
mod summary;
mod text;
mod trace;
mod view;

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;

use comparison::Comparison;
use finding::Place;
use shakedown_model::{
    evidence::Evidence,
    experiment::Scenario,
    result::{Exhibits, FaultResult, Finding, PhaseWindow, RESULT_SCHEMA, RunResult, ScenarioResult},
    stack::Variant,
    verdict::Verdict,
};
use trace::TraceIndex;
use view::{Arm, View};

/// What was left behind beyond so many things is in `run.json` only.
const LEFT_SHOWN: usize = 50;

/// Judges a recorded run.
pub fn judge(evidence: &Evidence) -> RunResult {
    let ours = trace::index(&evidence.candidate.spans);
    let theirs = evidence.baseline.as_ref().map(|baseline| trace::index(&baseline.evidence.spans)).unwrap_or_default();
    let views: Vec<View<'_>> = evidence.experiment.scenarios.iter().map(|scenario| view(evidence, scenario, &ours, &theirs)).collect();
    let compared = compare(evidence, &views);
    let scenarios: Vec<ScenarioResult> = views.iter().zip(compared).map(|(view, compared)| judge_scenario(view, compared)).collect();
    let health = health::notes(evidence, &views);
    let verdict = summary::verdict(evidence, &scenarios, &health);
    RunResult {
        schema: RESULT_SCHEMA.to_owned(),
        verdict,
        exit_code: summary::exit_code(evidence, verdict),
        clean: evidence.run.clean,
        left: evidence.run.left.iter().take(LEFT_SHOWN).map(|what| text::clean(what, 300)).collect(),
        inconclusive_blocks: summary::inconclusive_blocks(evidence),
        headline: headline::of_run(verdict, &scenarios, evidence),
        commit: evidence.run.commit.clone(),
        seed: evidence.run.seed,
        run: summary::summary(evidence),
        health,
        scenarios,
    }
}

fn view<'a>(evidence: &'a Evidence, scenario: &'a Scenario, ours: &'a TraceIndex<'a>, theirs: &'a TraceIndex<'a>) -> View<'a> {
    let run = view::scenario_run(&evidence.run, scenario);
    let baseline = evidence.baseline.as_ref().map(|baseline| {
        let run = baseline.run.as_ref().filter(|_| !baseline.paired).unwrap_or(&evidence.run);
        Arm::new(&baseline.evidence, run, scenario, theirs)
    });
    View {
        evidence,
        scenario,
        run,
        candidate: Arm::new(&evidence.candidate, &evidence.run, scenario, ours),
        baseline,
        load_distrust: checks::distrust(evidence, scenario),
    }
}

/// The comparisons of all scenarios, decided together, given back by scenario.
fn compare(evidence: &Evidence, views: &[View<'_>]) -> Vec<Vec<Finding>> {
    let collected: Vec<Result<Vec<Comparison>, String>> = views.iter().map(|view| checks::guarded(|| comparison::collect(view))).collect();
    let counts: Vec<usize> = collected.iter().map(|comparisons| comparisons.as_ref().map_or(0, Vec::len)).collect();
    let crashes: Vec<Option<String>> = collected.iter().map(|comparisons| comparisons.as_ref().err().cloned()).collect();
    let all: Vec<Comparison> = collected.into_iter().flatten().flatten().collect();
    let mut decided = checks::guarded(|| comparison::findings(&all, &evidence.experiment.gate))
        .unwrap_or_else(|crash| all.iter().map(|comparison| crashed(&comparison.place, &crash)).collect())
        .into_iter();
    let mut by_scenario = Vec::new();
    for ((view, count), crash) in views.iter().zip(counts).zip(crashes) {
        let mut findings: Vec<Finding> = decided.by_ref().take(count).collect();
        findings.extend(crash.map(|crash| crashed(&Place::new(view.scenario, None, "shakedown", "comparison"), &crash)));
        findings.extend(comparison::missing_baseline(view));
        for finding in &mut findings {
            checks::distrust_load(finding, view);
        }
        by_scenario.push(findings);
    }
    by_scenario
}

fn crashed(place: &Place, crash: &str) -> Finding {
    place.inconclusive(format!("the comparison with the baseline crashed ({crash}), which is a bug in shakedown: please report it"))
}

fn judge_scenario(view: &View<'_>, compared: Vec<Finding>) -> ScenarioResult {
    let mut findings = checks::run_all(&checks::before_comparison(), view);
    findings.extend(compared);
    findings.extend(checks::run_all(&checks::after_comparison(), view));
    findings.extend(nothing_judged(view, &findings));
    finding::number_duplicates(&mut findings);
    let verdict = Verdict::merge(findings.iter().map(|finding| finding.verdict));
    // A picture that cannot be drawn takes no verdict away.
    let culprits = checks::guarded(|| culprit::culprits(view, &findings)).unwrap_or_default();
    let exhibits = checks::guarded(|| exhibits::exhibits(view)).unwrap_or_else(|_| Exhibits::default());
    ScenarioResult {
        name: view.scenario.name.clone(),
        why: view.scenario.why.clone(),
        verdict,
        headline: headline::of_scenario(verdict, &findings, &culprits),
        phases: view.run.map_or_else(Vec::new, |run| {
            run.phases.iter().map(|phase| PhaseWindow { name: phase.name, start: phase.start, end: phase.end }).collect()
        }),
        faults: faults(view),
        findings,
        culprits,
        exhibits,
        source: view.scenario.source.clone(),
    }
}

/// A scenario in which only the means were looked at, and no end, has proven nothing.
fn nothing_judged(view: &View<'_>, findings: &[Finding]) -> Option<Finding> {
    let means = ["environment", "generator", "steady-state", "dose"];
    let said = findings.iter().any(|finding| finding.check == "environment");
    let judged = findings.iter().any(|finding| !means.contains(&finding.check.as_str()));
    (!said && !judged).then(|| {
        let place = Place::new(view.scenario, None, "scenario", "environment");
        place.inconclusive("nothing was judged: no expectation could be looked at and nothing was compared with a baseline")
    })
}

fn faults(view: &View<'_>) -> Vec<FaultResult> {
    let baseline = view.baseline.iter().flat_map(|arm| &arm.faults).map(|fault| (Variant::Baseline, fault));
    let all = view.candidate.faults.iter().map(|fault| (Variant::Candidate, fault)).chain(baseline);
    all.map(|(variant, fault)| FaultResult {
        kind: fault.kind.clone(),
        target: fault.target.clone(),
        variant: variant.word().to_owned(),
        mechanism: text::clean(&fault.mechanism, 200),
        asked: fault.asked.clone(),
        achieved: fault.dose.figures.clone(),
        touched: fault.dose.touched,
        applied_at: fault.applied_at,
        reverted_at: fault.reverted_at,
        error: fault.error.as_ref().map(|error| text::clean(error, 500)),
    })
    .collect()
}
