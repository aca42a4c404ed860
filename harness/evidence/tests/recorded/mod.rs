//! One story, told in every format that can be imported: a gateway that calls orders, which calls payment, which is slow for a while.
#![allow(dead_code, reason = "each test file uses a part of it")]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};
use shakedown_model::time::{UnixNanos, Window};
use std::io::Write as _;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

pub(crate) fn fault() -> Window {
    Window { start: UnixNanos(START + 20 * SECOND), end: UnixNanos(START + 40 * SECOND) }
}

#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) requests: u64,
    /// Times payment takes longer under the fault.
    pub(crate) slow: u64,
    pub(crate) failed: u64,
    /// In nanoseconds.
    pub(crate) later: u64,
    /// The id of the only trace.
    pub(crate) only: Option<String>,
}

impl Default for Story {
    fn default() -> Story {
        Story { requests: 120, slow: 10, failed: 8, later: 0, only: None }
    }
}

pub(crate) struct Trace {
    pub(crate) id: String,
    spans: Vec<Span>,
}

#[derive(Clone)]
struct Span {
    id: u64,
    parent: Option<u64>,
    service: &'static str,
    name: &'static str,
    /// OTLP's number.
    kind: i64,
    start: u64,
    end: u64,
    failed: bool,
}

impl Story {
    pub(crate) fn later(&self, seconds: u64) -> Story {
        Story { later: seconds * SECOND, ..self.clone() }
    }

    pub(crate) fn only(&self, id: &str) -> Story {
        Story { only: Some(id.to_owned()), ..self.clone() }
    }

    pub(crate) fn traces(&self) -> Vec<Trace> {
        let traces = (0..self.requests).map(|number| self.trace(number));
        traces.filter(|trace| self.only.as_ref().is_none_or(|only| *only == trace.id)).collect()
    }

    fn trace(&self, number: u64) -> Trace {
        let start = START + self.later + number * SECOND / 2;
        let under_fault = fault().contains(UnixNanos(start - self.later));
        let failed = under_fault && number.is_multiple_of(5);
        let took = 20_000_000 * if under_fault { self.slow } else { 1 };
        let span = |id: u64, parent: Option<u64>, service, name, kind, margin: u64| Span {
            id: number * 16 + id,
            parent: parent.map(|parent| number * 16 + parent),
            service,
            name,
            kind,
            start: start + margin,
            end: start + took + 20_000_000 - margin,
            failed: failed && parent.is_none(),
        };
        let spans = vec![
            span(1, None, "gateway", "POST /checkout/4711", 2, 0),
            span(2, Some(1), "gateway", "POST /orders", 3, 2_000_000),
            span(3, Some(2), "orders", "reserve", 2, 4_000_000),
            span(4, Some(3), "payment", "charge", 2, 6_000_000),
        ];
        Trace { id: format!("{:032x}", (0x0a << 120) + u128::from(number)), spans }
    }

    pub(crate) fn otlp_lines(&self) -> String {
        let one = |trace: &Trace| json!({"resourceSpans": resources(trace, otlp_span)}).to_string() + "\n";
        self.traces().iter().map(one).collect()
    }

    pub(crate) fn protobuf(&self) -> Vec<Vec<u8>> {
        self.otlp_lines().lines().map(|line| serde_json::from_str::<ExportTraceServiceRequest>(line).unwrap().encode_to_vec()).collect()
    }

    pub(crate) fn protobuf_in_one(&self) -> Vec<u8> {
        serde_json::from_value::<ExportTraceServiceRequest>(otlp(self)).unwrap().encode_to_vec()
    }
}

/// Spans by service.
fn resources(trace: &Trace, span: impl Fn(&Trace, &Span) -> Value) -> Vec<Value> {
    let of = |service: &str| trace.spans.iter().filter(|span| span.service == service).map(|it| span(trace, it)).collect::<Vec<_>>();
    let resource = |service: &str| {
        let name = json!({"key": "service.name", "value": {"stringValue": service}});
        json!({"resource": {"attributes": [name]}, "scopeSpans": [{"spans": of(service)}]})
    };
    ["gateway", "orders", "payment"].map(resource).into()
}

