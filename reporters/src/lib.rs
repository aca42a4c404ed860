//! How a result is said: JUnit for CI, HTML for people, Markdown for summaries, JSON for machines, a table for the terminal.
//!
//! Pure functions of [`RunResult`]: no clock, no disk, no network. This room knows how to say a verdict; it must not know how the verdict
//! was reached. Whatever came from a service (names, log lines, span attributes) is hostile, and is made harmless at the edge of each format.

mod annotations;
mod console;
mod diff;
mod digest;
mod html;
mod json;
mod junit;
mod markdown;
mod metrics;
mod outputs;
mod plain;
mod release;
mod trace;
mod words;

pub use annotations::annotations;
pub use console::Console;
pub use diff::{DIFF_SCHEMA, RunDiff, Step};
pub use html::{Html, HtmlFiles, HtmlLayout, html_files};
pub use json::Json;
pub use junit::{Flavour, Junit};
pub use markdown::{Comment, Markdown};
pub use metrics::Metrics;
pub use outputs::Outputs;
pub use plain::plain;
pub use release::{release_html, release_markdown, release_text};
pub use trace::{Trace, TraceParent};

use shakedown_model::result::RunResult;
use std::io;

/// One way to print a result.
pub trait Reporter {
    /// The name under which the run directory keeps what [`Reporter::render`] writes.
    fn file_name(&self) -> &'static str;

    /// Prints `result` to `out`; the same bytes for the same result.
    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError>;
}

/// Why a report could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The place it goes to refused it.
    #[error("cannot write the report; check that its folder exists and has space left")]
    Write(#[from] io::Error),
    /// `result.json` could not be made.
    #[error("cannot write the result as json; this is a bug in shakedown, please report it with the run directory")]
    Json(#[from] serde_json::Error),
    /// A template of ours is wrong.
    #[error("cannot fill the report's template; this is a bug in shakedown, please report it with the run directory")]
    Template(#[from] minijinja::Error),
    /// The XML that we wrote ourselves could not be read back.
    #[error("cannot complete the junit file: {0}; this is a bug in shakedown, please report it with the run directory")]
    Junit(String),
}
