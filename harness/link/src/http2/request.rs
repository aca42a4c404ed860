//! A request as its fields tell it to a rule.

use super::fields::{Field, first, is_grpc};
use crate::http::Asked;
use std::borrow::Cow;

pub(super) struct Request<'a>(pub(super) &'a [Field]);

impl Request<'_> {
    pub(super) fn is(&self, method: &str) -> bool {
        self.method() == method.as_bytes()
    }
}

impl Asked for Request<'_> {
    fn method(&self) -> &[u8] {
        first(self.0, ":method").unwrap_or_default()
    }

    fn target(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(first(self.0, ":path").unwrap_or_default())
    }

    /// What HTTP/1.x says with `Host` is said here with a name of its own.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let is_host = name.eq_ignore_ascii_case("host");
        let is_it = move |field: &&Field| field.name.eq_ignore_ascii_case(name.as_bytes()) || (is_host && &*field.name == b":authority");
        self.0.iter().filter(is_it).map(|field| field.value.trim_ascii())
    }

    fn is_grpc(&self) -> bool {
        is_grpc(self.0)
    }
}
