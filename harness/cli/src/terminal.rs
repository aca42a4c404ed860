//! stdout is the result, stderr is progress and errors. The only place that prints.

use crate::{
    args::{Color, Format, Global},
    failure::Failure,
};
use std::io::{IsTerminal as _, Write as _};

/// Where and how to print.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    /// Colours on stdout.
    pub(crate) color: bool,
    /// Colours on stderr.
    pub(crate) color_errors: bool,
    /// stderr is a terminal that can redraw lines.
    pub(crate) interactive: bool,
    /// No progress.
    pub(crate) quiet: bool,
    /// More detail.
    pub(crate) verbose: bool,
    /// Form of stdout.
    pub(crate) format: Format,
}

impl Terminal {
    pub(crate) fn new(global: &Global) -> Terminal {
        let wanted = |terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let stderr = std::io::stderr().is_terminal();
        Terminal {
            color: wanted(std::io::stdout().is_terminal()),
            color_errors: wanted(stderr),
            interactive: stderr && !set("CI") && std::env::var("TERM").is_ok_and(|term| term != "dumb"),
            quiet: global.quiet,
            verbose: global.verbose > 0,
            format: global.format,
        }
    }

    /// Part of the result.
    pub(crate) fn out(&self, text: &str) {
        // A closed pipe (`| head`) is the reader's wish, not an error.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }

    /// A JSON document as the result.
    pub(crate) fn json(&self, value: &impl serde::Serialize) {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.out(&format!("{text}\n"));
    }

    /// A line of progress.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet {
            self.err(&format!("{line}\n"));
        }
    }

    /// An error in one sentence, with the way out.
    pub(crate) fn error(&self, message: &str, help: Option<&str>) {
        let word = if self.color_errors { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
        self.err(&format!("{word}: {message}\n"));
        if let Some(help) = help {
            self.err(&format!("  help: {help}\n"));
        }
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        match failure {
            Failure::Config(text) => self.err(&format!("{}\n", text.trim_end())),
            Failure::Usage { message, help } => self.error(message, Some(help)),
            Failure::Environment { message, help } => self.error(message, help.as_deref()),
            Failure::Bug(message) => {
                self.error(message, Some("this is a bug in shakedown; please report it with the run directory"));
            }
        }
    }

    pub(crate) fn err(&self, text: &str) {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}