fn otlp_span(trace: &Trace, span: &Span) -> Value {
    json!({
        "traceId": trace.id, "spanId": format!("{:016x}", span.id), "parentSpanId": span.parent.map_or(String::new(), |id| format!("{id:016x}")),
        "name": span.name, "kind": span.kind, "startTimeUnixNano": span.start.to_string(), "endTimeUnixNano": span.end.to_string(),
        "status": {"code": if span.failed { 2 } else { 0 }},
    })
}

pub(crate) fn otlp(story: &Story) -> Value {
    let all: Vec<Value> = story.traces().iter().flat_map(|trace| resources(trace, otlp_span)).collect();
    json!({ "resourceSpans": all })
}

/// As a Tempo answers: `batches`, ids in base64, enums by name.
pub(crate) fn tempo(story: &Story) -> Value {
    let span = |trace: &Trace, span: &Span| {
        let mut otlp = otlp_span(trace, span);
        otlp["traceId"] = base64(&trace.id).into();
        otlp["spanId"] = base64(otlp["spanId"].as_str().unwrap()).into();
        otlp["parentSpanId"] = base64(otlp["parentSpanId"].as_str().unwrap()).into();
        otlp["kind"] = ["", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT"][span.kind as usize].into();
        otlp["status"] = if span.failed { json!({"code": "STATUS_CODE_ERROR"}) } else { json!({}) };
        otlp["links"] = Value::Null;
        otlp
    };
    let mut all: Vec<Value> = story.traces().iter().flat_map(|trace| resources(trace, span)).collect();
    for resource in &mut all {
        let scopes = resource.as_object_mut().unwrap().remove("scopeSpans").unwrap();
        resource["instrumentationLibrarySpans"] = scopes;
    }
    json!({ "batches": all })
}

fn base64(hex: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u32> = hex.chars().flat_map(|digit| (0..4).rev().map(move |bit| digit.to_digit(16).unwrap() >> bit & 1)).collect();
    let six = |bits: &[u32]| (0..6).fold(0, |value, place| value << 1 | bits.get(place).copied().unwrap_or(0));
    let mut text: String = bits.chunks(6).map(|bits| char::from(DIGITS[six(bits) as usize])).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

pub(crate) fn jaeger(story: &Story) -> Value {
    let kinds = ["", "internal", "server", "client"];
    let span = |trace: &Trace, span: &Span| {
        let references = span.parent.map(|parent| json!({"refType": "CHILD_OF", "traceID": trace.id, "spanID": format!("{parent:016x}")}));
        let mut tags = vec![json!({"key": "span.kind", "type": "string", "value": kinds[span.kind as usize]})];
        tags.extend(span.failed.then(|| json!({"key": "error", "type": "bool", "value": true})));
        json!({
            "traceID": trace.id, "spanID": format!("{:x}", span.id), "operationName": span.name, "references": references.into_iter().collect::<Vec<_>>(),
            "startTime": span.start / 1000, "duration": (span.end - span.start) / 1000, "tags": tags, "logs": [], "processID": span.service, "warnings": null,
        })
    };
    let processes = json!({"gateway": {"serviceName": "gateway", "tags": []}, "orders": {"serviceName": "orders"}, "payment": {"serviceName": "payment"}});
    let trace = |trace: &Trace| {
        let spans: Vec<Value> = trace.spans.iter().map(|it| span(trace, it)).collect();
        json!({"traceID": trace.id, "spans": spans, "processes": processes})
    };
    let data: Vec<Value> = story.traces().iter().map(trace).collect();
    json!({"data": data, "total": 0, "limit": 0, "offset": 0, "errors": null})
}

/// Client and server of the call to orders share one id.
pub(crate) fn zipkin(story: &Story) -> Value {
    let kinds = [None, None, Some("SERVER"), Some("CLIENT")];
    let shared = |id: u64| if id % 16 == 3 { id - 1 } else { id };
    let span = |trace: &Trace, span: &Span| {
        let parent = if span.service == "orders" { span.parent.map(|_| span.id - 2) } else { span.parent.map(shared) };
        let mut zipkin = json!({
            "traceId": trace.id, "id": format!("{:016x}", shared(span.id)), "name": span.name, "kind": kinds[span.kind as usize],
            "timestamp": span.start / 1000, "duration": (span.end - span.start) / 1000, "localEndpoint": {"serviceName": span.service}, "tags": {},
        });
        if let Some(parent) = parent {
            zipkin["parentId"] = format!("{parent:016x}").into();
        }
        if span.service == "orders" {
            zipkin["shared"] = true.into();
        }
        if span.failed {
            zipkin["tags"]["error"] = "timed out".into();
        }
        zipkin
    };
    story.traces().iter().map(|trace| trace.spans.iter().map(|it| span(trace, it)).collect::<Vec<_>>()).collect::<Vec<_>>().into()
}

pub(crate) fn loki(story: &Story) -> Value {
    let trace = &story.traces()[50].id;
    let at = |second: u64| (START + second * SECOND).to_string();
    json!({"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": {"job": "shop", "pod": "payment-579f59597d-wc2lz"}, "values": [
            [at(21), "pool timed out", {"trace_id": trace, "level": "error"}],
            [at(22), format!("WARN slow trace_id={trace}")],
        ]},
        {"stream": {"app": "orders"}, "values": [[at(23), "started"]]},
    ]}})
}

