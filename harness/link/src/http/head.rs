//! What the head of a message says about the bytes that follow it. It must not know faults.

use super::{
    body::{Body, Malformed},
    gather::Parsed,
};
use crate::http::rule::Asked;
use httparse::{EMPTY_HEADER, Header, Request, Response, Status};
use std::borrow::Cow;

/// Headers of a message, at most.
const HEADERS: usize = 128;
/// Longest method, well above the longest registered one.
const METHOD: usize = 24;

/// What must be known of a method to read the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Head,
    Connect,
    Other,
}

/// What the head of a request says.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) verb: Verb,
    pub(super) body: Body,
    /// Asks for another protocol.
    pub(super) upgrades: bool,
    /// The last one of its connection.
    pub(super) closes: bool,
    /// Its sender waits for a word before it sends the body.
    pub(super) waits: bool,
}

/// A request as a rule sees it.
pub(super) struct Head<'a, 'h, 'b>(pub(super) &'a Request<'h, 'b>);

impl Asked for Head<'_, '_, '_> {
    fn method(&self) -> &[u8] {
        self.0.method.unwrap_or_default().as_bytes()
    }

    fn target(&self) -> Cow<'_, str> {
        self.0.path.unwrap_or_default().into()
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(self.0.headers, name)
    }

    /// It needs HTTP/2.
    fn is_grpc(&self) -> bool {
        false
    }
}

/// What the head of an answer says.
#[derive(Debug)]
pub(super) struct AnswerHead {
    pub(super) status: u16,
    pub(super) body: Body,
}

impl AnswerHead {
    /// Neither the final answer nor another protocol.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// What follows is another protocol.
    pub(super) fn switches(&self, verb: Verb) -> bool {
        self.status == 101 || (verb == Verb::Connect && (200..300).contains(&self.status))
    }
}

/// Whether a request may begin so. A letter more decides it for almost every other protocol: little is held back of one that is none.
pub(super) fn begins_request(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == b' ');
    let method = &bytes[..end.unwrap_or(bytes.len())];
    (end != Some(0)) && method.len() <= METHOD && method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
}

/// Whether an answer may begin so.
pub(super) fn begins_answer(bytes: &[u8]) -> bool {
    bytes.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected)
}

/// Reads the head of a request and hands it to `see`.
pub(super) fn read_request<T>(bytes: &[u8], see: impl FnOnce(&Request<'_, '_>) -> T) -> Parsed<(RequestHead, T)> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = Request::new(&mut headers);
    let Status::Complete(length) = request.parse(bytes).map_err(|_| Malformed)? else { return Ok(None) };
    let version = request.version.ok_or(Malformed)?;
    let verb = match request.method {
        Some("HEAD") => Verb::Head,
        Some("CONNECT") => Verb::Connect,
        _ => Verb::Other,
    };
    let body = match declared(request.headers, version)? {
        Declared::Nothing => Body::NONE,
        Declared::Length(length) => Body::Length(length),
        Declared::Chunked => Body::chunked(),
        Declared::Coded => return Err(Malformed),
    };
    let keeps = version > 0 || has_token(request.headers, "connection", "keep-alive");
    let head = RequestHead {
        verb,
        body,
        upgrades: has_token(request.headers, "connection", "upgrade") && values(request.headers, "upgrade").next().is_some(),
        closes: !keeps || has_token(request.headers, "connection", "close"),
        waits: version > 0 && has_token(request.headers, "expect", "100-continue"),
    };
    let seen = see(&request);
    Ok(Some(((head, seen), length)))
}

/// Reads the head of the answer to a request of this `verb` and hands it to `see`.
pub(super) fn read_answer<T>(bytes: &[u8], verb: Verb, see: impl FnOnce(&Response<'_, '_>, &AnswerHead) -> T) -> Parsed<(AnswerHead, T)> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut response = Response::new(&mut headers);
    let Status::Complete(length) = response.parse(bytes).map_err(|_| Malformed)? else { return Ok(None) };
    let (version, status) = response.version.zip(response.code).ok_or(Malformed)?;
    let body = match declared(response.headers, version)? {
        _ if verb == Verb::Head || is_bodyless(status) => Body::NONE,
        Declared::Nothing | Declared::Coded => Body::UntilClose,
        Declared::Length(length) => Body::Length(length),
        Declared::Chunked => Body::chunked(),
    };
    let head = AnswerHead { status, body };
    let seen = see(&response, &head);
    Ok(Some(((head, seen), length)))
}

