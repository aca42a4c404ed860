//! OTLP over gRPC, with the clients that teams use, and with bytes that no client sends.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use common::{Recording, Run, attribute, span, traces};
use opentelemetry::trace::{Span as _, Status, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{Compression, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
        metrics::v1::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
        trace::v1::trace_service_client::TraceServiceClient,
    },
    common::v1::{AnyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point},
    resource::v1::Resource,
    trace::v1::Span,
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData, SpanExporter as _};
use shakedown_evidence::{Limits, OtlpReceiver};
use shakedown_model::stack::Variant;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tonic::{Code, codec::CompressionEncoding, transport::Channel};

async fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// Spans as the SDK makes them.
fn sdk_spans() -> (Vec<SpanData>, opentelemetry_sdk::Resource) {
    let finished = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(finished.clone()).build();
    let mut span = provider.tracer("test").start("checkout");
    span.set_attribute(opentelemetry::KeyValue::new("retries", 3));
    span.set_status(Status::error("declined"));
    span.end();
    (finished.get_finished_spans().unwrap(), opentelemetry_sdk::Resource::builder().with_service_name("shop").build())
}

#[tokio::test]
async fn the_sdk_exports_over_grpc_and_http_packed_and_plain() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (http, grpc) = recording.receiver().await;
    let (spans, resource) = sdk_spans();
    let (http, grpc) = (format!("http://{http}/v1/traces"), format!("http://{grpc}"));
    let exporters = [
        SpanExporter::builder().with_tonic().with_endpoint(&grpc).build(),
        SpanExporter::builder().with_tonic().with_endpoint(&grpc).with_compression(Compression::Gzip).build(),
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(&http).build(),
        SpanExporter::builder().with_http().with_endpoint(&http).with_compression(Compression::Gzip).build(),
    ];
    for exporter in exporters {
        let mut exporter = exporter.unwrap();
        exporter.set_resource(&resource);
        exporter.export(spans.clone()).await.unwrap();
    }
    let (losses, _) = recording.end().await;
    assert!(losses.is_empty(), "{losses:?}");
    let seen = run.read().candidate.spans;
    assert_eq!(seen.len(), 4);
    for span in seen {
        assert_eq!(
            (&span.name[..], &span.service[..], span.error, span.attributes.get("retries").unwrap()),
            ("checkout", "shop", true, "3")
        );
        assert_eq!(span.trace_id.to_string(), spans[0].span_context.trace_id().to_string());
    }
}

#[tokio::test]
async fn logs_and_metrics_come_over_grpc_too() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (_, grpc) = recording.receiver().await;
    let resource = Some(Resource { attributes: vec![attribute("service.name", Value::StringValue("shop".into()))], ..Resource::default() });
    let body = Some(AnyValue { value: Some(Value::StringValue("paid".into())) });
    let records = vec![LogRecord { time_unix_nano: 7, body, severity_text: "info".into(), ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
    let logs =
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource: resource.clone(), scope_logs, ..Default::default() }] };
    let attributes = vec![attribute("b", Value::BoolValue(true)), attribute("a", Value::StringValue("\"q\"".into()))];
    let value = Some(number_data_point::Value::AsDouble(0.1));
    let data_points = vec![NumberDataPoint { time_unix_nano: 9, attributes, value, ..NumberDataPoint::default() }];
    let metrics = vec![Metric { name: "pool".into(), data: Some(Data::Gauge(Gauge { data_points })), ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let metrics = ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }] };

    LogsServiceClient::new(channel(grpc).await).export(logs).await.unwrap();
    MetricsServiceClient::new(channel(grpc).await).export(metrics).await.unwrap();
    recording.end().await;
    let seen = run.read().candidate;
    assert_eq!((seen.logs[0].at.0, &seen.logs[0].body[..], seen.logs[0].severity.as_deref()), (7, "paid", Some("INFO")));
    let point = &seen.metrics[0];
    assert_eq!((&point.name[..], &point.labels[..], point.value), ("pool", r#"a="\"q\"",b="true""#, 0.1));
}

#[tokio::test]
async fn a_request_that_is_partly_good_is_taken_partly_and_says_so() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (_, grpc) = recording.receiver().await;
    let mut client = TraceServiceClient::new(channel(grpc).await);
    let answer = client.export(traces("shop", vec![span(1), Span::default()])).await.unwrap().into_inner();
    assert_eq!(answer.partial_success.unwrap().rejected_spans, 1);
    let answer = client.export(traces("shop", vec![])).await.unwrap().into_inner();
    assert_eq!(answer.partial_success, None);
    recording.end().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_for_good_and_packed_bombs_too() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (_, grpc) = recording.receiver().await;
    let mut large = span(1);
    large.name = "x".repeat((16 << 20) + 1);
    let large = traces("shop", vec![large]);
    let parts = traces("shop", vec![Span::default(); 1_000_001]);
    let plain = TraceServiceClient::new(channel(grpc).await);
    let packed = TraceServiceClient::new(channel(grpc).await).send_compressed(CompressionEncoding::Gzip);
    for (mut client, request) in [(plain.clone(), large.clone()), (packed.clone(), large), (plain.clone(), parts)] {
        let status = client.export(request).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    }
    plain.clone().export(traces("shop", vec![span(1)])).await.expect("the receiver goes on");
    recording.end().await;
}

#[tokio::test]
async fn a_sender_is_asked_to_come_back_when_the_recorder_is_behind() {
    let run = Run::new();
    let mut recording = Recording::with(&run, Variant::Candidate, Limits { queued: 0, ..Limits::default() });
    let (_, grpc) = recording.receiver().await;
    let status = TraceServiceClient::new(channel(grpc).await).export(traces("shop", vec![span(1)])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    // With a delay, or a client that keeps to the specification would not come back.
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("google.rpc.RetryInfo") && status.details().ends_with(&[0x12, 0x04, 0x0a, 0x02, 0x08, 0x01]), "{details}");
    let (losses, _) = recording.end().await;
    assert_eq!(losses.values().sum::<u64>(), 1, "{losses:?}");
}

#[tokio::test]
async fn two_receivers_at_one_address_listen_side_by_side() {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (first, second) = (OtlpReceiver::bind(address).await.unwrap(), OtlpReceiver::bind(address).await.unwrap());
    let addresses = [first.http(), first.grpc(), second.http(), second.grpc()];
    let distinct: std::collections::HashSet<_> = addresses.iter().map(SocketAddr::port).collect();
    assert_eq!(distinct.len(), 4, "{addresses:?}");
}

#[tokio::test]
async fn a_receiver_ends_although_a_client_keeps_its_connection() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (_, grpc) = recording.receiver().await;
    let mut client = TraceServiceClient::new(channel(grpc).await);
    client.export(traces("shop", vec![span(1)])).await.unwrap();
    let (_, ended) = recording.end().await;
    assert!(ended.iter().all(Result::is_ok));
    assert!(client.export(traces("shop", vec![span(2)])).await.is_err());
    assert_eq!(run.read().candidate.spans.len(), 1);
}
