//! Spans as trees. Telemetry is hostile input: ids may repeat, parents may be missing or form circles, clocks may disagree.

use indexmap::IndexMap;
use shakedown_model::{
    evidence::SpanRecord,
    ids::{SpanId, TraceId},
};

/// Spans of each trace in order of start, by trace id in order of arrival.
pub(crate) type TraceIndex<'a> = IndexMap<TraceId, Vec<&'a SpanRecord>>;

/// Sorts spans into traces; a span that arrived twice counts once.
pub(crate) fn index(spans: &[SpanRecord]) -> TraceIndex<'_> {
    let mut traces = TraceIndex::new();
    for span in spans {
        traces.entry(span.trace_id).or_default().push(span);
    }
    for spans in traces.values_mut() {
        spans.sort_by_key(|span| (span.start, span.span_id, span.end));
        let mut seen = indexmap::IndexSet::new();
        spans.retain(|span| seen.insert(span.span_id));
    }
    traces
}

/// One trace as a forest.
pub(crate) struct Tree<'s, 'a> {
    spans: &'s [&'a SpanRecord],
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
}

impl<'s, 'a> Tree<'s, 'a> {
    pub(crate) fn of(spans: &'s [&'a SpanRecord]) -> Tree<'s, 'a> {
        let places: IndexMap<SpanId, usize> = spans.iter().enumerate().map(|(place, span)| (span.span_id, place)).collect();
        let mut parents: Vec<Option<usize>> = spans.iter().map(|span| places.get(&span.parent_id?).copied()).collect();
        cut_circles(&mut parents);
        let mut children = vec![Vec::new(); spans.len()];
        for (place, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(place);
            }
        }
        Tree { spans, parents, children }
    }

    pub(crate) fn span(&self, index: usize) -> &'a SpanRecord {
        self.spans[index]
    }

    pub(crate) fn parent(&self, index: usize) -> Option<usize> {
        self.parents[index]
    }

    /// In order of start.
    pub(crate) fn children(&self, index: usize) -> &[usize] {
        &self.children[index]
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
        let tree = Tree::of(&traces[&trace_id()]);
        let mut reached = 0;
        let mut open: Vec<usize> = tree.roots().collect();
        while let Some(at) = open.pop() {
            reached += 1;
            open.extend(tree.children(at));
        }
        assert_eq!(reached, 5);
    }

    #[test]
    fn a_span_that_arrived_twice_counts_once_and_an_orphan_is_a_root() {
        let spans = [
            span("a", "", SpanKind::Internal, 0, 10),
            span("a", "", SpanKind::Internal, 0, 10),
            span("b", "gone", SpanKind::Internal, 1, 11),
        ];
        let traces = index(&spans);
        assert_eq!(Tree::of(&traces[&trace_id()]).roots().count(), 2);
    }
}
