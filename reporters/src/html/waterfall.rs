//! Traces as waterfalls: one row a span, bars in per cent of the request's time so that they fit any screen.

use crate::{plain::one_line, words};
use serde::Serialize;
use shakedown_model::{
    evidence::SpanKind,
    result::{SpanExhibit, TraceExhibit},
    time::UnixNanos,
};

/// Deeper spans are indented no further.
const DEEPEST: u32 = 12;
/// Bars of one waterfall.
const SPANS: usize = 60;
/// Colours of services; names tell them apart where colours repeat.
const HUES: usize = 6;

/// One trace.
#[derive(Debug, Serialize)]
pub(super) struct TraceView {
    id: String,
    trace_id: String,
    short_id: String,
    variant: String,
    load: String,
    status: String,
    failed: bool,
    latency: String,
    offset: String,
    /// In seconds.
    at: String,
    spans: Vec<SpanView>,
    left_out: u64,
    ticks: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct SpanView {
    depth: u32,
    service: String,
    name: String,
    kind: &'static str,
    is_call: bool,
    error: bool,
    hue: usize,
    start: String,
    width: String,
    length: String,
    offset: String,
    /// Start and width of each piece of the critical path.
    critical: Vec<(String, String)>,
}

/// All traces of a scenario; `prefix` makes their ids unique in the page.
pub(super) fn traces(traces: &[TraceExhibit], prefix: &str, origin: UnixNanos) -> Vec<TraceView> {
    let mut services: Vec<&str> = Vec::new();
    for span in traces.iter().flat_map(|trace| &trace.spans) {
        if !services.contains(&span.service.as_str()) {
            services.push(&span.service);
        }
    }
    traces.iter().enumerate().map(|(index, trace)| trace_view(trace, &format!("{prefix}-trace-{}", index + 1), origin, &services)).collect()
}

/// The id of the waterfall of `trace_id`, where one is shown.
pub(super) fn link(traces: &[TraceView], trace_id: &str) -> Option<String> {
    traces.iter().find(|trace| trace.trace_id == trace_id).map(|trace| trace.id.clone())
}

fn trace_view(trace: &TraceExhibit, id: &str, origin: UnixNanos, services: &[&str]) -> TraceView {
    let low = trace.spans.iter().map(|span| span.offset).filter(|offset| offset.is_finite()).fold(0.0, f64::min);
    let ends = trace.spans.iter().map(|span| span.offset + span.length).chain([trace.latency]);
    let high = ends.filter(|end| end.is_finite()).fold(low, f64::max);
    let length = (high - low).max(1e-9);
    let trace_id = one_line(&trace.trace_id, 64);
    TraceView {
        id: id.to_owned(),
        short_id: trace_id.chars().take(8).collect(),
        trace_id,
        variant: one_line(&trace.variant, 20),
        load: one_line(&trace.load, 80),
        status: if trace.status == 0 { "no answer".to_owned() } else { trace.status.to_string() },
        failed: trace.status == 0 || trace.status >= 400,
        latency: words::seconds(trace.latency),
        offset: words::offset(trace.due, origin),
        at: format!("{:.2}", trace.due.seconds_from(origin)),
        spans: trace
            .spans
            .iter()
            .zip(critical_path(&trace.spans))
            .take(SPANS)
            .map(|(span, pieces)| span_view(span, &pieces, low, length, services))
            .collect(),
        left_out: trace.spans_left_out + trace.spans.len().saturating_sub(SPANS) as u64,
        ticks: [0.0, 0.25, 0.5, 0.75].map(|share| (format!("{:.0}", share * 100.0), words::seconds(low + share * length))).to_vec(),
    }
}

fn span_view(span: &SpanExhibit, pieces: &[(f64, f64)], low: f64, length: f64, services: &[&str]) -> SpanView {
    let percent = |seconds: f64| if seconds.is_finite() { seconds / length * 100.0 } else { 0.0 };
    let start = percent(span.offset - low).clamp(0.0, 100.0);
    let width = percent(span.length).clamp(0.0, 100.0 - start);
    SpanView {
        depth: span.depth.min(DEEPEST),
        service: one_line(&span.service, 60),
        name: one_line(&span.name, 160),
        kind: kind(span.kind),
        is_call: matches!(span.kind, SpanKind::Client | SpanKind::Producer),
        error: span.error,
        hue: services.iter().position(|service| *service == span.service).unwrap_or(0) % HUES,
        start: format!("{start:.1}"),
        width: format!("{width:.1}"),
        length: words::seconds(span.length),
        offset: words::seconds(span.offset),
        critical: pieces
            .iter()
            .map(|(from, to)| (percent(from - low).clamp(0.0, 100.0), percent(to - from).clamp(0.0, 100.0)))
            .filter(|(_, width)| *width >= 0.2)
            .map(|(from, width)| (format!("{from:.1}"), format!("{width:.1}")))
            .collect(),
    }
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

/// The pieces of time in which each span is what the request waits for: from its end back to its start, leaving out what its children,
/// the last to end first, account for themselves.
fn critical_path(spans: &[SpanExhibit]) -> Vec<Vec<(f64, f64)>> {
    let end = |index: usize| spans[index].offset + spans[index].length;
    let (roots, children) = family(spans);
    let mut pieces = vec![Vec::new(); spans.len()];
    let mut open: Vec<(usize, f64)> = Vec::new();
    let last = |among: &[usize]| among.iter().copied().max_by(|a, b| end(*a).total_cmp(&end(*b)));
    open.extend(last(&roots).map(|root| (root, end(root))));
    while let Some((index, until)) = open.pop() {
        let mut until = until.min(end(index));
        let mut inside = children[index].clone();
        inside.sort_by(|a, b| end(*b).total_cmp(&end(*a)));
        for child in inside {
            let (from, to) = (spans[child].offset.max(spans[index].offset), end(child).min(until));
            if from >= to || to > until {
                continue;
            }
            if until > to {
                pieces[index].push((to, until));
            }
            open.push((child, to));
            until = from;
        }
        if until > spans[index].offset {
            pieces[index].push((spans[index].offset, until));
        }
    }
    pieces
}

/// The roots, and the children of each span, out of the order and the depths.
fn family(spans: &[SpanExhibit]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let (mut roots, mut children) = (Vec::new(), vec![Vec::new(); spans.len()]);
    let mut above: Vec<usize> = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        above.truncate(span.depth as usize);
        match above.last() {
            Some(parent) => children[*parent].push(index),
            None => roots.push(index),
        }
        above.push(index);
    }
    (roots, children)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(depth: u32, offset: f64, length: f64) -> SpanExhibit {
        SpanExhibit { depth, service: String::new(), name: String::new(), kind: SpanKind::Internal, offset, length, error: false }
    }

    #[test]
    fn of_two_calls_at_once_the_longer_one_is_waited_for() {
        let spans = [span(0, 0.0, 10.0), span(1, 1.0, 3.0), span(1, 1.0, 8.0), span(2, 2.0, 5.0)];
        let path = critical_path(&spans);
        assert_eq!(path[0], [(9.0, 10.0), (0.0, 1.0)]);
        assert_eq!(path[1], [], "it was over long before");
        assert_eq!(path[2], [(7.0, 9.0), (1.0, 2.0)]);
        assert_eq!(path[3], [(2.0, 7.0)]);
    }

    #[test]
    fn calls_one_after_the_other_are_all_waited_for_and_the_pieces_add_up() {
        let spans = [span(0, 0.0, 10.0), span(1, 0.0, 4.0), span(1, 5.0, 5.0)];
        let path = critical_path(&spans);
        let sum: f64 = path.iter().flatten().map(|(from, to)| to - from).sum();
        assert!((sum - 10.0).abs() < 1e-9, "{path:?}");
    }

    #[test]
    fn spans_that_are_no_spans_have_no_part_in_it() {
        assert!(critical_path(&[]).is_empty());
        let odd = [span(7, f64::NAN, 1.0), span(0, 0.0, f64::INFINITY), span(3, 2.0, -5.0)];
        assert_eq!(critical_path(&odd).len(), 3);
    }
}
