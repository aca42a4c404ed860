//! What the conductor saw when it checked steady state before the faults.

use super::Check;
use crate::{
    finding::Place,
    plays::{Plays, Telling},
    text,
    view::View,
};
use shakedown_model::{
    event::{Event, Phase},
    result::Finding,
    stack::Variant,
    verdict::Verdict,
};

pub(crate) struct Steady;

impl Check for Steady {
    fn name(&self) -> &'static str {
        "steady-state"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        plays.merged(Telling::Largest, judge_play)
    }
}

fn judge_play(view: &View<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for timed in view.evidence.events.iter().filter(|timed| view.extent.contains(timed.at)) {
        let Event::SteadyState { scenario, variant, holds, detail } = &timed.event else { continue };
        if *scenario != view.scenario.name {
            continue;
        }
        let place = Place::new(view.scenario, Some(Phase::Steady), variant.word(), "steady-state");
        let detail = text::clean(detail, 500);
        let finding = match (holds, detail.as_str()) {
            (true, "") => place.finding(Verdict::Pass, "steady state held before the fault"),
            (true, _) => place.finding(Verdict::Pass, format!("steady state held before the fault: {detail}")),
            (false, _) if *variant == Variant::Baseline => place.inconclusive(format!(
                "the baseline did not hold its own steady state before the fault, so it is no measure for the candidate: {detail}"
            )),
            (false, _) => place.inconclusive(format!("steady state did not hold before the fault: {detail}")),
        };
        // The last answer counts: steady state may be waited for.
        findings.retain(|earlier| earlier.subject != finding.subject);
        findings.push(finding);
    }
    findings
}
