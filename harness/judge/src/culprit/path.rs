//! The way that the trouble took: from what was disturbed through callers that really got slower or failed more, no sooner than those they call, to
//! where requests come in. Blames nobody.

use super::{
    account::Sides,
    channels::note,
    cohort::Cohort,
    keys::{KeyId, Keys, Role},
};
use crate::{slices::Sliced, stats::likelihood, text};
use indexmap::{IndexMap, IndexSet};
use shakedown_model::{
    fault::Target,
    result::{EvidenceNote, Hop},
    time::UnixNanos,
};

/// How rarely chance may call one service of all slower.
const CHANCE: f64 = 0.001;
/// Growth that counts: this share, …
const SHARE: f64 = 0.05;
/// … and this many seconds.
const SECONDS: f64 = 0.000_5;
/// Added share of errors that counts.
const ERRORS: f64 = 0.01;
const OFF_PATH_AT_MOST: usize = 20;

/// What a service served in one cohort.
#[derive(Default)]
struct Served {
    length: Sliced,
    spans: u64,
    errors: u64,
}

/// What changed at a service.
struct Change {
    hop: Hop,
    /// Slice in which it was seen first; `None`: nothing changed.
    onset: Option<usize>,
}

/// Who calls whom, and what changed where.
pub(super) struct Graph {
    changes: IndexMap<String, Change>,
    /// Caller and callee.
    edges: IndexSet<(String, String)>,
    entries: IndexSet<String>,
    depths: IndexMap<String, usize>,
}

/// The path, and who changed beside it.
pub(super) struct Way {
    pub(super) path: Vec<Hop>,
    pub(super) off_path: Vec<Hop>,
}

impl Graph {
    pub(super) fn of(sides: &Sides<'_, '_>, keys: &Keys<'_>) -> Graph {
        let calls: Vec<KeyId> = (0..keys.len()).filter(|key| keys.get(*key).role == Role::Call).collect();
        let edge = |call: &KeyId| Some((keys.get(*call).service.clone(), keys.get(*call).peer.clone()?));
        let edges: IndexSet<(String, String)> = calls.iter().filter_map(edge).collect();
        let roots: IndexSet<KeyId> = sides.subject.traced.iter().map(|traced| traced.entry.1).collect();
        let entries: IndexSet<String> = roots.iter().map(|root| keys.get(*root).service.clone()).collect();
        let answers = calls.iter().filter_map(|call| keys.answer(*call)).map(|answer| keys.plain(answer));
        let serving: IndexSet<KeyId> = roots.iter().copied().chain(answers).collect();
        let (ours, theirs) = (served(sides.subject, keys, &serving), served(sides.reference, keys, &serving));
        let services: IndexSet<String> = (0..keys.len()).map(|key| keys.get(key).service.clone()).collect();
        let count = services.len();
        let change = |service: String| {
            let operation = main_operation(sides.subject, keys, &serving, &service);
            let change = change(sides.subject, (&service, operation), (ours.get(&service), theirs.get(&service)), count);
            (service, change)
        };
        let depths = depths(&services, &edges, &entries);
        Graph { changes: services.into_iter().map(change).collect(), edges, entries, depths }
    }

    /// Every service with the number of calls between it and where requests come in.
    pub(super) fn depths(&self) -> &IndexMap<String, usize> {
        &self.depths
    }

    /// From what was disturbed; where that does not lead past the culprit, from the culprit.
    pub(super) fn way(&self, injected: &[Target], culprit: &str) -> Way {
        let starts = injected.iter().map(|target| match target {
            Target::Service(service) => service.as_str(),
            Target::Edge(edge) => edge.to.as_str(),
        });
        let from_fault = starts.filter_map(|start| self.up(start)).find(|path| path.contains(&culprit));
        let path = from_fault.or_else(|| self.up(culprit)).unwrap_or_default();
        let touched = |service: &str| {
            injected.iter().any(|target| match target {
                Target::Service(name) => name == service,
                Target::Edge(edge) => edge.from == service || edge.to == service,
            })
        };
        let hop = |service: &str| self.changes.get(service).map(|change| Hop { injected: touched(service), ..change.hop.clone() });
        let beside = self.changes.iter().filter(|(service, change)| change.onset.is_some() && !path.contains(&service.as_str()));
        let off_path = beside.filter_map(|(service, _)| hop(service)).take(OFF_PATH_AT_MOST).collect();
        Way { path: path.iter().filter_map(|service| hop(service)).collect(), off_path }
    }

