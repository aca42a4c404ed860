//! OTLP over HTTP, with a plain HTTP client: what is taken, what is refused and how that is said.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use common::{Recording, Run, post, send, span, traces};
use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use hyper::{Request, StatusCode};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{ArrayValue, any_value::Value},
    trace::v1::{ResourceSpans, Span},
};
use prost::Message as _;
use shakedown_evidence::Limits;
use shakedown_model::stack::Variant;
use std::io::Write as _;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `google.rpc.Status`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[tokio::test]
async fn spans_in_protobuf_are_taken_plain_and_packed_and_answered_in_protobuf() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    for (headers, body) in [
        (vec![PROTOBUF], traces("shop", vec![span(1)]).encode_to_vec()),
        (vec![PROTOBUF, GZIP], gzip(&traces("shop", vec![span(2)]).encode_to_vec())),
        (vec![PROTOBUF, ("content-encoding", "identity")], traces("shop", vec![span(3)]).encode_to_vec()),
    ] {
        let answer = post(http, "/v1/traces", &headers, body).await;
        assert_eq!((answer.status, &answer.headers["content-type"]), (StatusCode::OK, &"application/x-protobuf".parse().unwrap()));
        assert_eq!(ExportTraceServiceResponse::decode(answer.body).unwrap().partial_success, None);
    }
    let (losses, _) = recording.end().await;
    assert!(losses.is_empty(), "{losses:?}");
    let names: Vec<_> = run.read().candidate.spans.into_iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, ["GET /orders/1", "GET /orders/2", "GET /orders/3"]);
}

#[tokio::test]
async fn json_as_the_standard_writes_it_is_taken_and_read_back() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    let resource = r#""resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}"#;
    let span = r#"{"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "parentSpanId": "", "name": "pay", "kind": 3,
        "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000, "status": {"code": 2}, "newField": {"a": [1]},
        "attributes": [{"key": "n", "value": {"intValue": "7"}}, {"key": "f", "value": {"doubleValue": 0.25}}]}"#;
    let log =
        r#"{"timeUnixNano": "5", "severityNumber": 13, "body": {"stringValue": "slow"}, "traceId": "5b8efff798038103d269b633813fc60c"}"#;
    let metrics = r#"{"name": "open", "gauge": {"dataPoints": [{"asInt": "3", "timeUnixNano": "6"}]}},
        {"name": "took", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {"count": "2", "sum": 1.5, "bucketCounts": ["1", "1"], "explicitBounds": [1], "timeUnixNano": "7"}]}}"#;
    for (path, body) in [
        ("/v1/traces", format!(r#"{{"resourceSpans": [{{{resource}, "scopeSpans": [{{"spans": [{span}]}}]}}]}}"#)),
        ("/v1/logs", format!(r#"{{"resourceLogs": [{{{resource}, "scopeLogs": [{{"logRecords": [{log}]}}]}}]}}"#)),
        ("/v1/metrics", format!(r#"{{"resourceMetrics": [{{{resource}, "scopeMetrics": [{{"metrics": [{metrics}]}}]}}]}}"#)),
    ] {
        let answer = post(http, path, &[("content-type", "application/json; charset=utf-8")], body).await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"{}"[..]), "{path}");
    }
    recording.end().await;
    let seen = run.read().candidate;
    let span = &seen.spans[0];
    assert_eq!((&span.trace_id.to_string()[..], &span.span_id.to_string()[..]), ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"));
    assert_eq!(
        (&span.service[..], span.error, span.attributes.get("n"), span.attributes.get("f")),
        ("shop", true, Some("7"), Some("0.25"))
    );
    let log = &seen.logs[0];
    assert_eq!((&log.body[..], log.severity.as_deref(), log.trace_id), ("slow", Some("WARN"), Some(span.trace_id)));
    let points: Vec<_> = seen.metrics.iter().map(|point| (&point.name[..], point.value)).collect();
    assert_eq!(points, [("open", 3.0), ("took_count", 2.0), ("took_sum", 1.5)]);
}

#[tokio::test]
async fn an_empty_request_is_a_success_in_both_forms() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        assert_eq!(post(http, path, &[PROTOBUF], "").await.status, StatusCode::OK);
        assert_eq!(post(http, path, &[JSON], "{}").await.status, StatusCode::OK);
    }
    assert!(recording.end().await.0.is_empty());
}

#[tokio::test]
async fn a_request_that_is_partly_good_is_taken_partly_and_says_so() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    let body = traces("shop", vec![span(1), Span::default(), Span { span_id: vec![1], ..span(2) }]);
    let answer = post(http, "/v1/traces", &[PROTOBUF], body.encode_to_vec()).await;
    let partial = ExportTraceServiceResponse::decode(answer.body).unwrap().partial_success.unwrap();
    assert_eq!((answer.status, partial.rejected_spans), (StatusCode::OK, 2));
    assert!(partial.error_message.contains("trace id"), "{}", partial.error_message);
    let answer = post(http, "/v1/traces", &[JSON], serde_json::to_vec(&body).unwrap()).await;
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "2");
    let (losses, _) = recording.end().await;
    assert_eq!(losses.values().sum::<u64>(), 4, "{losses:?}");
    assert_eq!(run.read().candidate.spans.len(), 2);
}

