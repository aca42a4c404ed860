//! Spans out of OTLP.

use super::{
    texts::Texts,
    values::{pairs, service},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span, span::SpanKind as Kind, status::StatusCode},
};
use shakedown_model::{
    evidence::{SpanKind, SpanRecord},
    ids::{SpanId, TraceId},
    text::Text,
    time::UnixNanos,
};

pub(super) fn read(request: ExportTraceServiceRequest, texts: &mut Texts, spans: &mut Vec<SpanRecord>) {
    for resource in request.resource_spans {
        let service = texts.text(&service(resource.resource.as_ref()));
        let of_scopes = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(of_scopes.filter_map(|span| record(span, &service, texts)));
    }
}

/// `None`: it has no ids; what was admitted has.
fn record(span: Span, service: &Text, texts: &mut Texts) -> Option<SpanRecord> {
    Some(SpanRecord {
        trace_id: TraceId::of(&span.trace_id)?,
        span_id: SpanId::of(&span.span_id)?,
        parent_id: SpanId::of(&span.parent_span_id),
        service: Text::clone(service),
        kind: match span.kind() {
            Kind::Unspecified | Kind::Internal => SpanKind::Internal,
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        },
        error: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
        name: texts.text(&span.name),
        start: UnixNanos(span.start_time_unix_nano),
        end: UnixNanos(span.end_time_unix_nano),
        attributes: texts.attributes(pairs(span.attributes)),
    })
}
