//! What the judge picks out of the evidence for a report to draw.

mod common;
mod verdicts;

use common::Behaviour;
use shakedown_judge::judge;
use verdicts::with;

#[test]
fn both_halves_of_a_pair_that_somebody_is_blamed_by_are_among_the_waterfalls() {
    let result = judge(&with(Behaviour { fault: 0.7, calls: 4, ..Behaviour::default() }));
    let scenario = &result.scenarios[0];
    let pair = &scenario.blame.as_ref().expect("somebody is blamed").pairs[0];
    let shown = |id: &str, variant: &str| scenario.exhibits.traces.iter().any(|trace| trace.trace_id == id && trace.variant == variant);
    assert!(shown(&pair.candidate, "candidate") && shown(&pair.reference, "baseline"), "{pair:?}");
    assert!(scenario.exhibits.traces.len() <= 6);
}
