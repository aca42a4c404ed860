//! The fields of answers that a link writes. It must not know streams.

use super::fields::{Field, first, is_grpc};
use crate::http::{ABOUT_THE_BODY, GrpcStatus, Patch, is_bodyless};
use bytes::Bytes;

/// What of a gRPC answer stands behind its messages.
const TRAILERS: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// An answer without a body.
pub(super) fn own(status: u16) -> Vec<Field> {
    let mut fields = vec![Field::new(":status", status.to_string())];
    if !is_bodyless(status) {
        fields.push(Field::new("content-length", "0"));
    }
    fields
}

/// An answer of gRPC that is nothing but its end ("Trailers-Only").
pub(super) fn own_grpc(status: GrpcStatus, message: &str) -> Vec<Field> {
    let mut fields = vec![
        Field::new(":status", "200"),
        Field::new("content-type", "application/grpc"),
        Field::new("grpc-status", status.code().to_string()),
    ];
    if !message.is_empty() {
        fields.push(Field::new("grpc-message", escaped(message)));
    }
    fields
}

/// A message as it is written in a header: percent-encoded but for printable ASCII.
fn escaped(message: &str) -> String {
    let escape = |byte| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    message.bytes().map(escape).collect()
}

/// A changed head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Patched {
    pub(super) fields: Vec<Field>,
    /// What takes the place of the body, where it does not stay.
    pub(super) body: Option<Bytes>,
}

/// Whether it is neither final nor the end of one.
pub(super) fn is_interim(fields: &[Field]) -> bool {
    first(fields, ":status").is_some_and(|status| status.starts_with(b"1"))
}

/// Changes the head of an answer. Where nothing follows it and it is of gRPC, it is its trailers too.
pub(super) fn patched(fields: &[Field], ends_stream: bool, patch: &Patch) -> Patched {
    let before = first(fields, ":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok()).unwrap_or_default();
    let (status, is_grpc) = (patch.status.unwrap_or(before), is_grpc(fields));
    let applies = |name: &str| !is_grpc || ends_stream || !is_trailer(name);
    let body = match &patch.body {
        _ if is_grpc && ends_stream => None,
        _ if is_bodyless(status) => Some(Bytes::new()),
        Some(body) => Some(body.clone()),
        None if is_bodyless(before) => Some(Bytes::new()),
        None => None,
    };
    let stays = |field: &&Field| {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
        let is_replaced = names(patch).any(|name| is(name) && applies(name));
        !(is_replaced
            || is(":status")
            || (body.is_some() && is("content-length"))
            || (patch.body.is_some() && ABOUT_THE_BODY.iter().any(|name| is(name))))
    };
    let mut patched = vec![Field::new(":status", status.to_string())];
    patched.extend(fields.iter().filter(stays).cloned());
    patched.extend(set(patch).filter(|(name, _)| applies(name)).map(field));
    if let Some(body) = body.as_ref().filter(|_| !is_bodyless(status) && !is_grpc) {
        patched.push(Field::new("content-length", body.len().to_string()));
    }
    Patched { fields: patched, body }
}

/// Changes the trailers of an answer of gRPC.
pub(super) fn patched_trailers(fields: &[Field], patch: &Patch) -> Vec<Field> {
    let is_replaced = |field: &&Field| names(patch).any(|name| is_trailer(name) && field.name.eq_ignore_ascii_case(name.as_bytes()));
    let mut patched: Vec<Field> = fields.iter().filter(|field| !is_replaced(field)).cloned().collect();
    patched.extend(set(patch).filter(|(name, _)| is_trailer(name)).map(field));
    patched
}

/// Whether something of the patch is for the trailers of this answer.
pub(super) fn has_trailers(fields: &[Field], patch: &Patch) -> bool {
    is_grpc(fields) && names(patch).any(is_trailer)
}

fn is_trailer(name: &str) -> bool {
    TRAILERS.iter().any(|trailer| name.eq_ignore_ascii_case(trailer))
}

fn set(patch: &Patch) -> impl Iterator<Item = (&str, &str)> {
    patch.set.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn names(patch: &Patch) -> impl Iterator<Item = &str> {
    set(patch).map(|(name, _)| name).chain(patch.remove.iter().map(String::as_str))
}

fn field((name, value): (&str, &str)) -> Field {
    Field::new(name.to_ascii_lowercase(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> Vec<Field> {
        pairs.iter().map(|(name, value)| Field::new(*name, *value)).collect()
    }

    fn patch(set: &[(&str, &str)], body: Option<&'static str>) -> Patch {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Patch { status: None, set, remove: vec!["Server".into()], body: body.map(Bytes::from) }
    }

    #[test]
    fn another_body_has_its_own_length_and_nothing_that_was_said_about_the_old_one() {
        let head = fields(&[(":status", "200"), ("server", "x"), ("etag", "1"), ("content-length", "9"), ("a", "old"), ("b", "stays")]);
        let expected = fields(&[(":status", "200"), ("b", "stays"), ("a", "new"), ("content-length", "4")]);
        let read = patched(&head, false, &patch(&[("A", "new")], Some("oops")));
        assert_eq!(read, Patched { fields: expected, body: Some("oops".into()) });
        let empty = patched(&head, false, &Patch { status: Some(204), ..Patch::default() });
        assert_eq!((empty.body, first(&empty.fields, "content-length")), (Some(Bytes::new()), None));
        let as_before = patched(&head, false, &Patch { status: Some(500), ..Patch::default() });
        assert_eq!((as_before.body, first(&as_before.fields, "content-length")), (None, Some(b"9".as_slice())));
    }

    #[test]
    fn the_status_of_grpc_is_changed_where_it_stands() {
        let patch = patch(&[("grpc-status", "14"), ("x-more", "yes")], None);
        let head = fields(&[(":status", "200"), ("content-type", "application/grpc+proto")]);
        let trailers = fields(&[("grpc-status", "0"), ("server", "of the messages")]);
        assert!(has_trailers(&head, &patch));
        assert_eq!(patched(&head, false, &patch).fields, [head.clone(), fields(&[("x-more", "yes")])].concat());
        assert_eq!(patched_trailers(&trailers, &patch), fields(&[("server", "of the messages"), ("grpc-status", "14")]));
        let only = [head.clone(), fields(&[("grpc-status", "0")])].concat();
        assert_eq!(patched(&only, true, &patch).fields, [head, fields(&[("grpc-status", "14"), ("x-more", "yes")])].concat());
    }

    #[test]
    fn a_message_is_escaped() {
        let fields = own_grpc(GrpcStatus::UNAVAILABLE, "50 % off\nÜ");
        assert_eq!(first(&fields, "grpc-message"), Some(b"50 %25 off%0A%C3%9C".as_slice()));
        assert_eq!(own_grpc(GrpcStatus::UNAVAILABLE, "").len(), 3);
    }
}
