//! Whether it is good, and who is to blame: evidence in, result out.
//!
//! Pure: no clock, disk, network or chance; the same evidence gives the same result to the byte. It must not know how evidence was obtained, nor how
//! a report says what was found. In doubt a finding is inconclusive, never a quiet pass.

mod alerts;
pub mod calibration;
mod checks;
mod clock;
pub mod comparison;
mod critical_path;
mod culprit;
mod drift;
mod exhibits;
mod finding;
mod headline;
mod health;
mod index;
mod log_patterns;
mod peer;
mod plays;
pub mod shards;
mod slices;
pub mod stats;
mod summary;
pub mod templates;
mod text;
mod trace;
mod unasked;
mod view;
mod waivers;

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;

use comparison::Comparison;
use culprit::Answer;
use finding::Place;
use index::Index;
use log_patterns::LogPatterns;
use plays::Plays;
use shakedown_model::{
    evidence::{Evidence, SpanRecord},
    experiment::Gate,
    result::{Culprit, Exhibits, FaultResult, Finding, PhaseWindow, RESULT_SCHEMA, RunResult, ScenarioResult},
    stack::Variant,
    units::Percent,
    verdict::Verdict,
};

/// What was left behind beyond so many things is in `run.json` only.
const LEFT_SHOWN: usize = 50;

