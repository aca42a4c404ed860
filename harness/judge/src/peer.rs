//! Whom a client span calls, by its own words. Knows no verdict.

use shakedown_model::evidence::SpanRecord;

/// Attributes in which a client span names whom it calls (OpenTelemetry conventions, old and new).
const ATTRIBUTES: [&str; 5] = ["peer.service", "server.address", "net.peer.name", "url.full", "http.url"];

/// Every name that the span has for its peer, the plainest first.
pub(crate) fn names(span: &SpanRecord) -> impl Iterator<Item = &str> {
    ATTRIBUTES.iter().filter_map(|name| span.attributes.get(name)).map(host)
}

/// The host of `payment`, `payment:8080` or `http://payment:8080/charge`.
fn host(value: &str) -> &str {
    let authority = value.split_once("://").map_or(value, |(_, rest)| rest);
    authority.split(['/', ':', '?']).next().unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_names_addresses_and_urls() {
        for text in ["payment", "payment:8080", "http://payment:8080/charge", "http://payment/charge", "http://payment?x=1"] {
            assert_eq!(host(text), "payment", "{text}");
        }
    }
}
