//! From bytes to the recorder: unpack, count, decode, hand over. The same for HTTP and gRPC.
//!
//! Everything that costs memory is bounded: bytes on the way, unpacked bytes, parts, and how many requests are decoded at once.

use super::{
    export::Export,
    refusal::Refusal,
    shape::{self, Objection},
};
use crate::{
    admit::Line,
    recorder::{Accepted, Overloaded, Recorder},
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use std::{io::Read as _, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Largest request on the wire.
pub(super) const WIRE: usize = 16 << 20;
/// Largest request after unpacking.
pub(super) const UNPACKED: usize = 64 << 20;
/// Most messages (spans, attributes, …) in one request.
pub(crate) const PARTS: usize = 1_000_000;
/// Unfinished requests of all connections together, in KiB.
const IN_FLIGHT_KIB: usize = 64 << 10;
/// Requests that are decoded at once.
const DECODING: usize = 2;
/// A request up to this size is decoded where it arrived; a larger one would hold up the other tasks of the run.
const SMALL: usize = 64 << 10;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Protobuf,
    Json,
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
}

/// A request as it came.
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    pub(super) packing: Packing,
    pub(super) form: Form,
    /// Its share of what may be in flight.
    pub(super) share: Option<OwnedSemaphorePermit>,
}

/// The way in.
#[derive(Debug)]
pub(super) struct Intake {
    recorder: Recorder,
    in_flight: Arc<Semaphore>,
    decoding: Semaphore,
}

impl Intake {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self { recorder, in_flight: Arc::new(Semaphore::new(IN_FLIGHT_KIB)), decoding: Semaphore::new(DECODING) }
    }

    /// A share for `bytes` more in flight; none where too much is.
    pub(super) fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let kib = bytes.div_ceil(1024) as u32;
        Arc::clone(&self.in_flight).try_acquire_many_owned(kib).map_err(|_| Refusal::Overloaded)
    }

    /// Takes one export.
    pub(super) async fn take<S: Export>(&self, payload: Payload) -> Result<Accepted, Refusal> {
        let result = self.decode_and_record::<S>(payload).await;
        if let Err(Refusal::Malformed(_) | Refusal::TooLarge { .. } | Refusal::TooManyParts { .. }) = &result {
            self.recorder.lost(format!("requests with {} that could not be read", S::ITEMS), 1);
        }
        result
    }

    async fn decode_and_record<S: Export>(&self, payload: Payload) -> Result<Accepted, Refusal> {
        let (decoded, warning) = if payload.packing == Packing::None && payload.bytes.len() <= SMALL {
            decode_and_release::<S>(payload)?
        } else {
            let _turn = self.decoding.acquire().await.map_err(|_| Refusal::Internal)?;
            tokio::task::spawn_blocking(move || decode_and_release::<S>(payload)).await.map_err(|_| Refusal::Internal)??
        };
        let accepted = match decoded {
            Decoded::Request(request) => request.record(&self.recorder),
            Decoded::Line(line) => self.recorder.traces_line(line),
        };
        let mut accepted = accepted.map_err(|Overloaded| Refusal::Overloaded)?;
        if accepted.message.is_none() {
            accepted.message = warning;
        }
        Ok(accepted)
    }
}

/// A request on its way to the recorder.
enum Decoded<S> {
    Request(S),
    Line(Line),
}

/// The share of what may be in flight is given back when the bytes are gone, not before.
fn decode_and_release<S: Export>(payload: Payload) -> Result<(Decoded<S>, Option<String>), Refusal> {
    let decoded = decode(&payload);
    let Payload { bytes, share, .. } = payload;
    drop(bytes);
    drop(share);
    decoded
}

