//! What services wrote under the fault and did not elsewhere, or no longer.

use super::waterfall::{self, TraceView};
use crate::{
    plain::{one_line, plain},
    words,
};
use serde::Serialize;
use shakedown_model::{
    result::{LogDiff, LogPattern, PatternChange},
    time::UnixNanos,
};

#[derive(Debug, Serialize)]
pub(super) struct PatternsView {
    against: String,
    rows: Vec<RowView>,
    /// How much there is beside what is shown.
    rest: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RowView {
    change: &'static str,
    sign: &'static str,
    service: String,
    severity: String,
    template: String,
    example: String,
    lines: String,
    reference: String,
    before: String,
    first_seen: Option<String>,
    trace: Option<String>,
    href: Option<String>,
}

impl PatternsView {
    /// `None` where nothing was compared.
    pub(super) fn of(diff: Option<&LogDiff>, origin: UnixNanos, traces: &[TraceView]) -> Option<PatternsView> {
        let diff = diff?;
        let mut rest = vec![format!("{} patterns in all", words::count(diff.templates))];
        if diff.left_out > 0 {
            rest.push(format!("{} more that changed are not shown", words::count(diff.left_out)));
        }
        if diff.unsorted > 0 {
            rest.push(format!("{} lines had no room for a pattern", words::count(diff.unsorted)));
        }
        Some(PatternsView {
            against: one_line(&diff.against, 60),
            rows: diff.patterns.iter().map(|pattern| row(pattern, origin, traces)).collect(),
            rest,
        })
    }
}

fn row(pattern: &LogPattern, origin: UnixNanos, traces: &[TraceView]) -> RowView {
    let (change, sign) = match pattern.change {
        PatternChange::New => ("new", "+"),
        PatternChange::More => ("more", "↑"),
        PatternChange::Lost => ("lost", "−"),
        PatternChange::Fewer => ("fewer", "↓"),
    };
    RowView {
        change,
        sign,
        service: one_line(&pattern.service, 80),
        severity: one_line(pattern.severity.as_deref().unwrap_or_default(), 12).to_uppercase(),
        template: plain(&pattern.template),
        example: plain(&pattern.example),
        lines: words::count(pattern.lines),
        reference: words::count(pattern.reference),
        before: words::count(pattern.before),
        first_seen: pattern.first_seen.map(|at| words::offset(at, origin)),
        trace: pattern.trace_id.as_deref().map(|id| one_line(id, 64).chars().take(8).collect()),
        href: pattern.trace_id.as_deref().and_then(|id| waterfall::link(traces, id)),
    }
}
