//! What of the slow requests' growth is whose: an exact account, in seconds per request.
//!
//! The time of each way through the services is what the root's calls, the calls of these, and so on, are times the length of one: so its growth is
//! divided among those factors by the logarithmic mean Divisia index (Ang, Energy Policy 33, 2005), which leaves no rest. More calls are the doing of
//! whoever makes them, longer ones of whoever takes longer; so that a callee is not blamed for being called twenty times.

use super::{
    keys::{KeyId, Keys, Role, Way, WayId},
    tail::Means,
};

/// Seconds by operation that were added (or saved).
#[derive(Debug, Clone, Default)]
pub(super) struct Split {
    /// Because it calls more often.
    pub(super) by_calls: Vec<f64>,
    /// Because it takes longer; of an answered call: on the way there and back.
    pub(super) by_length: Vec<f64>,
}

impl Split {
    pub(super) fn of(keys: &Keys<'_>) -> Split {
        Split { by_calls: vec![0.0; keys.len()], by_length: vec![0.0; keys.len()] }
    }

    pub(super) fn clear(&mut self) {
        self.by_calls.fill(0.0);
        self.by_length.fill(0.0);
    }

    /// Adds what made `theirs` into `ours`, `weight` times. The sum over all operations is the difference of the totals.
    pub(super) fn add(&mut self, keys: &Keys<'_>, ours: &Means, theirs: &Means, weight: f64) {
        for way in 0..ours.seconds.len() {
            let (new, old) = (ours.seconds[way], theirs.seconds[way]);
            let growth = weight * (new - old);
            if growth == 0.0 {
                continue;
            }
            if ours.calls[way] == 0.0 || theirs.calls[way] == 0.0 {
                let first = first_missing(keys, way, if ours.calls[way] == 0.0 { ours } else { theirs });
                self.by_calls[keys.caller(first)] += growth;
            } else if new == 0.0 || old == 0.0 {
                self.by_length[keys.step(way).key] += growth;
            } else {
                self.divide(keys, way, growth, ours, theirs);
            }
        }
    }

    /// Divides the growth of one way, that both know, among its steps and its length.
    fn divide(&mut self, keys: &Keys<'_>, way: WayId, growth: f64, ours: &Means, theirs: &Means) {
        let whole = (ours.seconds[way] / theirs.seconds[way]).ln();
        if whole.abs() < 1e-12 {
            self.by_length[keys.step(way).key] += growth;
            return;
        }
        let mut rest = growth;
        let mut at = Some(way);
        while let Some(here) = at {
            let above = keys.step(here).above;
            let per_call = |means: &Means| means.calls[here] / above.map_or(1.0, |above| means.calls[above]);
            let (new, old) = (per_call(ours), per_call(theirs));
            let part = growth * (new / old).ln() / whole;
            // A step that is not on the path itself, as where too many ways share one, takes no part.
            if part.is_finite() {
                self.by_calls[keys.caller(here)] += part;
                rest -= part;
            }
            at = above;
        }
        self.by_length[keys.step(way).key] += rest;
    }
}

/// The topmost step of a way that one side never took.
fn first_missing(keys: &Keys<'_>, way: WayId, side: &Means) -> WayId {
    let mut first = way;
    while let Way { above: Some(above), .. } = keys.step(first) {
        if side.calls[above] > 0.0 {
            break;
        }
        first = above;
    }
    first
}

/// Which end of a call its way belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Caller,
    Callee,
}

/// Whose a second is, by operation.
pub(super) struct Owners {
    pub(super) services: Vec<String>,
    /// Number of the service that answers for calls, and the operation that is named.
    pub(super) of_calls: Vec<(usize, KeyId)>,
    /// The same for lengths.
    pub(super) of_length: Vec<(usize, KeyId)>,
}

impl Owners {
    /// `ends` says of each call whose its number is, and whose its length.
    pub(super) fn of(keys: &Keys<'_>, ends: impl Fn(KeyId) -> (End, End)) -> Owners {
        let mut services: indexmap::IndexSet<String> = indexmap::IndexSet::new();
        let mut owner = |key: KeyId, end: End| {
            let callee = (keys.get(key).role == Role::Call && end == End::Callee).then(|| keys.answer(key)).flatten();
            let key = callee.unwrap_or(key);
            (services.insert_full(keys.get(key).service.clone()).0, keys.plain(key))
        };
        let owners = (0..keys.len()).map(|key| (owner(key, ends(key).0), owner(key, ends(key).1)));
        let (of_calls, of_length) = owners.unzip();
        Owners { services: services.into_iter().collect(), of_calls, of_length }
    }

    /// Seconds by service.
    pub(super) fn by_service(&self, split: &Split) -> Vec<f64> {
        let mut sums = vec![0.0; self.services.len()];
        for (owners, seconds) in [(&self.of_calls, &split.by_calls), (&self.of_length, &split.by_length)] {
            for ((service, _), seconds) in owners.iter().zip(seconds) {
                sums[*service] += seconds;
            }
        }
        sums
    }

