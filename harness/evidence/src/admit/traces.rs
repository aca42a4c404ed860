//! Which spans get in.

use super::{
    Account, Admission, Signal, is_id,
    measure::{Measure, TEXT},
};
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use shakedown_model::time::UnixNanos;

impl Signal for ExportTraceServiceRequest {
    const ITEMS: &'static str = "spans";

    fn admit(&mut self, _now: UnixNanos) -> Admission {
        let mut account = Account::default();
        for resource in &mut self.resource_spans {
            for scope in &mut resource.scope_spans {
                scope.spans.retain_mut(|span| {
                    let verdict = admit(span, &mut account.measure);
                    account.book(verdict)
                });
                account.measure.scope(&mut scope.scope, &mut scope.schema_url);
            }
            resource.scope_spans.retain(|scope| !scope.spans.is_empty());
            account.measure.resource(&mut resource.resource, &mut resource.schema_url);
        }
        self.resource_spans.retain(|resource| !resource.scope_spans.is_empty());
        account.close()
    }
}

fn admit(span: &mut Span, measure: &mut Measure) -> Result<(), &'static str> {
    let times = [span.start_time_unix_nano, span.end_time_unix_nano];
    is_span([&span.trace_id, &span.span_id, &span.parent_span_id], times)?;
    if is_none(&span.parent_span_id) {
        span.parent_span_id.clear();
    }
    measure.weight += size_of::<Span>();
    measure.text(&mut span.name, TEXT);
    measure.text(&mut span.trace_state, TEXT);
    measure.attributes(&mut span.attributes, &mut span.dropped_attributes_count);
    if let Some(status) = &mut span.status {
        measure.text(&mut status.message, TEXT);
    }
    lists(span, measure);
    Ok(())
}

/// Whether what says these ids (trace, span, parent) and these times is a span.
pub(super) fn is_span(ids: [&[u8]; 3], times: [u64; 2]) -> Result<(), &'static str> {
    if !is_id(ids[0], 16) {
        return Err("a span needs a trace id of 16 bytes that are not all zero");
    }
    if !is_id(ids[1], 8) {
        return Err("a span needs a span id of 8 bytes that are not all zero");
    }
    if !is_none(ids[2]) && ids[2].len() != 8 {
        return Err("the parent id of a span has 8 bytes");
    }
    if times.contains(&0) {
        return Err("a span needs a start and an end time");
    }
    Ok(())
}

/// Some clients write "no parent" as zeros.
pub(super) fn is_none(parent: &[u8]) -> bool {
    parent.iter().all(|byte| *byte == 0)
}

/// Bounds events and links.
pub(super) fn lists(span: &mut Span, measure: &mut Measure) {
    let over = measure.list(&mut span.events);
    span.dropped_events_count = span.dropped_events_count.saturating_add(over);
    for event in &mut span.events {
        measure.text(&mut event.name, TEXT);
        measure.attributes(&mut event.attributes, &mut event.dropped_attributes_count);
    }
    let links = span.links.len();
    span.links.retain(|link| is_id(&link.trace_id, 16) && is_id(&link.span_id, 8));
    measure.list(&mut span.links);
    span.dropped_links_count = span.dropped_links_count.saturating_add((links - span.links.len()) as u32);
    for link in &mut span.links {
        measure.text(&mut link.trace_state, TEXT);
        measure.attributes(&mut link.attributes, &mut link.dropped_attributes_count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, span::Link};

    fn good() -> Span {
        Span { trace_id: vec![1; 16], span_id: vec![2; 8], start_time_unix_nano: 1, end_time_unix_nano: 2, ..Span::default() }
    }

    fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
    }

    #[test]
    fn each_kind_of_broken_span_is_refused_with_its_reason_and_the_good_one_stays() {
        let broken = [
            (Span { trace_id: vec![], ..good() }, "trace id"),
            (Span { trace_id: vec![0; 16], ..good() }, "trace id"),
            (Span { trace_id: vec![1; 17], ..good() }, "trace id"),
            (Span { span_id: vec![1; 7], ..good() }, "span id"),
            (Span { span_id: vec![0; 8], ..good() }, "span id"),
            (Span { parent_span_id: vec![1; 3], ..good() }, "parent id"),
            (Span { start_time_unix_nano: 0, ..good() }, "start and an end"),
            (Span { end_time_unix_nano: 0, ..good() }, "start and an end"),
        ];
        for (span, reason) in broken {
            let mut request = request(vec![span, good()]);
            let admission = request.admit(UnixNanos(1));
            assert_eq!((admission.kept, admission.refused), (1, 1));
            assert!(admission.why.unwrap().contains(reason), "{:?} does not say {reason}", admission.why);
            assert_eq!(request.resource_spans[0].scope_spans[0].spans, [good()]);
        }
    }

    #[test]
    fn a_parent_of_zeros_is_no_parent() {
        let mut request = request(vec![Span { parent_span_id: vec![0; 8], ..good() }]);
        assert_eq!(request.admit(UnixNanos(1)).refused, 0);
        assert!(request.resource_spans[0].scope_spans[0].spans[0].parent_span_id.is_empty());
    }

    #[test]
    fn links_that_are_broken_or_too_many_are_counted_as_dropped() {
        let link = Link { trace_id: vec![1; 16], span_id: vec![1; 8], ..Link::default() };
        let mut links = vec![link; 130];
        links.push(Link::default());
        let mut request = request(vec![Span { links, ..good() }]);
        request.admit(UnixNanos(1));
        let span = &request.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((span.links.len(), span.dropped_links_count), (128, 3));
    }

    #[test]
    fn nothing_is_left_of_groups_without_spans() {
        let mut request = request(vec![Span::default()]);
        request.resource_spans.resize(1000, ResourceSpans::default());
        assert_eq!(request.admit(UnixNanos(1)).kept, 0);
        assert!(request.resource_spans.is_empty());
    }
}
