//! Severity: the words and numbers that loggers write for it, as OTLP numbers it.

/// How bad a line says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    /// The lowest number of its range in OTLP.
    pub(crate) fn number(self) -> i32 {
        match self {
            Severity::Trace => 1,
            Severity::Debug => 5,
            Severity::Info => 9,
            Severity::Warn => 13,
            Severity::Error => 17,
            Severity::Fatal => 21,
        }
    }

    /// Out of OTLP's number.
    pub(crate) fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            1..=4 => Severity::Trace,
            5..=8 => Severity::Debug,
            9..=12 => Severity::Info,
            13..=16 => Severity::Warn,
            17..=20 => Severity::Error,
            21..=24 => Severity::Fatal,
            _ => return None,
        })
    }

    /// Upper-case.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Severity::Trace => "TRACE",
            Severity::Debug => "DEBUG",
            Severity::Info => "INFO",
            Severity::Warn => "WARN",
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        }
    }

    /// Out of a word of any case.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "trace" | "trc" | "verbose" | "finest" | "finer" => Severity::Trace,
            "debug" | "dbg" | "debg" | "fine" => Severity::Debug,
            "info" | "inf" | "information" | "informational" | "notice" | "log" => Severity::Info,
            "warn" | "wrn" | "warning" => Severity::Warn,
            "error" | "err" | "eror" | "severe" => Severity::Error,
            "fatal" | "ftl" | "critical" | "crit" | "alert" | "emergency" | "emerg" | "panic" => Severity::Fatal,
            _ => return None,
        })
    }

    /// Out of the numbers of pino and bunyan, which are tens.
    pub(crate) fn from_level(level: u64) -> Option<Self> {
        Some(match level {
            10 => Severity::Trace,
            20 => Severity::Debug,
            30 => Severity::Info,
            40 => Severity::Warn,
            50 => Severity::Error,
            60 => Severity::Fatal,
            _ => return None,
        })
    }
}
