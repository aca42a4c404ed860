//! Answers of query APIs that hold logs and metrics: Loki's and Prometheus's `query_range` and `query`, one envelope for both.

use super::{
    otel,
    outline::Outline,
    sink::{Sink, Unread},
};
use crate::logs::record_of;
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest},
    common::v1::KeyValue,
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use shakedown_model::{evidence::RawLine, ids::TraceId, time::UnixNanos};

/// Labels that may say which service, the most telling first.
const SERVICE_LABELS: [&str; 14] = [
    "service_name",
    "service.name",
    "destination_workload",
    "app_kubernetes_io_name",
    "app",
    "container_label_com_docker_compose_service",
    "compose_service",
    "container",
    "container_name",
    "service",
    "pod",
    "pod_name",
    "job",
    "instance",
];
/// Where Loki keeps what is no label.
const TRACE_FIELDS: [&str; 4] = ["trace_id", "traceID", "traceId", "TraceId"];
const LEVEL_LABELS: [&str; 3] = ["level", "severity", "detected_level"];

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: String,
    data: Option<Found>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    result_type: String,
    #[serde(default)]
    result: Vec<Value>,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    stream: Map<String, Value>,
    #[serde(default)]
    values: Vec<Value>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: Map<String, Value>,
    #[serde(default)]
    values: Vec<(f64, Value)>,
    value: Option<(f64, Value)>,
    #[serde(default)]
    histograms: Vec<(f64, Histogram)>,
    histogram: Option<(f64, Histogram)>,
}

#[derive(Deserialize)]
struct Histogram {
    count: Value,
    sum: Value,
}

/// Whether a document with this outline is one of these.
pub(super) fn is_it(outline: &Outline) -> bool {
    outline.has("status") && (outline.has("data") || outline.has("error"))
}

/// One JSON document.
pub(super) fn read(json: &[u8], sink: &mut Sink) -> Result<(), Unread> {
    let answer: Answer = serde_json::from_slice(json)?;
    let Some(data) = answer.data else {
        let said: String = answer.error.unwrap_or(answer.status).chars().take(200).collect();
        return Err(Unread::Document(format!("the query was not answered: {said}")));
    };
    match data.result_type.as_str() {
        "streams" => streams(data.result, sink),
        "matrix" | "vector" => series(data.result, sink),
        other => Err(Unread::Document(format!("a result of the type {other:.40} holds neither logs nor metrics"))),
    }
}

fn streams(results: Vec<Value>, sink: &mut Sink) -> Result<(), Unread> {
    for result in results {
        let Ok(stream) = serde_json::from_value::<Stream>(result) else {
            sink.lost("streams that cannot be read", 1);
            continue;
        };
        let (service, labels) = (service(&stream.stream, sink), attributes(&stream.stream));
        let before = stream.values.len();
        let level = LEVEL_LABELS.iter().find_map(|label| stream.stream.get(*label)?.as_str());
        let log_records: Vec<LogRecord> = stream.values.iter().filter_map(|value| record(value, &service, level)).collect();
        sink.lost("log lines that cannot be read", (before - log_records.len()) as u64);
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        let resource = Some(otel::resource(&service, labels));
        sink.logs(ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }] })?;
    }
    Ok(())
}

/// `["<nanoseconds>", "line", {more}]`
fn record(value: &Value, service: &str, level: Option<&str>) -> Option<LogRecord> {
    let at = value.get(0)?.as_str()?.parse().ok()?;
    let line = value.get(1)?.as_str()?.to_owned();
    let mut record = record_of(&RawLine { at: UnixNanos(at), service: service.to_owned(), line });
    let more = value.get(2);
    let field = |names: &[&str]| names.iter().find_map(|name| more?.get(name)?.as_str());
    if let Some(trace) = field(&TRACE_FIELDS).and_then(TraceId::from_hex) {
        record.trace_id = trace.bytes().to_vec();
    }
    if let (0, Some(level)) = (record.severity_number, field(&LEVEL_LABELS).or(level)) {
        record.severity_text = level.to_owned();
    }
    Some(record)
}

fn series(results: Vec<Value>, sink: &mut Sink) -> Result<(), Unread> {
    for result in results {
        let Ok(series) = serde_json::from_value::<Series>(result) else {
            sink.lost("series that cannot be read", 1);
            continue;
        };
        let service = service(&series.metric, sink);
        let name = series.metric.get("__name__").and_then(Value::as_str).unwrap_or("query").to_owned();
        let labels = attributes(&series.metric);
        let at = |points: Vec<(f64, f64)>| -> Vec<NumberDataPoint> {
            points.into_iter().map(|(seconds, value)| point(seconds, value, &labels)).collect()
        };
        let numbers = series.values.iter().chain(&series.value).filter_map(|(time, value)| Some((*time, number(value)?))).collect();
        let histograms = || series.histograms.iter().chain(&series.histogram);
        let of = |part: fn(&Histogram) -> &Value| {
            histograms().filter_map(|(time, histogram)| Some((*time, number(part(histogram))?))).collect::<Vec<(f64, f64)>>()
        };
        let metrics = [
            (name.clone(), at(numbers)),
            (format!("{name}_count"), at(of(|histogram| &histogram.count))),
            (format!("{name}_sum"), at(of(|histogram| &histogram.sum))),
        ];
        let metrics = metrics.into_iter().filter(|(_, points)| !points.is_empty()).map(|(name, data_points)| Metric {
            name,
            data: Some(Data::Gauge(Gauge { data_points })),
            ..Metric::default()
        });
        let scope_metrics = vec![ScopeMetrics { metrics: metrics.collect(), ..ScopeMetrics::default() }];
        let resource = Some(otel::resource(&service, Vec::new()));
        sink.metrics(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }],
        })?;
    }
    Ok(())
}

/// Numbers are text here, so that `NaN` has a place; that is no sample.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
}

fn point(seconds: f64, value: f64, labels: &[KeyValue]) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels.to_vec(),
        time_unix_nano: UnixNanos::from_seconds(seconds).0,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn attributes(labels: &Map<String, Value>) -> Vec<KeyValue> {
    labels.iter().filter(|(key, _)| *key != "__name__").map(|(key, value)| otel::plain(key, value)).collect()
}

/// The label that names a service which the traces know; else the most telling one.
fn service(labels: &Map<String, Value>, sink: &Sink) -> String {
    let said = || SERVICE_LABELS.iter().filter_map(|label| labels.get(*label)?.as_str()).filter(|name| !name.is_empty() && *name != "POD");
    let known = said().find_map(|name| [name, workload(name)].into_iter().find(|name| sink.services.contains(*name)));
    known.or_else(|| said().next().map(workload)).unwrap_or_default().to_owned()
}

/// A pod's name without the hashes that Kubernetes adds, an address without its port.
fn workload(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or(name);
    let is_hash = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && part.bytes().any(|byte| byte.is_ascii_digit())
    };
    let Some((rest, last)) = name.rsplit_once('-') else { return name };
    let is_pod = last.len() == 5 && last.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    match rest.rsplit_once('-') {
        Some((workload, set)) if is_pod && is_hash(set, 6..=10) => workload,
        _ if last.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_called_as_its_workload() {
        for (pod, expected) in [
            ("cartservice-579f59597d-wc2lz", "cartservice"),
            ("ts-order-service-6d9c5b8f7-abcde", "ts-order-service"),
            ("orders-0", "orders"),
            ("orders:8080", "orders"),
            ("orders", "orders"),
            ("redis-cart", "redis-cart"),
            ("", ""),
        ] {
            assert_eq!(workload(pod), expected, "{pod}");
        }
    }
}
