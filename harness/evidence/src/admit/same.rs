//! The short way from the wire to a line and the long way over messages take the same, of whatever bytes.

use super::{Admission, Line, Signal as _, line_of_json, line_of_protobuf};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, Link},
    },
};
use proptest::{collection::vec, option, prelude::*};
use prost::Message as _;
use shakedown_model::time::UnixNanos;

/// What the long way makes of a request.
fn long(mut request: ExportTraceServiceRequest) -> (ExportTraceServiceRequest, Admission) {
    let admission = request.admit(UnixNanos(0));
    (request, admission)
}

fn same(line: &Line, request: ExportTraceServiceRequest) -> Result<(), TestCaseError> {
    let (expected, admission) = long(request);
    let read: ExportTraceServiceRequest = serde_json::from_slice(&line.json)
        .map_err(|error| TestCaseError::fail(format!("{error}: {}", String::from_utf8_lossy(&line.json))))?;
    prop_assert_eq!(&line.admission, &admission);
    prop_assert_eq!(read, expected);
    Ok(())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", Just(String::new()), Just("ä\u{0}\u{1f}\"\\/\n\u{2028}".to_owned()), Just("x€".repeat(2000))]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let plain = prop_oneof![
        text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        Just(Value::DoubleValue(f64::NEG_INFINITY)),
        vec(any::<u8>(), 0..9).prop_map(Value::BytesValue),
    ];
    let any_value = |value| AnyValue { value };
    option::of(plain).prop_map(any_value).prop_recursive(10, 24, 3, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec((text(), option::of(inner)), 0..3)
                .prop_map(|pairs| Value::KvlistValue(KeyValueList { values: pairs.into_iter().map(pair).collect() })),
        ]
        .prop_map(move |value| any_value(Some(value)))
    })
}

fn pair((key, value): (String, Option<AnyValue>)) -> KeyValue {
    KeyValue { key, value, ..KeyValue::default() }
}

fn pairs() -> impl Strategy<Value = Vec<KeyValue>> {
    prop_oneof![
        9 => vec((text(), option::of(value())).prop_map(pair), 0..5),
        1 => vec(Just(pair(("k".to_owned(), None))), 127..131),
    ]
}

fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        9 => vec(1_u8.., length),
        1 => Just(vec![0; length]),
        1 => vec(any::<u8>(), 0..20),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![9 => any::<u64>(), 1 => Just(0)]
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), text(), pairs(), any::<u32>()).prop_map(|(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
        time_unix_nano,
        name,
        attributes,
        dropped_attributes_count,
    })
}

fn link() -> impl Strategy<Value = Link> {
    (id(16), id(8), text(), pairs(), any::<u32>()).prop_map(|(trace_id, span_id, trace_state, attributes, flags)| Link {
        trace_id,
        span_id,
        trace_state,
        attributes,
        flags,
        ..Link::default()
    })
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), prop_oneof![id(8), Just(Vec::new())]);
    let plain = (text(), text(), any::<i32>(), any::<u32>(), time(), time());
    let seldom = (vec(event(), 0..2), vec(link(), 0..2), option::of((text(), any::<i32>())), any::<[u32; 3]>());
    (ids, plain, pairs(), seldom).prop_map(
        |(
            (trace_id, span_id, parent_span_id),
            (name, trace_state, kind, flags, start, end),
            attributes,
            (events, links, status, dropped),
        )| Span {
            trace_id,
            span_id,
            parent_span_id,
            name,
            trace_state,
            kind,
            flags,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            events,
            links,
            status: status.map(|(message, code)| Status { message, code }),
            dropped_attributes_count: dropped[0],
            dropped_events_count: dropped[1],
            dropped_links_count: dropped[2],
        },
    )
}

fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (option::of((text(), text(), pairs())), vec(span(), 0..4), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope: scope.map(|(name, version, attributes)| InstrumentationScope {
            name,
            version,
            attributes,
            ..InstrumentationScope::default()
        }),
        spans,
        schema_url,
    });
    let resource = (option::of(pairs()), vec(scope, 0..3), text()).prop_map(|(resource, scope_spans, schema_url)| ResourceSpans {
        resource: resource.map(|attributes| Resource { attributes, ..Resource::default() }),
        scope_spans,
        schema_url,
    });
    vec(resource, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

/// A few bytes changed, doubled or taken away.
fn struck(mut bytes: Vec<u8>, blows: &[(usize, u8, u8)]) -> Vec<u8> {
    for (at, kind, to) in blows {
        let at = at % (bytes.len() + 1);
        match kind % 4 {
            0 if at < bytes.len() => bytes[at] = *to,
            1 => bytes.insert(at, *to),
            2 => bytes.truncate(at.max(1)),
            _ => {
                let end = (at + usize::from(*to)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

fn blows() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    vec(any::<(usize, u8, u8)>(), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_in_protobuf_is_the_same_either_way(request in request()) {
        let line = line_of_protobuf(&request.encode_to_vec()).ok_or_else(|| TestCaseError::fail("a request as prost writes it takes the short way"))?;
        same(&line, request)?;
    }

    #[test]
    fn what_is_damaged_is_the_same_either_way_or_takes_the_long_one(request in request(), blows in blows()) {
        let bytes = struck(request.encode_to_vec(), &blows);
        if let Some(line) = line_of_protobuf(&bytes) {
            let decoded = ExportTraceServiceRequest::decode(&bytes[..]).map_err(|error| TestCaseError::fail(format!("prost refuses it: {error}")))?;
            same(&line, decoded)?;
        }
    }

    #[test]
    fn a_request_in_json_is_the_same_either_way(request in request()) {
        // JSON has no NaN, so that what is let in is what a client can write.
        let (request, _) = long(request);
        let json = serde_json::to_vec(&request).unwrap();
        let line = line_of_json(&json).ok_or_else(|| TestCaseError::fail("a request as serde writes it takes the short way"))?;
        same(&line, request)?;
    }

    #[test]
    fn damaged_json_is_the_same_either_way_or_takes_the_long_one(request in request(), blows in blows()) {
        let (request, _) = long(request);
        let json = struck(serde_json::to_vec(&request).unwrap(), &blows);
        if let Some(line) = line_of_json(&json) {
            let decoded = serde_json::from_slice(&json).map_err(|error| TestCaseError::fail(format!("serde refuses it: {error}")))?;
            same(&line, decoded)?;
        }
    }
}
