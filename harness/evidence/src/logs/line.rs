//! What can be found in one line: trace, span and severity. Which logger wrote it is not known and not asked.

use super::{json, severity::Severity, text};
use regex::Regex;
use shakedown_model::ids::{SpanId, TraceId};
use std::{borrow::Cow, sync::LazyLock};

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) trace: Option<TraceId>,
    pub(super) span: Option<SpanId>,
    pub(super) severity: Option<Severity>,
}

/// Looks into a line: as JSON where it is an object, else as text.
pub(super) fn find(line: &str) -> Found {
    let found = line.trim_start().starts_with('{').then(|| json::find(line)).flatten();
    found.unwrap_or_else(|| text::find(line))
}

/// Terminal colours out of the line: they hide words, and have no place in a report.
pub(super) fn without_colours(line: &str) -> Cow<'_, str> {
    static COLOUR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("\x1b\\[[0-9;:]*[A-Za-z]").ok());
    match &*COLOUR {
        Some(colour) if line.contains('\x1b') => colour.replace_all(line, ""),
        _ => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn check(line: &str, trace: Option<&str>, span: Option<&str>, severity: Option<Severity>) {
        let found = find(&without_colours(line));
        assert_eq!(found.trace.map(|id| id.to_string()).as_deref(), trace, "trace of {line}");
        assert_eq!(found.span.map(|id| id.to_string()).as_deref(), span, "span of {line}");
        assert_eq!(found.severity, severity, "severity of {line}");
    }

    /// `<T>` and `<S>` stand for the ids.
    fn fill(line: &str) -> String {
        line.replace("<T>", TRACE).replace("<S>", SPAN)
    }

    #[test]
    fn the_trace_is_found_in_every_usual_field_of_a_json_line() {
        let low = "00000000000000008448eb211c80319c";
        let cases = [
            (r#"{"trace_id":"<T>","span_id":"<S>"}"#, TRACE, Some(SPAN)),
            (r#"{"traceId":"<T>","spanId":"<S>"}"#, TRACE, Some(SPAN)),
            (r#"{"traceID":"<T>","spanID":"<S>"}"#, TRACE, Some(SPAN)),
            (r#"{"TraceID":"<T>","SpanID":"<S>"}"#, TRACE, Some(SPAN)),
            (r#"{"TraceId":"<T>","SpanId":"<S>"}"#, TRACE, Some(SPAN)),
            (r#"{"trace.id":"<T>","span.id":"<S>"}"#, TRACE, Some(SPAN)),
            (r#"{"trace":{"id":"<T>"},"span":{"id":"<S>"}}"#, TRACE, Some(SPAN)),
            (r#"{"otelTraceID":"<T>","otelSpanID":"<S>"}"#, TRACE, Some(SPAN)),
            (r#"{"@tr":"<T>","@sp":"<S>"}"#, TRACE, Some(SPAN)),
            (r#"{"logging.googleapis.com/trace":"projects/p/traces/<T>","logging.googleapis.com/spanId":"<S>"}"#, TRACE, Some(SPAN)),
            (r#"{"traceparent":"00-<T>-<S>-01"}"#, TRACE, Some(SPAN)),
            (r#"{"dd.trace_id":"9532127138774266268","dd.span_id":"13235353014750950193"}"#, low, Some(SPAN)),
            (r#"{"dd.trace_id":9532127138774266268}"#, low, None),
            (r#"{"dd":{"trace_id":"9532127138774266268","span_id":"13235353014750950193"}}"#, low, Some(SPAN)),
            (r#"{"dd.trace_id":"<T>"}"#, TRACE, None),
            (r#"{"fields":{"message":"x","trace_id":"<T>"}}"#, TRACE, None),
            (r#"{"span":{"name":"x","trace_id":"<T>"}}"#, TRACE, None),
            (r#"  {"trace_id":"0AF7651916CD43DD8448EB211C80319C"}"#, TRACE, None),
        ];
        for (line, trace, span) in cases {
            check(&fill(line), Some(trace), span, None);
        }
    }

    #[test]
    fn the_trace_is_found_in_plain_text() {
        let cases = [
            ("paid trace_id=<T> span_id=<S>", Some(SPAN)),
            ("paid trace_id=\"<T>\"", None),
            ("TraceID: <T> SpanID: <S> order accepted", Some(SPAN)),
            ("[traceId: <T>, spanId: <S>] order accepted", Some(SPAN)),
            ("otelTraceID=<T> otelSpanID=<S>", Some(SPAN)),
            ("calling payment with traceparent: 00-<T>-<S>-01", Some(SPAN)),
            ("dd.trace_id=<T> paid", None),
        ];
        for (line, span) in cases {
            check(&fill(line), Some(TRACE), span, None);
        }
        check("dd.trace_id=9532127138774266268 paid", Some("00000000000000008448eb211c80319c"), None, None);
    }

    #[test]
    fn the_severity_is_found_where_loggers_put_it() {
        let cases = [
            (r#"{"level":"info"}"#, Severity::Info),
            (r#"{"severity":"WARNING"}"#, Severity::Warn),
            (r#"{"lvl":"eror"}"#, Severity::Error),
            (r#"{"level":50,"msg":"pino"}"#, Severity::Error),
            (r#"{"log":{"level":"debug"}}"#, Severity::Debug),
            (r#"{"log.level":"CRITICAL"}"#, Severity::Fatal),
            ("2026-01-01T00:00:00Z  WARN shop::orders: slow", Severity::Warn),
            ("\x1b[2m2026-01-01T00:00:00Z\x1b[0m \x1b[31mERROR\x1b[0m shop: broken", Severity::Error),
            ("time=x level=warning msg=\"an ERROR was seen\"", Severity::Warn),
            ("2026/01/01 00:00:00 [error] 7#7: upstream timed out", Severity::Error),
            ("E0101 00:00:00.000000 1 main.go:1] boom", Severity::Error),
            ("2026-01-01 00:00:00 UTC [1] LOG:  database system is ready", Severity::Info),
            ("2026-01-01 00:00:00 UTC [1] FATAL:  the database system is starting up", Severity::Fatal),
        ];
        for (line, severity) in cases {
            check(line, None, None, Some(severity));
        }
    }

    #[test]
    fn what_only_looks_like_an_id_or_a_severity_is_left_alone() {
        for line in [
            "",
            "{",
            "{\"trace_id\":null}",
            "{\"trace_id\":\"00000000000000000000000000000000\"}",
            "{\"trace_id\":\"not hex at all, but 32 chars long\"}",
            "{\"trace_id\":{\"deep\":[1]}}",
            "{\"level\":\"seven\"}",
            "{\"level\":7}",
            "trace_id=123",
            "INFORMATION is power, and errors are human",
            "\u{0}\u{fffd}\u{202e}",
        ] {
            check(line, None, None, None);
        }
        check(&"ä".repeat(60_000), None, None, None);
        check(&"{\"a\":".repeat(10_000), None, None, None);
    }
}
