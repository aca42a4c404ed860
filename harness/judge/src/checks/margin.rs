//! How bad a fault may become before the scenario's expectations no longer hold: the candidate's margin, and beside it the baseline's. And the
//! answer to one play of the search for it.

use super::{Check, dose, load, recovery, run_all};
use crate::{finding::Place, index::Index, plays::Plays, text};
use shakedown_model::{
    event::Phase,
    evidence::Evidence,
    experiment::{BaselineMode, Gate},
    fault::{Search, Worse},
    result::Finding,
    run::{MarginRun, MarginVariant},
    stack::Variant,
    verdict::Verdict,
};
use std::cmp::Ordering;

pub(crate) struct Margin;

impl Check for Margin {
    fn name(&self) -> &'static str {
        "margin"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        let Some((index, search)) = plays.scenario.searched().filter(|_| plays.ran()) else { return Vec::new() };
        let fault = &plays.scenario.faults[index];
        let subject = format!("{} {}", fault.action.kind(), crate::view::target_id(&fault.on));
        let place = |check: &str| Place::new(plays.scenario, Some(Phase::Fault), &subject, check).at(&fault.source);
        let alone = place("margin");
        let Some(margin) = plays.evidence.run.margins.iter().find(|margin| margin.scenario == plays.scenario.name) else {
            return vec![alone.inconclusive("the run left no record of what was searched")];
        };
        let Some(ours) = of(margin, Variant::Candidate) else {
            return vec![alone.inconclusive("the run left no record of what was searched on the candidate")];
        };
        let theirs = of(margin, Variant::Baseline).filter(|_| plays.evidence.experiment.baseline.mode != BaselineMode::None);
        let it = Margins { margin, search, ours, theirs, gate: &plays.evidence.experiment.gate };
        let check = if theirs.is_some() { place("margin-vs-baseline") } else { alone };
        let (verdict, reason) = match it.doubt(plays, index) {
            Some(why) => (Verdict::Inconclusive, why),
            None => it.judge(),
        };
        vec![it.figures(check.finding(verdict, reason))]
    }
}

fn of(margin: &MarginRun, variant: Variant) -> Option<&MarginVariant> {
    margin.variants.iter().find(|found| found.variant == variant)
}

/// The margins of one scenario.
struct Margins<'a> {
    margin: &'a MarginRun,
    search: &'a Search,
    ours: &'a MarginVariant,
    theirs: Option<&'a MarginVariant>,
    gate: &'a Gate,
}

