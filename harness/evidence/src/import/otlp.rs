//! OTLP JSON as files and query APIs write it (OTLP 1.x; Tempo's `batches`, Jaeger's `result`), and OTLP protobuf of files.
//!
//! What keeps to the specification is read at once. What does not is read again leniently, item by item: names in snake_case, enums by
//! name, ids in base64, an item that is broken among good ones. That is said as a loss, since whoever wrote it should know.

use super::{
    outline::Outline,
    sink::{Sink, Unread},
};
use crate::{
    admit::Signal,
    otlp::{LOGS, METRICS, PARTS, Shape, TRACES, objection},
};
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    logs::v1::{LogRecord, ResourceLogs},
    metrics::v1::{Metric, ResourceMetrics},
    trace::v1::{ResourceSpans, Span},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use shakedown_model::{ids::hex, time::UnixNanos};

/// Objects in which query APIs wrap the request.
const WRAPPINGS: [&str; 3] = ["result", "trace", "data"];
/// Other names of the groups, as they are or were written.
const RENAMED: [(&str, &str); 5] = [
    ("batches", "resourceSpans"),
    ("instrumentationLibrarySpans", "scopeSpans"),
    ("instrumentationLibraryLogs", "scopeLogs"),
    ("instrumentationLibraryMetrics", "scopeMetrics"),
    ("instrumentationLibrary", "scope"),
];
/// Where the items of a signal lie, and what one that is left out is counted as.
struct Layout {
    group: &'static str,
    scope: &'static str,
    items: &'static str,
    unreadable: &'static str,
    is_readable: fn(&Value) -> bool,
}

const LAYOUTS: [Layout; 3] = [
    Layout {
        group: "resourceSpans",
        scope: "scopeSpans",
        items: "spans",
        unreadable: "spans that cannot be read",
        is_readable: is::<Span>,
    },
    Layout {
        group: "resourceLogs",
        scope: "scopeLogs",
        items: "logRecords",
        unreadable: "log records that cannot be read",
        is_readable: is::<LogRecord>,
    },
    Layout {
        group: "resourceMetrics",
        scope: "scopeMetrics",
        items: "metrics",
        unreadable: "metrics that cannot be read",
        is_readable: is::<Metric>,
    },
];

/// Whatever of the three signals a document holds.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Requests {
    resource_spans: Vec<ResourceSpans>,
    resource_logs: Vec<ResourceLogs>,
    resource_metrics: Vec<ResourceMetrics>,
}

impl Requests {
    fn is_empty(&self) -> bool {
        self.resource_spans.is_empty() && self.resource_logs.is_empty() && self.resource_metrics.is_empty()
    }
}

/// Whether a document with this outline is one of these.
pub(super) fn is_it(outline: &Outline) -> bool {
    let keys = ["resourceSpans", "resourceLogs", "resourceMetrics", "resource_spans", "resource_logs", "resource_metrics", "batches"];
    match outline {
        Outline::List(Some(first)) => is_it(first),
        outline => keys.iter().chain(&["result", "trace"]).any(|key| outline.has(key)),
    }
}

/// One JSON document.
pub(super) fn read(json: &[u8], sink: &mut Sink) -> Result<(), Unread> {
    if let Ok(requests) = serde_json::from_slice::<Requests>(json)
        && !requests.is_empty()
    {
        return write(requests, sink);
    }
    leniently(serde_json::from_slice(json)?, sink)
}

fn write(requests: Requests, sink: &mut Sink) -> Result<(), Unread> {
    let Requests { resource_spans, resource_logs, resource_metrics } = requests;
    if !resource_spans.is_empty() {
        sink.traces(ExportTraceServiceRequest { resource_spans })?;
    }
    if !resource_logs.is_empty() {
        sink.logs(ExportLogsServiceRequest { resource_logs })?;
    }
    if !resource_metrics.is_empty() {
        sink.metrics(ExportMetricsServiceRequest { resource_metrics })?;
    }
    Ok(())
}

fn leniently(document: Value, sink: &mut Sink) -> Result<(), Unread> {
    let mut object = match document {
        Value::Array(documents) => return documents.into_iter().try_for_each(|document| leniently(document, sink)),
        Value::Object(object) => object,
        _ => return Err(Unread::Document("it is no object".to_owned())),
    };
    for wrapping in WRAPPINGS {
        if let Some(inner) = object.remove(wrapping) {
            return leniently(inner, sink);
        }
    }
    let mut tidied = Tidied::default();
    let mut document = tidied.object(object);
    sink.lost("documents with field names in snake_case, which OTLP JSON does not have (read all the same)", u64::from(tidied.snake_case));
    for layout in &LAYOUTS {
        sink.lost(layout.unreadable, drop_unreadable(&mut document, layout));
    }
    let requests: Requests = serde_json::from_value(document)?;
    if requests.is_empty() {
        return Err(Unread::Document("it holds no spans, logs or metrics".to_owned()));
    }
    write(requests, sink)
}

fn is<T: DeserializeOwned>(item: &Value) -> bool {
    T::deserialize(item).is_ok()
}

/// Takes out what would make the rest unreadable; answers how many.
fn drop_unreadable(document: &mut Value, layout: &Layout) -> u64 {
    let mut dropped = 0;
    let groups = document.get_mut(layout.group).and_then(Value::as_array_mut);
    let scopes = groups.into_iter().flatten().filter_map(|group| group.get_mut(layout.scope)?.as_array_mut()).flatten();
    for items in scopes.filter_map(|scope| scope.get_mut(layout.items)?.as_array_mut()) {
        let before = items.len();
        items.retain(layout.is_readable);
        dropped += (before - items.len()) as u64;
    }
    dropped
}

