//! What can be looked up: traces of candidate and reference beside each other, and what slow requests have in common.

use super::{
    account::Sides,
    channels::note,
    cohort::{Cohort, Traced},
    keys::{KeyId, Keys},
    tail,
};
use crate::{critical_path, stats::likelihood, text};
use indexmap::{IndexMap, IndexSet};
use shakedown_model::result::{AttributeDifference, Culprit, EvidenceNote, TracePair};
use std::collections::HashMap;

/// Pairs of traces that are shown.
const PAIRS: usize = 3;
/// Traces that are looked at for a pair, or for attributes.
const LOOKED_AT: usize = 2_000;
/// Attributes with more values than this are ids.
const MOST_VALUES: usize = 50;
/// How much more of the slow requests must have a value, …
const MORE: f64 = 0.2;
/// … and how many such values are shown.
const SHOWN: usize = 5;
/// A value of a service's attribute.
type Value<'a> = (&'a str, &'a str, &'a str);

pub(super) struct Exemplars {
    pub(super) pairs: Vec<TracePair>,
    pub(super) differences: Vec<AttributeDifference>,
}

pub(super) fn of<'a>(sides: &Sides<'_, 'a>, keys: &mut Keys<'a>, culprit: &Culprit) -> Exemplars {
    let all: Vec<&Traced<'a>> = sides.subject.traced.iter().collect();
    let slow = tail::slowest(&all, tail::TAIL);
    Exemplars { pairs: pairs(sides, &slow, keys, culprit), differences: differences(sides.subject, &slow) }
}

impl Exemplars {
    /// In words.
    pub(super) fn notes(&self) -> Vec<EvidenceNote> {
        let pair = self.pairs.first().map(|pair| EvidenceNote {
            kind: "pair".to_owned(),
            text: format!(
                "{} beside {} on the same path (trace {})",
                text::seconds(pair.candidate_seconds),
                text::seconds(pair.reference_seconds),
                pair.reference
            ),
            reference: Some(pair.candidate.clone()),
        });
        let difference = self.differences.first().map(|found| {
            let AttributeDifference { service, key, value, slow, slow_of, others, others_of } = found;
            note("attribute", format!("{slow} of {slow_of} slow requests have {service} {key}={value}, {others} of {others_of} others"))
        });
        pair.into_iter().chain(difference).collect()
    }
}

/// Slow traces in which the culprit took part, each with one of the reference that did the same in the usual time.
fn pairs<'a>(sides: &Sides<'_, 'a>, slow: &[&Traced<'a>], keys: &mut Keys<'a>, culprit: &Culprit) -> Vec<TracePair> {
    let mut usual: HashMap<(usize, Vec<KeyId>), Vec<&Traced<'a>>> = HashMap::new();
    for traced in every(&sides.reference.traced.iter().collect::<Vec<_>>()) {
        let (operations, _) = operations(sides.reference, traced, keys);
        usual.entry((traced.entry.0, operations)).or_default().push(traced);
    }
    let mut pairs = Vec::new();
    for traced in slow {
        let (operations, ours) = operations(sides.subject, traced, keys);
        let takes_part = operations.iter().any(|key| keys.get(*key).service == culprit.service);
        let Some(alike) = usual.get_mut(&(traced.entry.0, operations)).filter(|_| takes_part) else { continue };
        alike.sort_by(|a, b| a.charge.total_cmp(&b.charge).then(a.request.due.cmp(&b.request.due)));
        let reference = alike[alike.len() / 2];
        let (_, theirs) = self::operations(sides.reference, reference, keys);
        let growth = |key: &KeyId| ours.get(key).copied().unwrap_or(0.0) - theirs.get(key).copied().unwrap_or(0.0);
        let largest = ours.keys().max_by(|a, b| growth(a).total_cmp(&growth(b)).then(b.cmp(a)));
        pairs.push(TracePair {
            candidate: traced.request.trace_id.to_string(),
            reference: reference.request.trace_id.to_string(),
            candidate_seconds: traced.request.latency(),
            reference_seconds: reference.request.latency(),
            largest: largest.map(|key| (format!("{} / {}", keys.get(*key).service, keys.get(*key).operation), growth(key))),
        });
        if pairs.len() == PAIRS {
            break;
        }
    }
    pairs
}

