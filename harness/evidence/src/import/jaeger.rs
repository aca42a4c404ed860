//! Traces as Jaeger's user interface saves them and its query API answers (`/api/traces`): spans with microseconds and tags.
//!
//! The format is Jaeger's internal one; its shape is that of the fixtures in jaegertracing/jaeger.

use super::{
    otel,
    outline::Outline,
    sink::{Sink, Unread},
};
use indexmap::IndexMap;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    resource::v1::Resource,
    trace::v1::{Span, Status, span::Event},
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    data: Vec<Value>,
}

/// A trace; ids and times of every kind are taken, so that nothing that is wrong with a span makes its trace unreadable.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Trace {
    #[serde(rename = "traceID")]
    trace_id: Value,
    spans: Vec<Value>,
    processes: IndexMap<String, Process>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Process {
    service_name: Value,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct JaegerSpan {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    #[serde(rename = "parentSpanID")]
    parent_span_id: String,
    operation_name: String,
    references: Option<Vec<Reference>>,
    start_time: Value,
    duration: Value,
    tags: Option<Vec<Tag>>,
    logs: Option<Vec<Log>>,
    #[serde(rename = "processID")]
    process_id: Value,
    /// Some exporters put it here.
    process: Option<Process>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Reference {
    ref_type: String,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tag {
    key: String,
    value: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Log {
    timestamp: Value,
    fields: Vec<Tag>,
}

/// Whether a document with this outline is one of these.
pub(super) fn is_it(outline: &Outline) -> bool {
    match outline {
        Outline::List(Some(first)) => outline_of_trace(first),
        outline => outline.has("data") || outline_of_trace(outline),
    }
}

fn outline_of_trace(outline: &Outline) -> bool {
    outline.has("spans") && (outline.has("traceID") || outline.has("processes"))
}

/// One JSON document: an answer, a trace, or a list of traces.
pub(super) fn read(json: &[u8], outline: &Outline, sink: &mut Sink) -> Result<(), Unread> {
    let traces = match outline {
        Outline::List(_) => serde_json::from_slice(json)?,
        outline if outline.has("data") => serde_json::from_slice::<Answer>(json)?.data,
        _ => vec![serde_json::from_slice(json)?],
    };
    for value in traces {
        match serde_json::from_value::<Trace>(value) {
            Ok(trace) => write(trace, sink)?,
            Err(_) => sink.lost("traces that cannot be read", 1),
        }
    }
    Ok(())
}

fn write(trace: Trace, sink: &mut Sink) -> Result<(), Unread> {
    let Trace { trace_id, spans, processes } = trace;
    let trace_id = trace_id.as_str().unwrap_or_default();
    let mut by_process: IndexMap<String, (Resource, Vec<Span>)> = IndexMap::new();
    for value in spans {
        let Ok(mut span) = serde_json::from_value::<JaegerSpan>(value) else {
            sink.lost("spans that cannot be read", 1);
            continue;
        };
        let name = span.process_id.as_str().unwrap_or_default().to_owned();
        let own = span.process.take();
        let key = own.as_ref().map_or_else(|| name.clone(), |process| format!("{name}\n{}", process.service_name));
        let process = own.as_ref().or_else(|| processes.get(&name));
        let (_, spans) = by_process.entry(key).or_insert_with(|| (process.map_or_else(Resource::default, resource), Vec::new()));
        spans.push(span_of(&span, trace_id));
    }
    if by_process.is_empty() {
        return Ok(());
    }
    let resource_spans = by_process.into_values().map(|(resource, spans)| otel::spans(resource, spans)).collect();
    Ok(sink.traces(ExportTraceServiceRequest { resource_spans })?)
}

fn resource(process: &Process) -> Resource {
    otel::resource(process.service_name.as_str().unwrap_or_default(), attributes(process.tags.as_deref()))
}

fn attributes(tags: Option<&[Tag]>) -> Vec<KeyValue> {
    tags.unwrap_or_default().iter().map(|tag| otel::plain(&tag.key, &tag.value)).collect()
}

fn span_of(span: &JaegerSpan, trace_of: &str) -> Span {
    let tags = span.tags.as_deref().unwrap_or_default();
    let tag = |key: &str| tags.iter().find(|tag| tag.key == key).map(|tag| &tag.value);
    let trace = if span.trace_id.is_empty() { trace_of } else { &span.trace_id };
    let (parent, follows) = parent(span, trace);
    let is = |value: &Value, text: &str| value.as_bool() == Some(text == "true") || value.as_str() == Some(text);
    let failed = tag("error").is_some_and(|value| is(value, "true")) || tag("otel.status_code").and_then(Value::as_str) == Some("ERROR");
    let kind = tag("span.kind").and_then(Value::as_str).map_or(0, otel::kind);
    let start = otel::nanos(&span.start_time);
    Span {
        trace_id: otel::id::<16>(trace),
        span_id: otel::id::<8>(&span.span_id),
        parent_span_id: otel::id::<8>(parent),
        name: span.operation_name.clone(),
        // What only follows is not waited for.
        kind: if follows && kind < 2 { otel::CONSUMER } else { kind },
        start_time_unix_nano: start,
        end_time_unix_nano: otel::end(start, &span.duration),
        attributes: attributes(span.tags.as_deref()),
        events: span.logs.iter().flatten().map(event).collect(),
        status: failed.then(|| Status { code: otel::ERROR, ..Status::default() }),
        ..Span::default()
    }
}

/// The parent, and whether it did not wait. Other traces have no parents for spans of this one.
fn parent<'s>(span: &'s JaegerSpan, trace: &str) -> (&'s str, bool) {
    let references = span.references.as_deref().unwrap_or_default();
    let same = |reference: &&Reference| reference.trace_id.is_empty() || reference.trace_id == trace;
    let of = |kind: &str| references.iter().filter(same).find(|reference| reference.ref_type.eq_ignore_ascii_case(kind));
    match (of("CHILD_OF"), of("FOLLOWS_FROM")) {
        (Some(parent), _) => (&parent.span_id, false),
        (None, Some(before)) if span.parent_span_id.is_empty() => (&before.span_id, true),
        _ => (&span.parent_span_id, false),
    }
}

fn event(log: &Log) -> Event {
    let name = log.fields.iter().find(|field| field.key == "event").and_then(|field| field.value.as_str()).unwrap_or("log");
    Event {
        time_unix_nano: otel::nanos(&log.timestamp),
        name: name.to_owned(),
        attributes: attributes(Some(&log.fields)),
        ..Event::default()
    }
}
