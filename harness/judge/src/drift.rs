//! Whether the machine became faster or slower over the run, by the baseline's own requests before any fault. It takes no verdict away: candidate and
//! baseline met the same machine block by block.

use crate::{comparison::medians, plays::Plays, stats::rank_sum::RankSum, text};

/// Blocks that a quarter of the run needs before two of them are compared.
const QUARTER: usize = 8;
/// Error at which a drift is believed.
const ALPHA: f64 = 0.001;
/// A smaller one is not worth a word.
const WORTH_SAYING: f64 = 0.1;

/// A sentence for each load of which the last quarter of the run differs from the first.
pub(crate) fn drifts(scenarios: &[Plays<'_>]) -> Vec<String> {
    let Some(first) = scenarios.first() else { return Vec::new() };
    if first.evidence.baseline.as_ref().is_none_or(|baseline| !baseline.paired) {
        return Vec::new();
    }
    let loads = first.evidence.experiment.loads.keys();
    loads
        .filter_map(|load| {
            let mut medians: Vec<_> = scenarios.iter().flat_map(|plays| medians(plays, load)).collect();
            medians.sort_by_key(|(at, _)| *at);
            let values: Vec<f64> = medians.into_iter().map(|(_, median)| median).collect();
            let quarter = values.len() / 4;
            let (early, late) = (&values[..quarter], &values[values.len() - quarter..]);
            let test = RankSum::new(late, early);
            let change = test.estimate()?.exp_m1();
            let proven = test.p_above(0.0).min(test.p_below(0.0)) <= ALPHA;
            (quarter >= QUARTER && proven && change.abs() > WORTH_SAYING).then(|| {
                format!(
                    "before the faults, the median of {load} on the baseline changed by {} from the first quarter of the run to the last; both \
                     variants met it alike",
                    text::change(change)
                )
            })
        })
        .collect()
}
