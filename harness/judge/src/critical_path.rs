//! Who a request waited for: its duration divided among the spans of its critical path, exactly.
//!
//! Walks back from the end along the child that finished last. Clocks of different machines are not trusted: an answering span is fitted into the
//! call that it answers by its length alone.

use crate::trace::Tree;
use shakedown_model::evidence::SpanKind;

/// Children may end this share of their parent's length after the next one on the path began, for clocks that tick coarsely.
const OVERLAP: f64 = 0.01;

/// Exclusive seconds on the critical path below `root`, by span; their sum is the duration of `root`.
pub(crate) fn exclusive(tree: &Tree<'_, '_>, root: usize) -> Vec<(usize, f64)> {
    let span = tree.span(root);
    let length = span.end.since(span.start).as_secs_f64();
    let mut open = vec![Placed { index: root, start: 0.0, end: length, shift: 0.0 }];
    let mut path = Vec::new();
    while let Some(placed) = open.pop() {
        let (own, below) = walk(tree, root, placed);
        path.push((placed.index, own));
        open.extend(below);
    }
    path
}

/// A span with the part of the path that is its own, in seconds from the start of the root.
#[derive(Debug, Clone, Copy)]
struct Placed {
    index: usize,
    start: f64,
    end: f64,
    /// By how much its clock was moved.
    shift: f64,
}

/// Exclusive time of one span, and the children that hold the rest.
fn walk(tree: &Tree<'_, '_>, root: usize, placed: Placed) -> (f64, Vec<Placed>) {
    let mut children: Vec<Placed> = tree.children(placed.index).iter().filter_map(|child| fit(tree, root, placed, *child)).collect();
    children.sort_by(|a, b| b.end.total_cmp(&a.end).then(b.index.cmp(&a.index)));
    let allowance = OVERLAP * (placed.end - placed.start);
    let (mut current, mut own, mut on_path) = (placed.end, 0.0, Vec::new());
    for child in children {
        if child.end > current + allowance || child.start >= current {
            continue;
        }
        let end = child.end.min(current);
        own += current - end;
        current = child.start;
        on_path.push(Placed { end, ..child });
    }
    (own + (current - placed.start).max(0.0), on_path)
}

/// A child inside its parent: fitted by length where it answers a call, else clipped; `None`: it is not waited for.
fn fit(tree: &Tree<'_, '_>, root: usize, parent: Placed, index: usize) -> Option<Placed> {
    let (span, above) = (tree.span(index), tree.span(parent.index));
    if span.kind == SpanKind::Consumer {
        return None;
    }
    let origin = tree.span(root).start;
    let (start, end) = (span.start.seconds_from(origin) + parent.shift, span.end.seconds_from(origin) + parent.shift);
    if end < start {
        return None;
    }
    if above.kind == SpanKind::Client && span.kind == SpanKind::Server && (start < parent.start || end > parent.end) {
        let length = (end - start).min(parent.end - parent.start);
        let fitted = parent.start + (parent.end - parent.start - length) / 2.0;
        return Some(Placed { index, start: fitted, end: fitted + length, shift: parent.shift + fitted - start });
    }
    let clipped = Placed { index, start: start.max(parent.start), end: end.min(parent.end), shift: parent.shift };
    (clipped.start < clipped.end).then_some(clipped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{
        self,
        tests::{span, trace_id},
    };
    use shakedown_model::evidence::SpanRecord;

    /// Exclusive milliseconds by span; the parts must add up to the root.
    fn check(spans: &[SpanRecord], expected: &[(&str, u64)]) {
        let traces = trace::index(spans);
        let tree = Tree::of(&traces[&trace_id()]);
        let root = tree.main_root().unwrap();
        let mut seen: Vec<(&str, u64)> =
            exclusive(&tree, root).into_iter().map(|(index, own)| (&*tree.span(index).name, (own * 1e3).round() as u64)).collect();
        seen.sort_unstable();
        assert_eq!(seen, expected);
        let length = tree.span(root).end.since(tree.span(root).start).as_millis() as u64;
        assert_eq!(seen.iter().map(|(_, own)| own).sum::<u64>(), length);
    }

    #[test]
    fn calls_in_series_share_the_time_and_the_gaps_are_the_callers() {
        use SpanKind::{Client, Server};
        check(
            &[
                span("a", "", Server, 0, 100),
                span("b", "a", Client, 10, 40),
                span("c", "a", Client, 50, 90),
                span("d", "c", Server, 55, 80),
            ],
            &[("a", 30), ("b", 30), ("c", 15), ("d", 25)],
        );
    }

    #[test]
    fn of_calls_in_parallel_only_the_last_to_finish_counts() {
        use SpanKind::{Client, Server};
        check(&[span("a", "", Server, 0, 100), span("b", "a", Client, 10, 60), span("c", "a", Client, 10, 90)], &[("a", 20), ("c", 80)]);
    }

    #[test]
    fn an_answer_from_another_clock_is_fitted_by_its_length() {
        use SpanKind::{Client, Internal, Server};
        check(
            &[span("a", "", Client, 0, 100), span("b", "a", Server, 5_000, 5_060), span("c", "b", Internal, 5_010, 5_050)],
            &[("a", 40), ("b", 20), ("c", 40)],
        );
    }

    #[test]
    fn messages_are_not_waited_for_and_children_outside_are_dropped() {
        use SpanKind::{Consumer, Internal, Server};
        check(&[span("a", "", Server, 0, 50), span("b", "a", Consumer, 10, 40), span("c", "a", Internal, 60, 90)], &[("a", 50)]);
    }
}