fn decode<S: Export>(payload: &Payload) -> Result<(Decoded<S>, Option<String>), Refusal> {
    let unpacked;
    let bytes = match payload.packing {
        Packing::None => &payload.bytes[..],
        Packing::Gzip => {
            unpacked = gunzip(&payload.bytes)?;
            &unpacked
        }
    };
    match payload.form {
        Form::Protobuf => match shape::objection(PARTS, bytes, S::SHAPE) {
            Some(Objection::TooMany) => Err(Refusal::TooManyParts { limit: PARTS }),
            Some(Objection::Group) => Err(Refusal::Malformed("it holds a protobuf group, which OTLP never does".to_owned())),
            None => match S::line_of(bytes, Form::Protobuf) {
                Some(line) => Ok((Decoded::Line(line), None)),
                None => {
                    S::decode(bytes).map(|request| (Decoded::Request(request), None)).map_err(|error| Refusal::Malformed(error.to_string()))
                }
            },
        },
        // Every part is an object, and an object begins with a brace. Braces inside texts are counted too, which only makes it stricter.
        Form::Json if bytes.split(|byte| *byte == b'{').nth(PARTS + 1).is_some() => Err(Refusal::TooManyParts { limit: PARTS }),
        // The derived reader would take a list for the fields in their order.
        Form::Json if bytes.trim_ascii_start().first() != Some(&b'{') => Err(Refusal::Malformed("it is no JSON object".to_owned())),
        Form::Json => match S::line_of(bytes, Form::Json) {
            Some(line) => Ok((Decoded::Line(line), snake_case::<S>(bytes))),
            None => serde_json::from_slice::<S>(bytes)
                .map(|request| (Decoded::Request(request), snake_case::<S>(bytes)))
                .map_err(|error| Refusal::Malformed(error.to_string())),
        },
    }
}

fn gunzip(packed: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut unpacked = Vec::with_capacity((packed.len() * 4).min(UNPACKED));
    let mut reader = MultiGzDecoder::new(packed).take(UNPACKED as u64 + 1);
    reader.read_to_end(&mut unpacked).map_err(|error| Refusal::Malformed(format!("not gzip: {error}")))?;
    if unpacked.len() > UNPACKED {
        return Err(Refusal::TooLarge { limit: UNPACKED, stage: "after unpacking" });
    }
    Ok(unpacked)
}

/// Unknown fields of OTLP JSON are to be ignored, so a sender that writes `resource_spans` would wait for its spans forever. It is told.
fn snake_case<S: Export>(json: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(json).ok()?;
    let wrong = S::SNAKE_CASE.iter().find(|name| text.match_indices(**name).any(|(at, _)| is_key(text, at, name.len())))?;
    Some(format!("field {wrong:?} was ignored: OTLP JSON writes field names in lowerCamelCase"))
}

/// Whether the text from `at` is quoted and followed by a colon. Only looked for until the first hit.
fn is_key(text: &str, at: usize, length: usize) -> bool {
    text[..at].ends_with('"') && text[at + length..].strip_prefix('"').is_some_and(|rest| rest.trim_start().starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

    /// Spans that were let in, and the warning.
    fn decode_json(json: &str) -> Result<(u64, Option<String>), Refusal> {
        let bytes = Bytes::copy_from_slice(json.as_bytes());
        let decoded = decode::<ExportTraceServiceRequest>(&Payload { bytes, packing: Packing::None, form: Form::Json, share: None })?;
        Ok(match decoded {
            (Decoded::Line(line), warning) => (line.admission.kept, warning),
            (Decoded::Request(request), warning) => (request.resource_spans.len() as u64, warning),
        })
    }

    #[test]
    fn field_names_in_snake_case_are_pointed_out() {
        let (kept, warning) = decode_json(r#"{"resource_spans" : [{"scope_spans": []}]}"#).unwrap();
        assert_eq!(kept, 0);
        assert!(warning.unwrap().contains("lowerCamelCase"));
    }

    #[test]
    fn a_text_that_only_mentions_a_field_name_is_no_reason_for_a_warning() {
        let json = r#"{"resourceSpans": [{"schemaUrl": "resource_spans"}, {"schemaUrl": "\"trace_id\""}]}"#;
        assert_eq!(decode_json(json).unwrap().1, None);
    }

    #[test]
    fn json_with_too_many_parts_is_refused_before_it_is_decoded() {
        let json = format!(r#"{{"resourceSpans": [{}{{}}]}}"#, "{},".repeat(PARTS));
        assert!(matches!(decode_json(&json), Err(Refusal::TooManyParts { .. })));
    }

    #[test]
    fn json_that_nests_without_end_is_an_error_or_ignored_and_no_overflow() {
        let unknown = format!(r#"{{"resourceSpans": [{{"x": {}{}}}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(decode_json(&unknown).is_ok());
        let value = format!("{}{}", r#"{"arrayValue": {"values": ["#.repeat(10_000), "]}}".repeat(10_000));
        let known = format!(r#"{{"resourceSpans": [{{"resource": {{"attributes": [{{"key": "k", "value": {value}}}]}}}}]}}"#);
        assert!(matches!(decode_json(&known), Err(Refusal::Malformed(_))));
    }
}
