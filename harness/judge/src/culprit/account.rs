//! The account of the slow requests' growth: who added how much, how sure that is, and how much of it is there without the fault as well.

use super::{
    attribution::{End, Owners, Split, added, share},
    bootstrap::{self, Certainty, Pair},
    channels::{Channel, Signal, note},
    cohort::{Cohort, Traced},
    keys::{KeyId, Keys, Role},
    tail::{Shares, Tail},
};
use crate::{slices, text};
use indexmap::IndexMap;
use shakedown_model::{result::EvidenceNote, units::trim_float};

/// Growth of the slow requests' mean that is worth an explanation: some share, and this many seconds.
const GROWTH_SECONDS: f64 = 0.000_5;
/// Entry operations that are looked at, those with most requests.
const MOST_ENTRIES: usize = 50;
/// What is at most this share of it without the fault is the fault's; …
const ONLY_UNDER_FAULT: f64 = 0.2;
/// … what is at least this share is there anyway.
const ALWAYS: f64 = 0.5;
/// How much more calls are worth a word.
const MORE_CALLS: f64 = 1.5;

/// What one service added.
pub(super) struct Part {
    pub(super) service: String,
    /// To a slow request, seconds.
    pub(super) seconds: f64,
    /// Of all that was added.
    pub(super) share: f64,
    pub(super) interval: [f64; 2],
    /// In how many of the resamples it was the first.
    pub(super) first: f64,
    /// Its operation that added most.
    pub(super) operation: KeyId,
    pub(super) of_operation: f64,
    pub(super) share_of_operation: f64,
    pub(super) interval_of_operation: [f64; 2],
    /// What the operation adds without the fault; `None`: that was not measured.
    pub(super) without_fault: Option<f64>,
}

/// Who added what.
pub(super) struct Account {
    /// Seconds that a slow request takes longer; the parts add up to it.
    pub(super) regression: f64,
    /// One for each service, largest first.
    pub(super) parts: Vec<Part>,
    pub(super) resamples: usize,
    pairs: Vec<Pair>,
}

/// Two variants, and what they did without the fault where that is known.
pub(super) struct Sides<'c, 'a> {
    pub(super) subject: &'c Cohort<'a>,
    pub(super) reference: &'c Cohort<'a>,
    pub(super) calm: Option<(&'c Cohort<'a>, &'c Cohort<'a>)>,
    /// What the reference is called.
    pub(super) name: &'static str,
}

/// What counts as slower.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    /// How rarely a growth of one entry may be chance.
    pub(super) chance: f64,
    /// Growth of the slow requests' mean that is worth an explanation.
    pub(super) growth: f64,
    /// Share that a service has at least, with 95 % confidence, for its time to speak against it: where all get slower a little, it is none of them.
    pub(super) share: f64,
}

impl Account {
    /// `ends` says of a call whose its number is, and whose its length. `None`: nothing got slower.
    pub(super) fn of<'a>(
        sides: &Sides<'_, 'a>,
        keys: &mut Keys<'a>,
        doubt: Doubt,
        ends: impl Fn(&Keys<'a>, KeyId) -> (End, End),
        seed: u64,
    ) -> Option<Account> {
        let entries = entries(sides.subject, sides.reference);
        let grown: Vec<((usize, KeyId), Pair)> = entries
            .into_iter()
            .filter_map(|(entry, ours, theirs)| {
                let pair = pair(sides.subject, &ours, sides.reference, &theirs, keys);
                has_grown(&pair, keys, doubt).then_some((entry, pair))
            })
            .collect();
        if grown.is_empty() {
            return None;
        }
        let calm = sides.calm.map(|(subject, reference)| {
            let all = entries_of(subject, reference, grown.iter().map(|(entry, pair)| (*entry, pair.weight)), keys);
            (all.iter().map(|pair| pair.weight).sum::<f64>() > 0.0).then_some(all)
        });
        let pairs = weighted(grown.into_iter().map(|(_, pair)| pair).collect());
        let owners = Owners::of(keys, |key| ends(keys, key));
        let split = split(keys, &pairs);
        let without = calm.flatten().map(|pairs| owners.by_operation(&self::split(keys, &weighted(pairs))));
        Some(Account::add_up(keys, &owners, &split, without.as_deref(), pairs, seed))
    }

