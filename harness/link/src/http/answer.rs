//! Heads of answers that a link writes. It must not know which connection they are for.

use super::{
    body::Body,
    head::{AnswerHead, Verb, is_bodyless},
    rule::Patch,
};
use bytes::Bytes;
use httparse::Response;

/// To a sender that waits for a word before it sends its body.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// About a body that is no longer there.
pub(crate) const ABOUT_THE_BODY: [&str; 7] =
    ["content-encoding", "content-range", "content-md5", "digest", "content-digest", "repr-digest", "etag"];

/// An answer without a body.
pub(super) fn own(status: u16, closes: bool) -> Bytes {
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    if !is_bodyless(status) {
        text += "Content-Length: 0\r\n";
    }
    if closes {
        text += "Connection: close\r\n";
    }
    text += "\r\n";
    text.into()
}

/// What goes on in place of an answer's head.
#[derive(Debug)]
pub(super) struct Patched {
    /// The head, and the new body if there is one.
    pub(super) bytes: Bytes,
    /// Whether the body is thrown away.
    pub(super) drops_body: bool,
}

/// Where the length of a patched answer comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    AsBefore,
    None,
    Bytes(usize),
}

pub(super) fn patched(response: &Response<'_, '_>, head: &AnswerHead, verb: Verb, patch: &Patch) -> Patched {
    let status = patch.status.unwrap_or(head.status);
    let length = match &patch.body {
        _ if is_bodyless(status) => Length::None,
        Some(body) => Length::Bytes(body.len()),
        None if is_bodyless(head.status) => Length::Bytes(0),
        None => Length::AsBefore,
    };
    let mut bytes = status_line(response, status);
    for header in response.headers.iter().filter(|header| stays(header.name, patch, length, &head.body)) {
        line(&mut bytes, header.name, header.value);
    }
    for (name, value) in &patch.set {
        line(&mut bytes, name, value.as_bytes());
    }
    if let Length::Bytes(length) = length {
        line(&mut bytes, "Content-Length", length.to_string().as_bytes());
    }
    let drops_body = length != Length::AsBefore;
    if drops_body && head.body == Body::UntilClose {
        line(&mut bytes, "Connection", b"close");
    }
    bytes.extend_from_slice(b"\r\n");
    if let (Some(body), Length::Bytes(_), false) = (&patch.body, length, verb == Verb::Head) {
        bytes.extend_from_slice(body);
    }
    Patched { bytes: bytes.into(), drops_body }
}

fn status_line(response: &Response<'_, '_>, status: u16) -> Vec<u8> {
    let reason = if response.code == Some(status) { response.reason.unwrap_or_default() } else { reason(status) };
    format!("HTTP/1.{} {status} {reason}\r\n", response.version.unwrap_or(1)).into()
}

/// Whether a header of the answer is one of the patched answer too.
fn stays(name: &str, patch: &Patch, length: Length, body: &Body) -> bool {
    let is_any_of = |names: &[&str]| names.iter().any(|other| name.eq_ignore_ascii_case(other));
    let is_replaced = patch.set.iter().map(|(name, _)| name).chain(&patch.remove).any(|other| name.eq_ignore_ascii_case(other));
    let is_framing = length != Length::AsBefore && is_any_of(&["content-length", "transfer-encoding", "trailer"]);
    let is_about_the_body = patch.body.is_some() && is_any_of(&ABOUT_THE_BODY);
    let is_connection = length != Length::AsBefore && *body == Body::UntilClose && is_any_of(&["connection", "keep-alive"]);
    !(is_replaced || is_framing || is_about_the_body || is_connection)
}

fn line(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

/// For people who read along; no program may rely on it.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        409 => "Conflict",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::read_answer;

    fn check(verb: Verb, head: &str, patch: &Patch, expected: &str, drops_body: bool) {
        let read = read_answer(head.as_bytes(), verb, |response, head| patched(response, head, verb, patch));
        let ((_, patched), _) = read.expect("it is well formed").expect("it is complete");
        assert_eq!((String::from_utf8_lossy(&patched.bytes).as_ref(), patched.drops_body), (expected, drops_body));
    }

    fn status(status: u16) -> Patch {
        Patch { status: Some(status), ..Patch::default() }
    }

    fn body(text: &'static str) -> Patch {
        Patch { body: Some(Bytes::from_static(text.as_bytes())), ..Patch::default() }
    }

    #[test]
    fn another_status_and_headers_leave_the_body_as_it_is_framed() {
        let patch = Patch { set: vec![("A".into(), "new".into())], remove: vec!["b".into()], ..status(503) };
        let head = "HTTP/1.1 200 OK\r\na: 1\r\nA: 2\r\nB: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        let expected = "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\nA: new\r\n\r\n";
        check(Verb::Other, head, &patch, expected, false);
    }

    #[test]
    fn another_body_has_its_own_length_and_nothing_that_was_said_about_the_old_one() {
        let head = "HTTP/1.1 200 Fine\r\nETag: x\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n";
        check(Verb::Other, head, &body("oops"), "HTTP/1.1 200 Fine\r\nContent-Length: 4\r\n\r\noops", true);
        let until_close = "HTTP/1.0 200 OK\r\nConnection: x\r\n\r\n";
        check(Verb::Other, until_close, &body("no"), "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", true);
    }

    #[test]
    fn answers_that_may_not_have_a_body_get_none() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
        check(Verb::Head, head, &body("four"), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", true);
        check(Verb::Other, head, &Patch { status: Some(204), ..body("four") }, "HTTP/1.1 204 No Content\r\n\r\n", true);
        let no_body = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n";
        check(Verb::Other, no_body, &status(500), "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", true);
    }
}
