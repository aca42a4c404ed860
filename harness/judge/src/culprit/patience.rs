//! Calls that are given up sooner than answers used to come. A caller that hangs up gets no answer, and its callee is not to blame for that.
//!
//! A patience that is at its end is known by its length: always the same, longer than a connection that is refused, and shorter than nearly every answer
//! under the same fault before.

use super::{
    channels::errors::Risen,
    cohort::Cohort,
    keys::{KeyId, Keys},
};
use indexmap::IndexMap;

/// Fewer calls tell nothing of how long one waits.
const FEWEST: usize = 20;
/// Shorter ones were refused rather than given up, in seconds.
const REFUSED: f64 = 0.01;
/// A timer is so regular: ninth tenth against first.
const REGULAR: f64 = 1.25;
/// Of the answers nine of ten took longer.
const SELDOM: f64 = 0.1;

/// Calls whose patience is shorter than it was: for how long they wait, and what an answer usually took, in seconds.
pub(super) fn lost<'a>(subject: &Cohort<'a>, reference: &Cohort<'a>, risen: &Risen, keys: &mut Keys<'a>) -> IndexMap<KeyId, (f64, f64)> {
    if risen.is_empty() {
        return IndexMap::new();
    }
    let erring: Vec<KeyId> = risen.keys().map(|key| keys.plain(*key)).collect();
    let mut given_up = lengths(subject, keys, &erring, false);
    let mut answered = lengths(reference, keys, &erring, true);
    let lost = erring.iter().filter_map(|key| {
        let (waits, answers) = (given_up.get_mut(key)?, answered.get_mut(key)?);
        if waits.len() < FEWEST || answers.len() < FEWEST {
            return None;
        }
        waits.sort_by(f64::total_cmp);
        answers.sort_by(f64::total_cmp);
        let (short, long) = (quantile(waits, 0.1), quantile(waits, 0.9));
        let is_timer = short >= REFUSED && long <= REGULAR * short;
        (is_timer && long < quantile(answers, SELDOM)).then(|| (*key, (quantile(waits, 0.5), quantile(answers, 0.5))))
    });
    lost.collect()
}

/// Lengths of calls to other services that were answered, or that failed without an answer, in seconds.
fn lengths<'a>(cohort: &Cohort<'a>, keys: &mut Keys<'a>, of: &[KeyId], answered: bool) -> IndexMap<KeyId, Vec<f64>> {
    let (mut lengths, mut ids): (IndexMap<KeyId, Vec<f64>>, _) = (IndexMap::new(), Vec::new());
    for traced in &cohort.traced {
        let tree = cohort.tree(traced);
        keys.of_trace(&tree, &mut ids);
        for (index, id) in ids.iter().enumerate() {
            let (span, key) = (tree.span(index), keys.plain(*id));
            if !of.contains(&key) {
                continue;
            }
            let has_answer = tree.children(index).iter().any(|child| tree.span(*child).service != span.service);
            if has_answer == answered && (answered || span.error) {
                lengths.entry(key).or_default().push(span.end.since(span.start).as_secs_f64());
            }
        }
    }
    lengths
}

/// Nearest rank.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}
