//! The three services of OTLP: what differs between them, in one table.

use super::{
    intake::Form,
    shape::{self, Shape},
};
use crate::{
    admit::{Line, Signal, line_of_json, line_of_protobuf},
    recorder::{Accepted, Overloaded, Recorder},
};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest,
    metrics::v1::ExportMetricsServiceRequest,
    trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use prost::Message as _;

/// A request that a client exports.
pub(super) trait Export: Signal {
    /// Its parts in protobuf.
    const SHAPE: &'static Shape;
    /// How JSON would write its fields if it wrote them as the protobuf files do, which is wrong and common.
    const SNAKE_CASE: [&'static str; 3];
    /// What the answer calls the number of refused items.
    const REJECTED: &'static str;

    /// What can be taken without becoming a message first; `None`: this has to become one.
    fn line_of(_bytes: &[u8], _form: Form) -> Option<Line> {
        None
    }

    /// Hands it over.
    fn record(self, recorder: &Recorder) -> Result<Accepted, Overloaded>;
}

impl Export for ExportTraceServiceRequest {
    const SHAPE: &'static Shape = &shape::TRACES;
    const SNAKE_CASE: [&'static str; 3] = ["resource_spans", "scope_spans", "trace_id"];
    const REJECTED: &'static str = "rejectedSpans";

    fn line_of(bytes: &[u8], form: Form) -> Option<Line> {
        match form {
            Form::Protobuf => line_of_protobuf(bytes),
            Form::Json => line_of_json(bytes),
        }
    }

    fn record(self, recorder: &Recorder) -> Result<Accepted, Overloaded> {
        recorder.traces(self)
    }
}

impl Export for ExportLogsServiceRequest {
    const SHAPE: &'static Shape = &shape::LOGS;
    const SNAKE_CASE: [&'static str; 3] = ["resource_logs", "scope_logs", "log_records"];
    const REJECTED: &'static str = "rejectedLogRecords";

    fn record(self, recorder: &Recorder) -> Result<Accepted, Overloaded> {
        recorder.logs(self)
    }
}

impl Export for ExportMetricsServiceRequest {
    const SHAPE: &'static Shape = &shape::METRICS;
    const SNAKE_CASE: [&'static str; 3] = ["resource_metrics", "scope_metrics", "data_points"];
    const REJECTED: &'static str = "rejectedDataPoints";

    fn record(self, recorder: &Recorder) -> Result<Accepted, Overloaded> {
        recorder.metrics(self)
    }
}

/// The answer in protobuf. The three response messages have the same fields under the same numbers.
pub(super) fn protobuf(accepted: Accepted) -> Vec<u8> {
    let Accepted { refused, message, .. } = accepted;
    let partial_success = (refused > 0 || message.is_some())
        .then(|| ExportTracePartialSuccess { rejected_spans: refused.cast_signed(), error_message: message.unwrap_or_default() });
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

/// The answer in JSON.
pub(super) fn json<S: Export>(accepted: &Accepted) -> Vec<u8> {
    let Accepted { refused, message, .. } = accepted;
    if *refused == 0 && message.is_none() {
        return b"{}".to_vec();
    }
    let partial = serde_json::json!({ S::REJECTED: refused.to_string(), "errorMessage": message.as_deref().unwrap_or_default() });
    serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
}
