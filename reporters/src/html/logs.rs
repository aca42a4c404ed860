//! Log lines of a scenario: those that say the same but for numbers and ids are shown a few times and counted.

use super::waterfall::{self, TraceView};
use crate::{
    plain::{one_line, plain},
    words,
};
use serde::Serialize;
use shakedown_model::{
    result::{LogExhibit, ScenarioResult},
    time::UnixNanos,
};
use std::collections::HashMap;

/// Lines of one pattern that are shown.
const EXAMPLES: usize = 3;
/// Lines that are shown in all.
const LINES: usize = 80;

#[derive(Debug, Serialize)]
pub(super) struct LogView {
    offset: String,
    /// In seconds.
    at: String,
    service: String,
    severity: String,
    level: &'static str,
    body: String,
    forbidden: bool,
    trace: Option<String>,
    href: Option<String>,
    /// Later lines of the same pattern that are not shown, and when the last of them came.
    more: Option<(String, String)>,
}

/// The lines shown, in order of time, and how many of the exhibits' are not and are counted nowhere else.
pub(super) fn logs(scenario: &ScenarioResult, origin: UnixNanos, traces: &[TraceView]) -> (Vec<LogView>, u64) {
    let lines = &scenario.exhibits.logs;
    let mut patterns: HashMap<(&str, String), Vec<&LogExhibit>> = HashMap::new();
    let mut shown: Vec<((&str, String), &LogExhibit)> = Vec::new();
    let mut left_out = 0;
    for line in lines {
        let key = (line.service.as_str(), pattern(&line.body));
        let alike = patterns.entry(key.clone()).or_default();
        alike.push(line);
        let has_waterfall = line.trace_id.as_deref().is_some_and(|id| waterfall::link(traces, id).is_some());
        if alike.len() <= EXAMPLES || (has_waterfall && shown.len() < LINES) {
            if shown.len() < LINES { shown.push((key, line)) } else { left_out += 1 }
        }
    }
    let views = shown.iter().enumerate().map(|(index, (key, line))| {
        let mut view = log_view(line, origin, traces);
        let is_last = !shown[index + 1..].iter().any(|(other, _)| other == key);
        if let Some(alike) = patterns.get(key).filter(|_| is_last) {
            let count = shown.iter().filter(|(other, _)| other == key).count();
            view.more = (alike.len() > count)
                .then(|| alike.last())
                .flatten()
                .map(|last| (words::count((alike.len() - count) as u64), words::offset(last.at, origin)));
        }
        view
    });
    (views.collect(), left_out)
}

/// A line with every word that holds a digit masked: ids, times, counts and addresses.
fn pattern(body: &str) -> String {
    let mut pattern = String::with_capacity(body.len());
    for piece in body.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        pattern.push_str(if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
        pattern.push_str(&piece[word.len()..]);
    }
    pattern
}

fn log_view(log: &LogExhibit, origin: UnixNanos, traces: &[TraceView]) -> LogView {
    let severity = one_line(log.severity.as_deref().unwrap_or_default(), 12).to_uppercase();
    let level = match severity.as_str() {
        "ERROR" | "ERR" | "FATAL" | "CRITICAL" | "PANIC" | "ALERT" | "EMERG" => "fail",
        "WARN" | "WARNING" => "inconclusive",
        _ => "none",
    };
    let trace = log.trace_id.as_deref().map(|id| one_line(id, 64));
    LogView {
        offset: words::offset(log.at, origin),
        at: format!("{:.2}", log.at.seconds_from(origin)),
        service: one_line(&log.service, 80),
        level,
        severity,
        body: plain(&log.body),
        forbidden: log.why == "forbidden",
        href: trace.as_deref().and_then(|id| waterfall::link(traces, id)),
        trace: trace.map(|id| id.chars().take(8).collect()),
        more: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_in_ids_and_numbers_have_one_pattern() {
        let a = pattern("order 09fd293ae1601b0c failed after 12 ms, é 1");
        assert_eq!(a, pattern("order 498bc888acf3427e failed after 3 ms, é 22"));
        assert_eq!(a, "order # failed after # ms, é #");
        assert_ne!(a, pattern("order 498bc888acf3427e paid after 3 ms, é 22"));
        assert_eq!(pattern(""), "");
    }
}
