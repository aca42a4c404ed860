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
        spans: trace.spans.iter().map(|span| span_view(span, low, length, services)).collect(),
        left_out: trace.spans_left_out,
        ticks: [0.0, 0.25, 0.5, 0.75].map(|share| (format!("{:.0}", share * 100.0), words::seconds(low + share * length))).to_vec(),
    }
}

fn span_view(span: &SpanExhibit, low: f64, length: f64, services: &[&str]) -> SpanView {
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
        start: format!("{start:.2}"),
        width: format!("{width:.2}"),
        length: words::seconds(span.length),
        offset: words::seconds(span.offset),
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
