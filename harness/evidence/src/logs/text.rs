//! Trace, span and severity in a line of plain text: `trace_id=…`, a `traceparent`, `level=warn`, a word in capitals near the front.

use super::{json::decimal_or_hex, line::Found, severity::Severity};
use regex::Regex;
use shakedown_model::ids::{SpanId, TraceId};
use std::sync::LazyLock;

/// Where a severity stands, if one does: behind time, host and logger.
const FRONT: usize = 120;

/// The expressions are constants; a test proves that each compiles.
struct Patterns {
    datadog: Regex,
    trace: Regex,
    span: Regex,
    parent: Regex,
    level: Regex,
    word: Regex,
    klog: Regex,
}

static PATTERNS: LazyLock<Result<Patterns, regex::Error>> = LazyLock::new(|| {
    Ok(Patterns {
        datadog: Regex::new(r#"(?i)\bdd\.trace_id["']?\s*[=:]\s*["']?([0-9a-f]{32}|[0-9]{1,20})\b"#)?,
        trace: Regex::new(r#"(?i)\b(?:otel)?trace[_.\- ]?id["']?\s*[=:]\s*["']?([0-9a-f]{32}|[0-9a-f]{16})\b"#)?,
        span: Regex::new(r#"(?i)\b(?:otel)?span[_.\- ]?id["']?\s*[=:]\s*["']?([0-9a-f]{16})\b"#)?,
        parent: Regex::new(r"\b[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\b")?,
        level: Regex::new(r#"(?i)\b(?:level|lvl|severity|loglevel)["']?\s*[=:]\s*["']?([a-z]+)"#)?,
        word: Regex::new(
            r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL|PANIC|LOG:)(?:\b|\s|$)|\[(trace|debug|info|notice|warn|error|crit|alert|emerg)\]",
        )?,
        klog: Regex::new(r"^([IWEF])[0-9]{4} ")?,
    })
});

pub(super) fn find(line: &str) -> Found {
    let Ok(patterns) = &*PATTERNS else { return Found::default() };
    let first = |pattern: &Regex, group: usize| {
        let captures = pattern.captures(line)?;
        captures.get(group).map(|found| found.as_str().to_owned())
    };
    let trace = first(&patterns.datadog, 1).and_then(|text| decimal_or_hex(&text));
    let trace =
        trace.or_else(|| TraceId::from_hex(&first(&patterns.trace, 1)?)).or_else(|| TraceId::from_hex(&first(&patterns.parent, 1)?));
    let span = first(&patterns.span, 1).and_then(|text| SpanId::from_hex(&text)).or_else(|| SpanId::from_hex(&first(&patterns.parent, 2)?));
    Found { trace, span, severity: severity(line, patterns) }
}

fn severity(line: &str, patterns: &Patterns) -> Option<Severity> {
    let front = &line[..line.floor_char_boundary(FRONT)];
    if let Some(captures) = patterns.level.captures(line)
        && let Some(severity) = Severity::from_word(&captures[1])
    {
        return Some(severity);
    }
    if let Some(captures) = patterns.klog.captures(front) {
        return match &captures[1] {
            "I" => Some(Severity::Info),
            "W" => Some(Severity::Warn),
            "E" => Some(Severity::Error),
            _ => Some(Severity::Fatal),
        };
    }
    let captures = patterns.word.captures(front)?;
    let word = captures.get(1).or_else(|| captures.get(2))?.as_str();
    Severity::from_word(word.trim_end_matches(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(PATTERNS.is_ok());
    }
}
