//! Who a request waited for: its duration divided among the spans of its critical path, exactly.
//!
//! Walks back from the end along the child that finished last, as CRISP does (Zhang et al., USENIX ATC 2022). Clocks of different machines are not
//! trusted: an answering span is fitted into the call that it answers by its length alone.

use crate::trace::Tree;
use shakedown_model::evidence::SpanKind;

/// A child may end this share of its parent's length after the next one on the path began, for clocks that tick coarsely; provided that nothing else
/// begins or ends meanwhile, since then the two really ran side by side.
const OVERLAP: f64 = 0.01;

/// Exclusive seconds on the critical path below `root`, by span, parents before their children; their sum is the duration of `root`. The time between
/// a call that failed and the same call again belongs to the second one, which is then there twice.
pub(crate) fn exclusive(tree: &Tree<'_, '_>, root: usize) -> Vec<(usize, f64)> {
    let span = tree.span(root);
    let length = span.end.since(span.start).as_secs_f64();
    let mut open = vec![Placed { index: root, start: 0.0, end: length, shift: 0.0 }];
    let (mut path, mut children) = (Vec::new(), Vec::new());
    while let Some(placed) = open.pop() {
        children.clear();
        children.extend(tree.children(placed.index).iter().filter_map(|child| fit(tree, root, placed, *child)));
        let first = open.len();
        let own = walk(placed, &mut children, &mut open);
        let waited = waited_again(tree, &open[first..], &mut path);
        path.push((placed.index, own - waited));
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

/// Exclusive time of one span; the children that hold the rest are added to `on_path`.
fn walk(placed: Placed, children: &mut [Placed], on_path: &mut Vec<Placed>) -> f64 {
    children.sort_unstable_by(|a, b| b.end.total_cmp(&a.end).then(b.index.cmp(&a.index)));
    let allowance = OVERLAP * (placed.end - placed.start);
    let (mut current, mut own) = (placed.end, 0.0);
    let mut moments = Moments::default();
    for child in &*children {
        let overlaps = child.end > current;
        if child.start >= current || (overlaps && (child.end > current + allowance || moments.between(children, current, child.end) > 2)) {
            continue;
        }
        let end = child.end.min(current);
        own += current - end;
        current = child.start;
        on_path.push(Placed { end, ..*child });
    }
    own + (current - placed.start).max(0.0)
}

/// Adds the time between failed calls and their repetitions to `path`, and says how much that was. `on_path` goes back in time.
fn waited_again(tree: &Tree<'_, '_>, on_path: &[Placed], path: &mut Vec<(usize, f64)>) -> f64 {
    let mut sum = 0.0;
    for pair in on_path.windows(2) {
        let (again, failed) = (tree.span(pair[0].index), tree.span(pair[1].index));
        let waited = pair[0].start - pair[1].end;
        if failed.error
            && again.kind == SpanKind::Client
            && waited > 0.0
            && (&again.service, &again.name) == (&failed.service, &failed.name)
        {
            path.push((pair[0].index, waited));
            sum += waited;
        }
    }
    sum
}

/// When children begin and end, in order; worked out when it is first asked for.
#[derive(Default)]
struct Moments(Vec<f64>);

impl Moments {
    /// How many of them lie from one moment to another, both included.
    fn between(&mut self, children: &[Placed], from: f64, to: f64) -> usize {
        if self.0.is_empty() {
            self.0.extend(children.iter().flat_map(|child| [child.start, child.end]));
            self.0.sort_unstable_by(f64::total_cmp);
        }
        self.0.partition_point(|moment| *moment <= to) - self.0.partition_point(|moment| *moment < from)
    }
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
    use shakedown_model::{evidence::SpanRecord, ids::SpanId, time::UnixNanos};

    /// Exclusive milliseconds by span; the parts must add up to the root.
    fn check(spans: &[SpanRecord], expected: &[(&str, u64)]) {
        let traces = trace::index(spans);
        let tree = Tree::of(traces.get(&trace_id()).unwrap());
        let root = tree.main_root().unwrap();
        let mut seen: Vec<(&str, u64)> =
            exclusive(&tree, root).into_iter().map(|(index, own)| (&*tree.span(index).name, (own * 1e3).round() as u64)).collect();
        seen.sort_by_key(|(name, _)| *name);
        seen.dedup_by(|twice, once| {
            twice.0 == once.0 && {
                once.1 += twice.1;
                true
            }
        });
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

    #[test]
    fn a_child_that_ends_a_tick_after_the_next_one_began_is_waited_for_until_then() {
        use SpanKind::Internal;
        check(
            &[span("a", "", Internal, 0, 1_000), span("b", "a", Internal, 100, 505), span("c", "a", Internal, 500, 900)],
            &[("a", 200), ("b", 400), ("c", 400)],
        );
        // Longer than the allowance of a hundredth: side by side.
        check(
            &[span("a", "", Internal, 0, 1_000), span("b", "a", Internal, 100, 520), span("c", "a", Internal, 500, 900)],
            &[("a", 600), ("c", 400)],
        );
    }

    #[test]
    fn a_tick_in_which_something_else_begins_is_no_tick() {
        use SpanKind::Internal;
        check(
            &[
                span("a", "", Internal, 0, 1_000),
                span("b", "a", Internal, 100, 505),
                span("c", "a", Internal, 500, 900),
                span("d", "a", Internal, 503, 600),
            ],
            &[("a", 600), ("c", 400)],
        );
    }

    #[test]
    fn what_overlaps_a_border_is_clipped_and_time_that_runs_backwards_is_left_out() {
        use SpanKind::Internal;
        check(
            &[
                span("a", "", Internal, 100, 200),
                span("b", "a", Internal, 50, 120),
                span("c", "a", Internal, 180, 250),
                span("d", "a", Internal, 160, 140),
            ],
            &[("a", 60), ("b", 20), ("c", 20)],
        );
    }

    #[test]
    fn an_answer_that_is_longer_than_its_call_takes_all_of_it() {
        use SpanKind::{Client, Server};
        check(
            &[span("a", "", Server, 0, 100), span("b", "a", Client, 10, 50), span("c", "b", Server, 0, 90)],
            &[("a", 60), ("b", 0), ("c", 40)],
        );
    }

    #[test]
    fn children_of_a_child_that_is_not_waited_for_are_not_either() {
        use SpanKind::{Client, Server};
        check(
            &[
                span("a", "", Server, 0, 100),
                span("b", "a", Client, 10, 60),
                span("c", "b", Server, 20, 50),
                span("d", "a", Client, 10, 90),
            ],
            &[("a", 20), ("d", 80)],
        );
    }

    #[test]
    fn a_circle_or_an_endless_chain_ends_and_adds_up() {
        use SpanKind::Internal;
        check(&[span("a", "b", Internal, 0, 100), span("b", "a", Internal, 10, 90)], &[("a", 80), ("b", 0)]);
        let spans: Vec<SpanRecord> = (1..=100_000_u64)
            .map(|number| SpanRecord {
                span_id: SpanId::of(&number.to_be_bytes()).unwrap(),
                parent_id: SpanId::of(&(number - 1).to_be_bytes()),
                start: UnixNanos(1_000 * number),
                end: UnixNanos(1_000_000_000 - 1_000 * number),
                ..span("a", "", Internal, 0, 10)
            })
            .collect();
        let traces = trace::index(&spans);
        let tree = Tree::of(traces.get(&trace_id()).unwrap());
        let path = exclusive(&tree, 0);
        let sum: f64 = path.iter().map(|(_, own)| own).sum();
        assert_eq!(path.len(), 100_000);
        assert!((sum - 0.999_998).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn the_wait_before_a_failed_call_is_made_again_is_part_of_that_call() {
        use SpanKind::{Client, Server};
        let failing = |span: SpanRecord| SpanRecord { name: "call".into(), service: "a".into(), error: true, ..span };
        let again = SpanRecord { error: false, ..failing(span("c", "a", Client, 60, 80)) };
        let spans = [span("a", "", Server, 0, 100), failing(span("b", "a", Client, 10, 20)), again];
        check(&spans, &[("a", 30), ("call", 70)]);
    }
}
