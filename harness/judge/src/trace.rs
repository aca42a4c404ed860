//! Spans as trees. Telemetry is hostile input: ids may repeat, parents may be missing or form circles, clocks may disagree.

use indexmap::IndexMap;
use shakedown_model::evidence::SpanRecord;

/// Spans of each trace in order of start, by trace id in order of arrival.
pub(crate) type TraceIndex<'a> = IndexMap<&'a str, Vec<&'a SpanRecord>>;

/// Sorts spans into traces; a span that arrived twice counts once.
pub(crate) fn index(spans: &[SpanRecord]) -> TraceIndex<'_> {
    let mut traces = TraceIndex::new();
    for span in spans {
        traces.entry(span.trace_id.as_str()).or_default().push(span);
    }
    for spans in traces.values_mut() {
        spans.sort_by(|a, b| (a.start, &a.span_id, a.end).cmp(&(b.start, &b.span_id, b.end)));
        let mut seen = indexmap::IndexSet::new();
        spans.retain(|span| seen.insert(span.span_id.as_str()));
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
        let places: IndexMap<&str, usize> = spans.iter().enumerate().map(|(place, span)| (span.span_id.as_str(), place)).collect();
        let mut parents: Vec<Option<usize>> = spans.iter().map(|span| places.get(span.parent_id.as_str()).copied()).collect();
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
mod tests {
    use super::*;
    use shakedown_model::{evidence::SpanKind, time::UnixNanos};

    fn span(id: &str, parent: &str, start: u64) -> SpanRecord {
        SpanRecord {
            trace_id: "t".to_owned(),
            span_id: id.to_owned(),
            parent_id: parent.to_owned(),
            service: "s".to_owned(),
            name: "n".to_owned(),
            kind: SpanKind::Internal,
            start: UnixNanos(start),
            end: UnixNanos(start + 10),
            error: false,
            attributes: IndexMap::new(),
        }
    }

    #[test]
    fn circles_of_parents_end_and_every_span_keeps_a_place() {
        let spans = [span("a", "c", 0), span("b", "a", 1), span("c", "b", 2), span("d", "d", 3), span("e", "a", 4)];
        let traces = index(&spans);
        let tree = Tree::of(&traces["t"]);
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
        let spans = [span("a", "", 0), span("a", "", 0), span("b", "gone", 1)];
        let traces = index(&spans);
        assert_eq!(Tree::of(&traces["t"]).roots().count(), 2);
    }
}