    fn add_up(keys: &Keys<'_>, owners: &Owners, split: &Split, without: Option<&[f64]>, pairs: Vec<Pair>, seed: u64) -> Account {
        let (by_service, by_operation) = (owners.by_service(split), owners.by_operation(split));
        let named = largest_of_each(owners, &by_operation, keys);
        let Certainty { resamples, intervals, of_operation, first } = bootstrap::certainty(&pairs, keys, owners, &named, seed);
        let total = added(&by_service);
        let part = |number: usize| {
            let (seconds, operation) = (by_service[number], named[number]);
            let of_operation_seconds = by_operation[operation].min(seconds);
            Part {
                service: owners.services[number].clone(),
                seconds,
                share: share(seconds, total),
                interval: intervals[number],
                first: first[number],
                operation,
                of_operation: of_operation_seconds,
                share_of_operation: share(of_operation_seconds, total),
                interval_of_operation: of_operation[number],
                without_fault: without.map(|seconds| seconds[operation]),
            }
        };
        let mut parts: Vec<Part> = (0..owners.services.len()).map(part).collect();
        parts.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.service.cmp(&b.service)));
        Account { regression: by_service.iter().sum(), parts, resamples, pairs }
    }

    /// What the account has against each service.
    pub(super) fn signals(&self, sides: &Sides<'_, '_>, keys: &Keys<'_>, doubt: Doubt) -> Vec<Signal> {
        let stands_out = self.parts.iter().any(|part| part.interval[0] >= doubt.share);
        let parts = self.parts.iter().filter(|part| stands_out && part.share > 0.0);
        parts.map(|part| Signal::of(Channel::Time, keys.get(part.operation), part.share, self.notes(part, sides, keys))).collect()
    }

    fn notes(&self, part: &Part, sides: &Sides<'_, '_>, keys: &Keys<'_>) -> Vec<EvidenceNote> {
        let name = sides.name;
        let count: usize = self.pairs.iter().map(|pair| pair.ours.len()).sum();
        let (old, new, trace) = self.spent(keys, part.operation);
        let mut notes = vec![EvidenceNote {
            kind: "trace".to_owned(),
            text: format!(
                "exclusive time on the critical path {} -> {} in the slowest {count} traces, against {name}",
                text::seconds(old),
                text::seconds(new),
            ),
            reference: trace,
        }];
        let (old, new) = (sides.reference.per_request(keys, part.operation), sides.subject.per_request(keys, part.operation));
        if new > MORE_CALLS * old && new > 0.5 {
            let round = |value: f64| trim_float((value * 10.0).round() / 10.0);
            notes.push(note("count", format!("calls per request {} -> {}, against {name}", round(old), round(new))));
        }
        let [low, high] = part.interval_of_operation;
        notes.push(note(
            "certainty",
            format!(
                "{} to {} of what slow requests take longer ({}), with 95 % confidence; {} comes first in {} of {} resamples",
                text::share(low),
                text::share(high),
                text::seconds(self.regression),
                part.service,
                text::share(part.first.min(1.0)),
                self.resamples
            ),
        ));
        notes.extend(part.without_fault.and_then(|without| calm_note(without, part.of_operation)));
        notes
    }

    /// Mean seconds of a slow request in one operation, there and here, and the trace in which they are most.
    fn spent(&self, keys: &Keys<'_>, operation: KeyId) -> (f64, f64, Option<String>) {
        let (mut old, mut new) = (0.0, 0.0);
        let mut longest = None;
        for pair in &self.pairs {
            let (ours, theirs) = (pair.ours.means(keys.ways()), pair.theirs.means(keys.ways()));
            for way in (0..keys.ways()).filter(|way| keys.plain(keys.step(*way).key) == operation) {
                old += pair.weight * theirs.seconds[way];
                new += pair.weight * ours.seconds[way];
            }
            let of_operation = pair.ours.longest.iter().filter(|(key, _)| keys.plain(**key) == operation);
            longest = of_operation.map(|(_, found)| *found).chain(longest).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        }
        (old, new, longest.map(|(_, trace)| trace.to_string()))
    }
}

