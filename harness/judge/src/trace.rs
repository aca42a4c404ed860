//! Spans as trees. Telemetry is hostile input: ids may repeat, parents may be missing or form circles, clocks may disagree.

use indexmap::IndexMap;
use shakedown_model::{
    evidence::SpanRecord,
    ids::{SpanId, TraceId},
};
use std::ops::Range;

/// Spans by trace, in order of arrival; within a trace in order of start.
#[derive(Default)]
pub(crate) struct TraceIndex<'a> {
    places: IndexMap<TraceId, Range<usize>>,
    spans: Vec<&'a SpanRecord>,
}

impl<'a> TraceIndex<'a> {
    pub(crate) fn get(&self, id: &TraceId) -> Option<&[&'a SpanRecord]> {
        self.places.get(id).map(|place| &self.spans[place.clone()])
    }

    pub(crate) fn contains(&self, id: &TraceId) -> bool {
        self.places.contains_key(id)
    }

    /// The spans of each trace.
    pub(crate) fn values(&self) -> impl Iterator<Item = &[&'a SpanRecord]> {
        self.places.values().map(|place| &self.spans[place.clone()])
    }
}

/// Sorts spans into traces; a span that arrived twice counts once, as it was when it began first.
pub(crate) fn index(spans: &[SpanRecord]) -> TraceIndex<'_> {
    let mut counts: IndexMap<TraceId, usize> = IndexMap::new();
    let owners: Vec<usize> = spans
        .iter()
        .map(|span| {
            let entry = counts.entry(span.trace_id);
            let owner = entry.index();
            *entry.or_insert(0) += 1;
            owner
        })
        .collect();
    let mut sorted = grouped(spans, &owners, counts.values());
    let (mut places, mut kept, mut from) = (IndexMap::with_capacity(counts.len()), 0, 0);
    let mut ids = Vec::new();
    for (id, count) in counts {
        let trace = &mut sorted[from..from + count];
        trace.sort_unstable_by_key(|span| (span.start, span.span_id, span.end));
        let length = without_repeats(trace, &mut ids);
        sorted.copy_within(from..from + length, kept);
        places.insert(id, kept..kept + length);
        kept += length;
        from += count;
    }
    sorted.truncate(kept);
    TraceIndex { places, spans: sorted }
}

/// All spans in order of their owners, of which each has as many as `counts` says.
fn grouped<'a, 'c>(spans: &'a [SpanRecord], owners: &[usize], counts: impl Iterator<Item = &'c usize>) -> Vec<&'a SpanRecord> {
    let mut next: Vec<usize> = counts
        .scan(0, |sum, count| {
            *sum += count;
            Some(*sum - count)
        })
        .collect();
    let mut order = vec![0; spans.len()];
    for (place, owner) in owners.iter().enumerate() {
        order[next[*owner]] = place;
        next[*owner] += 1;
    }
    order.into_iter().map(|place| &spans[place]).collect()
}

/// Moves the first span of each id to the front, in order, and says how many they are. `ids` is room to work in.
fn without_repeats(trace: &mut [&SpanRecord], ids: &mut Vec<SpanId>) -> usize {
    ids.clear();
    ids.extend(trace.iter().map(|span| span.span_id));
    ids.sort_unstable();
    if ids.windows(2).all(|pair| pair[0] != pair[1]) {
        return trace.len();
    }
    let mut seen = indexmap::IndexSet::new();
    let mut kept = 0;
    for place in 0..trace.len() {
        if seen.insert(trace[place].span_id) {
            trace[kept] = trace[place];
            kept += 1;
        }
    }
    kept
}

/// One trace as a forest.
pub(crate) struct Tree<'s, 'a> {
    spans: &'s [&'a SpanRecord],
    parents: Vec<Option<usize>>,
    /// Children of all spans, those of one beside each other.
    children: Vec<usize>,
    /// Where the children of a span begin; one more entry than spans.
    firsts: Vec<usize>,
}

impl<'s, 'a> Tree<'s, 'a> {
    /// Of spans in order of start, no two with the same id.
    pub(crate) fn of(spans: &'s [&'a SpanRecord]) -> Tree<'s, 'a> {
        let mut places: Vec<(SpanId, usize)> = spans.iter().enumerate().map(|(place, span)| (span.span_id, place)).collect();
        places.sort_unstable();
        let place_of = |id: SpanId| places.binary_search_by_key(&id, |(known, _)| *known).ok().map(|found| places[found].1);
        let mut parents: Vec<Option<usize>> = spans.iter().map(|span| place_of(span.parent_id?)).collect();
        cut_circles(&mut parents);
        let mut firsts = vec![0; spans.len() + 1];
        for parent in parents.iter().flatten() {
            firsts[parent + 1] += 1;
        }
        for place in 0..spans.len() {
            firsts[place + 1] += firsts[place];
        }
        let mut next = firsts.clone();
        let mut children = vec![0; firsts[spans.len()]];
        for (place, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[next[*parent]] = place;
                next[*parent] += 1;
            }
        }
        Tree { spans, parents, children, firsts }
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn span(&self, index: usize) -> &'a SpanRecord {
        self.spans[index]
    }

    pub(crate) fn parent(&self, index: usize) -> Option<usize> {
        self.parents[index]
    }

    /// In order of start.
    pub(crate) fn children(&self, index: usize) -> &[usize] {
        &self.children[self.firsts[index]..self.firsts[index + 1]]
    }

    /// Spans without a parent in the trace, in order of start.
    pub(crate) fn roots(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..self.spans.len()).filter(|index| self.parents[*index].is_none())
    }

    /// The root that took longest: the request as the system saw it.
    pub(crate) fn main_root(&self) -> Option<usize> {
        self.roots().rev().max_by_key(|root| self.spans[*root].end.since(self.spans[*root].start))
    }
}

