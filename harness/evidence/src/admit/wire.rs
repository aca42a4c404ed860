//! Spans out of protobuf (<https://protobuf.dev/programming-guides/encoding/>), without messages in between.
//!
//! `None` wherever something is not as every encoder writes it: prost reads it then, and says what is wrong.

use super::line::{Line, Parts, Scalar, Writer};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope},
    resource::v1::Resource,
    trace::v1::{
        Status,
        span::{Event, Link},
    },
};
use prost::Message;

/// A field's value.
#[derive(Clone, Copy)]
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// An `ExportTraceServiceRequest`, whose parts were counted before.
pub(crate) fn traces(message: &[u8]) -> Option<Line> {
    let mut writer = Writer::new(message.len() * 3);
    each(message, |number, field| match (number, field) {
        (1, Field::Bytes(resource)) => resource_spans(resource, &mut writer),
        (1, _) => None,
        _ => Some(()),
    })?;
    Some(writer.close())
}

fn resource_spans(message: &[u8], writer: &mut Writer) -> Option<()> {
    let (resource, schema_url, scopes) = group(message)?;
    let resource = resource.map(Resource::decode).transpose().ok()?;
    let scopes = |writer: &mut Writer| any(scopes.iter().map(|scope| scope_spans(scope, writer)));
    writer.resource(resource, schema_url.to_owned(), scopes).map(drop)
}

fn scope_spans(message: &[u8], writer: &mut Writer) -> Option<bool> {
    let (scope, schema_url, spans) = group(message)?;
    let scope = scope.map(InstrumentationScope::decode).transpose().ok()?;
    let mut attributes = Vec::new();
    let spans = |writer: &mut Writer| any(spans.iter().map(|message| span(message, &mut attributes, writer)));
    writer.scope(scope, schema_url.to_owned(), spans)
}

/// Whether any is; all are looked at.
fn any(mut kept: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    kept.try_fold(false, |any, kept| Some(any | kept?))
}

/// Head, schema and items of a group.
type Group<'a> = (Option<&'a [u8]>, &'a str, Vec<&'a [u8]>);

fn group(message: &[u8]) -> Option<Group<'_>> {
    let (mut head, mut schema_url, mut items) = (None, "", Vec::new());
    each(message, |number, field| {
        match (number, field) {
            // Two of one message would have to be merged.
            (1, Field::Bytes(bytes)) if head.is_none() => head = Some(bytes),
            (2, Field::Bytes(bytes)) => items.push(bytes),
            (3, Field::Bytes(bytes)) => schema_url = std::str::from_utf8(bytes).ok()?,
            (1..=3, _) => return None,
            _ => {}
        }
        Some(())
    })?;
    Some((head, schema_url, items))
}

fn span<'a>(message: &'a [u8], attributes: &mut Vec<&'a [u8]>, writer: &mut Writer) -> Option<bool> {
    attributes.clear();
    let mut span = Parts::default();
    each(message, |number, field| {
        match (number, field) {
            (1, Field::Bytes(id)) => span.trace_id = id,
            (2, Field::Bytes(id)) => span.span_id = id,
            (3, Field::Bytes(text)) => span.trace_state = std::str::from_utf8(text).ok()?,
            (4, Field::Bytes(id)) => span.parent_span_id = id,
            (5, Field::Bytes(text)) => span.name = std::str::from_utf8(text).ok()?,
            (6, Field::Varint(kind)) => span.kind = kind as i32,
            (7, Field::Fixed64(time)) => span.start = time,
            (8, Field::Fixed64(time)) => span.end = time,
            (9, Field::Bytes(pair)) => attributes.push(pair),
            (10, Field::Varint(count)) => span.dropped[0] = count as u32,
            (11, Field::Bytes(event)) => span.events.push(Event::decode(event).ok()?),
            (12, Field::Varint(count)) => span.dropped[1] = count as u32,
            (13, Field::Bytes(link)) => span.links.push(Link::decode(link).ok()?),
            (14, Field::Varint(count)) => span.dropped[2] = count as u32,
            (15, Field::Bytes(status)) if span.status.is_none() => span.status = Some(Status::decode(status).ok()?),
            (16, Field::Fixed32(flags)) => span.flags = flags,
            (1..=16, _) => return None,
            _ => {}
        }
        Some(())
    })?;
    writer.span(span, attributes.iter().map(|pair| attribute(pair)))
}

fn attribute(message: &[u8]) -> Option<(&str, Scalar<'_>)> {
    let (mut key, mut value) = ("", None);
    each(message, |number, field| {
        match (number, field) {
            (1, Field::Bytes(text)) => key = std::str::from_utf8(text).ok()?,
            (2, Field::Bytes(bytes)) if value.is_none() => value = Some(bytes),
            (1 | 2, _) | (3, Field::Bytes(_) | Field::Fixed32(_) | Field::Fixed64(_)) => return None,
            _ => {}
        }
        Some(())
    })?;
    Some((key, value.map_or(Some(Scalar::Absent), scalar)?))
}

fn scalar(message: &[u8]) -> Option<Scalar<'_>> {
    let (mut value, mut nested) = (Scalar::Empty, false);
    let mut seen = 0;
    each(message, |number, field| {
        seen += u32::from((1..=8).contains(&number));
        match (number, field) {
            (1, Field::Bytes(text)) => value = Scalar::Text(std::str::from_utf8(text).ok()?),
            (2, Field::Varint(bool)) => value = Scalar::Bool(bool != 0),
            (3, Field::Varint(int)) => value = Scalar::Int(int.cast_signed()),
            (4, Field::Fixed64(bits)) => value = Scalar::Double(f64::from_bits(bits)),
            (5..=7, Field::Bytes(_)) | (8, Field::Varint(_)) => nested = true,
            (1..=8, _) => return None,
            _ => {}
        }
        Some(())
    })?;
    match (seen, nested) {
        (0 | 1, false) => Some(value),
        (1, true) => AnyValue::decode(message).ok().map(Scalar::Other),
        // Of several the last one counts, and messages are merged.
        _ => None,
    }
}

/// Every field of a message with its number.
fn each<'a>(mut bytes: &'a [u8], mut take: impl FnMut(u64, Field<'a>) -> Option<()>) -> Option<()> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut bytes)?),
            1 => {
                let (fixed, rest) = bytes.split_first_chunk::<8>()?;
                bytes = rest;
                Field::Fixed64(u64::from_le_bytes(*fixed))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (field, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(field)
            }
            5 => {
                let (fixed, rest) = bytes.split_first_chunk::<4>()?;
                bytes = rest;
                Field::Fixed32(u32::from_le_bytes(*fixed))
            }
            _ => return None,
        };
        if key < 8 || key > u64::from(u32::MAX) {
            return None;
        }
        take(key >> 3, field)?;
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            // 64 bits end one bit into the tenth byte.
            return (index < 9 || *byte < 2).then_some(value);
        }
    }
    None
}
