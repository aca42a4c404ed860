//! Spans written as a line of evidence while they are read, under the same bounds as those that become messages first.
//!
//! A message of half a million small objects costs more to make, to walk through and to drop than all the rest of taking it. So what is
//! common (ids, times, plain attributes) goes from the wire to the line; what is seldom (events, links, nested values) takes the long way.

use super::{
    Account, Admission,
    measure::{ATTRIBUTES, TEXT},
    traces::{is_none, is_span, lists},
};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue},
    resource::v1::Resource,
    trace::v1::{
        Span, Status,
        span::{Event, Link},
    },
};
use serde::Serialize;
use shakedown_model::ids::HEX;
use std::io::Write as _;

/// An `ExportTraceServiceRequest` as OTLP JSON, without a line end, and what was let in of it.
pub(crate) struct Line {
    pub(crate) json: Vec<u8>,
    pub(crate) admission: Admission,
}

/// One span, but for its attributes.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
    pub(super) parent_span_id: &'a [u8],
    pub(super) trace_state: &'a str,
    pub(super) flags: u32,
    pub(super) name: &'a str,
    pub(super) kind: i32,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Dropped attributes, events, links.
    pub(super) dropped: [u32; 3],
    pub(super) events: Vec<Event>,
    pub(super) links: Vec<Link>,
    pub(super) status: Option<Status>,
}

/// A value of an attribute.
pub(super) enum Scalar<'a> {
    /// There is no value, not even an empty one.
    Absent,
    Empty,
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    Other(AnyValue),
}

/// The line, as far as it is written. `None` anywhere: it has to be read the long way.
pub(super) struct Writer {
    out: Vec<u8>,
    account: Account,
}

impl Writer {
    pub(super) fn new(capacity: usize) -> Writer {
        let mut out = Vec::with_capacity(capacity);
        out.extend_from_slice(b"{\"resourceSpans\":[");
        Writer { out, account: Account::default() }
    }

    pub(super) fn close(mut self) -> Line {
        self.out.extend_from_slice(b"]}");
        Line { json: self.out, admission: self.account.close() }
    }

    /// One `ResourceSpans`; `scopes` writes what is in it and answers whether anything is.
    pub(super) fn resource(
        &mut self,
        resource: Option<Resource>,
        mut schema_url: String,
        scopes: impl FnOnce(&mut Writer) -> Option<bool>,
    ) -> Option<bool> {
        let mut resource = resource;
        self.account.measure.resource(&mut resource, &mut schema_url);
        self.group(b"\"resource\":", resource.as_ref(), &schema_url, b"\"scopeSpans\":[", scopes)
    }

    /// One `ScopeSpans`.
    pub(super) fn scope(
        &mut self,
        scope: Option<InstrumentationScope>,
        mut schema_url: String,
        spans: impl FnOnce(&mut Writer) -> Option<bool>,
    ) -> Option<bool> {
        let mut scope = scope;
        self.account.measure.scope(&mut scope, &mut schema_url);
        self.group(b"\"scope\":", scope.as_ref(), &schema_url, b"\"spans\":[", spans)
    }

    /// Of a group with nothing in it nothing is left.
    fn group<T: Serialize>(
        &mut self,
        name: &[u8],
        head: Option<&T>,
        schema_url: &str,
        items: &[u8],
        write: impl FnOnce(&mut Writer) -> Option<bool>,
    ) -> Option<bool> {
        let mark = self.element();
        self.out.push(b'{');
        if let Some(head) = head {
            self.out.extend_from_slice(name);
            self.json(head)?;
            self.out.push(b',');
        }
        if !schema_url.is_empty() {
            self.out.extend_from_slice(b"\"schemaUrl\":");
            quote(&mut self.out, schema_url);
            self.out.push(b',');
        }
        self.out.extend_from_slice(items);
        let is_kept = write(self)?;
        self.out.extend_from_slice(b"]}");
        if !is_kept {
            self.out.truncate(mark);
        }
        Some(is_kept)
    }