#[tokio::test]
async fn json_in_snake_case_is_answered_with_a_warning() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    let answer = post(http, "/v1/traces", &[JSON], r#"{"resource_spans": [{"scope_spans": []}]}"#).await;
    let partial = &answer.json()["partialSuccess"];
    assert_eq!((answer.status, &partial["rejectedSpans"]), (StatusCode::OK, &"0".into()));
    assert!(partial["errorMessage"].as_str().unwrap().contains("lowerCamelCase"));
    recording.end().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_for_good_in_the_form_of_the_request() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    let good = traces("shop", vec![span(1)]).encode_to_vec();
    let truncated_gzip = {
        let packed = gzip(&good);
        packed[..packed.len() - 9].to_vec()
    };
    for body in [b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), good[..good.len() - 1].to_vec(), b"hello".to_vec()] {
        let answer = post(http, "/v1/traces", &[PROTOBUF], body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let status = RpcStatus::decode(answer.body).unwrap();
        assert!(status.code == 3 && status.message.contains("cannot be read"), "{status:?}");
    }
    for body in
        ["", "[]", "{", "null", r#"{"resourceSpans": 7}"#, r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}"#]
    {
        let answer = post(http, "/v1/traces", &[JSON], body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::BAD_REQUEST, &3.into()), "{body}");
    }
    for packed in [b"no gzip".to_vec(), truncated_gzip] {
        assert_eq!(post(http, "/v1/traces", &[PROTOBUF, GZIP], packed).await.status, StatusCode::BAD_REQUEST);
    }
    let (losses, _) = recording.end().await;
    assert_eq!(losses["requests with spans that could not be read"], 11);
    assert!(run.read().candidate.spans.is_empty());
}

#[tokio::test]
async fn a_request_of_the_wrong_kind_is_told_which_kind_is_right() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    let cases = [
        (post(http, "/v1/traces", &[("content-type", "text/plain")], "x").await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json"),
        (post(http, "/v1/traces", &[], "x").await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json"),
        (post(http, "/v1/traces", &[JSON, ("content-encoding", "br")], "x").await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "gzip"),
        (post(http, "/v1/profiles", &[JSON], "{}").await, StatusCode::NOT_FOUND, "/v1/metrics"),
        (send(http, Request::get("/v1/traces").body(Full::default()).unwrap()).await, StatusCode::METHOD_NOT_ALLOWED, "POST"),
    ];
    for (answer, status, hint) in cases {
        assert_eq!(answer.status, status);
        assert!(answer.json()["message"].as_str().unwrap().contains(hint), "{:?}", answer.body);
    }
    recording.end().await;
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_before_and_after_unpacking() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    let bomb = gzip(&vec![0; (64 << 20) + 1]);
    assert!(bomb.len() < 1 << 20);
    for (headers, body) in [
        (vec![PROTOBUF], vec![0; (16 << 20) + 1]),
        (vec![PROTOBUF, GZIP], bomb),
        // 2 bytes a part: small on the wire, gigabytes in memory.
        (vec![PROTOBUF, GZIP], gzip(&[0x0a, 0].repeat(1_000_001))),
    ] {
        let answer = post(http, "/v1/traces", &headers, body).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        let status = RpcStatus::decode(answer.body).unwrap();
        assert!(status.code == 8 && status.message.contains("smaller batches"), "{status:?}");
    }
    let answer = post(http, "/v1/traces", &[PROTOBUF], traces("shop", vec![span(1)]).encode_to_vec()).await;
    assert_eq!(answer.status, StatusCode::OK, "the receiver goes on");
    recording.end().await;
}

#[tokio::test]
async fn a_sender_is_asked_to_come_back_when_the_recorder_is_behind() {
    let run = Run::new();
    let mut recording = Recording::with(&run, Variant::Candidate, Limits { queued: 0, ..Limits::default() });
    let (http, _) = recording.receiver().await;
    let answer = post(http, "/v1/traces", &[PROTOBUF], traces("shop", vec![span(1)]).encode_to_vec()).await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap()));
    let (losses, _) = recording.end().await;
    assert_eq!(losses.values().sum::<u64>(), 1, "{losses:?}");
}