/// Judges a recorded run.
pub fn judge(evidence: &Evidence) -> RunResult {
    let ours = Index::of(&evidence.candidate);
    let theirs = evidence.baseline.as_ref().map(|baseline| Index::of(&baseline.evidence)).unwrap_or_default();
    let all: Vec<Plays<'_>> = evidence.experiment.scenarios.iter().map(|scenario| Plays::of(evidence, scenario, &ours, &theirs)).collect();
    let compared = compare(evidence, &all);
    let scenarios: Vec<ScenarioResult> = all.iter().zip(compared).map(|(plays, compared)| judge_scenario(plays, compared)).collect();
    let mut health = health::notes(evidence, &all);
    health.extend(waivers::notes(evidence, &scenarios));
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

/// Whether the expectations of the only scenario of this evidence held in its only play, for its candidate; `None`: the play says nothing, because
/// its fault was not what was asked, the load was not, or too little was seen. And why, in one sentence.
pub fn answer(evidence: &Evidence) -> (Option<bool>, String) {
    checks::guarded(|| checks::margin::answer(evidence))
        .unwrap_or_else(|crash| (None, format!("the judge crashed ({crash}), which is a bug in shakedown: please report it")))
}

/// Who would be blamed in each scenario whether or not something failed, most likely first; empty where nothing differs. It is what culprits of runs
/// that others recorded are found by, and what a bench asks.
pub fn accused(evidence: &Evidence) -> Vec<Vec<Culprit>> {
    let ours = Index::of(&evidence.candidate);
    let theirs = evidence.baseline.as_ref().map(|baseline| Index::of(&baseline.evidence)).unwrap_or_default();
    let scenarios = evidence.experiment.scenarios.iter();
    let of_scenario = |scenario| {
        let plays = Plays::of(evidence, scenario, &ours, &theirs);
        culprit::unasked(&plays, &LogPatterns::of(&plays)).culprits
    };
    scenarios.map(of_scenario).collect()
}

/// Exclusive seconds on the critical paths of all traces, by service and operation, and how many traces there are.
pub fn time_spent(spans: &[SpanRecord]) -> (usize, Vec<(String, String, f64)>) {
    culprit::time_spent(&trace::index(spans))
}

/// The gate of one of so many shards: together they err as often as one gate (Bonferroni).
fn of_shard(gate: &Gate, shards: u32) -> Gate {
    Gate { confidence: Percent(1.0 - (1.0 - gate.confidence.0) / f64::from(shards.max(1))), ..gate.clone() }
}

/// The comparisons of all scenarios, decided together, given back by scenario.
fn compare(evidence: &Evidence, scenarios: &[Plays<'_>]) -> Vec<Vec<Finding>> {
    let collected: Vec<Result<Vec<Comparison>, String>> =
        scenarios.iter().map(|plays| checks::guarded(|| comparison::collect(plays))).collect();
    let counts: Vec<usize> = collected.iter().map(|comparisons| comparisons.as_ref().map_or(0, Vec::len)).collect();
    let crashes: Vec<Option<String>> = collected.iter().map(|comparisons| comparisons.as_ref().err().cloned()).collect();
    let all: Vec<Comparison> = collected.into_iter().flatten().flatten().collect();
    let gate = of_shard(&evidence.experiment.gate, evidence.run.shards);
    let mut decided = checks::guarded(|| comparison::findings(&all, &gate, evidence.run.rounds))
        .unwrap_or_else(|crash| all.iter().map(|comparison| crashed(&comparison.place, &crash)).collect())
        .into_iter();
    let mut by_scenario = Vec::new();
    for ((plays, count), crash) in scenarios.iter().zip(counts).zip(crashes) {
        let mut findings: Vec<Finding> = decided.by_ref().take(count).collect();
        findings.extend(crash.map(|crash| crashed(&Place::new(plays.scenario, None, "shakedown", "comparison"), &crash)));
        findings.extend(comparison::missing_baseline(plays));
        for finding in &mut findings {
            checks::distrust_load(finding, plays);
            // Two recordings differ by whatever their makers did differently: that is worth knowing, and proves nothing of a change.
            finding.advisory |= evidence.run.imported.is_some();
        }
        by_scenario.push(findings);
    }
    by_scenario
}

fn crashed(place: &Place, crash: &str) -> Finding {
    place.inconclusive(format!("the comparison with the baseline crashed ({crash}), which is a bug in shakedown: please report it"))
}

fn judge_scenario(plays: &Plays<'_>, compared: Vec<Finding>) -> ScenarioResult {
    let is_searched = plays.scenario.searched().is_some();
    let (before, after) =
        if is_searched { (checks::of_search(), Vec::new()) } else { (checks::before_comparison(), checks::after_comparison()) };
    let mut findings = checks::run_all(&before, plays);
    findings.extend(compared);
    findings.extend(checks::run_all(&after, plays));
    findings.extend(nothing_judged(plays, &findings));
    finding::number_duplicates(&mut findings);
    waivers::apply(plays.evidence, &mut findings);
    let verdict = Verdict::merge(findings.iter().filter_map(Finding::weight));
    // A picture that cannot be drawn takes no verdict away.
    let logs = checks::guarded(|| LogPatterns::of(plays)).unwrap_or_default();
    let Answer { culprits, blame } = checks::guarded(|| culprit::of_scenario(plays, &logs, &findings)).unwrap_or_default();
    if !is_searched {
        findings.extend(unasked::after_a_fault(plays));
    }
    let alerts = if is_searched { Vec::new() } else { checks::guarded(|| alerts::evaluated(plays)).unwrap_or_default() };
    findings.extend(alerts::findings(plays, &alerts, &findings));
    finding::number_duplicates(&mut findings);
    let exhibits =
        checks::guarded(|| exhibits::exhibits(plays, &logs, alerts, &findings, blame.as_ref())).unwrap_or_else(|_| Exhibits::default());
    ScenarioResult {
        name: plays.scenario.name.clone(),
        why: plays.scenario.why.clone(),
        verdict,
        headline: headline::of_scenario(verdict, &findings, &culprits, blame.as_ref()),
        phases: phases(plays),
        faults: faults(plays),
        findings,
        culprits,
        blame,
        exhibits,
        source: plays.scenario.source.clone(),
    }
}

/// A scenario in which only the means were looked at, and no end, has proven nothing.
fn nothing_judged(plays: &Plays<'_>, findings: &[Finding]) -> Option<Finding> {
    let means = ["environment", "generator", "steady-state", "dose"];
    let said = findings.iter().any(|finding| finding.check == "environment");
    let judged = findings.iter().any(|finding| !finding.advisory && !means.contains(&finding.check.as_str()));
    (!said && !judged).then(|| {
        let place = Place::new(plays.scenario, None, "scenario", "environment");
        place.inconclusive(if plays.evidence.run.imported.is_some() {
            "others recorded this: whether load, machine and fault were alike is not known, so that what differs is told and nothing passes or fails"
        } else {
            "nothing was judged: no expectation could be looked at and nothing was compared with a baseline"
        })
    })
}

/// The phases of all plays, in the order in which they were played.
fn phases(plays: &Plays<'_>) -> Vec<PhaseWindow> {
    let runs = plays.views.iter().enumerate().filter_map(|(play, view)| Some((plays.numbers(play), view.run?)));
    let phases = runs.flat_map(|((round, episode), run)| {
        run.phases.iter().map(move |phase| PhaseWindow { name: phase.name, start: phase.start, end: phase.end, round, episode })
    });
    phases.collect()
}

/// The faults of all plays: the candidate's, then the baseline's.
fn faults(plays: &Plays<'_>) -> Vec<FaultResult> {
    let views = || plays.views.iter().enumerate();
    let ours = views().flat_map(|(play, view)| view.candidate.faults.iter().map(move |fault| (Variant::Candidate, play, fault)));
    let theirs = views().flat_map(|(play, view)| {
        view.baseline.iter().flat_map(move |arm| arm.faults.iter().map(move |fault| (Variant::Baseline, play, fault)))
    });
    let results = ours.chain(theirs).map(|(variant, play, fault)| {
        let (round, episode) = plays.numbers(play);
        FaultResult {
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
            round,
            episode,
        }
    });
    results.collect()
}
