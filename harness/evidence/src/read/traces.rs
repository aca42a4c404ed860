//! Spans out of OTLP.

use super::values::{pairs, service};
use crate::ids::hex;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span, span::SpanKind as Kind, status::StatusCode},
};
use shakedown_model::{
    evidence::{SpanKind, SpanRecord},
    time::UnixNanos,
};

pub(super) fn read(request: ExportTraceServiceRequest, spans: &mut Vec<SpanRecord>) {
    for resource in request.resource_spans {
        let service = service(resource.resource.as_ref());
        let of_scopes = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(of_scopes.map(|span| record(span, &service)));
    }
}

fn record(span: Span, service: &str) -> SpanRecord {
    SpanRecord {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        service: service.to_owned(),
        kind: match span.kind() {
            Kind::Unspecified | Kind::Internal => SpanKind::Internal,
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        },
        error: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
        name: span.name,
        start: UnixNanos(span.start_time_unix_nano),
        end: UnixNanos(span.end_time_unix_nano),
        attributes: pairs(span.attributes).collect(),
    }
}
