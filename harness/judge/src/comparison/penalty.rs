//! What the fault costs beyond what the change costs without it: the differences of blocks under the fault against those before it.

use super::{Comparison, Measure};
use crate::{stats::rank_sum::RankSum, text};
use shakedown_model::{event::Phase, result::Penalty};

/// Error on each side of the interval.
const SIDE: f64 = 0.025;

/// The penalty of a comparison under the fault, where the same was compared before it.
pub(super) fn of(comparison: &Comparison, all: &[Comparison]) -> Option<Penalty> {
    let is_timed = matches!(comparison.measure, Measure::Tail | Measure::Median);
    if !is_timed || comparison.place.phase != Some(Phase::Fault) || comparison.differences.is_empty() {
        return None;
    }
    let steady = all.iter().find(|other| {
        let (a, b) = (&other.place, &comparison.place);
        other.measure == comparison.measure && a.phase == Some(Phase::Steady) && a.scenario == b.scenario && a.subject == b.subject
    })?;
    let test = RankSum::new(&comparison.differences, &steady.differences);
    let (low, high) = (test.lower(SIDE), test.upper(SIDE));
    let ci = (low.is_finite() && high.is_finite()).then(|| [low.exp_m1(), high.exp_m1()]);
    Some(Penalty { change: test.estimate()?.exp_m1() + 0.0, ci })
}

/// In one clause.
pub(super) fn clause(penalty: &Penalty) -> String {
    let size = text::change(penalty.change.abs());
    let more = if penalty.change < 0.0 { "less" } else { "more" };
    let bounds =
        penalty.ci.map_or_else(String::new, |[low, high]| format!(" (between {} and {} at 95 %)", text::change(low), text::change(high)));
    format!(
        "the fault costs the candidate {} {more} than the baseline beyond what the change costs without it{bounds}",
        size.trim_start_matches('+')
    )
}
