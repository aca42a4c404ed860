//! Requests out of traces, where no generator sent them: a span that nobody called began one.
//!
//! Telemetry is hostile input: parents may be missing or go in circles, ids may repeat, clocks may disagree. What of this was seen is counted.

use crate::losses::{Losses, merge};
use shakedown_model::{
    evidence::{Request, SpanKind, SpanRecord},
    ids::{SpanId, TraceId},
    operation::normalised,
    run::RunMeta,
    time::{UnixNanos, Window},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

/// Pair-blocks of an imported run: nothing alternates in it, so they are slices of time.
const BLOCK: Duration = Duration::from_secs(2);
/// Share of the spans that may begin far before or after all others without stretching the time of the run.
const STRAY: f64 = 0.01;

/// Spans that began requests, with what was odd on the way.
pub(crate) struct Roots<'s> {
    pub(crate) spans: Vec<&'s SpanRecord>,
    pub(crate) odd: Losses,
}

impl<'s> Roots<'s> {
    /// In order of start.
    pub(crate) fn of(spans: &'s [SpanRecord]) -> Roots<'s> {
        let mut sorted: Vec<&SpanRecord> = spans.iter().collect();
        sorted.sort_by_key(|span| (span.trace_id, span.start, span.span_id));
        let mut oddities = Oddities::default();
        let mut roots: Vec<&SpanRecord> =
            sorted.chunk_by(|a, b| a.trace_id == b.trace_id).flat_map(|trace| entries(trace, &mut oddities)).collect();
        roots.sort_by_key(|span| (span.start, span.trace_id, span.span_id));
        Roots { spans: roots, odd: oddities.counted() }
    }

    /// From the first request to the last one, without those that a wrong clock puts elsewhere.
    pub(crate) fn extent(&self) -> Option<Window> {
        let starts: Vec<UnixNanos> = self.spans.iter().map(|span| span.start).collect();
        extent(starts)
    }

    /// The requests of the run's phases; those of no phase are counted.
    pub(crate) fn requests(&self, run: &RunMeta) -> (Vec<Request>, Losses) {
        let (mut requests, mut outside) = (Vec::new(), 0);
        for span in &self.spans {
            match request(span, run) {
                Some(request) => requests.push(request),
                None => outside += 1,
            }
        }
        (requests, counted([("requests outside every phase of the run", outside)]))
    }
}

/// From the first of many moments to the last one and a moment more, without strays.
pub(crate) fn extent(mut moments: Vec<UnixNanos>) -> Option<Window> {
    moments.sort_unstable();
    // Of few, each may be what matters.
    let stray = if moments.len() < 20 { 0 } else { (moments.len() as f64 * STRAY).ceil() as usize };
    let (first, last) = (*moments.first()?, *moments.last()?);
    let (low, high) = (moments[stray], moments[moments.len() - 1 - stray]);
    // What lies within reach of the bulk belongs to it.
    let reach = high.since(low).max(Duration::from_secs(10));
    let start = first.max(UnixNanos(low.0.saturating_sub(reach.as_nanos() as u64)));
    Some(Window { start, end: last.min(high + reach) + Duration::from_nanos(1) })
}

/// What was odd about the traces.
#[derive(Default)]
struct Oddities {
    repeated: u64,
    orphans: u64,
    headless: u64,
    circular: u64,
    skewed: u64,
    nameless: u64,
}

impl Oddities {
    fn counted(self) -> Losses {
        counted([
            ("spans with the id of another span of their trace", self.repeated),
            ("spans whose parent is missing", self.orphans),
            ("traces whose first span is missing", self.headless),
            ("traces that go in circles", self.circular),
            ("calls that lie outside their caller's span by the clocks", self.skewed),
            ("spans without a service", self.nameless),
        ])
    }
}

fn counted<const N: usize>(counts: [(&str, u64); N]) -> Losses {
    let mut losses = Losses::new();
    for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        merge(&mut losses, Losses::from([(what.to_owned(), count)]));
    }
    losses
}

/// Where the requests of one trace came in: spans without a parent; where there is none, those whose parent is missing; where all have one, the
/// first.
fn entries<'s>(trace: &[&'s SpanRecord], odd: &mut Oddities) -> Vec<&'s SpanRecord> {
    let mut by_id: HashMap<SpanId, &SpanRecord> = HashMap::with_capacity(trace.len());
    let mut spans: Vec<&'s SpanRecord> = Vec::with_capacity(trace.len());
    for span in trace {
        // In order of start, so the first one stays.
        match by_id.entry(span.span_id) {
            Entry::Occupied(_) => odd.repeated += 1,
            Entry::Vacant(free) => {
                free.insert(span);
                spans.push(span);
            }
        }
    }
    odd.nameless += spans.iter().filter(|span| &*span.service == crate::read::UNKNOWN_SERVICE).count() as u64;
    let parent = |span: &SpanRecord| span.parent_id.filter(|parent| *parent != span.span_id);
    let called = |span: &&&SpanRecord| parent(span).and_then(|parent| by_id.get(&parent)).is_some();
    odd.skewed +=
        spans.iter().filter(|span| parent(span).and_then(|id| by_id.get(&id)).is_some_and(|above| is_outside(span, above))).count() as u64;
    let roots: Vec<&SpanRecord> = spans.iter().filter(|span| parent(span).is_none()).copied().collect();
    let orphans: Vec<&SpanRecord> = spans.iter().filter(|span| parent(span).is_some() && !called(span)).copied().collect();
    odd.orphans += orphans.len() as u64;
    match (roots.is_empty(), orphans.is_empty()) {
        (false, _) => roots,
        (true, false) => {
            odd.headless += 1;
            orphans
        }
        (true, true) => {
            odd.circular += 1;
            spans.into_iter().take(1).collect()
        }
    }
}

/// Only a call from one service to another crosses clocks.
fn is_outside(span: &SpanRecord, above: &SpanRecord) -> bool {
    span.service != above.service && span.kind == SpanKind::Server && (span.start < above.start || span.end > above.end)
}

fn request(span: &SpanRecord, run: &RunMeta) -> Option<Request> {
    let of = |scenario: &'_ shakedown_model::run::ScenarioRun| {
        scenario.phases.iter().find(|phase| phase.start <= span.start && span.start < phase.end).copied()
    };
    let (scenario, phase) = run.scenarios.iter().find_map(|scenario| Some((scenario, of(scenario)?)))?;
    let status = status(span);
    let (began, trace_id): (_, TraceId) = (scenario.phases.first()?.start, span.trace_id);
    Some(Request {
        load: load(span),
        scenario: scenario.name.clone(),
        phase: phase.name,
        block: (span.start.since(began).as_secs() / BLOCK.as_secs()) as u32,
        due: span.start,
        sent: Some(span.start),
        done: span.end.max(span.start),
        status,
        error: None,
        ok: !span.error && status < 500,
        bytes: 0,
        trace_id,
    })
}

/// What requests of this kind are called.
fn load(span: &SpanRecord) -> String {
    format!("{} {}", span.service.trim(), normalised(&span.name)).trim().to_owned()
}

/// HTTP status of the answer (OpenTelemetry's names, stable and former); 0: none was noted.
fn status(span: &SpanRecord) -> u16 {
    let names = ["http.response.status_code", "http.status_code"];
    names.iter().find_map(|name| span.attributes.get(name)?.parse().ok()).unwrap_or(0)
}