impl Margins<'_> {
    fn both(&self) -> impl Iterator<Item = &MarginVariant> {
        std::iter::once(self.ours).chain(self.theirs)
    }

    /// Why nothing can be concluded: no play, a search without an end, or a play that counted although its fault touched nothing.
    fn doubt(&self, plays: &Plays<'_>, index: usize) -> Option<String> {
        if self.ours.plays.iter().all(|play| play.held.is_none()) {
            return Some(format!("no play of the search said anything about the {}", Variant::Candidate.word()));
        }
        for found in self.both() {
            for play in found.plays.iter().filter(|play| play.held == Some(true)) {
                let view = plays.views.iter().find(|view| view.run.is_some_and(|run| run.play == play.play));
                let arm =
                    view.and_then(|view| if found.variant == Variant::Candidate { Some(&view.candidate) } else { view.baseline.as_ref() });
                let touched = arm.and_then(|arm| arm.fault(index)).map_or(0, |record| record.dose.touched);
                if touched == 0 {
                    let (dose, who) = (self.show(play.dose), found.variant.word());
                    return Some(format!("{dose} counts as borne by the {who}, but there the fault touched nothing, which proves nothing"));
                }
            }
        }
        let open = self.both().find_map(|found| Some((found.variant, found.open.as_ref()?)));
        open.map(|(variant, why)| {
            format!("{}; the boundary of the {} is not known: {}", self.sentence(), variant.word(), text::clean(why, 300))
        })
    }

    fn judge(&self) -> (Verdict, String) {
        let sentence = self.sentence();
        let Some(ours) = self.ours.holds_up_to else {
            let why = self.ours.plays.iter().rfind(|play| play.held == Some(false)).map(|play| text::clean(&play.reason, 300));
            return (Verdict::Fail, format!("{sentence}: {}", why.unwrap_or_default()));
        };
        let Some(baseline) = self.theirs else { return (Verdict::Pass, sentence) };
        let Some(theirs) = baseline.holds_up_to else { return (Verdict::Pass, sentence) };
        let loss = self.loss(ours, theirs);
        let (tolerance, harmful) = (self.gate.tolerance.0, self.gate.harmful.0);
        let is_less = self.ours.breaks_at.is_some_and(|breaks| self.order(breaks, theirs) == Ordering::Less);
        // The most that can be lost: what the baseline breaks at against what the candidate bears.
        let most = baseline.breaks_at.map_or(loss, |breaks| self.loss(ours, breaks));
        let step = format!("(steps of {})", self.show(self.margin.step));
        if loss <= tolerance {
            return (Verdict::Pass, format!("{sentence} {step}"));
        }
        if is_less && loss > harmful {
            let why = format!("the baseline bears {} times as much, more than the harmful {}", times(loss), text::change(harmful));
            return (Verdict::Fail, format!("{sentence} {step}: {why}, and the candidate breaks where the baseline holds"));
        }
        if most <= harmful {
            return (Verdict::Pass, format!("{sentence} {step}: the baseline bears at most {} times as much", times(most)));
        }
        let why = format!("neither within {} nor worse than {} by more than a step", text::change(tolerance), text::change(harmful));
        (Verdict::Inconclusive, format!("{sentence} {step}: {why}; smaller steps tell more"))
    }

    /// By how much the baseline bears more, relatively: 0.4 is 40 % more; below zero where it bears less.
    fn loss(&self, ours: f64, theirs: f64) -> f64 {
        match self.search.worse {
            Worse::Larger => theirs / ours - 1.0,
            Worse::Smaller => ours / theirs - 1.0,
        }
    }

    /// Which of two doses is the milder one.
    fn order(&self, one: f64, other: f64) -> Ordering {
        self.search.severity(one).total_cmp(&self.search.severity(other))
    }

    fn show(&self, dose: f64) -> String {
        self.margin.unit.show(dose)
    }

    /// `the candidate bears latency.delay up to 430 ms, the baseline up to 610 ms`
    fn sentence(&self) -> String {
        let candidate = format!(
            "with {} on {} the expectations hold for the candidate {}",
            self.margin.path,
            self.margin.target,
            self.extent(self.ours)
        );
        match self.theirs {
            Some(theirs) => format!("{candidate}, for the baseline {}", self.extent(theirs)),
            None => candidate,
        }
    }

    fn extent(&self, found: &MarginVariant) -> String {
        let direction = if self.search.worse == Worse::Larger { "up to" } else { "down to" };
        match (found.holds_up_to, found.breaks_at) {
            (Some(holds), None) => format!("{direction} {} at least", self.show(holds)),
            (Some(holds), Some(_)) => format!("{direction} {}", self.show(holds)),
            (None, Some(breaks)) => format!("not even at {}", self.show(breaks)),
            (None, None) => "at no dose that was played".to_owned(),
        }
    }

    fn figures(&self, finding: Finding) -> Finding {
        let (ours, theirs) = (self.ours.holds_up_to, self.theirs.and_then(|theirs| theirs.holds_up_to));
        let limit = theirs.map(|theirs| match self.search.worse {
            Worse::Larger => theirs / (1.0 + self.gate.harmful.0),
            Worse::Smaller => theirs * (1.0 + self.gate.harmful.0),
        });
        let change = ours.zip(theirs).map(|(ours, theirs)| ours / theirs - 1.0);
        Finding {
            observed: ours,
            baseline: theirs,
            limit,
            change,
            unit: self.margin.unit.word().to_owned(),
            samples: self.ours.plays.iter().filter(|play| play.held.is_some()).count() as u64,
            ..finding
        }
    }
}

fn times(loss: f64) -> String {
    shakedown_model::units::trim_float(((1.0 + loss) * 100.0).round() / 100.0)
}

/// Whether the expectations of the only scenario held in its only play, for the candidate of this evidence; `None`: it says nothing. And why.
pub(crate) fn answer(evidence: &Evidence) -> (Option<bool>, String) {
    let Some(scenario) = evidence.experiment.scenarios.first() else { return (None, "there is no scenario".to_owned()) };
    let ours = Index::of(&evidence.candidate);
    let theirs = evidence.baseline.as_ref().map(|baseline| Index::of(&baseline.evidence)).unwrap_or_default();
    let plays = Plays::of(evidence, scenario, &ours, &theirs);
    let Some((view, run)) = plays.views.first().and_then(|view| Some((view, view.run?))) else {
        return (None, "it was not played".to_owned());
    };
    if let Some(stopped) = &run.stopped {
        return (Some(false), format!("a stop condition held: {}", text::clean(stopped, 300)));
    }
    if let Some(why) = super::distrust(&plays).or_else(|| plays.clock.clone()) {
        return (None, why);
    }
    let findings = run_all(&[Box::new(load::LoadCheck), Box::new(recovery::Recovery)], &plays);
    let Some(worst) = findings.iter().max_by_key(|finding| finding.verdict) else {
        return (None, "nothing is expected that could hold or not".to_owned());
    };
    let mut faults = scenario.faults.iter().enumerate();
    if worst.verdict == Verdict::Fail && faults.clone().all(|(index, _)| dose::is_at_most_asked(&view.candidate, index)) {
        return (Some(false), worst.reason.clone());
    }
    match faults.find_map(|(index, fault)| dose::shortcoming(&view.candidate, index, fault)) {
        Some(why) => (None, why),
        None => (conclusion(worst.verdict), worst.reason.clone()),
    }
}

fn conclusion(verdict: Verdict) -> Option<bool> {
    match verdict {
        Verdict::Pass => Some(true),
        Verdict::Fail => Some(false),
        Verdict::Inconclusive => None,
    }
}
