//! Calls on an edge per request that the caller serves, counted in spans: a retry storm shows here first.

use super::{Check, sources};
use crate::{
    finding::{Place, held},
    peer,
    plays::Plays,
    text,
    trace::{TraceIndex, Tree},
    view::Arm,
};
use indexmap::{IndexMap, IndexSet};
use shakedown_model::{
    event::Phase,
    evidence::{SpanKind, SpanRecord},
    experiment::Check as Expected,
    fault::Edge,
    result::Finding,
    time::{UnixNanos, Window},
    units::{RatioLimit, trim_float},
};

/// Requests of the caller that a ratio needs.
const MIN_CALLERS: u64 = 20;
pub(crate) struct Retries;

impl Check for Retries {
    fn name(&self) -> &'static str {
        "retries"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        if plays.candidates().all(|arm| arm.phase(Phase::Fault).is_none()) {
            return Vec::new();
        }
        let expectations = plays.scenario.expect_fault.iter();
        expectations
            .filter_map(|expectation| match &expectation.check {
                Expected::Retries { edge, amplification } => {
                    let place = Place::new(plays.scenario, Some(Phase::Fault), &edge.to_string(), self.name()).at(&expectation.source);
                    Some(judge_edge(plays, &place, edge, *amplification))
                }
                _ => None,
            })
            .collect()
    }
}

fn judge_edge(plays: &Plays<'_>, place: &Place, edge: &Edge, limit: RatioLimit) -> Finding {
    let Calls { calls, callers } = calls_under_fault(plays.candidates(), edge);
    let ratio = |calls: u64, callers: u64| (callers > 0).then(|| calls as f64 / callers as f64);
    let observed = ratio(calls, callers);
    let of_baseline = calls_under_fault(plays.baselines(), edge);
    let baseline = ratio(of_baseline.calls, of_baseline.callers);
    let finding = match (sources::failed(plays.evidence, plays.end(), sources::Kind::Spans), observed) {
        (Some(failure), _) => place.inconclusive(format!("spans are missing: {failure}")),
        (None, None) => {
            place.inconclusive(format!("no span shows a call of {} to {} while the fault was on; do both send traces?", edge.from, edge.to))
        }
        (None, Some(_)) if callers < MIN_CALLERS => place.inconclusive(format!(
            "only {} of {} called {}; it takes {MIN_CALLERS}",
            text::count(callers, "traced request"),
            edge.from,
            edge.to
        )),
        (None, Some(ratio)) => {
            let ratio_text = trim_float((ratio * 100.0).round() / 100.0);
            let reason = format!(
                "{} called {} {ratio_text} times per request that it served ({calls} calls, {callers} requests); asked for {limit}",
                edge.from, edge.to
            );
            place.finding(held(limit.holds(ratio)), reason)
        }
    };
    Finding { observed, limit: Some(limit.value()), baseline, unit: "ratio".to_owned(), samples: callers, ..finding }
}

/// Calls on an edge, and the requests of the caller in which at least one was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Calls {
    calls: u64,
    callers: u64,
}

/// Calls of all plays of one variant, whose traces lie in one index.
fn calls_under_fault<'a>(arms: impl Iterator<Item = &'a Arm<'a>>, edge: &Edge) -> Calls {
    let mut traces = None;
    let mut windows: Vec<Window> = Vec::new();
    for arm in arms {
        traces = Some(arm.traces);
        windows.extend(arm.disturbed());
    }
    windows.sort_unstable_by_key(|window| window.start);
    match traces {
        Some(traces) if !windows.is_empty() => count_calls(traces, edge, &windows),
        _ => Calls::default(),
    }
}

/// Whether `at` lies inside one of these windows, which are in order and apart.
fn inside(windows: &[Window], at: UnixNanos) -> bool {
    let before = windows.partition_point(|window| window.start <= at);
    before > 0 && windows[before - 1].contains(at)
}

fn count_calls(traces: &TraceIndex<'_>, edge: &Edge, windows: &[Window]) -> Calls {
    let known = operations_of_edge(traces, edge);
    let mut total = Calls::default();
    for spans in traces.values() {
        if !spans.iter().any(|span| inside(windows, span.start)) {
            continue;
        }
        let tree = Tree::of(spans);
        let mut callers = IndexSet::new();
        for index in (0..spans.len()).filter(|index| is_call(&tree, *index, edge, &known)) {
            let caller = entry_of(&tree, index);
            // All calls of a request count that came in under the fault, also those that it made after it.
            if inside(windows, tree.span(caller).start) {
                total.calls += 1;
                callers.insert(caller);
            }
        }
        total.callers += callers.len() as u64;
    }
    total
}

/// Names of client spans that lead over the edge wherever they lead anywhere: so that calls without an answer are counted too.
fn operations_of_edge(traces: &TraceIndex<'_>, edge: &Edge) -> IndexSet<String> {
    let mut leads: IndexMap<&str, bool> = IndexMap::new();
    for spans in traces.values() {
        let tree = Tree::of(spans);
        for (index, span) in spans.iter().enumerate() {
            if span.kind != SpanKind::Client || *span.service != *edge.from {
                continue;
            }
            for child in tree.children(index).iter().map(|child| spans[*child]).filter(|child| *child.service != *edge.from) {
                let lead = leads.entry(&*span.name).or_insert(true);
                *lead = *lead && *child.service == *edge.to;
            }
        }
    }
    leads.into_iter().filter(|(_, leads)| *leads).map(|(name, _)| name.to_owned()).collect()
}

fn is_call(tree: &Tree<'_, '_>, index: usize, edge: &Edge, known: &IndexSet<String>) -> bool {
    let span = tree.span(index);
    if span.kind != SpanKind::Client || *span.service != *edge.from {
        return false;
    }
    let mut answering =
        tree.children(index).iter().map(|child| &tree.span(*child).service).filter(|service| ***service != *edge.from).peekable();
    if answering.peek().is_some() {
        return answering.any(|service| **service == *edge.to);
    }
    peer::names(span).any(|name| name == edge.to) || known.contains(&*span.name)
}

/// The nearest span above that is a request which the service serves; else the topmost that the service has.
fn entry_of(tree: &Tree<'_, '_>, index: usize) -> usize {
    let service = &tree.span(index).service;
    let mut at = index;
    while let Some(parent) = tree.parent(at) {
        let span: &SpanRecord = tree.span(parent);
        if span.service != *service {
            break;
        }
        at = parent;
        if matches!(span.kind, SpanKind::Server | SpanKind::Consumer) {
            break;
        }
    }
    at
}
