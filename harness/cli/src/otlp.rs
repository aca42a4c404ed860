//! The run's own trace, sent to an endpoint of the user's by OTLP over HTTP. Says a warning where that fails: it never changes a verdict.

use crate::terminal::Terminal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use reqwest::{
    Client, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use shakedown_model::result::RunResult;
use shakedown_reporters::{Reporter as _, Trace, TraceParent};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Of the environment's timeout.
const LONGEST: Duration = Duration::from_secs(60);

/// Where to, and how.
#[derive(Debug, PartialEq)]
struct Target {
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
    json: bool,
}

/// Sends the trace of `result` where a flag or the environment names an endpoint.
pub(crate) async fn export(result: &RunResult, endpoint: Option<&str>, terminal: &Terminal) {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let parent = environment("TRACEPARENT").and_then(|text| TraceParent::parse(&text));
    let sent = match target(endpoint, environment) {
        Ok(None) => return,
        Ok(Some(target)) => send(result, parent, target).await,
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        terminal.note(&format!("warning: the run's trace was not exported: {error}"));
    }
}

/// The flag goes first, then what OpenTelemetry's SDKs read. Addresses go into no message: they may hold a secret.
fn target(flag: Option<&str>, environment: impl Fn(&str) -> Option<String>) -> Result<Option<Target>, String> {
    let of_env = || environment("OTEL_EXPORTER_OTLP_ENDPOINT");
    let off = environment("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let (text, whole) = match (flag, environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) {
        (Some(flag), _) => (flag.to_owned(), false),
        (None, _) if off => return Ok(None),
        (None, Some(traces)) => (traces, true),
        (None, None) => match of_env() {
            Some(base) => (base, false),
            None => return Ok(None),
        },
    };
    let protocol = environment("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| environment("OTEL_EXPORTER_OTLP_PROTOCOL"));
    let json = match protocol.as_deref() {
        None | Some("http/protobuf") => false,
        Some("http/json") => true,
        Some(other) => return Err(format!("protocol {other:?} is not spoken here: http/protobuf or http/json is")),
    };
    let mut url: Url = text.trim().parse().map_err(|_| "the endpoint is no address such as http://localhost:4318".to_owned())?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err("the endpoint is no http:// or https:// address".to_owned());
    }
    if !whole && !url.path().ends_with("/v1/traces") {
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    let headers = environment("OTEL_EXPORTER_OTLP_TRACES_HEADERS").or_else(|| environment("OTEL_EXPORTER_OTLP_HEADERS"));
    let timeout = environment("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").or_else(|| environment("OTEL_EXPORTER_OTLP_TIMEOUT"));
    let timeout = timeout.and_then(|text| text.trim().parse().ok()).map_or(TIMEOUT, Duration::from_millis).min(LONGEST);
    Ok(Some(Target { url, headers: headers.as_deref().map_or_else(|| Ok(HeaderMap::new()), headers_of)?, timeout, json }))
}

/// `name=value,name=value`, values percent-encoded.
fn headers_of(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let wrong = || "the headers are not written name=value,name=value".to_owned();
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_bytes(&decoded(value.trim())).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok())).flatten();
        decoded.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    decoded
}

async fn send(result: &RunResult, parent: Option<TraceParent>, target: Target) -> Result<(), String> {
    let mut body = Vec::new();
    Trace { parent }.render(result, &mut body).map_err(|error| error.to_string())?;
    let kind = if target.json {
        "application/json"
    } else {
        let request: ExportTraceServiceRequest = serde_json::from_slice(&body).map_err(|error| format!("{error}; a bug in shakedown"))?;
        body = request.encode_to_vec();
        "application/x-protobuf"
    };
    // Fails where there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Headers hold secrets: they are for the endpoint, not for where it points.
    let client = Client::builder().redirect(redirect::Policy::none()).timeout(target.timeout).build().map_err(said)?;
    let request = client.post(target.url).headers(target.headers).header(CONTENT_TYPE, kind).body(body);
    let status = request.send().await.map_err(said)?.status();
    if status.is_success() { Ok(()) } else { Err(format!("the endpoint answered {status}")) }
}