fn calm_note(without: f64, with: f64) -> Option<EvidenceNote> {
    let text = if without.abs() <= ONLY_UNDER_FAULT * with {
        "only under the fault: without it the two do not differ".to_owned()
    } else if without >= ALWAYS * with {
        format!("always slower: without the fault it adds {}, under it {}", text::seconds(without), text::seconds(with))
    } else {
        return None;
    };
    Some(note("calm", text))
}

/// Requests of each entry operation, in both; those that were asked most.
type Entries<'c, 'a> = Vec<((usize, KeyId), Vec<&'c Traced<'a>>, Vec<&'c Traced<'a>>)>;

fn by_entry<'c, 'a>(cohort: &'c Cohort<'a>) -> IndexMap<(usize, KeyId), Vec<&'c Traced<'a>>> {
    let mut entries: IndexMap<(usize, KeyId), Vec<&Traced<'a>>> = IndexMap::new();
    for traced in &cohort.traced {
        entries.entry(traced.entry).or_default().push(traced);
    }
    entries
}

fn entries<'c, 'a>(subject: &'c Cohort<'a>, reference: &'c Cohort<'a>) -> Entries<'c, 'a> {
    let (ours, mut theirs) = (by_entry(subject), by_entry(reference));
    let mut entries: Entries<'c, 'a> =
        ours.into_iter().filter_map(|(entry, ours)| Some((entry, ours, theirs.swap_remove(&entry)?))).collect();
    let least = super::cohort::MIN_TRACES;
    entries.retain(|(_, ours, theirs)| ours.len() >= least && theirs.len() >= least);
    entries.sort_by_key(|(_, ours, _)| std::cmp::Reverse(ours.len()));
    entries.truncate(MOST_ENTRIES);
    entries
}

/// The same entries as elsewhere, with the weights that they have there.
fn entries_of<'a>(
    subject: &Cohort<'a>,
    reference: &Cohort<'a>,
    wanted: impl Iterator<Item = ((usize, KeyId), f64)>,
    keys: &mut Keys<'a>,
) -> Vec<Pair> {
    let (ours, theirs) = (by_entry(subject), by_entry(reference));
    let found = wanted.filter_map(|(entry, weight)| Some((ours.get(&entry)?, theirs.get(&entry)?, weight)));
    found.map(|(ours, theirs, weight)| Pair { weight, ..pair(subject, ours, reference, theirs, keys) }).collect()
}

fn pair<'a>(subject: &Cohort<'a>, ours: &[&Traced<'a>], reference: &Cohort<'a>, theirs: &[&Traced<'a>], keys: &mut Keys<'a>) -> Pair {
    let shares = Shares::of(ours, theirs);
    Pair { ours: Tail::of(subject, ours, shares, keys), theirs: Tail::of(reference, theirs, shares, keys), weight: ours.len() as f64 }
}

fn has_grown(pair: &Pair, keys: &Keys<'_>, doubt: Doubt) -> bool {
    let (ours, theirs) = (pair.ours.means(keys.ways()).total(), pair.theirs.means(keys.ways()).total());
    ours - theirs > GROWTH_SECONDS.max(doubt.growth * theirs)
        && slices::p_above(&pair.ours.over_time, &pair.theirs.over_time) <= doubt.chance
}

/// Weights that add up to one.
fn weighted(mut pairs: Vec<Pair>) -> Vec<Pair> {
    let total: f64 = pairs.iter().map(|pair| pair.weight).sum();
    for pair in &mut pairs {
        pair.weight /= total;
    }
    pairs
}

fn split(keys: &Keys<'_>, pairs: &[Pair]) -> Split {
    let mut split = Split::of(keys);
    for pair in pairs {
        split.add(keys, &pair.ours.means(keys.ways()), &pair.theirs.means(keys.ways()), pair.weight);
    }
    split
}

/// The operation of each service that added most.
fn largest_of_each(owners: &Owners, by_operation: &[f64], keys: &Keys<'_>) -> Vec<KeyId> {
    let mut largest: Vec<Option<KeyId>> = vec![None; owners.services.len()];
    for (service, key) in owners.of_calls.iter().chain(&owners.of_length) {
        if largest[*service].is_none_or(|known| by_operation[*key] > by_operation[known]) && keys.get(*key).role == Role::Own {
            largest[*service] = Some(*key);
        }
    }
    largest.into_iter().map(|key| key.unwrap_or(0)).collect()
}
