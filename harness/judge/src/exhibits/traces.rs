//! A handful of traces as waterfalls: the slowest, some that failed, and the baseline's for comparison.

use crate::{
    text,
    trace::Tree,
    view::{Arm, View},
};
use shakedown_model::{
    event::Phase,
    evidence::Request,
    ids::TraceId,
    result::{Blame, SpanExhibit, TraceExhibit, TracePair},
    stack::Variant,
};
use std::collections::HashSet;

const SLOWEST: usize = 3;
const OF_BASELINE: usize = 2;
const IN_ALL: usize = 6;
const SPANS: usize = 200;

pub(super) fn waterfalls(view: &View<'_>, blame: Option<&Blame>) -> Vec<TraceExhibit> {
    let pairs = blame.map_or(&[][..], |blame| &blame.pairs);
    let baseline: Vec<TraceExhibit> = view.baseline.as_ref().map_or_else(Vec::new, |arm| {
        let requests = first_of(slowest(arm), pairs, |pair| &pair.reference);
        requests.into_iter().take(OF_BASELINE).map(|request| waterfall(arm, request, Variant::Baseline)).collect()
    });
    let slowest = first_of(slowest(&view.candidate), pairs, |pair| &pair.candidate);
    let (shown, rest) = slowest.split_at(SLOWEST.min(slowest.len()));
    let room = IN_ALL - baseline.len() - shown.len();
    let mut failed: Vec<&Request> = rest.iter().filter(|request| !request.ok).copied().collect();
    failed.sort_by_key(|request| request.due);
    let chosen = shown.iter().copied().chain(failed.into_iter().take(room));
    chosen.map(|request| waterfall(&view.candidate, request, Variant::Candidate)).chain(baseline).collect()
}

/// Halves of the pairs that somebody is blamed by come first, so that both of a pair can be looked at.
fn first_of<'a>(mut requests: Vec<&'a Request>, pairs: &[TracePair], half: fn(&TracePair) -> &str) -> Vec<&'a Request> {
    let halves: HashSet<TraceId> = pairs.iter().filter_map(|pair| TraceId::from_hex(half(pair))).collect();
    requests.sort_by_key(|request| !halves.contains(&request.trace_id));
    requests
}

/// Traced requests due under the fault (before it, where there was none), slowest first.
fn slowest<'a>(arm: &Arm<'a>) -> Vec<&'a Request> {
    let window = arm.disturbed().or_else(|| arm.phase(Phase::Fault)).or_else(|| arm.phase(Phase::Steady));
    let inside = |request: &&&Request| window.is_some_and(|window| window.contains(request.due));
    let traced = |request: &&&Request| arm.traces.contains(&request.trace_id);
    let mut requests: Vec<&Request> = arm.requests.iter().filter(inside).filter(traced).copied().collect();
    requests.sort_by(|a, b| b.latency().total_cmp(&a.latency()).then(a.due.cmp(&b.due)));
    requests
}

fn waterfall(arm: &Arm<'_>, request: &Request, variant: Variant) -> TraceExhibit {
    let spans = arm.traces.get(&request.trace_id).unwrap_or_default();
    let tree = Tree::of(spans);
    let mut open: Vec<(usize, u32)> = tree.roots().map(|root| (root, 0)).collect();
    open.reverse();
    let mut bars = Vec::new();
    while let Some((index, depth)) = open.pop() {
        if bars.len() == SPANS {
            break;
        }
        let span = tree.span(index);
        bars.push(SpanExhibit {
            depth,
            service: text::clean(&span.service, 100),
            name: text::clean(&span.name, 200),
            kind: span.kind,
            offset: span.start.seconds_from(request.due),
            length: span.end.since(span.start).as_secs_f64(),
            error: span.error,
        });
        open.extend(tree.children(index).iter().rev().map(|child| (*child, depth + 1)));
    }
    TraceExhibit {
        trace_id: request.trace_id.to_string(),
        variant: variant.word().to_owned(),
        load: request.load.clone(),
        status: request.status,
        latency: request.latency(),
        due: request.due,
        spans_left_out: (spans.len() - bars.len()) as u64,
        spans: bars,
    }
}