    /// Seconds by operation that answers for them.
    pub(super) fn by_operation(&self, split: &Split) -> Vec<f64> {
        let mut sums = vec![0.0; split.by_calls.len()];
        for (owners, seconds) in [(&self.of_calls, &split.by_calls), (&self.of_length, &split.by_length)] {
            for ((_, key), seconds) in owners.iter().zip(seconds) {
                sums[*key] += seconds;
            }
        }
        sums
    }
}

/// All that was added, what others saved left aside.
pub(super) fn added(seconds: &[f64]) -> f64 {
    seconds.iter().filter(|seconds| **seconds > 0.0).sum()
}

/// Some seconds as a share of all that was added.
pub(super) fn share(seconds: f64, added: f64) -> f64 {
    if added > 0.0 { seconds.max(0.0) / added } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{
        self, Tree,
        tests::{span, trace_id},
    };
    use shakedown_model::evidence::SpanKind::{Client, Server};

    /// Front calls back over `c`, and back asks a store by `q`: the ways to the four.
    fn keys() -> (Keys<'static>, [WayId; 4], [KeyId; 4]) {
        let spans: &'static [_] = Box::leak(Box::new([
            span("front", "", Server, 0, 100),
            shakedown_model::evidence::SpanRecord { service: "front".into(), ..span("c", "front", Client, 10, 90) },
            span("back", "c", Server, 20, 80),
            shakedown_model::evidence::SpanRecord { service: "back".into(), ..span("q", "back", Client, 30, 70) },
        ]));
        let traces = trace::index(spans);
        let (mut keys, mut ids) = (Keys::default(), Vec::new());
        keys.of_trace(&Tree::of(traces.get(&trace_id()).unwrap()), &mut ids);
        let mut above = None;
        let ways = [0, 1, 2, 3].map(|place| {
            let way = keys.way(above, ids[place]);
            above = Some(way);
            way
        });
        (keys, ways, [ids[0], ids[1], ids[2], ids[3]])
    }

    fn means(seconds: [f64; 4], calls: [f64; 4]) -> Means {
        Means { seconds: seconds.to_vec(), calls: calls.to_vec() }
    }

    fn split(keys: &Keys<'_>, ours: &Means, theirs: &Means) -> Split {
        let mut split = Split::of(keys);
        split.add(keys, ours, theirs, 1.0);
        let sum: f64 = split.by_calls.iter().chain(&split.by_length).sum();
        assert!((sum - (ours.total() - theirs.total())).abs() < 1e-9, "{sum}");
        split
    }

    #[test]
    fn a_callee_that_is_asked_four_times_is_not_to_blame() {
        let (keys, _, [_, call, back, _]) = keys();
        let theirs = means([0.01, 0.002, 0.02, 0.03], [1.0; 4]);
        let ours = means([0.01, 0.008, 0.08, 0.12], [1.0, 4.0, 4.0, 4.0]);
        let split = split(&keys, &ours, &theirs);
        assert!((split.by_calls[call] - 0.156).abs() < 1e-9, "{split:?}");
        assert!(split.by_length[back].abs() < 1e-9 && split.by_calls[back].abs() < 1e-9, "{split:?}");
    }

    #[test]
    fn longer_and_more_often_share_what_they_add_without_a_rest() {
        let (keys, _, [front, call, back, store]) = keys();
        let theirs = means([0.01, 0.002, 0.02, 0.03], [1.0; 4]);
        let ours = means([0.02, 0.001, 0.05, 0.3], [1.0, 2.0, 2.0, 6.0]);
        let split = split(&keys, &ours, &theirs);
        assert!(split.by_length[front] > 0.009, "{split:?}");
        assert!(split.by_calls[call] > 0.0 && split.by_length[back] > 0.0 && split.by_calls[store] > 0.0, "{split:?}");
        assert!(split.by_length[call] < 0.0, "the way got shorter: {split:?}");
    }

    #[test]
    fn what_is_new_is_the_doing_of_whoever_began_it() {
        let (keys, _, [_, call, ..]) = keys();
        let theirs = means([0.01, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]);
        let ours = means([0.01, 0.002, 0.02, 0.03], [1.0; 4]);
        assert!((split(&keys, &ours, &theirs).by_calls[call] - 0.052).abs() < 1e-9);
        assert!((split(&keys, &theirs, &ours).by_calls[call] + 0.052).abs() < 1e-9);
    }

    #[test]
    fn the_way_to_a_callee_belongs_to_the_end_that_is_asked_for() {
        let (keys, _, [_, call, back, _]) = keys();
        let split = split(&keys, &means([0.01, 0.1, 0.02, 0.03], [1.0; 4]), &means([0.01, 0.002, 0.02, 0.03], [1.0; 4]));
        for (end, key) in [(End::Caller, call), (End::Callee, back)] {
            let owners = Owners::of(&keys, |_| (End::Caller, end));
            let seconds = owners.by_operation(&split)[keys.plain(key)];
            assert!((seconds - 0.098).abs() < 1e-9, "{end:?}: {seconds}");
            assert!((owners.by_service(&split).iter().sum::<f64>() - 0.098).abs() < 1e-9);
        }
    }
}
