//! Whether the scenario got far enough to say anything at all.

use super::Check;
use crate::{
    finding::Place,
    plays::{Plays, Telling},
    text,
    view::View,
};
use shakedown_model::{event::Phase, result::Finding};

pub(crate) struct Environment;

impl Check for Environment {
    fn name(&self) -> &'static str {
        "environment"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        plays.merged(Telling::Largest, judge_play)
    }
}

fn judge_play(view: &View<'_>) -> Vec<Finding> {
    let place = Place::new(view.scenario, None, "scenario", "environment");
    shortcomings(view).into_iter().map(|reason| place.inconclusive(reason)).collect()
}

/// Each of them is a reason why the scenario cannot pass.
fn shortcomings(view: &View<'_>) -> Vec<String> {
    let aborted = view.evidence.run.aborted.as_ref().map(|abort| text::clean(&abort.reason, 500));
    let Some(run) = view.run else {
        return vec![match aborted {
            Some(reason) => format!("did not run: the run ended before it: {reason}"),
            None => "did not run although the experiment names it; run it with --scenario or --all".to_owned(),
        }];
    };
    let mut reasons = Vec::new();
    if let Some(broken) = &run.steady_broken {
        reasons.push(format!("steady state was broken before any fault, so no fault was started: {}", text::clean(broken, 500)));
    }
    // A search plays doses that are not borne: what a play of it did not show was told to the search.
    let is_searched = view.scenario.searched().is_some();
    if let Some(stopped) = run.stopped.as_ref().filter(|_| !is_searched) {
        reasons.push(format!("ended early by a stop condition: {}", text::clean(stopped, 500)));
    }
    let was_tried = is_searched && aborted.is_none();
    if !was_tried && run.steady_broken.is_none() && view.candidate.disturbed().is_none() {
        reasons.push(match (view.candidate.phase(Phase::Fault), &aborted) {
            (None, Some(reason)) => format!("never reached its fault phase: the run ended before it: {reason}"),
            (None, None) => "never reached its fault phase".to_owned(),
            (Some(_), _) => "no fault took hold in the fault phase, so nothing was put to the test".to_owned(),
        });
    } else if let (Some(reason), None) = (&aborted, view.candidate.phase(Phase::Recovery)) {
        reasons.push(format!("the run ended before the scenario did: {reason}"));
    }
    reasons
}
