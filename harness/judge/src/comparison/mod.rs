//! Candidate against baseline under the same load and the same fault, by load, phase and measure, over all plays of a scenario.
//!
//! All comparisons of a gate are decided together (`decide`), so that the error of the whole gate is held.

mod blocks;
mod decide;
mod measure;
mod penalty;
mod pool;
mod recovery;
mod sample;

pub use decide::{Decision, decide_all};
pub use sample::Sample;

pub(crate) use measure::Measure;
pub(crate) use pool::medians;

use crate::{finding::Place, plays::Plays};
use pool::Pool;
use shakedown_model::{
    event::Phase,
    evidence::{Baseline, Evidence},
    experiment::{BaselineMode, Gate},
    result::Finding,
    run::Rounds,
};

/// One comparison, ready to be decided.
pub(crate) struct Comparison {
    pub(crate) place: Place,
    pub(crate) measure: Measure,
    /// The sample, or why there is none that could be judged.
    pub(crate) sample: Result<Sample, String>,
    /// Shown figures of the two: P99 in seconds, or share that succeeded.
    pub(crate) observed: Option<f64>,
    pub(crate) baseline: Option<f64>,
    /// Requests of the candidate and of the baseline behind the figures.
    pub(crate) requests: (u64, u64),
    /// Differences of the pair-blocks, or of the plays; empty where there are none.
    differences: Vec<f64>,
    /// Whether an expectation asks for what is compared.
    is_asked: bool,
    /// What the reader must know beside: plays that were left out.
    notes: Vec<String>,
}

/// The single finding where the mode asks for a baseline and there is none.
pub(crate) fn missing_baseline(plays: &Plays<'_>) -> Option<Finding> {
    let evidence = plays.evidence;
    if !plays.ran() || evidence.baseline.is_some() || evidence.experiment.baseline.mode == BaselineMode::None {
        return None;
    }
    let source = crate::text::clean(&evidence.run.commit.baseline_source, 200);
    let source = if source.is_empty() { "none was measured".to_owned() } else { source };
    let place = Place::new(plays.scenario, None, "baseline", "baseline");
    Some(place.inconclusive(format!(
        "baseline missing: {source}; name one with --base, or run with --baseline-mode none to judge expectations only"
    )))
}

/// Why no comparison with this baseline means anything; `None`: they do.
pub(crate) fn incomparable(evidence: &Evidence, baseline: &Baseline) -> Option<String> {
    if baseline.paired {
        return None;
    }
    let Some(run) = &baseline.run else {
        return Some(
            "the recorded baseline does not say when and where it was measured; record it again with `shakedown baseline save`".to_owned(),
        );
    };
    let (ours, theirs) = (evidence.run.machine.class(), run.machine.class());
    (ours != theirs).then(|| {
        let (ours, theirs) = (crate::text::clean(&ours, 200), crate::text::clean(&theirs, 200));
        format!("the baseline was recorded on another class of machine ({theirs}) than this run ({ours}); measure both with --baseline-mode paired")
    })
}

/// Whether the run did not get through its first round: its end is told, and what it has of comparisons proves nothing.
fn broke_off_at_once(evidence: &Evidence) -> bool {
    evidence.run.rounds.done == 0 && evidence.run.aborted.is_some()
}

/// The comparisons of one scenario.
pub(crate) fn collect(plays: &Plays<'_>) -> Vec<Comparison> {
    let Some(baseline) = &plays.evidence.baseline else { return Vec::new() };
    let is_off = plays.evidence.experiment.baseline.mode == BaselineMode::None || broke_off_at_once(plays.evidence);
    if is_off || !plays.ran() || plays.scenario.searched().is_some() {
        return Vec::new();
    }
    let incomparable = incomparable(plays.evidence, baseline);
    let mut comparisons = Vec::new();
    for phase in [Phase::Steady, Phase::Fault] {
        // A phase that the candidate never reached is told of once, by the environment's finding.
        if plays.candidates().all(|arm| arm.phase(phase).is_none()) {
            continue;
        }
        for load in plays.evidence.experiment.loads.keys() {
            let pool = Pool::of(plays, phase, load, baseline.paired);
            for measure in measure::OF_BLOCKS {
                comparisons.push(pool.compare(measure, incomparable.as_ref()));
            }
        }
    }
    if incomparable.is_none() && baseline.paired {
        comparisons.extend(recovery::collect(plays));
    }
    comparisons
}

/// The error of the whole gate.
fn error(gate: &Gate) -> f64 {
    (1.0 - gate.confidence.0).clamp(1e-6, 0.5)
}

/// The findings of all comparisons of the gate, decided together, in their order.
pub(crate) fn findings(comparisons: &[Comparison], gate: &Gate, rounds: Rounds) -> Vec<Finding> {
    let mut findings = decide::findings(comparisons, gate, rounds);
    for (finding, comparison) in findings.iter_mut().zip(comparisons) {
        recovery::complete(finding, comparison, comparisons.len(), gate);
        for note in &comparison.notes {
            finding.reason = format!("{}; {note}", finding.reason);
        }
        finding.penalty = penalty::of(comparison, comparisons);
        if let Some(penalty) = &finding.penalty {
            finding.reason = format!("{}; {}", finding.reason, penalty::clause(penalty));
        }
    }
    findings
}