    /// The shortest way up through callers that changed no sooner, as far as it goes; `None`: the service sent no spans.
    fn up<'g>(&'g self, start: &'g str) -> Option<Vec<&'g str>> {
        self.changes.get(start)?;
        let mut came_from: IndexMap<&str, Option<&str>> = IndexMap::from([(start, None)]);
        let mut at = 0;
        while let Some((service, _)) = came_from.get_index(at).map(|(service, from)| (*service, *from)) {
            if self.entries.contains(service) {
                return Some(back(&came_from, service));
            }
            let onset = self.changes.get(service).and_then(|change| change.onset).unwrap_or(0);
            for (caller, _) in self.edges.iter().filter(|(_, callee)| callee == service) {
                // A slice is coarse: one of them sooner is no contradiction.
                let follows = self.changes.get(caller).and_then(|change| change.onset).is_some_and(|begun| begun + 1 >= onset);
                if follows && !came_from.contains_key(caller.as_str()) {
                    came_from.insert(caller, Some(service));
                }
            }
            at += 1;
        }
        let last = came_from.keys().last()?;
        Some(back(&came_from, last))
    }
}

impl Way {
    /// The path in one sentence.
    pub(super) fn note(&self) -> Option<EvidenceNote> {
        let mut words: Vec<String> = Vec::new();
        for hop in &self.path {
            let mut change: Vec<String> = Vec::new();
            if hop.injected {
                change.push("fault".to_owned());
            }
            if hop.since.is_some() && hop.added > SECONDS {
                change.push(format!("+{}", text::seconds(hop.added)));
            }
            if hop.since.is_some() && hop.added_errors >= ERRORS {
                change.push(format!("errors {}", text::points(hop.added_errors)));
            }
            words.push(if change.is_empty() { hop.service.clone() } else { format!("{} ({})", hop.service, change.join(", ")) });
        }
        let since = self.path.iter().filter_map(|hop| hop.since).min()?;
        (words.len() > 1).then(|| note("path", format!("{}; first seen at {}", words.join(" -> "), since.rfc3339())))
    }
}

fn back<'g>(came_from: &IndexMap<&'g str, Option<&'g str>>, end: &'g str) -> Vec<&'g str> {
    let mut path = vec![end];
    while let Some(Some(before)) = path.last().and_then(|last| came_from.get(last)) {
        path.push(before);
    }
    path.reverse();
    path
}

fn served(cohort: &Cohort<'_>, keys: &Keys<'_>, serving: &IndexSet<KeyId>) -> IndexMap<String, Served> {
    let mut served: IndexMap<String, Served> = IndexMap::new();
    for (key, operation) in cohort.operations.iter().enumerate().filter(|(key, _)| serving.contains(&keys.plain(*key))) {
        let sum = served.entry(keys.get(key).service.clone()).or_default();
        sum.length.merge(&operation.length);
        sum.spans += operation.spans;
        sum.errors += operation.errors;
    }
    served
}

/// What a service serves most.
fn main_operation(cohort: &Cohort<'_>, keys: &Keys<'_>, serving: &IndexSet<KeyId>, service: &str) -> String {
    let of_service = serving.iter().filter(|key| keys.get(**key).service == service);
    let most = of_service.max_by_key(|key| cohort.operation(**key).spans);
    most.map_or_else(String::new, |key| keys.get(*key).operation.clone())
}

fn change(
    subject: &Cohort<'_>,
    (service, operation): (&str, String),
    sides: (Option<&Served>, Option<&Served>),
    services: usize,
) -> Change {
    let hop = Hop { service: service.to_owned(), operation, added: 0.0, added_errors: 0.0, since: None, injected: false };
    let (Some(ours), Some(theirs)) = sides else { return Change { hop, onset: None } };
    let share = |served: &Served| served.errors as f64 / served.spans.max(1) as f64;
    let (added, added_errors) = (ours.length.mean() - theirs.length.mean(), share(ours) - share(theirs));
    let slower =
        added > SECONDS.max(SHARE * theirs.length.mean()) && ours.length.p_above(&theirs.length) <= CHANCE / services.max(1) as f64;
    let g2 = likelihood::g2((ours.errors, ours.spans), (theirs.errors, theirs.spans));
    let fails = added_errors >= ERRORS && g2 >= likelihood::least(services);
    let onset = (slower || fails).then(|| ours.length.onset(&theirs.length).filter(|_| slower).unwrap_or(0));
    let since = onset.and_then(|slice| begin_of(subject, slice));
    Change { hop: Hop { added, added_errors, since, ..hop }, onset }
}

fn begin_of(cohort: &Cohort<'_>, slice: usize) -> Option<UnixNanos> {
    cohort.traced.iter().find(|traced| traced.slice >= slice).map(|traced| traced.request.due)
}

/// Distances from the entries; what is not reached is nowhere.
fn depths(services: &IndexSet<String>, edges: &IndexSet<(String, String)>, entries: &IndexSet<String>) -> IndexMap<String, usize> {
    let mut depths: IndexMap<String, usize> = entries.iter().map(|entry| (entry.clone(), 0)).collect();
    let mut at = 0;
    while let Some((service, depth)) = depths.get_index(at).map(|(service, depth)| (service.clone(), *depth)) {
        for (_, callee) in edges.iter().filter(|(caller, _)| *caller == service) {
            depths.entry(callee.clone()).or_insert(depth + 1);
        }
        at += 1;
    }
    for service in services {
        depths.entry(service.clone()).or_insert(0);
    }
    depths
}
