//! Whether candidate and baseline were hurt alike: otherwise comparing them under the fault compares the faults.

use super::dose;
use crate::{
    text,
    view::{Arm, View},
};
use shakedown_model::fault::Action;

/// Achieved delays of the two variants may differ by this share of the larger …
const DELAY_SHARE: f64 = 0.25;
/// … or by this many milliseconds.
const DELAY_SLACK_MS: f64 = 5.0;

/// Why the fault phases of the two cannot be compared; `None`: they can.
pub(crate) fn unlike(view: &View<'_>, baseline: &Arm<'_>) -> Option<String> {
    view.scenario.faults.iter().enumerate().find_map(|(index, fault)| {
        let of_candidate = dose::shortcoming(&view.candidate, index, fault);
        let of_baseline = || dose::shortcoming(baseline, index, fault).map(|reason| format!("on the baseline, {reason}"));
        of_candidate.or_else(of_baseline).or_else(|| {
            let delay = |arm: &Arm<'_>| arm.fault(index)?.dose.figures.get("delay_ms").copied();
            let (ours, theirs) = (delay(&view.candidate)?, delay(baseline)?);
            let allowed = (DELAY_SHARE * ours.max(theirs)).max(DELAY_SLACK_MS);
            (matches!(fault.action, Action::Latency(_)) && (ours - theirs).abs() > allowed).then(|| {
                let (ours, theirs) = (text::seconds(ours / 1e3), text::seconds(theirs / 1e3));
                format!("latency on {} added {ours} to the candidate and {theirs} to the baseline", fault.on)
            })
        })
    })
}
