//! Counts the parts of a protobuf request before it is decoded.
//!
//! Two bytes on the wire become up to 350 in memory (an empty span), so a limit in bytes alone does not bound what decoding costs. This
//! walk allocates nothing.

/// Which fields of a message are messages themselves.
pub(crate) struct Shape(&'static [(u64, &'static Shape)]);

impl Shape {
    /// The numbers of such fields, each with its own shape.
    pub(crate) const fn of(fields: &'static [(u64, &'static Shape)]) -> Shape {
        Shape(fields)
    }
}

/// As deep as the decoder itself goes.
const DEPTH: u32 = 100;

static ANY_VALUE: Shape = Shape(&[(5, &ARRAY), (6, &PAIRS)]);
static ARRAY: Shape = Shape(&[(1, &ANY_VALUE)]);
static PAIR: Shape = Shape(&[(2, &ANY_VALUE)]);
static PAIRS: Shape = Shape(&[(1, &PAIR)]);
static LEAF: Shape = Shape(&[]);
static RESOURCE: Shape = Shape(&[(1, &PAIR), (3, &ENTITY)]);
static ENTITY: Shape = Shape(&[(3, &LEAF), (4, &LEAF)]);
static SCOPE: Shape = Shape(&[(3, &PAIR)]);

static EVENT: Shape = Shape(&[(3, &PAIR)]);
static LINK: Shape = Shape(&[(4, &PAIR)]);
static SPAN: Shape = Shape(&[(9, &PAIR), (11, &EVENT), (13, &LINK)]);
static SCOPE_SPANS: Shape = Shape(&[(1, &SCOPE), (2, &SPAN)]);
static RESOURCE_SPANS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_SPANS)]);
/// `ExportTraceServiceRequest`
pub(crate) static TRACES: Shape = Shape(&[(1, &RESOURCE_SPANS)]);

static LOG_RECORD: Shape = Shape(&[(5, &ANY_VALUE), (6, &PAIR)]);
static SCOPE_LOGS: Shape = Shape(&[(1, &SCOPE), (2, &LOG_RECORD)]);
static RESOURCE_LOGS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_LOGS)]);
/// `ExportLogsServiceRequest`
pub(crate) static LOGS: Shape = Shape(&[(1, &RESOURCE_LOGS)]);

static EXEMPLAR: Shape = Shape(&[(7, &PAIR)]);
static NUMBER: Shape = Shape(&[(5, &EXEMPLAR), (7, &PAIR)]);
static BUCKETS: Shape = Shape(&[(8, &EXEMPLAR), (9, &PAIR)]);
static EXPONENTIAL: Shape = Shape(&[(1, &PAIR), (11, &EXEMPLAR)]);
static QUANTILES: Shape = Shape(&[(6, &LEAF), (7, &PAIR)]);
static NUMBERS: Shape = Shape(&[(1, &NUMBER)]);
static HISTOGRAM: Shape = Shape(&[(1, &BUCKETS)]);
static EXPONENTIAL_HISTOGRAM: Shape = Shape(&[(1, &EXPONENTIAL)]);
static SUMMARY: Shape = Shape(&[(1, &QUANTILES)]);
static METRIC: Shape = Shape(&[(5, &NUMBERS), (7, &NUMBERS), (9, &HISTOGRAM), (10, &EXPONENTIAL_HISTOGRAM), (11, &SUMMARY), (12, &PAIR)]);
static SCOPE_METRICS: Shape = Shape(&[(1, &SCOPE), (2, &METRIC)]);
static RESOURCE_METRICS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_METRICS)]);
/// `ExportMetricsServiceRequest`
pub(crate) static METRICS: Shape = Shape(&[(1, &RESOURCE_METRICS)]);

/// Why a message must not get to the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Objection {
    /// More parts than allowed.
    TooMany,
    /// No version of OTLP has groups, and nothing can be said of what they hold.
    Group,
}

/// What speaks against decoding `message`, whose parts may be `limit`. One that is broken ends the walk there, as it will end the decoder.
pub(crate) fn objection(limit: usize, message: &[u8], shape: &Shape) -> Option<Objection> {
    let mut left = limit;
    walk(message, shape, &mut left, 0)
}

fn walk(mut bytes: &[u8], shape: &Shape, left: &mut usize, depth: u32) -> Option<Objection> {
    while !bytes.is_empty() && depth < DEPTH {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => drop(varint(&mut bytes)?),
            1 => bytes = bytes.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (field, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                if let Some((_, inner)) = shape.0.iter().find(|(number, _)| *number == key >> 3) {
                    *left = match left.checked_sub(1) {
                        Some(left) => left,
                        None => return Some(Objection::TooMany),
                    };
                    if let Some(objection) = walk(field, inner, left, depth + 1) {
                        return Some(objection);
                    }
                }
            }
            5 => bytes = bytes.get(4..)?,
            3 | 4 => return Some(Objection::Group),
            _ => return None,
        }
    }
    None
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        common::v1::{AnyValue, KeyValue, any_value::Value},
        trace::v1::{ResourceSpans, ScopeSpans, Span},
    };
    use prost::Message as _;

    #[test]
    fn every_part_of_a_request_is_counted() {
        let value = Some(AnyValue { value: Some(Value::StringValue("v".into())) });
        let pair = KeyValue { key: "k".into(), value, ..KeyValue::default() };
        let span = Span { attributes: vec![pair; 4], ..Span::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![span; 3], ..ScopeSpans::default() }];
        let request = ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
        // One resource, one scope, three spans, each with four pairs of key and value.
        let parts = 1 + 1 + 3 + 3 * 4 * 2;
        assert_eq!(objection(parts, &request.encode_to_vec(), &TRACES), None);
        assert_eq!(objection(parts - 1, &request.encode_to_vec(), &TRACES), Some(Objection::TooMany));
    }

    #[test]
    fn two_bytes_a_part_do_not_get_through() {
        assert_eq!(objection(1000, &[0x0a, 0x00].repeat(1001), &TRACES), Some(Objection::TooMany));
    }

    #[test]
    fn a_group_is_refused_and_broken_bytes_are_left_to_the_decoder() {
        assert_eq!(objection(1000, &[0x0b, 0x0c], &TRACES), Some(Objection::Group));
        for broken in [&[0xff; 12][..], &[0x0a, 0x7f], &[0x09, 1], &[0x0d], &[0x0a], &[0x0f]] {
            assert_eq!(objection(1000, broken, &TRACES), None, "{broken:?}");
            assert!(ExportTraceServiceRequest::decode(broken).is_err());
        }
    }
}
