//! The evidence of one variant put in order once, so that no play has to look through all of it. Judges nothing.

use crate::trace::{self, TraceIndex};
use shakedown_model::{
    evidence::{LogRecord, Request, VariantEvidence},
    time::{UnixNanos, Window},
};

/// Requests with one name, in order of `due`.
type Named<'a> = Vec<(&'a str, Vec<&'a Request>)>;

/// What one variant left behind, in order of time.
#[derive(Default)]
pub(crate) struct Index<'a> {
    pub(crate) traces: TraceIndex<'a>,
    scenarios: Named<'a>,
    logs: Vec<&'a LogRecord>,
}

impl<'a> Index<'a> {
    pub(crate) fn of(evidence: &'a VariantEvidence) -> Index<'a> {
        let mut scenarios = by_name(evidence.requests.iter(), |request| &request.scenario);
        for (_, requests) in &mut scenarios {
            requests.sort_by_key(|request| request.due);
        }
        let mut logs: Vec<&LogRecord> = evidence.logs.iter().collect();
        logs.sort_by_key(|line| line.at);
        Index { traces: trace::index(&evidence.spans), scenarios, logs }
    }

    /// Requests of a scenario that were due in `window`.
    pub(crate) fn requests(&self, scenario: &str, window: Window) -> &[&'a Request] {
        let all = self.scenarios.iter().find(|(name, _)| *name == scenario).map_or(&[][..], |(_, requests)| requests);
        between(all, window, |request| request.due)
    }

    /// Log lines of `window`.
    pub(crate) fn logs(&self, window: Window) -> &[&'a LogRecord] {
        between(&self.logs, window, |line| line.at)
    }
}

/// Sorts requests by a name, in order of first appearance. There are few names, and neighbours often share one.
pub(crate) fn by_name<'a>(requests: impl Iterator<Item = &'a Request>, name: impl Fn(&'a Request) -> &'a str) -> Named<'a> {
    let mut named: Named<'a> = Vec::new();
    for request in requests {
        let name = name(request);
        match named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, requests)) => requests.push(request),
            None => named.push((name, vec![request])),
        }
    }
    named
}

/// The part of a list in order of time that lies inside `window`.
pub(crate) fn between<T>(sorted: &[T], window: Window, at: impl Fn(&T) -> UnixNanos) -> &[T] {
    let start = sorted.partition_point(|item| at(item) < window.start);
    let end = sorted.partition_point(|item| at(item) < window.end);
    &sorted[start..end.max(start)]
}
