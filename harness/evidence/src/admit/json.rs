//! Spans out of OTLP JSON, borrowed from the text, without messages in between.
//!
//! `None` wherever something is not as the specification has it: the derived reader reads it then, and says what is wrong.

use super::line::{Line, Parts, Scalar, Writer};
use crate::read::{Borrowed, Value, integer};
use opentelemetry_proto::tonic::{
    common::v1::InstrumentationScope,
    resource::v1::Resource,
    trace::v1::{
        Status,
        span::{Event, Link},
    },
};
use serde::Deserialize;

/// An `ExportTraceServiceRequest`, whose parts were counted before.
pub(crate) fn traces(json: &[u8]) -> Option<Line> {
    let request: Request = serde_json::from_slice(json).ok()?;
    let mut writer = Writer::new(json.len() + json.len() / 8);
    for group in request.resource_spans {
        writer.resource(group.resource, group.schema_url, |writer| {
            group.scope_spans.into_iter().try_fold(false, |any, group| Some(any | scope_spans(group, writer)?))
        })?;
    }
    Some(writer.close())
}

fn scope_spans(group: ScopeSpans<'_>, writer: &mut Writer) -> Option<bool> {
    writer
        .scope(group.scope, group.schema_url, |writer| group.spans.into_iter().try_fold(false, |any, span| Some(any | span.write(writer)?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Option<Resource>,
    #[serde(borrow, default)]
    scope_spans: Vec<ScopeSpans<'a>>,
    #[serde(default)]
    schema_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeSpans<'a> {
    scope: Option<InstrumentationScope>,
    #[serde(borrow, default)]
    spans: Vec<Span<'a>>,
    #[serde(default)]
    schema_url: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Span<'a> {
    #[serde(borrow)]
    trace_id: Borrowed<'a>,
    #[serde(borrow)]
    span_id: Borrowed<'a>,
    #[serde(borrow)]
    trace_state: Borrowed<'a>,
    #[serde(borrow)]
    parent_span_id: Borrowed<'a>,
    flags: u32,
    #[serde(borrow)]
    name: Borrowed<'a>,
    kind: i32,
    #[serde(deserialize_with = "integer")]
    start_time_unix_nano: u64,
    #[serde(deserialize_with = "integer")]
    end_time_unix_nano: u64,
    #[serde(borrow)]
    attributes: Vec<Pair<'a>>,
    dropped_attributes_count: u32,
    events: Vec<Event>,
    dropped_events_count: u32,
    links: Vec<Link>,
    dropped_links_count: u32,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow)]
    key: Borrowed<'a>,
    #[serde(borrow)]
    value: Option<Value<'a>>,
}

impl Span<'_> {
    fn write(self, writer: &mut Writer) -> Option<bool> {
        let (trace, span, parent) = (Bytes::of(&self.trace_id)?, Bytes::of(&self.span_id)?, Bytes::of(&self.parent_span_id)?);
        let parts = Parts {
            trace_id: trace.get(),
            span_id: span.get(),
            parent_span_id: parent.get(),
            trace_state: self.trace_state.as_str(),
            flags: self.flags,
            name: self.name.as_str(),
            kind: self.kind,
            start: self.start_time_unix_nano,
            end: self.end_time_unix_nano,
            dropped: [self.dropped_attributes_count, self.dropped_events_count, self.dropped_links_count],
            events: self.events,
            links: self.links,
            status: self.status,
        };
        writer.span(parts, self.attributes.iter().map(|pair| Some((pair.key.as_str(), scalar(pair.value.as_ref())))))
    }
}

fn scalar<'a>(value: Option<&'a Value<'_>>) -> Scalar<'a> {
    match value {
        None => Scalar::Absent,
        Some(Value::Empty) => Scalar::Empty,
        Some(Value::Text(text)) => Scalar::Text(text.as_str()),
        Some(Value::Bool(value)) => Scalar::Bool(*value),
        Some(Value::Int(number)) => Scalar::Int(*number),
        Some(Value::Double(number)) => Scalar::Double(*number),
        Some(Value::Other(value)) => Scalar::Other(value.clone()),
    }
}

/// An id out of hex of any length up to that of a trace's; a longer one goes the long way.
struct Bytes {
    bytes: [u8; 16],
    length: usize,
}

impl Bytes {
    fn of(hex: &Borrowed<'_>) -> Option<Bytes> {
        let digits = hex.as_str().as_bytes();
        if digits.len() > 32 || digits.len() % 2 == 1 {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(Bytes { bytes, length: digits.len() / 2 })
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
