//! Spans out of OTLP JSON. A run has hundreds of thousands, so texts are borrowed from the line and only what is kept is read; the bounds are
//! those of the way in.

use super::{
    texts::Texts,
    values::{Text as Borrowed, UNKNOWN_SERVICE, Value, integer},
};
use crate::admit::{ATTRIBUTES, TEXT};
use serde::Deserialize;
use shakedown_model::{
    evidence::{SpanKind, SpanRecord},
    ids::{Id, SpanId, TraceId},
    text::Text,
    time::UnixNanos,
};
use std::borrow::Cow;

/// `STATUS_CODE_ERROR`.
const ERROR: i64 = 2;

/// One `ExportTraceServiceRequest`. Answers how many of its spans cannot be evidence.
pub(super) fn read(line: &[u8], texts: &mut Texts, spans: &mut Vec<SpanRecord>) -> serde_json::Result<u64> {
    let request: Request = serde_json::from_slice(line)?;
    let mut refused = 0;
    for resource in request.resource_spans {
        let service = texts.text(&service(resource.resource.as_ref()));
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            match record(&span, &service, texts) {
                Some(record) => spans.push(record),
                None => refused += 1,
            }
        }
    }
    Ok(refused)
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
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    #[serde(borrow, default)]
    scope_spans: Vec<ScopeSpans<'a>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    attributes: Vec<Pair<'a>>,
}

#[derive(Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow, default)]
    spans: Vec<Span<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Span<'a> {
    #[serde(borrow)]
    trace_id: Borrowed<'a>,
    #[serde(borrow)]
    span_id: Borrowed<'a>,
    #[serde(borrow)]
    parent_span_id: Borrowed<'a>,
    #[serde(borrow)]
    name: Borrowed<'a>,
    kind: i64,
    #[serde(deserialize_with = "integer")]
    start_time_unix_nano: u64,
    #[serde(deserialize_with = "integer")]
    end_time_unix_nano: u64,
    #[serde(borrow)]
    attributes: Vec<Pair<'a>>,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow, default)]
    key: Borrowed<'a>,
    #[serde(borrow)]
    value: Option<Value<'a>>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: i64,
}

fn service<'s>(resource: Option<&'s Resource<'_>>) -> Cow<'s, str> {
    let attributes = resource.map(|resource| &resource.attributes[..]).unwrap_or_default();
    let name = attributes.iter().find(|pair| pair.key.as_str() == "service.name").map(Pair::value);
    name.filter(|name| !name.is_empty()).unwrap_or(Cow::Borrowed(UNKNOWN_SERVICE))
}

impl Pair<'_> {
    fn value(&self) -> Cow<'_, str> {
        match self.value.as_ref().map_or(Cow::Borrowed(""), Value::text) {
            Cow::Borrowed(text) => Cow::Borrowed(cut(text)),
            Cow::Owned(text) => Cow::Owned(cut(&text).to_owned()),
        }
    }
}

/// `None`: it lacks an id or a time, or has a parent that is none.
fn record(span: &Span<'_>, service: &Text, texts: &mut Texts) -> Option<SpanRecord> {
    let parent = span.parent_span_id.as_str();
    let times = [span.start_time_unix_nano, span.end_time_unix_nano];
    // Some clients write "no parent" as zeros.
    let parent_id = if parent.bytes().all(|digit| digit == b'0') { None } else { Some(id(parent)?) };
    let trace_id: TraceId = id(span.trace_id.as_str())?;
    let span_id: SpanId = id(span.span_id.as_str())?;
    if times.contains(&0) {
        return None;
    }
    let pairs = span.attributes.iter().take(ATTRIBUTES).map(|pair| (cut(pair.key.as_str()), pair.value()));
    Some(SpanRecord {
        trace_id,
        span_id,
        parent_id,
        service: Text::clone(service),
        kind: kind(span.kind),
        error: span.status.as_ref().is_some_and(|status| status.code == ERROR),
        name: texts.text(cut(span.name.as_str())),
        start: UnixNanos(times[0]),
        end: UnixNanos(times[1]),
        attributes: texts.attributes(pairs),
    })
}

/// The numbers of OTLP's `SpanKind`.
fn kind(number: i64) -> SpanKind {
    match number {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn id<const N: usize>(hex: &str) -> Option<Id<N>> {
    (hex.len() == 2 * N).then(|| Id::from_hex(hex)).flatten()
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> serde_json::Value {
        json!({"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "name": "GET /", "kind": 2,
            "startTimeUnixNano": "1", "endTimeUnixNano": 2})
    }

    fn read_one(span: &serde_json::Value) -> (Vec<SpanRecord>, u64) {
        let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "orders"}}]});
        let line = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}).to_string();
        let mut spans = Vec::new();
        let refused = read(line.as_bytes(), &mut Texts::default(), &mut spans).unwrap();
        (spans, refused)
    }

    #[test]
    fn a_span_reads_with_its_service_kind_and_times() {
        let (spans, refused) = read_one(&good());
        let [span] = &spans[..] else { panic!("{} spans", spans.len()) };
        assert_eq!((&*span.service, &*span.name, span.kind, span.error, refused), ("orders", "GET /", SpanKind::Server, false, 0));
        assert_eq!((span.start, span.end, span.parent_id), (UnixNanos(1), UnixNanos(2), None));
    }

    #[test]
    fn each_kind_of_broken_span_is_refused() {
        for (field, wrong) in [
            ("traceId", json!("")),
            ("traceId", json!("00000000000000000000000000000000")),
            ("traceId", json!("0102030405060708")),
            ("spanId", json!("zz02030405060708")),
            ("parentSpanId", json!("01")),
            ("startTimeUnixNano", json!("0")),
            ("endTimeUnixNano", json!(0)),
        ] {
            let mut span = good();
            span[field] = wrong.clone();
            let (spans, refused) = read_one(&span);
            assert_eq!((spans.len(), refused), (0, 1), "{field}: {wrong}");
        }
    }

    #[test]
    fn what_is_unknown_missing_escaped_or_too_long_is_no_obstacle() {
        let mut span = good();
        span["parentSpanId"] = json!("0000000000000000");
        span["name"] = json!("caf\u{e9} \"\n");
        span["status"] = json!({"code": 2, "message": "no"});
        span["kind"] = json!(99);
        span["events"] = json!([{"name": "exception", "attributes": [{"key": "k"}]}]);
        let long = json!({"key": "long", "value": {"stringValue": "ä".repeat(TEXT)}});
        span["attributes"] = json!([{"key": "none"}, {"key": "n", "value": {"intValue": "-7"}}, long]);
        let (spans, _) = read_one(&span);
        let span = &spans[0];
        assert_eq!((&*span.name, span.error, span.kind, span.parent_id), ("café \"\n", true, SpanKind::Internal, None));
        assert_eq!((span.attributes.get("none"), span.attributes.get("n")), (Some(""), Some("-7")));
        assert_eq!(span.attributes.get("long").map(str::len), Some(TEXT));
    }

    #[test]
    fn more_attributes_than_are_let_in_are_left_out() {
        let mut span = good();
        span["attributes"] = (0..200).map(|number| json!({"key": format!("k{number}"), "value": {"boolValue": true}})).collect();
        assert_eq!(read_one(&span).0[0].attributes.iter().len(), ATTRIBUTES);
    }
}
