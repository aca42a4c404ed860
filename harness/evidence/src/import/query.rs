//! Query APIs over HTTP: what is asked of an address, and what an answer asks to be fetched as well.

use super::{Format, documents::DOCUMENT};
use crate::ask::{Question, ask_for};
use bytes::Bytes;
use hyper::Uri;
use serde::Deserialize;
use shakedown_model::time::{UnixNanos, Window};
use std::{fmt, str::FromStr, time::Duration};

/// For one whole answer.
const TIME: Duration = Duration::from_secs(60);
/// Traces that are asked for at once, where the address does not say it.
const TRACES: usize = 2_000;
/// Services that a Jaeger is asked for, and traces that a search may name.
const SERVICES: usize = 200;
const FOUND: usize = 20_000;

/// `http://host:port/path?query`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let way_out = "only http:// is asked; save the answer to a file (`curl -o answer.json …`) and import that";
        let uri: Uri = text.parse().map_err(|error| format!("{text:?} is no address ({error}); {way_out}"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(_)) => Ok(Address { uri }),
            _ => Err(format!("{text:?} cannot be asked: {way_out}")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(formatter)
    }
}

impl Address {
    /// Whether it names a host only, so that it is on us to know what to ask.
    pub(super) fn is_bare(&self) -> bool {
        self.uri.path().len() <= 1 && self.uri.query().is_none()
    }

    /// Another path of the same host. Paths are made by us, so this always is one; where it is not, the address stays.
    fn at(&self, path: &str) -> Address {
        let host = self.uri.authority().map_or_else(String::new, ToString::to_string);
        let uri = format!("http://{host}{path}").parse().unwrap_or_else(|_| self.uri.clone());
        Address { uri }
    }

    /// The whole answer.
    pub(super) async fn fetch(&self) -> Result<Bytes, String> {
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.uri.port_u16().unwrap_or(80);
        let found = tokio::net::lookup_host((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let question = Question { method: "GET", path, host: Some(authority), accept: "application/json", most: DOCUMENT, deadline: TIME };
        let mut why = format!("{host} has no address");
        for address in found {
            match ask_for(address, &question).await {
                Ok(answer) if answer.status == 200 => return Ok(answer.body),
                Ok(answer) => {
                    let said: String =
                        String::from_utf8_lossy(&answer.body).chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
                    return Err(format!("answered {}: {said}", answer.status));
                }
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }

    /// What to ask a host for, where its address names nothing.
    pub(super) async fn questions(&self, format: Format, around: Option<Window>) -> Result<Vec<Address>, String> {
        let window = |scale: u64, from: &str, to: &str| {
            around.map_or_else(String::new, |window| format!("&{from}={}&{to}={}", window.start.0 / scale, window.end.0 / scale))
        };
        Ok(match format {
            Format::Otlp => vec![self.at(&format!("/api/search?limit={TRACES}{}", window(1_000_000_000, "start", "end")))],
            Format::Zipkin => {
                let around = around.map_or_else(String::new, |window| {
                    format!("&endTs={}&lookback={}", window.end.0 / 1_000_000, window.length().as_millis())
                });
                vec![self.at(&format!("/api/v2/traces?limit={TRACES}{around}"))]
            }
            Format::Jaeger => {
                let around = window(1_000, "start", "end");
                let services = self.at("/api/services").fetch().await?;
                let services: Services = serde_json::from_slice(&services).map_err(|error| format!("/api/services: {error}"))?;
                let ask = |service: &String| self.at(&format!("/api/traces?service={}&limit={TRACES}{around}", encoded(service)));
                services.data.iter().take(SERVICES).map(ask).collect()
            }
        })
    }

    /// The traces that a search of Tempo named; empty: the answer names none.
    pub(super) fn found_by_search(&self, answer: &[u8]) -> Vec<Address> {
        let search: Search = serde_json::from_slice(answer).unwrap_or_default();
        let traces = search.traces.iter().take(FOUND).filter(|found| found.trace_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        traces.filter(|found| !found.trace_id.is_empty()).map(|found| self.at(&format!("/api/traces/{}", found.trace_id))).collect()
    }
}

/// The disturbance with as much time before and after it, for queries that need a window.
pub(super) fn around(fault: Window) -> Window {
    let margin = fault.length().max(Duration::from_secs(60));
    Window { start: UnixNanos(fault.start.0.saturating_sub(margin.as_nanos() as u64)), end: fault.end + margin }
}

#[derive(Deserialize)]
struct Services {
    #[serde(default)]
    data: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Search {
    traces: Vec<FoundTrace>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FoundTrace {
    #[serde(rename = "traceID")]
    trace_id: String,
}

/// Percent-encoding of what is not unreserved (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_asked_says_what_to_do_instead() {
        for wrong in ["https://jaeger:16686/api/traces", "ftp://a/b", "http://", "http:///x", "http://a b/"] {
            let error = wrong.parse::<Address>().unwrap_err();
            assert!(error.contains("curl"), "{error}");
        }
        assert!("http://[::1]:16686".parse::<Address>().unwrap().is_bare());
    }

    #[test]
    fn a_search_names_traces_and_nothing_else_does() {
        let tempo: Address = "http://tempo:3200/api/search?limit=5".parse().unwrap();
        let named = |answer: &[u8]| tempo.found_by_search(answer).iter().map(ToString::to_string).collect::<Vec<_>>();
        let answer = br#"{"traces":[{"traceID":"2f3e0cee77ae5dc9c17ade3689eb2e54","rootServiceName":"shop"},{"traceID":"../../evil"},{}]}"#;
        assert_eq!(named(answer), ["http://tempo:3200/api/traces/2f3e0cee77ae5dc9c17ade3689eb2e54"]);
        assert!(named(b"{\"batches\":[]}").is_empty() && named(b"nonsense").is_empty());
    }

    #[test]
    fn names_in_a_query_are_encoded() {
        assert_eq!(encoded("a b/ä&c"), "a%20b%2F%C3%A4%26c");
    }
}
