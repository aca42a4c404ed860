//! How long candidate and baseline took to recover, play by play: for faults that are events, the play is the unit.

use super::{Comparison, Measure, Sample};
use crate::{
    checks::recovery::{Bounds, Outcome, recovery},
    finding::Place,
    plays::Plays,
    stats::{
        median_of_sorted,
        quantile::sorted,
        signed_rank::{SignedRank, pairs_needed},
    },
    text,
    view::{Arm, View},
};
use shakedown_model::{
    event::Phase,
    experiment::{Check, Gate},
    fault::Action,
    result::Finding,
    verdict::Verdict,
};

/// Added to a recovery time before its logarithm is taken, in seconds: the length of the window in which recovery is looked for. A difference that
/// is small beside it counts for little.
const RESOLUTION: f64 = 1.0;
/// A load that did not recover while it was watched counts as having taken this many times as long.
const NEVER: f64 = 2.0;
/// Fewer plays are not worth comparing.
const MIN_PLAYS: usize = 2;

/// One comparison for each load that steady state bounds; none where no fault is an event or too few plays were made.
pub(super) fn collect(plays: &Plays<'_>) -> Vec<Comparison> {
    let reached = plays.candidates().filter(|arm| arm.phase(Phase::Recovery).is_some()).count();
    if reached < MIN_PLAYS || !plays.scenario.faults.iter().any(|fault| is_event(&fault.action)) {
        return Vec::new();
    }
    let steady = plays.evidence.experiment.steady_state.iter();
    let loads = steady.filter_map(|expectation| match &expectation.check {
        Check::Load { load, success, latency } => Some((load, Bounds { success: *success, latency, load: plays.load(load) })),
        _ => None,
    });
    loads.map(|(load, bounds)| compare(plays, load, &bounds)).collect()
}

/// With so few plays that nothing could fail even if nothing else was compared it is not tested: the others need not share the error with it.
fn compare(plays: &Plays<'_>, load: &str, bounds: &Bounds<'_>) -> Comparison {
    let pairs: Vec<(f64, f64)> = plays.views.iter().filter_map(|view| pair(view, load, bounds)).collect();
    let differences: Vec<f64> = pairs.iter().map(|(ours, theirs)| ((ours + RESOLUTION) / (theirs + RESOLUTION)).ln()).collect();
    let median = |of: fn(&(f64, f64)) -> f64| median_of_sorted(&sorted(pairs.iter().map(of).collect()));
    let needed = pairs_needed(super::error(&plays.evidence.experiment.gate));
    let sample = if differences.len() < needed {
        Err(format!("{} can prove nothing", text::count(differences.len() as u64, "play")))
    } else {
        Ok(Sample::Paired(SignedRank::new(differences.clone())))
    };
    Comparison {
        place: Place::new(plays.scenario, Some(Phase::Recovery), load, Measure::Recovery.check()),
        measure: Measure::Recovery,
        sample,
        observed: median(|pair| pair.0),
        baseline: median(|pair| pair.1),
        requests: (0, 0),
        differences,
        is_asked: plays.scenario.recover_within.is_some(),
        notes: Vec::new(),
    }
}

/// Seconds of candidate and baseline in one play; `None`: not known of both.
fn pair(view: &View<'_>, load: &str, bounds: &Bounds<'_>) -> Option<(f64, f64)> {
    let seconds = |arm: &Arm<'_>| match recovery(arm, load, bounds) {
        Outcome::Recovered { after, .. } => Some(after),
        Outcome::Broken { watched, .. } => Some(NEVER * watched),
        Outcome::Untested(_) | Outcome::Thin(_) => None,
    };
    Some((seconds(&view.candidate)?, seconds(view.baseline.as_ref()?)?))
}

/// Whether a fault is something that happens once, from which a system comes back, rather than a state that it is in.
fn is_event(action: &Action) -> bool {
    action.ends_service() || matches!(action, Action::Pause | Action::Stop | Action::Partition(_) | Action::Down | Action::Reset)
}

/// Says of a comparison that was not decided, among `all`, how many plays it would take. It blocks only where recovery is asked for and there were
/// as many: whoever did not ask for a proof does not have to bring one.
pub(super) fn complete(finding: &mut Finding, comparison: &Comparison, all: usize, gate: &Gate) {
    if comparison.measure != Measure::Recovery || finding.verdict != Verdict::Inconclusive {
        return;
    }
    let plays = comparison.differences.len();
    let needed = pairs_needed(super::error(gate) / all.max(1) as f64);
    finding.advisory = !comparison.is_asked || plays < needed;
    if comparison.sample.is_ok() {
        return;
    }
    let test = SignedRank::new(comparison.differences.clone());
    finding.change = test.estimate().map(f64::exp_m1);
    finding.samples = plays as u64;
    let seen = match finding.change {
        Some(change) => {
            Measure::Recovery.change(&comparison.place.subject, &text::change(change), comparison.observed.zip(comparison.baseline))
        }
        None => format!("in no play is it known of both how long {} took to meet its steady state again", comparison.place.subject),
    };
    finding.reason = format!(
        "after the fault, {seen}; {} can prove nothing, it takes {needed} (rounds × episodes): this is for information only",
        text::count(plays as u64, "play")
    );
}
