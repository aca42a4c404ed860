//! Where errors begin that were not there before: the deepest span of a failed request that errs more often than the same operation did. Errors that
//! the reference had as well, and bore, are nobody's fault here.

use super::{Channel, Signal, note, strongest};
use crate::{
    culprit::{
        cohort::Cohort,
        keys::{KeyId, Keys},
    },
    stats::likelihood,
    text,
    trace::Tree,
};
use indexmap::IndexMap;
use shakedown_model::{ids::TraceId, result::EvidenceNote};

/// Added share of errors that is worth a word.
const ADDED: f64 = 0.01;
/// Fewer errors than this are an accident.
const FEWEST: u64 = 5;
/// How fast certainty comes with G².
const CERTAINTY: f64 = 20.0;
/// Added share of errors that is as bad as two thirds of the worst.
const GRAVE: f64 = 0.1;
/// An answer that takes this share of the call that gave up on it was still being worked on.
const OUTLASTS: f64 = 0.9;
/// What takes this share of a span is where it hangs.
const HANGS: f64 = 0.25;

/// Operations that err more often, with their share of errors there, here, and G².
pub(crate) type Risen = IndexMap<KeyId, (f64, f64, f64)>;

pub(crate) fn signals<'a>(subject: &Cohort<'a>, reference: &Cohort<'a>, risen: &Risen, keys: &mut Keys<'a>, name: &str) -> Vec<Signal> {
    if risen.is_empty() {
        return Vec::new();
    }
    let fails_more = more_failures(subject, reference);
    let (origins, failed) = origins(subject, keys, risen, fails_more);
    let signals = origins.into_iter().filter_map(|((key, within), (times, trace))| {
        let (before, now, g2) = *risen.get(&key)?;
        let share = if fails_more { times as f64 / failed.max(1) as f64 } else { 0.0 };
        let score = share.max(1.0 - (-(now - before) / GRAVE).exp()) * (1.0 - (-g2 / CERTAINTY).exp());
        let mut notes = Vec::new();
        if fails_more {
            notes.push(EvidenceNote {
                kind: "error".to_owned(),
                text: format!("failed first in {times} of {failed} failed traces; more requests failed than against {name}"),
                reference: Some(trace.to_string()),
            });
        }
        notes.push(note("error", format!("{} of its spans are errors, {} against {name}", text::share(now), text::share(before))));
        Some(Signal::of(Channel::Errors, keys.get(within), score, notes))
    });
    strongest(signals.collect())
}

/// Whether more requests failed than can be chance.
pub(crate) fn more_failures(subject: &Cohort<'_>, reference: &Cohort<'_>) -> bool {
    let g2 = likelihood::g2((subject.failed, subject.requests), (reference.failed, reference.requests));
    subject.failed >= FEWEST && subject.failed_share() - reference.failed_share() >= ADDED && g2 >= likelihood::least(1)
}

/// Operations that err more often than can be chance.
pub(crate) fn risen(subject: &Cohort<'_>, reference: &Cohort<'_>, keys: &Keys<'_>) -> Risen {
    let erring: Vec<KeyId> = (0..keys.len()).filter(|key| subject.operation(*key).errors >= FEWEST).collect();
    let least = likelihood::least(erring.len());
    let change = |key: &KeyId| {
        let (ours, theirs) = (subject.operation(*key), reference.operation(*key));
        // What the reference hardly did, such as calls without an answer, is compared by request.
        let rare = theirs.spans < FEWEST;
        let by_request = |errors: u64, cohort: &Cohort<'_>| (errors.min(cohort.traced.len() as u64), cohort.traced.len() as u64);
        let now = if rare { by_request(ours.errors, subject) } else { (ours.errors, ours.spans) };
        let before = if rare { by_request(theirs.errors, reference) } else { (theirs.errors, theirs.spans) };
        let share = |(errors, of): (u64, u64)| errors as f64 / of.max(1) as f64;
        let g2 = likelihood::g2(now, before);
        (share(now) - share(before) >= ADDED && g2 >= least).then_some((*key, (share(before), share(now), g2)))
    };
    erring.iter().filter_map(change).collect()
}

/// An operation that errs more often, and the innermost of its service that erred below it.
type Origin = (KeyId, KeyId);

/// In how many traces an operation was the first to err, with one of them; and how many traces were looked at.
fn origins<'a>(subject: &Cohort<'a>, keys: &mut Keys<'a>, risen: &Risen, only_failed: bool) -> (IndexMap<Origin, (u64, TraceId)>, u64) {
    let mut origins: IndexMap<Origin, (u64, TraceId)> = IndexMap::new();
    let (mut looked_at, mut ids) = (0, Vec::new());
    for traced in subject.traced.iter().filter(|traced| !only_failed || !traced.request.ok) {
        looked_at += 1;
        let tree = subject.tree(traced);
        if !(0..tree.len()).any(|index| tree.span(index).error) {
            continue;
        }
        keys.of_trace(&tree, &mut ids);
        let mut first: Vec<Origin> = deepest(&tree, |index| tree.span(index).error && risen.contains_key(&ids[index]))
            .map(|index| (ids[index], ids[innermost(&tree, index)]))
            .collect();
        first.sort_unstable();
        first.dedup();
        for origin in first {
            origins.entry(origin).or_insert((0, traced.request.trace_id)).0 += 1;
        }
    }
    (origins, looked_at)
}

/// Spans for which something holds and for none below.
fn deepest(tree: &Tree<'_, '_>, holds: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
    let mut has_below = vec![false; tree.len()];
    let found: Vec<usize> = (0..tree.len()).filter(|index| holds(*index)).collect();
    for index in &found {
        let mut at = tree.parent(*index);
        while let Some(above) = at.filter(|above| !has_below[*above]) {
            has_below[above] = true;
            at = tree.parent(above);
        }
    }
    found.into_iter().filter(move |index| !has_below[*index])
}

/// From an error down along errors of the same service; and where a call gave up on an answer that went on, down to where that hung.
fn innermost(tree: &Tree<'_, '_>, index: usize) -> usize {
    let service = |index: usize| &tree.span(index).service;
    let mut at = index;
    loop {
        let mut children = tree.children(at).iter().copied();
        if let Some(child) = children.find(|child| tree.span(*child).error && service(*child) == service(index)) {
            at = child;
        } else {
            return outlasting(tree, at).map_or(at, |answer| hanging(tree, answer));
        }
    }
}

/// The answer to a failed call that did not fail itself but took as long as the caller had patience.
pub(crate) fn outlasting(tree: &Tree<'_, '_>, call: usize) -> Option<usize> {
    let span = tree.span(call);
    let outlasts = |child: &usize| {
        let answer = tree.span(*child);
        answer.service != span.service && !answer.error && length(tree, *child) >= OUTLASTS * length(tree, call)
    };
    tree.children(call).iter().copied().find(outlasts).filter(|_| span.error)
}

/// Down along what takes longest, as far as that is most of it.
fn hanging(tree: &Tree<'_, '_>, index: usize) -> usize {
    let mut at = index;
    while let Some(longest) = tree.children(at).iter().copied().max_by(|a, b| length(tree, *a).total_cmp(&length(tree, *b))) {
        if length(tree, longest) < HANGS * length(tree, at) {
            break;
        }
        at = longest;
    }
    at
}

fn length(tree: &Tree<'_, '_>, index: usize) -> f64 {
    tree.span(index).end.since(tree.span(index).start).as_secs_f64()
}
