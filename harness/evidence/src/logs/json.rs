//! Trace, span and severity in a line of JSON: the fields of the usual loggers, at the top or one level down.

use super::{line::Found, severity::Severity};
use serde_json::{Map, Value};
use shakedown_model::ids::{SpanId, TraceId};
use std::borrow::Cow;

/// Objects in which loggers put what they know of the context.
const INSIDE: [&str; 8] = ["fields", "span", "attributes", "context", "mdc", "contextMap", "extra", "resource"];
const TRACE: [&str; 8] = ["trace_id", "traceId", "traceID", "TraceID", "TraceId", "trace.id", "otelTraceID", "@tr"];
const SPAN: [&str; 9] =
    ["span_id", "spanId", "spanID", "SpanID", "SpanId", "span.id", "otelSpanID", "@sp", "logging.googleapis.com/spanId"];
const SEVERITY: [&str; 10] =
    ["level", "severity", "lvl", "log.level", "levelname", "loglevel", "severity_text", "severityText", "@l", "priority"];

/// `None` where the line is no JSON object.
pub(super) fn find(line: &str) -> Option<Found> {
    let Ok(Value::Object(top)) = serde_json::from_str(line) else { return None };
    let inside = INSIDE.iter().filter_map(|name| top.get(*name)?.as_object());
    let mut found = Found::default();
    for object in std::iter::once(&top).chain(inside) {
        found.trace = found.trace.or_else(|| trace(object));
        found.span = found.span.or_else(|| span(object));
        found.severity = found.severity.or_else(|| severity(object));
    }
    Some(found)
}

fn trace(object: &Map<String, Value>) -> Option<TraceId> {
    let plain = || TRACE.iter().find_map(|name| TraceId::from_hex(&text(object.get(*name)?)?));
    let elastic = || TraceId::from_hex(&text(inner(object, "trace", "id")?)?);
    let datadog = || decimal_or_hex(&text(object.get("dd.trace_id").or_else(|| inner(object, "dd", "trace_id"))?)?);
    let google = || TraceId::from_hex(text(object.get("logging.googleapis.com/trace")?)?.rsplit('/').next()?);
    let parent = || TraceId::from_hex(text(object.get("traceparent")?)?.split('-').nth(1)?);
    plain().or_else(elastic).or_else(datadog).or_else(google).or_else(parent)
}

fn span(object: &Map<String, Value>) -> Option<SpanId> {
    let plain = || SPAN.iter().find_map(|name| SpanId::from_hex(&text(object.get(*name)?)?));
    let elastic = || SpanId::from_hex(&text(inner(object, "span", "id")?)?);
    let datadog = || decimal(&text(object.get("dd.span_id").or_else(|| inner(object, "dd", "span_id"))?)?);
    let parent = || SpanId::from_hex(text(object.get("traceparent")?)?.split('-').nth(2)?);
    plain().or_else(elastic).or_else(datadog).or_else(parent)
}

fn severity(object: &Map<String, Value>) -> Option<Severity> {
    let elastic = || Severity::from_word(&text(inner(object, "log", "level")?)?);
    let plain = SEVERITY.iter().find_map(|name| match object.get(*name)? {
        Value::Number(number) => Severity::from_level(number.as_u64()?),
        value => Severity::from_word(&text(value)?),
    });
    plain.or_else(elastic)
}

fn inner<'a>(object: &'a Map<String, Value>, outer: &str, name: &str) -> Option<&'a Value> {
    object.get(outer)?.as_object()?.get(name)
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// Datadog writes the low 64 bits in decimal, or all 128 in hex.
pub(super) fn decimal_or_hex(text: &str) -> Option<TraceId> {
    if text.len() == 32 {
        return TraceId::from_hex(text);
    }
    let mut id = [0; 16];
    id[8..].copy_from_slice(decimal(text)?.bytes());
    TraceId::of(&id)
}

fn decimal(text: &str) -> Option<SpanId> {
    text.parse::<u64>().ok().and_then(|number| SpanId::of(&number.to_be_bytes()))
}
