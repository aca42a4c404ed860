//! Small parts of OTLP messages, made by hand.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use serde_json::Value as Json;
use shakedown_model::ids::Id;

pub(super) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

/// An attribute with a value as JSON has it; what is no plain value is kept as its JSON.
pub(super) fn plain(key: &str, value: &Json) -> KeyValue {
    let value = match value {
        Json::String(text) => Value::StringValue(text.clone()),
        Json::Bool(value) => Value::BoolValue(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::IntValue(whole),
            (None, Some(number)) => Value::DoubleValue(number),
            (None, None) => Value::StringValue(number.to_string()),
        },
        other => Value::StringValue(other.to_string()),
    };
    pair(key, value)
}

/// With a service's name first, where it has one.
pub(super) fn resource(service: &str, mut attributes: Vec<KeyValue>) -> Resource {
    if !service.is_empty() {
        attributes.retain(|pair| pair.key != "service.name");
        attributes.insert(0, text("service.name", service));
    }
    Resource { attributes, ..Resource::default() }
}

/// Spans of one resource.
pub(super) fn spans(resource: Resource, spans: Vec<Span>) -> ResourceSpans {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }
}

/// Bytes of an id in hex, without leading zeros or of 64 bits where it has more; what is none stays none, and is refused where it must not be.
pub(super) fn id<const N: usize>(hex: &str) -> Vec<u8> {
    let hex = hex.trim();
    let even = if hex.len() % 2 == 1 { format!("0{hex}") } else { hex.to_owned() };
    Id::<N>::from_hex(&even).map_or_else(Vec::new, |id| id.bytes().to_vec())
}

/// Nanoseconds out of microseconds, which JSON may hold as a number of any kind or as text; 0: none.
pub(super) fn nanos(micros: &Json) -> u64 {
    let micros = micros.as_f64().or_else(|| micros.as_str()?.parse().ok()).unwrap_or(0.0);
    if micros <= 0.0 { 0 } else { (micros * 1e3).round() as u64 }
}

/// The end of a span that lasted so many microseconds; less than nothing ends it before it begins.
pub(super) fn end(start: u64, duration: &Json) -> u64 {
    let micros = duration.as_f64().or_else(|| duration.as_str()?.parse().ok()).unwrap_or(0.0);
    if micros < 0.0 { start.saturating_sub(1) } else { start.saturating_add((micros * 1e3).round() as u64) }
}

/// OTLP's number of a kind of span.
pub(super) fn kind(word: &str) -> i32 {
    match word.to_ascii_lowercase().as_str() {
        "server" => 2,
        "client" => 3,
        "producer" => 4,
        "consumer" => 5,
        "internal" => 1,
        _ => 0,
    }
}

/// `STATUS_CODE_ERROR`
pub(super) const ERROR: i32 = 2;
/// `SPAN_KIND_CONSUMER`
pub(super) const CONSUMER: i32 = 5;