/// Answers of this status never have a body.
pub(crate) fn is_bodyless(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

/// The values of all headers of this name.
pub(super) fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.trim_ascii())
}

/// The members of all lists of this name.
fn members<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    values(headers, name).flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn has_token(headers: &[Header<'_>], name: &str, token: &str) -> bool {
    members(headers, name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}

enum Declared {
    Nothing,
    Length(u64),
    Chunked,
    /// Coded in some other way.
    Coded,
}

/// How the length of the body is declared. Two different declarations are none: sender and receiver may differ over them.
fn declared(headers: &[Header<'_>], version: u8) -> Result<Declared, Malformed> {
    let lengths: Vec<&[u8]> = members(headers, "content-length").collect();
    let codings: Vec<&[u8]> = members(headers, "transfer-encoding").collect();
    let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match (lengths.split_first(), codings.split_last()) {
        (None, None) => Ok(Declared::Nothing),
        (Some((first, others)), None) if others.iter().all(|other| other == first) => Ok(Declared::Length(number(first)?)),
        (None, Some((last, others))) if version > 0 && !others.iter().any(is_chunked) => {
            Ok(if is_chunked(last) { Declared::Chunked } else { Declared::Coded })
        }
        _ => Err(Malformed),
    }
}

fn number(digits: &[u8]) -> Result<u64, Malformed> {
    let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    digits.parse().map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &str) -> Result<RequestHead, Malformed> {
        let text = format!("POST / HTTP/1.1\r\n{lines}\r\n");
        read_request(text.as_bytes(), |_| ()).map(|read| read.expect("it is complete").0.0)
    }

    fn answer(status: u16, verb: Verb, lines: &str) -> Result<Body, Malformed> {
        let text = format!("HTTP/1.1 {status} OK\r\n{lines}\r\n");
        read_answer(text.as_bytes(), verb, |_, _| ()).map(|read| read.expect("it is complete").0.0.body)
    }

    #[test]
    fn a_request_without_a_length_has_no_body_and_an_answer_lasts_until_the_close() {
        assert_eq!(request("").unwrap().body, Body::NONE);
        assert_eq!(answer(200, Verb::Other, ""), Ok(Body::UntilClose));
        assert_eq!(answer(200, Verb::Other, "Transfer-Encoding: gzip\r\n"), Ok(Body::UntilClose));
    }

    #[test]
    fn lengths_and_chunks_are_read_and_what_is_ambiguous_is_malformed() {
        assert_eq!(request("content-LENGTH: 12\r\nContent-Length: 12\r\n").unwrap().body, Body::Length(12));
        assert_eq!(request("Transfer-Encoding: gzip, Chunked\r\n").unwrap().body, Body::chunked());
        for lines in [
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "Transfer-Encoding: gzip\r\n",
        ] {
            assert!(request(lines).is_err(), "{lines}");
        }
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        for (status, verb) in [(200, Verb::Head), (204, Verb::Other), (304, Verb::Other), (100, Verb::Other)] {
            assert_eq!(answer(status, verb, "Content-Length: 7\r\n"), Ok(Body::NONE));
        }
    }

    #[test]
    fn other_protocols_are_told_by_their_first_bytes() {
        for bytes in [b"\x16\x03\x01".as_slice(), b"SSH-2.0", b"*1\r\n", b"get key", b" GET", b"\0\0\0\x08", b"AMQP\0", &[b'A'; 30]] {
            assert!(!begins_request(bytes), "{bytes:?}");
        }
        assert!(begins_request(b"G") && begins_request(b"VERSION-CONTROL /x") && begins_answer(b"HT") && !begins_answer(b"HTTP/2"));
        assert!(read_request(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", |_| ()).is_err());
    }
}