/// Makes a root of the first span found on each circle of parents.
fn cut_circles(parents: &mut [Option<usize>]) {
    let mut done = vec![false; parents.len()];
    let mut on_path = vec![false; parents.len()];
    for start in 0..parents.len() {
        let mut path = Vec::new();
        let mut at = start;
        while !done[at] {
            on_path[at] = true;
            path.push(at);
            match parents[at] {
                Some(parent) if on_path[parent] => parents[at] = None,
                Some(parent) => at = parent,
                None => break,
            }
        }
        for index in path {
            done[index] = true;
            on_path[index] = false;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use shakedown_model::{
        evidence::{Attributes, SpanKind},
        time::UnixNanos,
    };

    /// The trace of every [`span`].
    pub(crate) fn trace_id() -> TraceId {
        TraceId::of(&[1; 16]).unwrap()
    }

    /// A span of a service that is called like itself, from and to a millisecond. The name of its parent may be that of no span.
    pub(crate) fn span(name: &str, parent: &str, kind: SpanKind, start: u64, end: u64) -> SpanRecord {
        let nanos = |millis: u64| UnixNanos(1_000_000_000 + millis * 1_000_000);
        let id = |name: &str| SpanId::of(&name.bytes().fold(0_u64, |id, byte| id << 8 | u64::from(byte)).to_be_bytes());
        SpanRecord {
            trace_id: trace_id(),
            span_id: id(name).unwrap(),
            parent_id: id(parent),
            service: name.into(),
            name: name.into(),
            kind,
            start: nanos(start),
            end: nanos(end),
            error: false,
            attributes: Attributes::default(),
        }
    }

    #[test]
    fn circles_of_parents_end_and_every_span_keeps_a_place() {
        let spans = [
            span("a", "c", SpanKind::Internal, 0, 10),
            span("b", "a", SpanKind::Internal, 1, 11),
            span("c", "b", SpanKind::Internal, 2, 12),
            span("d", "d", SpanKind::Internal, 3, 13),
            span("e", "a", SpanKind::Internal, 4, 14),
        ];
        let traces = index(&spans);
        let tree = Tree::of(traces.get(&trace_id()).unwrap());
        let mut reached = 0;
        let mut open: Vec<usize> = tree.roots().collect();
        while let Some(at) = open.pop() {
            reached += 1;
            open.extend(tree.children(at));
        }
        assert_eq!(reached, 5);
    }

    #[test]
    fn traces_come_in_order_of_arrival_and_their_spans_in_order_of_start() {
        let other = |span: SpanRecord| SpanRecord { trace_id: TraceId::of(&[2; 16]).unwrap(), ..span };
        let spans = [
            span("b", "a", SpanKind::Internal, 5, 6),
            other(span("c", "", SpanKind::Internal, 3, 4)),
            span("a", "", SpanKind::Internal, 0, 10),
            other(span("d", "", SpanKind::Internal, 1, 2)),
        ];
        let traces = index(&spans);
        let names: Vec<Vec<&str>> = traces.values().map(|trace| trace.iter().map(|span| &*span.name).collect()).collect();
        assert_eq!(names, [["a", "b"], ["d", "c"]]);
        assert!(index(&[]).values().next().is_none());
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_spans_is_a_tree_like_any_other() {
        let spans: Vec<SpanRecord> = (1..=100_000_u64)
            .map(|number| SpanRecord {
                span_id: SpanId::of(&number.to_be_bytes()).unwrap(),
                parent_id: SpanId::of(&(number - 1).to_be_bytes()),
                ..span("a", "", SpanKind::Internal, 0, 10)
            })
            .collect();
        let traces = index(&spans);
        let tree = Tree::of(traces.get(&trace_id()).unwrap());
        assert_eq!((tree.roots().count(), tree.len()), (1, 100_000));
    }

    #[test]
    fn a_span_that_arrived_twice_counts_once_and_an_orphan_is_a_root() {
        let spans = [
            span("a", "", SpanKind::Internal, 0, 10),
            span("a", "", SpanKind::Internal, 0, 10),
            span("b", "gone", SpanKind::Internal, 1, 11),
        ];
        let traces = index(&spans);
        assert_eq!(Tree::of(traces.get(&trace_id()).unwrap()).roots().count(), 2);
    }
}