pub(crate) fn prometheus() -> Value {
    let at = |second: u64| (START / SECOND + second) as f64;
    json!({"status": "success", "data": {"resultType": "matrix", "result": [
        {"metric": {"__name__": "cpu", "pod": "payment-579f59597d-wc2lz"}, "values": [[at(21), "0.5"], [at(22), "0.75"], [at(23), "NaN"]]},
        {"metric": {"__name__": "took", "service": "orders"}, "histograms": [[at(24), {"count": "3", "sum": "1.5", "buckets": []}]]},
        {"metric": {"__name__": "up", "job": "shelf"}, "value": [at(25), "1"]},
    ]}})
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One of everything that can be wrong with traces.
pub(crate) fn odd() -> Vec<u8> {
    let span = |trace: u64, id: u64, more: Value| {
        let mut span = json!({
            "traceId": format!("{:032x}", (0xb_u128 << 100) + u128::from(trace)), "spanId": format!("{id:016x}"), "name": "odd", "kind": 2,
            "startTimeUnixNano": (START + SECOND).to_string(), "endTimeUnixNano": (START + SECOND + 1000).to_string(),
        });
        for (key, value) in more.as_object().unwrap() {
            span[key] = value.clone();
        }
        span
    };
    let of = |service: &str, spans: Value| {
        let name = json!({"key": "service.name", "value": {"stringValue": service}});
        json!({"resource": {"attributes": [name]}, "scopeSpans": [{"spans": spans}]})
    };
    let line = |spans: Value| json!({"resourceSpans": [of("gateway", spans)]}).to_string();
    let call = span(9, 2, json!({"kind": 2, "parentSpanId": format!("{:016x}", 1), "startTimeUnixNano": START.to_string()}));
    let lines = [
        "{\"torn".to_owned(),
        "{\"hello\": 1}".to_owned(),
        line(json!([span(1, 1, json!({}))]))
            .replace("resourceSpans", "resource_spans")
            .replace("scopeSpans", "scope_spans")
            .replace("spanId", "span_id"),
        line(json!([span(2, 1, json!({})), span(2, 2, json!({"startTimeUnixNano": "x"}))])),
        line(json!([span(3, 1, json!({"traceId": "01"}))])),
        line(json!([span(4, 1, json!({"endTimeUnixNano": START.to_string()}))])),
        line(json!([span(5, 1, json!({"attributes": [{"key": "k", "value": {"stringValue": "x".repeat(10 << 20)}}]}))])),
        line(json!([span(6, 1, json!({})), span(6, 1, json!({"name": "again"}))])),
        line(json!([span(7, 1, json!({"parentSpanId": "00000000000000ff"}))])),
        line(json!([span(8, 1, json!({"parentSpanId": "0000000000000002"})), span(8, 2, json!({"parentSpanId": "0000000000000001"}))])),
        json!({"resourceSpans": [of("gateway", json!([span(9, 1, json!({}))])), of("orders", json!([call]))]}).to_string(),
        json!({"resourceSpans": [{"scopeSpans": [{"spans": [span(10, 1, json!({}))]}]}]}).to_string(),
        line(json!([span(11, 1, json!({"startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000"}))])),
    ];
    // The first line is whole, or the file would be taken for one document.
    [line(json!([span(12, 1, json!({}))])), lines.join("\n")].join("\n").into_bytes()
}
