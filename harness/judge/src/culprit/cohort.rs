//! The traced requests of one variant in one phase, and what all their spans say in numbers.

use super::{
    channels::errors::outlasting,
    keys::{KeyId, Keys, Role},
    patterns::Patterns,
};
use crate::{
    plays::Plays,
    slices::{self, Sliced},
    stats::median_of_sorted,
    trace::{TraceIndex, Tree},
    view::{Arm, charged},
};
use indexmap::IndexMap;
use shakedown_model::{event::Phase, evidence::Request, time::Window};

/// Fewer traces than this blame nobody.
pub(super) const MIN_TRACES: usize = 5;

/// One traced request.
pub(super) struct Traced<'a> {
    pub(super) request: &'a Request,
    /// Seconds that it counts with.
    pub(super) charge: f64,
    /// Load, and operation that the trace begins with.
    pub(super) entry: (usize, KeyId),
    /// Of the phase.
    pub(super) slice: usize,
}

/// What the spans of one operation say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Operation {
    pub(super) spans: u64,
    pub(super) errors: u64,
    /// Spans that another service, or nobody, is the parent of.
    pub(super) entered: u64,
    /// Failed calls that gave up on an answer which was still being worked on.
    pub(super) outlasted: u64,
    /// Length, seconds.
    pub(super) length: Sliced,
    /// Of answered calls: length less that of the answer.
    pub(super) gap: Sliced,
}

/// Requests of one variant in one phase.
pub(super) struct Cohort<'a> {
    /// In order of due.
    pub(super) traced: Vec<Traced<'a>>,
    pub(super) requests: u64,
    pub(super) failed: u64,
    /// By operation; those that were not seen may be missing at the end.
    pub(super) operations: Vec<Operation>,
    pub(super) patterns: Patterns,
    pub(super) traces: &'a TraceIndex<'a>,
}

impl<'a> Cohort<'a> {
    /// Of all plays of one variant, whose traces lie in one index. `None`: there are too few traces.
    pub(super) fn of<'p>(
        plays: &Plays<'a>,
        arms: impl Iterator<Item = &'p Arm<'a>>,
        loads: &[String],
        phase: Phase,
        keys: &mut Keys<'a>,
    ) -> Option<Cohort<'a>>
    where
        'a: 'p,
    {
        let (mut requests, mut traces) = (Vec::new(), None);
        for arm in arms {
            traces = Some(arm.traces);
            let Some(window) = window(arm, phase) else { continue };
            for (load, name) in loads.iter().enumerate() {
                requests.extend(arm.due_in(name, window).iter().map(|request| (load, *request)));
            }
        }
        requests.sort_by_key(|(_, request)| request.due);
        let mut cohort = Cohort {
            traced: Vec::new(),
            requests: requests.len() as u64,
            failed: requests.iter().filter(|(_, request)| !request.ok).count() as u64,
            operations: Vec::new(),
            patterns: Patterns::default(),
            traces: traces?,
        };
        let charge = |load: usize, request: &Request| charged(request, plays.load(&loads[load]));
        requests.retain(|(_, request)| cohort.traces.contains(&request.trace_id));
        let count = requests.len();
        let mut ids = Vec::new();
        for (place, (load, request)) in requests.into_iter().enumerate() {
            let slice = slices::slice(place, count);
            let tree = Tree::of(cohort.traces.get(&request.trace_id).unwrap_or_default());
            let Some(root) = tree.main_root() else { continue };
            keys.of_trace(&tree, &mut ids);
            cohort.count(&tree, &ids, keys, slice);
            cohort.traced.push(Traced { request, charge: charge(load, request), entry: (load, keys.plain(ids[root])), slice });
        }
        (cohort.traced.len() >= MIN_TRACES).then_some(cohort)
    }

    fn count(&mut self, tree: &Tree<'_, 'a>, ids: &[KeyId], keys: &Keys<'a>, slice: usize) {
        self.operations.resize(self.operations.len().max(keys.len()), Operation::default());
        for (index, id) in ids.iter().enumerate() {
            let span = tree.span(index);
            let length = span.end.since(span.start).as_secs_f64();
            let operation = &mut self.operations[*id];
            operation.spans += 1;
            operation.errors += u64::from(span.error);
            operation.entered += u64::from(tree.parent(index).is_none_or(|parent| tree.span(parent).service != span.service));
            operation.length.add(slice, length);
            if keys.get(*id).role == Role::Call {
                operation.gap.add(slice, (length - answer(tree, index)).max(0.0));
                operation.outlasted += u64::from(outlasting(tree, index).is_some());
            }
        }
        self.patterns.add(tree, ids, keys);
    }

    pub(super) fn operation(&self, key: KeyId) -> Operation {
        self.operations.get(key).copied().unwrap_or_default()
    }

    /// Spans of an operation, whatever their role, per traced request.
    pub(super) fn per_request(&self, keys: &Keys<'_>, plain: KeyId) -> f64 {
        let of_operation = self.operations.iter().enumerate().filter(|(key, _)| keys.plain(*key) == plain);
        of_operation.map(|(_, operation)| operation.spans as f64).sum::<f64>() / self.traced.len().max(1) as f64
    }

    /// How often each service is called for one request.
    pub(super) fn calls(&self, keys: &Keys<'_>) -> IndexMap<String, f64> {
        let mut calls: IndexMap<String, f64> = IndexMap::new();
        for (key, operation) in self.operations.iter().enumerate().filter(|(_, operation)| operation.entered > 0) {
            *calls.entry(keys.get(key).service.clone()).or_default() += operation.entered as f64 / self.traced.len().max(1) as f64;
        }
        calls
    }

    /// What half of the traced requests take at most, seconds.
    pub(super) fn median(&self) -> f64 {
        let mut charges: Vec<f64> = self.traced.iter().map(|traced| traced.charge).collect();
        charges.sort_by(f64::total_cmp);
        median_of_sorted(&charges).unwrap_or(0.0)
    }

    /// The tree of a request's trace.
    pub(super) fn tree(&self, traced: &Traced<'a>) -> Tree<'_, 'a> {
        Tree::of(self.traces.get(&traced.request.trace_id).unwrap_or_default())
    }

    /// Share of all requests that failed.
    pub(super) fn failed_share(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.failed as f64 / self.requests as f64 }
    }
}

/// What is looked at of a phase: while faults were on, where any are known.
pub(crate) fn window(arm: &Arm<'_>, phase: Phase) -> Option<Window> {
    if arm.faults.is_empty() { arm.phase(phase) } else { arm.judged(phase) }
}

/// How long the answers to a call took together, seconds. Of clocks only differences count.
fn answer(tree: &Tree<'_, '_>, call: usize) -> f64 {
    let foreign = |child: &&usize| tree.span(**child).service != tree.span(call).service;
    tree.children(call).iter().filter(foreign).map(|child| tree.span(*child).end.since(tree.span(*child).start).as_secs_f64()).sum()
}