/// A document on its way to the form of the specification. Its depth is that which the JSON reader allows.
#[derive(Default)]
struct Tidied {
    snake_case: bool,
}

impl Tidied {
    fn value(&mut self, key: &str, value: Value) -> Value {
        match value {
            Value::Object(object) => self.object(object),
            Value::Array(list) => list.into_iter().map(|element| self.value(key, element)).collect(),
            Value::String(text) if matches!(key, "traceId" | "spanId" | "parentSpanId") => id(text).into(),
            Value::String(text) if matches!(key, "kind" | "code" | "severityNumber" | "aggregationTemporality") => number_of(&text),
            other => other,
        }
    }

    fn object(&mut self, object: Map<String, Value>) -> Value {
        let mut tidy = Map::new();
        // Protobuf's JSON takes null for a field that is not there.
        for (key, value) in object.into_iter().filter(|(_, value)| !value.is_null()) {
            let key = self.key(&key);
            let value = self.value(&key, value);
            tidy.insert(key, value);
        }
        Value::Object(tidy)
    }

    /// Keys are names of fields only: names of attributes are values.
    fn key(&mut self, key: &str) -> String {
        let mut words = key.split('_').filter(|word| !word.is_empty());
        let mut camel = words.next().unwrap_or_default().to_owned();
        for word in words {
            let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            camel.push_str(&first.to_uppercase());
            camel.push_str(rest);
            self.snake_case = true;
        }
        RENAMED.iter().find(|(old, _)| *old == camel).map_or(camel, |(_, new)| (*new).to_owned())
    }
}

/// Hex as it is; base64, as Protobuf's own JSON writes bytes, as hex.
fn id(text: String) -> String {
    let is_hex = matches!(text.len(), 0 | 16 | 32) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { text } else { base64(&text).map_or(text, |bytes| hex(&bytes)) }
}

/// 8 or 16 bytes out of base64 (RFC 4648), with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::with_capacity(16));
    if !matches!(digits.len(), 11 | 22) {
        return None;
    }
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

/// The number of an enum's name; the names of OTLP's enums end in what tells them apart.
fn number_of(name: &str) -> Value {
    let number = match name {
        "SPAN_KIND_UNSPECIFIED" | "STATUS_CODE_UNSET" => 0,
        "SPAN_KIND_INTERNAL" | "STATUS_CODE_OK" | "AGGREGATION_TEMPORALITY_DELTA" => 1,
        "SPAN_KIND_SERVER" | "STATUS_CODE_ERROR" | "AGGREGATION_TEMPORALITY_CUMULATIVE" => 2,
        "SPAN_KIND_CLIENT" => 3,
        "SPAN_KIND_PRODUCER" => 4,
        "SPAN_KIND_CONSUMER" => 5,
        name => match name.strip_prefix("SEVERITY_NUMBER_").and_then(severity) {
            Some(number) => number,
            None => return name.parse::<i64>().map_or_else(|_| name.into(), Value::from),
        },
    };
    number.into()
}

/// `WARN2` is the second of four.
fn severity(word: &str) -> Option<i64> {
    let name = word.trim_end_matches(|char: char| char.is_ascii_digit());
    let step = word[name.len()..].parse::<i64>().unwrap_or(1).clamp(1, 4) - 1;
    Some(crate::logs::Severity::from_word(name)?.number().into()).map(|number: i64| number + step)
}

/// Messages of a protobuf file: the whole of it, or each behind its length in four bytes, as the collector's file exporter writes them.
pub(super) fn read_protobuf(bytes: &[u8], sink: &mut Sink) -> Result<(), Unread> {
    let mut rest = bytes;
    let mut framed = 0;
    while let Some((length, behind)) = rest.split_first_chunk::<4>()
        && let Some((message, behind)) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)
        && message_of(message, sink)?
    {
        (rest, framed) = (behind, framed + 1);
    }
    if framed > 0 {
        sink.lost("torn ends of protobuf files", u64::from(!rest.is_empty()));
        return Ok(());
    }
    if message_of(bytes, sink)? { Ok(()) } else { Err(Unread::Document("it is neither JSON nor OTLP in protobuf".to_owned())) }
}

/// A message does not say of itself what it is: it is what most of it makes sense as.
fn message_of(message: &[u8], sink: &mut Sink) -> Result<bool, Unread> {
    let traces = decoded::<ExportTraceServiceRequest>(message, &TRACES);
    let logs = decoded::<ExportLogsServiceRequest>(message, &LOGS);
    let metrics = decoded::<ExportMetricsServiceRequest>(message, &METRICS);
    let weight = |items: Option<u64>| items.unwrap_or(0);
    let counts = [weight(traces.as_ref().map(|it| it.1)), weight(metrics.as_ref().map(|it| it.1)), weight(logs.as_ref().map(|it| it.1))];
    let most = counts.into_iter().max().filter(|most| *most > 0);
    match (most, traces, metrics, logs) {
        (Some(most), Some((request, count)), _, _) if count == most => sink.traces(request)?,
        (Some(most), _, Some((request, count)), _) if count == most => sink.metrics(request)?,
        (Some(_), _, _, Some((request, _))) => sink.logs(request)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The request with the number of its items that are evidence.
fn decoded<S: Signal + Clone>(message: &[u8], shape: &'static Shape) -> Option<(S, u64)> {
    if objection(PARTS, message, shape).is_some() {
        return None;
    }
    let request = S::decode(message).ok()?;
    let kept = request.clone().admit(UnixNanos(0)).kept;
    Some((request, kept))
}
