//! stdout is the result, stderr is progress and errors. The only place that prints.

use crate::{
    args::{Color, Format, Global},
    failure::Failure,
};
use std::{
    borrow::Cow,
    io::{IsTerminal as _, Write as _},
};

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
    /// Whoever shows the log obeys commands in it.
    pub(crate) obeyed: bool,
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
            obeyed: set("GITHUB_ACTIONS") || set("TF_BUILD"),
        }
    }

    /// Part of the result.
    pub(crate) fn out(&self, text: &str) {
        // A closed pipe (`| head`) is the reader's wish, not an error.
        let _ = std::io::stdout().lock().write_all(self.unobeyed(text).as_bytes());
    }

    /// A JSON document as the result.
    pub(crate) fn json(&self, value: &impl serde::Serialize) {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        // Of JSON nothing may change but the way it is written: `##` stands in texts only.
        let text = if self.obeyed { text.replace("##", "\\u0023#") } else { text };
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
        let _ = std::io::stderr().lock().write_all(self.unobeyed(text).as_bytes());
    }

    /// The only text that CI shall obey.
    pub(crate) fn workflow_command(&self, line: &str) {
        let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
    }

    fn unobeyed<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.obeyed { Cow::Owned(unobeyed(text)) } else { Cow::Borrowed(text) }
    }
}

/// `text` without workflow commands: services write logs, and logs end up here. GitHub obeys `::` where a line begins, whatever space is before
/// it, and `##[` anywhere; Azure Pipelines obeys `##vso[` anywhere.
fn unobeyed(text: &str) -> String {
    let line = |line: &str| {
        let rest = line.trim_start();
        let line =
            if rest.starts_with("::") { format!("{}:\u{200b}{}", &line[..line.len() - rest.len()], &rest[1..]) } else { line.to_owned() };
        line.replace("##", "#\u{200b}#")
    };
    // A carriage return ends a line there, too.
    text.split_inclusive(['\n', '\r']).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_service_logs_is_a_workflow_command() {
        let logged = "ready\n::error::injected\n  ::add-mask::x\nsaid ##[set-env name=A;]b and ##vso[task.complete]\r::debug::x";
        let shown = unobeyed(logged);
        let lines = || shown.split(['\n', '\r']);
        assert!(lines().all(|line| !line.trim_start().starts_with("::")), "{shown:?}");
        assert!(!shown.contains("##"), "{shown:?}");
        assert_eq!(shown.replace('\u{200b}', ""), logged, "nothing else is changed");
    }

    #[test]
    fn what_is_no_command_is_left_as_it_is() {
        for text in ["a::b c\n", "std::io::Error\n", "# head\n", "{\n  \"a\": 1\n}\n", ""] {
            assert_eq!(unobeyed(text), text);
        }
    }
}