    /// One span; answers whether it is kept.
    pub(super) fn span<'a>(&mut self, span: Parts<'_>, attributes: impl Iterator<Item = Option<(&'a str, Scalar<'a>)>>) -> Option<bool> {
        let mark = self.element();
        let (weight, cut) = (self.account.measure.weight, self.account.measure.cut);
        let verdict = is_span([span.trace_id, span.span_id, span.parent_span_id], [span.start, span.end]);
        self.written(span, attributes)?;
        if verdict.is_err() {
            self.out.truncate(mark);
            (self.account.measure.weight, self.account.measure.cut) = (weight, cut);
        }
        Some(self.account.book(verdict))
    }

    fn written<'a>(&mut self, span: Parts<'_>, attributes: impl Iterator<Item = Option<(&'a str, Scalar<'a>)>>) -> Option<()> {
        self.account.measure.weight += size_of::<Span>();
        self.hex(b"{\"traceId\":\"", span.trace_id);
        self.hex(b"\",\"spanId\":\"", span.span_id);
        if !is_none(span.parent_span_id) {
            self.hex(b"\",\"parentSpanId\":\"", span.parent_span_id);
        }
        self.out.extend_from_slice(b"\",\"name\":");
        self.text(span.name);
        if !span.trace_state.is_empty() {
            self.out.extend_from_slice(b",\"traceState\":");
            self.text(span.trace_state);
        }
        self.number(b",\"kind\":", span.kind);
        self.number(b",\"flags\":", span.flags);
        self.number(b",\"startTimeUnixNano\":\"", span.start);
        self.number(b"\",\"endTimeUnixNano\":\"", span.end);
        self.out.push(b'"');
        let over = self.attributes(attributes)?;
        self.rest(span, over)
    }

    /// Answers how many are too many.
    fn attributes<'a>(&mut self, attributes: impl Iterator<Item = Option<(&'a str, Scalar<'a>)>>) -> Option<u32> {
        self.out.extend_from_slice(b",\"attributes\":[");
        let mut count = 0;
        for attribute in attributes {
            let (key, value) = attribute?;
            count += 1;
            if count > ATTRIBUTES {
                continue;
            }
            if count > 1 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(b"{\"key\":");
            self.text(key);
            self.value(value)?;
            self.out.push(b'}');
        }
        self.out.push(b']');
        self.account.measure.cut += u64::from(count > ATTRIBUTES);
        self.account.measure.weight += count.min(ATTRIBUTES) * size_of::<KeyValue>();
        Some(count.saturating_sub(ATTRIBUTES) as u32)
    }

    fn value(&mut self, value: Scalar<'_>) -> Option<()> {
        match value {
            Scalar::Absent => {}
            Scalar::Empty => self.out.extend_from_slice(b",\"value\":{}"),
            Scalar::Text(text) => {
                self.out.extend_from_slice(b",\"value\":{\"stringValue\":");
                self.text(text);
                self.out.push(b'}');
            }
            Scalar::Bool(true) => self.out.extend_from_slice(b",\"value\":{\"boolValue\":true}"),
            Scalar::Bool(false) => self.out.extend_from_slice(b",\"value\":{\"boolValue\":false}"),
            Scalar::Int(number) => {
                self.number(b",\"value\":{\"intValue\":\"", number);
                self.out.extend_from_slice(b"\"}");
            }
            // JSON has no such numbers.
            Scalar::Double(number) if !number.is_finite() => {
                self.number(b",\"value\":{\"stringValue\":\"", number);
                self.out.extend_from_slice(b"\"}");
            }
            Scalar::Double(number) => {
                self.out.extend_from_slice(b",\"value\":{\"doubleValue\":");
                self.json(&number)?;
                self.out.push(b'}');
            }
            Scalar::Other(mut value) => {
                self.account.measure.value(&mut value, TEXT);
                self.out.extend_from_slice(b",\"value\":");
                self.json(&value)?;
            }
        }
        Some(())
    }

    /// What most spans do not have.
    fn rest(&mut self, span: Parts<'_>, attributes_over: u32) -> Option<()> {
        let [attributes, events, links] = span.dropped;
        if let Some(mut status) = span.status {
            self.account.measure.text(&mut status.message, TEXT);
            self.out.extend_from_slice(b",\"status\":");
            self.json(&status)?;
        }
        let mut lists_of =
            Span { events: span.events, links: span.links, dropped_events_count: events, dropped_links_count: links, ..Span::default() };
        lists(&mut lists_of, &mut self.account.measure);
        if !lists_of.events.is_empty() {
            self.out.extend_from_slice(b",\"events\":");
            self.json(&lists_of.events)?;
        }
        if !lists_of.links.is_empty() {
            self.out.extend_from_slice(b",\"links\":");
            self.json(&lists_of.links)?;
        }
        for (name, dropped) in [
            (&b",\"droppedAttributesCount\":"[..], attributes.saturating_add(attributes_over)),
            (&b",\"droppedEventsCount\":"[..], lists_of.dropped_events_count),
            (&b",\"droppedLinksCount\":"[..], lists_of.dropped_links_count),
        ] {
            if dropped > 0 {
                self.number(name, dropped);
            }
        }
        self.out.push(b'}');
        Some(())
    }

    /// Begins an element of a list; answers where.
    fn element(&mut self) -> usize {
        let mark = self.out.len();
        if self.out.last() != Some(&b'[') {
            self.out.push(b',');
        }
        mark
    }

    fn text(&mut self, text: &str) {
        let kept = &text[..text.floor_char_boundary(TEXT)];
        self.account.measure.cut += u64::from(kept.len() < text.len());
        self.account.measure.weight += kept.len();
        quote(&mut self.out, kept);
    }

    fn hex(&mut self, before: &[u8], bytes: &[u8]) {
        self.out.extend_from_slice(before);
        // An id that is too long is refused a moment later.
        for byte in bytes.iter().take(16) {
            self.out.extend_from_slice(&HEX[usize::from(*byte)]);
        }
    }

    fn number(&mut self, before: &[u8], number: impl std::fmt::Display) {
        self.out.extend_from_slice(before);
        // Writing to a vector cannot fail.
        let _written = write!(self.out, "{number}");
    }

    fn json(&mut self, value: &impl Serialize) -> Option<()> {
        serde_json::to_writer(&mut self.out, value).ok()
    }
}

/// A text as JSON (RFC 8259, section 7).
fn quote(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&HEX[usize::from(*control)]);
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}
