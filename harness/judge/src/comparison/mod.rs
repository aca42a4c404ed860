//! Candidate against baseline under the same load and the same fault: tail latency and errors, by load and phase.
//!
//! All comparisons of a gate are decided together (`decide`), so that the error of the whole gate is held.

mod decide;
mod sample;

pub use decide::{Decision, decide_all};
pub use sample::Sample;

pub(crate) use decide::findings;
pub(crate) use sample::{NoSample, errors, tails};

use crate::{
    checks::baseline_dose,
    finding::Place,
    stats::quantile,
    view::{Arm, View},
};
use shakedown_model::{
    event::Phase,
    evidence::{Baseline, Evidence, Request},
    experiment::{BaselineMode, Gate},
    result::Finding,
    time::Window,
};

/// Errors that a change may add, as a share of all requests: what random resets add on their own.
const ERRORS_TOLERATED: f64 = 0.01;
/// A pass proves that a change adds fewer errors than this share of all requests.
const ERRORS_HARMFUL: f64 = 0.05;
/// With this few requests even no error at all leaves room for a harmful share of them (rule of three: 3/n at 95 %).
const REQUESTS_FOR_ERRORS: u64 = 60;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Mean log latency of the slowest two per cent; the finding shows P99.
    Tail,
    /// Share of requests that failed; the finding shows the share that succeeded.
    Errors,
}

impl Measure {
    fn check(self) -> &'static str {
        match self {
            Measure::Tail => "p99-vs-baseline",
            Measure::Errors => "success-vs-baseline",
        }
    }

    /// What is tolerated and what is harmful, on the scale of the sample.
    pub(crate) fn sizes(self, gate: &Gate) -> (f64, f64) {
        match self {
            Measure::Tail => (gate.tolerance.0.ln_1p(), gate.harmful.0.ln_1p()),
            Measure::Errors => (ERRORS_TOLERATED, ERRORS_HARMFUL),
        }
    }
}

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
}

/// The single finding where the mode asks for a baseline and there is none.
pub(crate) fn missing_baseline(view: &View<'_>) -> Option<Finding> {
    let evidence = view.evidence;
    if view.run.is_none() || evidence.baseline.is_some() || evidence.experiment.baseline.mode == BaselineMode::None {
        return None;
    }
    let source = crate::text::clean(&evidence.run.commit.baseline_source, 200);
    let source = if source.is_empty() { "none was measured".to_owned() } else { source };
    let place = Place::new(view.scenario, None, "baseline", "baseline");
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

/// The comparisons of one scenario.
pub(crate) fn collect(view: &View<'_>) -> Vec<Comparison> {
    let (Some(baseline), Some(arm)) = (&view.evidence.baseline, &view.baseline) else { return Vec::new() };
    if view.evidence.experiment.baseline.mode == BaselineMode::None || view.run.is_none() {
        return Vec::new();
    }
    let incomparable = incomparable(view.evidence, baseline);
    let mut comparisons = Vec::new();
    for phase in [Phase::Steady, Phase::Fault] {
        // A phase that the candidate never reached is told of once, by the environment's finding.
        if view.candidate.phase(phase).is_none() {
            continue;
        }
        let blocked = incomparable.clone().or_else(|| if phase == Phase::Fault { baseline_dose::unlike(view, arm) } else { None });
        let windows = windows(view, arm, phase, baseline.paired);
        for load in view.evidence.experiment.loads.keys() {
            let both = Both::of(view, arm, load, windows);
            for measure in [Measure::Tail, Measure::Errors] {
                comparisons.push(both.compare(view, phase, load, measure, blocked.as_ref(), baseline.paired));
            }
        }
    }
    comparisons
}

/// The windows of candidate and baseline; in a paired run one and the same.
fn windows(view: &View<'_>, baseline: &Arm<'_>, phase: Phase, paired: bool) -> Option<(Window, Window)> {
    let of = |arm: &Arm<'_>| if phase == Phase::Fault { arm.disturbed() } else { arm.phase(phase) };
    let (ours, theirs) = (of(&view.candidate)?, of(baseline)?);
    if !paired {
        return Some((ours, theirs));
    }
    let shared = Window { start: ours.start.max(theirs.start), end: ours.end.min(theirs.end) };
    (shared.start < shared.end).then_some((shared, shared))
}

/// The requests of one load in one phase, of both variants.
struct Both<'a> {
    windows: Option<(Window, Window)>,
    candidate: Vec<&'a Request>,
    baseline: Vec<&'a Request>,
    /// In a paired run: requests of blocks that the window cuts.
    cut_blocks: Vec<u32>,
}

impl<'a> Both<'a> {
    fn of(view: &View<'a>, baseline: &Arm<'a>, load: &str, windows: Option<(Window, Window)>) -> Both<'a> {
        let Some((ours, theirs)) = windows else {
            return Both { windows, candidate: Vec::new(), baseline: Vec::new(), cut_blocks: Vec::new() };
        };
        let outside = |arm: &Arm<'a>, window: Window| {
            arm.requests
                .iter()
                .filter(|request| request.load == load && !window.contains(request.due))
                .map(|request| request.block)
                .collect::<Vec<u32>>()
        };
        let mut cut_blocks = outside(&view.candidate, ours);
        cut_blocks.extend(outside(baseline, theirs));
        cut_blocks.sort_unstable();
        cut_blocks.dedup();
        Both { windows, candidate: view.candidate.due_in(load, ours), baseline: baseline.due_in(load, theirs), cut_blocks }
    }

    fn compare(&self, view: &View<'_>, phase: Phase, load: &str, measure: Measure, blocked: Option<&String>, paired: bool) -> Comparison {
        let shown = |requests: &[&Request]| match measure {
            Measure::Tail => {
                let sorted = quantile::sorted(requests.iter().map(|request| view.charged(request)).collect());
                quantile::of_sorted(&sorted, 0.99)
            }
            Measure::Errors => {
                (!requests.is_empty()).then(|| requests.iter().filter(|request| request.ok).count() as f64 / requests.len() as f64)
            }
        };
        let sample = match (blocked, self.windows) {
            (Some(why), _) => Err(why.clone()),
            (None, None) => Err(format!("the {} phases of candidate and baseline do not overlap", phase.word())),
            (None, Some(windows)) => self.sample(view, measure, windows, paired).map_err(|none| none.to_string()),
        };
        Comparison {
            place: Place::new(view.scenario, Some(phase), load, measure.check()),
            measure,
            sample,
            observed: shown(&self.candidate),
            baseline: shown(&self.baseline),
            requests: (self.candidate.len() as u64, self.baseline.len() as u64),
        }
    }

    fn sample(&self, view: &View<'_>, measure: Measure, windows: (Window, Window), paired: bool) -> Result<Sample, NoSample> {
        let statistic = |requests: &[&Request]| match measure {
            Measure::Tail => tails(requests, |request| view.charged(request)),
            Measure::Errors => errors(requests),
        };
        if paired {
            let whole = |requests: &[&'a Request]| -> Vec<&'a Request> {
                requests.iter().filter(|request| self.cut_blocks.binary_search(&request.block).is_err()).copied().collect()
            };
            Sample::paired(&whole(&self.candidate), &whole(&self.baseline), statistic)
        } else {
            let block = view.evidence.run.slot_seconds.map_or(1.0, |slot| 2.0 * slot);
            Sample::unpaired((&self.candidate, windows.0), (&self.baseline, windows.1), block, statistic)
        }
    }
}
