//! Spans as Zipkin's version 2 writes them (<https://zipkin.io/zipkin-api/>): a list of spans, or of traces.
//!
//! Zipkin lets client and server share one span id; here each has its own, or the call would be one span that is two.

use super::{
    otel,
    outline::Outline,
    sink::{Sink, Unread},
};
use indexmap::IndexMap;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span, Status, span::Event},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ZipkinSpan {
    trace_id: String,
    id: String,
    parent_id: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    timestamp: Value,
    duration: Value,
    local_endpoint: Option<Endpoint>,
    remote_endpoint: Option<Endpoint>,
    tags: Option<Map<String, Value>>,
    annotations: Option<Vec<Annotation>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Endpoint {
    service_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Annotation {
    timestamp: Value,
    value: Value,
}

/// Trace and span.
type Ids = (Vec<u8>, Vec<u8>);

/// Whether a document with this outline is one of these.
pub(super) fn is_it(outline: &Outline) -> bool {
    match outline {
        Outline::List(Some(first)) => is_it(first),
        outline => outline.has("traceId") && outline.has("id"),
    }
}

/// One JSON document: a span, spans, or traces.
pub(super) fn read(json: &[u8], sink: &mut Sink) -> Result<(), Unread> {
    let mut spans = Vec::new();
    collect(serde_json::from_slice(json)?, &mut spans, sink);
    write(spans, sink)
}

fn collect(value: Value, spans: &mut Vec<ZipkinSpan>, sink: &Sink) {
    match value {
        Value::Array(values) => values.into_iter().for_each(|value| collect(value, spans, sink)),
        value => match serde_json::from_value(value) {
            Ok(span) => spans.push(span),
            Err(_) => sink.lost("spans that cannot be read", 1),
        },
    }
}

fn write(spans: Vec<ZipkinSpan>, sink: &mut Sink) -> Result<(), Unread> {
    let mut converted: Vec<(String, Span)> = spans.into_iter().map(span_of).collect();
    sink.lost("shared spans of client and server (split)", split(&mut converted));
    // A trace a line.
    let mut traces: IndexMap<Vec<u8>, IndexMap<String, Vec<Span>>> = IndexMap::new();
    for (service, span) in converted {
        traces.entry(span.trace_id.clone()).or_default().entry(service).or_default().push(span);
    }
    for services in traces.into_values() {
        let resource_spans =
            services.into_iter().map(|(service, spans)| otel::spans(otel::resource(&service, Vec::new()), spans)).collect();
        sink.traces(ExportTraceServiceRequest { resource_spans })?;
    }
    Ok(())
}

/// With its service.
fn span_of(span: ZipkinSpan) -> (String, Span) {
    let service = span.local_endpoint.and_then(|endpoint| endpoint.service_name).unwrap_or_default();
    let tags = span.tags.unwrap_or_default();
    let failed = tags.get("error").is_some_and(|error| error.as_str() != Some("false") && error.as_bool() != Some(false));
    let annotations = span.annotations.unwrap_or_default();
    let events: Vec<Event> = annotations.iter().map(event).collect();
    let mut attributes: Vec<_> = tags.iter().map(|(key, value)| otel::plain(key, value)).collect();
    let remote = span.remote_endpoint.and_then(|endpoint| endpoint.service_name).filter(|name| !name.is_empty());
    attributes.extend(remote.map(|name| otel::text("peer.service", &name)));
    // The server's half of a shared span may have no time of its own: what was noted in it has.
    let noted = events.iter().map(|event| event.time_unix_nano).filter(|time| *time > 0);
    let start = Some(otel::nanos(&span.timestamp)).filter(|start| *start > 0).or_else(|| noted.clone().min()).unwrap_or(0);
    let end = if span.duration.is_null() { noted.max().unwrap_or(start).max(start) } else { otel::end(start, &span.duration) };
    let kind = span.kind.as_deref().map_or(0, otel::kind);
    let span = Span {
        trace_id: otel::id::<16>(&span.trace_id),
        span_id: otel::id::<8>(&span.id),
        parent_span_id: span.parent_id.as_deref().map_or_else(Vec::new, otel::id::<8>),
        name: span.name.unwrap_or_default(),
        kind,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes,
        events,
        status: failed.then(|| Status { code: otel::ERROR, ..Status::default() }),
        ..Span::default()
    };
    (service, span)
}

fn event(annotation: &Annotation) -> Event {
    let name = annotation.value.as_str().unwrap_or_default().to_owned();
    Event { time_unix_nano: otel::nanos(&annotation.timestamp), name, ..Event::default() }
}

/// Gives the server's half of each shared span an id of its own below the client's; what the server did lies below that. Answers how many.
fn split(spans: &mut [(String, Span)]) -> u64 {
    let ids = |span: &Span| (span.trace_id.clone(), span.span_id.clone());
    let clients: HashMap<Ids, String> =
        spans.iter().filter(|(_, span)| span.kind == otel::kind("client")).map(|(service, span)| (ids(span), service.clone())).collect();
    let mut servers: HashMap<Ids, Vec<u8>> = HashMap::new();
    for (_, span) in spans.iter_mut() {
        if span.kind == otel::kind("server") && clients.contains_key(&ids(span)) {
            let shared = ids(span);
            let own: Vec<u8> = shared.1.iter().map(|byte| !byte).collect();
            span.parent_span_id = std::mem::replace(&mut span.span_id, own.clone());
            servers.insert(shared, own);
        }
    }
    for (service, span) in spans.iter_mut() {
        let parent = (span.trace_id.clone(), span.parent_span_id.clone());
        let is_server = servers.get(&parent).is_some_and(|own| *own == span.span_id);
        let is_of_client = clients.get(&parent) == Some(service);
        if let Some(own) = servers.get(&parent).filter(|_| !is_server && !is_of_client) {
            span.parent_span_id.clone_from(own);
        }
    }
    servers.len() as u64
}
