//! Log lines worth reading: forbidden ones first, then errors and warnings, then those of the traces shown.

use crate::{checks, log_patterns::Class, text, view::View};
use regex::Regex;
use shakedown_model::{
    event::Phase,
    evidence::LogRecord,
    ids::TraceId,
    result::{LogExhibit, TraceExhibit},
    time::Window,
};

const LINES: usize = 200;
const LINE_BYTES: usize = 2048;

/// The lines shown, in order of time, and the number of those in the window that are not.
pub(super) fn lines(view: &View<'_>, traces: &[TraceExhibit]) -> (Vec<LogExhibit>, u64) {
    let Some(window) = window(view) else { return (Vec::new(), 0) };
    let forbidden = checks::offending(view.scenario);
    let shown: Vec<TraceId> = traces.iter().filter_map(|trace| TraceId::from_hex(&trace.trace_id)).collect();
    let inside = view.candidate.logs(window);
    let mut worth: Vec<(Worth, usize)> =
        inside.iter().enumerate().filter_map(|(place, line)| Some((worth(line, &forbidden, &shown)?, place))).collect();
    worth.sort_unstable();
    worth.truncate(LINES);
    worth.sort_unstable_by_key(|(_, place)| *place);
    let lines: Vec<LogExhibit> = worth.into_iter().map(|(worth, place)| exhibit(inside[place], worth)).collect();
    let left_out = (inside.len() - lines.len()) as u64;
    (lines, left_out)
}

fn window(view: &View<'_>) -> Option<Window> {
    let start = view.candidate.disturbed().or_else(|| view.candidate.phase(Phase::Fault)).or_else(|| view.candidate.whole())?.start;
    Some(Window { start, end: view.candidate.whole()?.end })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Forbidden,
    Error,
    Trace,
}

fn worth(line: &LogRecord, forbidden: &[Regex], shown: &[TraceId]) -> Option<Worth> {
    if forbidden.iter().any(|pattern| pattern.is_match(&line.body)) {
        Some(Worth::Forbidden)
    } else if Class::of(line) != Class::Other {
        Some(Worth::Error)
    } else if line.trace_id.is_some_and(|id| shown.contains(&id)) {
        Some(Worth::Trace)
    } else {
        None
    }
}

fn exhibit(line: &LogRecord, worth: Worth) -> LogExhibit {
    let why = match worth {
        Worth::Forbidden => "forbidden",
        Worth::Error => "error",
        Worth::Trace => "trace",
    };
    LogExhibit {
        at: line.at,
        service: text::clean(&line.service, 100),
        severity: line.severity.as_ref().map(|severity| text::clean(severity, 20)),
        body: text::clean(&line.body, LINE_BYTES),
        trace_id: line.trace_id.map(|id| id.to_string()),
        why: why.to_owned(),
    }
}
