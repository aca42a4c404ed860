//! What used to follow and does not any more: a service that breaks off, that asks again and again, or that is not reached.
//!
//! An error that used to follow and is gone is no damage, and what ends after a call that fails now is damage of that call. What the change does in the calm as well is how it works now, not what hurts under the fault.

use super::{Channel, Signal, errors::Risen, note, strongest};
use crate::{
    culprit::{
        cohort::Cohort,
        keys::{KeyId, Keys},
        patience,
        patterns::{Before, Happening},
    },
    stats::likelihood,
    text,
};
use std::{collections::HashSet, fmt::Write as _};

/// Loss of probability that counts.
const DROP: f64 = 0.3;
/// A pair is judged where its first half was seen so often.
const FEWEST: u64 = 20;
/// How fast certainty comes with G².
const CERTAINTY: f64 = 20.0;

/// `calm` are the same two without a fault, where they were measured.
pub(crate) fn signals<'a>(
    subject: &Cohort<'a>,
    reference: &Cohort<'a>,
    calm: Option<(&Cohort<'_>, &Cohort<'_>)>,
    risen: &Risen,
    keys: &mut Keys<'a>,
    name: &str,
) -> Vec<Signal> {
    let impatient = patience::lost(subject, reference, risen, keys);
    let keys = &*keys;
    let least = likelihood::least(reference.patterns.len());
    let fails = failing(reference, keys);
    let fails_now: HashSet<KeyId> = risen.keys().map(|key| keys.plain(*key)).collect();
    let lost = reference.patterns.pairs().filter_map(|(before, next)| {
        let (ours, theirs) = (subject.patterns.followed(before, next), reference.patterns.followed(before, next));
        if matches!(before.1, Happening::Below(key) if fails_now.contains(&key)) {
            return None;
        }
        if ours.1 < FEWEST || theirs.1 < FEWEST || matches!(next, Happening::Below(key) if fails[key]) {
            return None;
        }
        let always = calm.map_or(0.0, |(ours, theirs)| drop(ours.patterns.followed(before, next), theirs.patterns.followed(before, next)));
        let drop = drop(ours, theirs) - always.max(0.0);
        let g2 = likelihood::g2(ours, theirs);
        if drop < DROP || g2 < least {
            return None;
        }
        let mut text = format!(
            "{} in {} of {} cases, {} against {name}",
            sentence(keys, before, next),
            text::share(share(ours)),
            ours.1,
            text::share(share(theirs))
        );
        let mut whose = whose(keys, before, next);
        if let Some((given_up, usual)) = impatient.get(&before.0).filter(|_| keys.get(whose).service != keys.get(before.0).service) {
            whose = before.0;
            let _ = write!(text, "; it is given up after {}, where an answer took {}", text::seconds(*given_up), text::seconds(*usual));
        }
        Some(Signal::of(Channel::Patterns, keys.get(whose), drop * (1.0 - (-g2 / CERTAINTY).exp()), vec![note("pattern", text)]))
    });
    strongest(lost.collect())
}

fn share((times, of): (u64, u64)) -> f64 {
    if of == 0 { 0.0 } else { times as f64 / of as f64 }
}

/// What is lost, and nothing where one side knows nothing.
fn drop(ours: (u64, u64), theirs: (u64, u64)) -> f64 {
    if ours.1 == 0 || theirs.1 == 0 { 0.0 } else { share(theirs) - share(ours) }
}

/// Operations, whatever their role, that mostly failed.
fn failing(reference: &Cohort<'_>, keys: &Keys<'_>) -> Vec<bool> {
    let mut counts = vec![(0, 0); keys.len()];
    for key in 0..keys.len() {
        let (operation, count) = (reference.operation(key), &mut counts[keys.plain(key)]);
        *count = (count.0 + operation.errors, count.1 + operation.spans);
    }
    counts.into_iter().map(|(errors, spans)| 2 * errors > spans).collect()
}

/// Of a call that was not answered it is the one who should have; else the operation in which it happens, or after which it goes on.
fn whose(keys: &Keys<'_>, (scope, last): Before, next: Happening) -> KeyId {
    match (last, next) {
        (_, Happening::Below(key)) if keys.get(key).service != keys.get(scope).service => key,
        (Happening::Below(key), Happening::End) if keys.get(key).service == keys.get(scope).service => key,
        _ => scope,
    }
}

fn sentence(keys: &Keys<'_>, (scope, last): Before, next: Happening) -> String {
    let name = |key: KeyId| keys.get(key).operation.as_str();
    let scope_name = format!("{} / {}", keys.get(scope).service, name(scope));
    match (last, next) {
        (Happening::Begin, Happening::End) => format!("{scope_name} calls nothing"),
        (Happening::Below(last), Happening::End) => format!("{scope_name} ends after {}", name(last)),
        (Happening::Below(last), Happening::Below(next)) => format!("in {scope_name} {} is followed by {}", name(last), name(next)),
        (_, Happening::Below(next)) if keys.get(next).service != keys.get(scope).service => {
            format!("{scope_name} is answered by {}", keys.get(next).service)
        }
        (_, Happening::Below(next)) => format!("{scope_name} begins with {}", name(next)),
        (_, Happening::Begin) => format!("{scope_name} begins"),
        (Happening::End, Happening::End) => format!("{scope_name} ends"),
    }
}