#[tokio::test]
async fn what_goes_beyond_the_limit_of_a_run_is_refused_and_counted() {
    let run = Run::new();
    let mut recording = Recording::with(&run, Variant::Candidate, Limits { items: 3, ..Limits::default() });
    let (http, _) = recording.receiver().await;
    let two = traces("shop", vec![span(1), span(2)]).encode_to_vec();
    assert!(post(http, "/v1/traces", &[PROTOBUF], two.clone()).await.body.is_empty());
    let answer = post(http, "/v1/traces", &[PROTOBUF], two).await;
    let partial = ExportTraceServiceResponse::decode(answer.body).unwrap().partial_success.unwrap();
    assert_eq!((answer.status, partial.rejected_spans), (StatusCode::OK, 2));
    let (losses, _) = recording.end().await;
    assert_eq!(losses["spans over the limit of the run"], 2);
    assert_eq!(run.read().candidate.spans.len(), 2);
}

#[tokio::test]
async fn hostile_texts_are_bounded_and_come_back_as_text() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    let deep = (0..30).fold(Value::BoolValue(true), |inner, _| {
        Value::ArrayValue(ArrayValue { values: vec![common::attribute("", inner).value.unwrap()] })
    });
    let hostile = "</script><script>alert(1)</script>\u{0}\u{202e}\u{1b}[31m\"\\\n{{7*7}}$(reboot)".to_owned();
    let mut nasty = span(1);
    nasty.name = hostile.clone();
    nasty.attributes = (0..1000).map(|index| common::attribute(&format!("k{index}"), Value::StringValue("ä".repeat(5000)))).collect();
    nasty.attributes.insert(0, common::attribute("deep", deep));
    nasty.attributes.insert(0, common::attribute("nan", Value::DoubleValue(f64::NAN)));
    let mut request = traces(&hostile, vec![nasty]);
    request.resource_spans.extend(vec![ResourceSpans::default(); 1000]);
    let answer = post(http, "/v1/traces", &[PROTOBUF], request.encode_to_vec()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let (losses, _) = recording.end().await;
    assert!(losses["texts, lists and values cut in spans"] > 100, "{losses:?}");
    let span = &run.read().candidate.spans[0];
    assert_eq!((&*span.name, &*span.service), (&*hostile, &*hostile));
    assert_eq!((span.attributes.iter().len(), span.attributes.get("nan")), (128, Some("NaN")));
    assert!(span.attributes.iter().all(|(_, value)| value.len() <= 4096));
}

#[tokio::test]
async fn what_the_file_holds_is_what_the_file_exporter_of_opentelemetry_writes() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, _) = recording.receiver().await;
    post(http, "/v1/traces", &[PROTOBUF], traces("shop", vec![span(1)]).encode_to_vec()).await;
    recording.end().await;
    let packed = std::fs::read(run.path().join("evidence/traces.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let span = &line["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "00000000000000000000000000000002");
    assert_eq!(span["startTimeUnixNano"], "1700000000000000001");
    assert_eq!(span["attributes"][0], serde_json::json!({"key": "http.response.status_code", "value": {"intValue": "200"}}));
    assert_eq!(ExportTraceServiceRequest::default(), serde_json::from_str("{}").unwrap());
    assert_eq!(text.lines().count(), 1);
}
