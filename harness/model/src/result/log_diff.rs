//! What services wrote under the fault and did not elsewhere, or no longer, by template of their log lines.

use crate::time::UnixNanos;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Log lines of the candidate under the fault beside those of a reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogDiff {
    /// `the baseline` under the same fault, or `its own steady phase`.
    pub against: String,
    /// Requests of the candidate meanwhile, to which its counts belong.
    pub requests: u64,
    /// Requests of the reference.
    pub reference_requests: u64,
    /// Templates by service and severity that both wrote together.
    pub templates: u64,
    /// Templates that changed and are not shown.
    pub left_out: u64,
    /// Lines for whose template there was no room.
    pub unsorted: u64,
    /// What is new or more frequent, then what is lost or less frequent; of each errors first, then what can least be chance.
    pub patterns: Vec<LogPattern>,
}

/// Lines of one service, one severity and one template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogPattern {
    /// What became of it.
    pub change: PatternChange,
    /// Service.
    pub service: String,
    /// Severity of the line that is shown.
    pub severity: Option<String>,
    /// Its first line, with `<*>` for what is not the same in all of them; bounded, control characters escaped.
    pub template: String,
    /// Lines of the candidate under the fault.
    pub lines: u64,
    /// Lines of the reference.
    pub reference: u64,
    /// Lines of the candidate before the fault.
    pub before: u64,
    /// When it was first written: by the candidate, or by the reference where that alone wrote it, or more of it.
    pub first_seen: Option<UnixNanos>,
    /// One of these lines, one with a trace where there is one; bounded, control characters escaped.
    pub example: String,
    /// Trace of that line.
    pub trace_id: Option<String>,
}

/// What became of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PatternChange {
    /// The reference did not write it.
    New,
    /// The reference wrote it less often.
    More,
    /// The reference wrote it and the candidate did not.
    Lost,
    /// The reference wrote it more often.
    Fewer,
}

impl PatternChange {
    /// Whether there is more of it.
    pub fn is_growth(self) -> bool {
        matches!(self, PatternChange::New | PatternChange::More)
    }
}