/// The innermost cause says most, and the address is left out.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "the endpoint did not answer in time".to_owned() } else { cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    fn sample() -> RunResult {
        serde_json::from_str(include_str!("../../../reporters/tests/data/sample-result.json")).expect("the sample fits the model")
    }

    fn target_of(flag: Option<&str>, environment: &[(&str, &str)]) -> Result<Option<Target>, String> {
        target(flag, |wanted| environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned()))
    }

    fn url(flag: Option<&str>, environment: &[(&str, &str)]) -> Option<String> {
        target_of(flag, environment).unwrap().map(|target| target.url.to_string())
    }

    #[test]
    fn the_flag_goes_before_the_environment_and_traces_before_all_signals() {
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318/prefix/");
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/as/it/is");
        assert_eq!(url(None, &[]), None);
        assert_eq!(url(None, &[all]).as_deref(), Some("http://all:4318/prefix/v1/traces"));
        assert_eq!(url(None, &[all, traces]).as_deref(), Some("http://traces:4318/as/it/is"));
        assert_eq!(url(Some("http://flag:4318"), &[all, traces]).as_deref(), Some("http://flag:4318/v1/traces"));
        assert_eq!(url(Some("https://flag/v1/traces"), &[]).as_deref(), Some("https://flag/v1/traces"));
        assert_eq!(url(None, &[all, ("OTEL_SDK_DISABLED", "TRUE")]), None);
    }

    #[test]
    fn what_cannot_be_sent_is_said_without_the_address() {
        let flag = Some("http://secret@host:4318");
        for (flag, environment) in [
            (Some("secret"), ("", "")),
            (Some("ftp://secret"), ("", "")),
            (flag, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")),
            (flag, ("OTEL_EXPORTER_OTLP_HEADERS", "secret")),
            (flag, ("OTEL_EXPORTER_OTLP_HEADERS", "a b=secret")),
        ] {
            let error = target_of(flag, &[environment]).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn header_values_are_decoded() {
        let headers = headers_of("authorization=Bearer%20x%3D, x-team = a,").unwrap();
        assert_eq!((headers["authorization"].as_bytes(), headers["x-team"].as_bytes()), (&b"Bearer x="[..], &b"a"[..]));
        assert_eq!(decoded("100%"), b"100%");
        assert_eq!(decoded("%zz%4"), b"%zz%4");
    }

    /// Takes one request, answers with `status`, gives back what was sent.
    fn collector(status: &'static str) -> (String, thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let taken = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut seen, mut part) = (Vec::new(), [0; 4096]);
            loop {
                let read = stream.read(&mut part).unwrap();
                seen.extend_from_slice(&part[..read]);
                let head = seen.windows(4).position(|end| end == b"\r\n\r\n");
                let length = head.and_then(|end| {
                    let text = String::from_utf8_lossy(&seen[..end]).to_lowercase();
                    text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok())
                });
                if read == 0 || head.zip(length).is_some_and(|(end, length)| seen.len() >= end + 4 + length) {
                    break;
                }
            }
            stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
            seen
        });
        (address, taken)
    }

    #[tokio::test]
    async fn a_run_is_one_trace_of_scenarios_phases_and_faults() {
        let (address, taken) = collector("200 OK");
        let mut target = target_of(Some(&address), &[("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k")]).unwrap().unwrap();
        target.timeout = Duration::from_secs(30);
        let result = sample();
        let parent = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        send(&result, parent, target).await.unwrap();
        let seen = taken.join().unwrap();
        let end = seen.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&seen[..end]).into_owned();
        assert!(head.starts_with("POST /v1/traces HTTP/1.1") && head.contains("x-key: k"), "{head}");
        let request = ExportTraceServiceRequest::decode(&seen[end + 4..]).unwrap();
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        let named = |prefix: &str| spans.iter().filter(|span| span.name.starts_with(prefix)).collect::<Vec<_>>();
        let (root, scenarios) = (named("shakedown run")[0], named("scenario "));
        assert_eq!(scenarios.len(), 3);
        assert!(spans.iter().all(|span| span.trace_id == root.trace_id && span.start_time_unix_nano <= span.end_time_unix_nano));
        assert_eq!(root.parent_span_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert!(scenarios.iter().all(|span| span.parent_span_id == root.span_id));
        let phases: usize = result.scenarios.iter().map(|scenario| scenario.phases.len()).sum();
        let faults: usize = result.scenarios.iter().map(|scenario| scenario.faults.len()).sum();
        assert_eq!((named("phase ").len(), named("fault ").len()), (phases, faults));
        assert!(named("phase ").iter().all(|span| scenarios.iter().any(|scenario| scenario.span_id == span.parent_span_id)));
        let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
        assert_eq!(ids.len(), spans.len(), "no id stands twice");
        assert_eq!(root.status.as_ref().map(|status| status.code), Some(2), "the verdict is a fail");
        assert!(root.attributes.iter().any(|attribute| attribute.key == "shakedown.verdict"));
    }

    #[tokio::test]
    async fn a_refusal_and_a_closed_port_are_sentences() {
        let (address, taken) = collector("403 Forbidden");
        let refused = send(&sample(), None, target_of(Some(&address), &[]).unwrap().unwrap()).await;
        assert_eq!(refused.unwrap_err(), "the endpoint answered 403 Forbidden");
        taken.join().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = send(&sample(), None, target_of(Some(&format!("http://{closed}")), &[]).unwrap().unwrap()).await.unwrap_err();
        assert!(error.contains("refused") && !error.contains("127.0.0.1"), "{error}");
    }
}