/// The operations of a trace, each once, and the seconds that each has on the critical path.
fn operations<'a>(cohort: &Cohort<'a>, traced: &Traced<'a>, keys: &mut Keys<'a>) -> (Vec<KeyId>, IndexMap<KeyId, f64>) {
    let tree = cohort.tree(traced);
    let mut ids = Vec::new();
    keys.of_trace(&tree, &mut ids);
    let mut seconds: IndexMap<KeyId, f64> = IndexMap::new();
    for (index, own) in tree.main_root().map_or_else(Vec::new, |root| critical_path::exclusive(&tree, root)) {
        *seconds.entry(keys.plain(ids[index])).or_default() += own;
    }
    let mut operations: Vec<KeyId> = ids.iter().map(|id| keys.plain(*id)).collect();
    operations.sort_unstable();
    operations.dedup();
    (operations, seconds)
}

/// A bounded number of traces from all over the phase.
fn every<'t, 'a>(traced: &[&'t Traced<'a>]) -> Vec<&'t Traced<'a>> {
    traced.iter().step_by(traced.len().div_ceil(LOOKED_AT).max(1)).copied().collect()
}

/// Values that slow requests have and others do not.
fn differences<'a>(cohort: &Cohort<'a>, slow: &[&Traced<'a>]) -> Vec<AttributeDifference> {
    let is_slow: IndexSet<_> = slow.iter().map(|traced| traced.request.trace_id).collect();
    let others: Vec<&Traced<'a>> = cohort.traced.iter().filter(|traced| !is_slow.contains(&traced.request.trace_id)).collect();
    let (slow, others) = (every(slow), every(&others));
    let mut counts: IndexMap<Value<'a>, (u64, u64)> = IndexMap::new();
    for (traced, is_slow) in slow.iter().map(|traced| (traced, true)).chain(others.iter().map(|traced| (traced, false))) {
        for value in values(cohort, traced) {
            let count = counts.entry(value).or_default();
            *if is_slow { &mut count.0 } else { &mut count.1 } += 1;
        }
    }
    let mut kinds: HashMap<(&str, &str), usize> = HashMap::new();
    for (service, key, _) in counts.keys() {
        *kinds.entry((service, key)).or_default() += 1;
    }
    let (slow_of, others_of) = (slow.len() as u64, others.len() as u64);
    let least = likelihood::least(counts.len());
    let telling = counts.into_iter().filter_map(|((service, key, value), (slow, others))| {
        let more = slow as f64 / slow_of.max(1) as f64 - others as f64 / others_of.max(1) as f64;
        let g2 = likelihood::g2((slow, slow_of), (others, others_of));
        (kinds[&(service, key)] <= MOST_VALUES && more >= MORE && g2 >= least).then_some((g2, (service, key, value), slow, others))
    });
    let mut telling: Vec<(f64, Value<'_>, u64, u64)> = telling.collect();
    telling.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let shown = telling.into_iter().take(SHOWN).map(|(_, (service, key, value), slow, others)| AttributeDifference {
        service: text::clean(service, 100),
        key: text::clean(key, 100),
        value: text::clean(value, 200),
        slow,
        slow_of,
        others,
        others_of,
    });
    shown.collect()
}

/// Values in a trace, each once.
fn values<'a>(cohort: &Cohort<'a>, traced: &Traced<'a>) -> IndexSet<Value<'a>> {
    let spans: &[&'a shakedown_model::evidence::SpanRecord] = cohort.traces.get(&traced.request.trace_id).unwrap_or_default();
    spans.iter().flat_map(|span| span.attributes.iter().map(|(key, value)| (&*span.service, key, value))).collect()
}
