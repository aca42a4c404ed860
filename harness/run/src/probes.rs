//! Questions over HTTP: a status of a service, a query to a Prometheus server.

use crate::sides::Side;
use shakedown_evidence::ask;
use shakedown_model::{experiment::Check, units::NumberLimit};
use std::{net::SocketAddr, time::Duration};

const DEADLINE: Duration = Duration::from_secs(5);

/// What an answer was.
pub(crate) struct Outcome {
    pub(crate) holds: bool,
    /// Status or largest sample; `None`: no answer.
    pub(crate) value: Option<f64>,
    pub(crate) text: String,
}

/// Asks; no answer does not hold. `check` is `Http` or `Prometheus`.
pub(crate) async fn probe(check: &Check, side: &Side) -> Outcome {
    match check {
        Check::Http { method, service, port, path, status } => {
            let subject = format!("{method} {service}:{port}{path}");
            let Some(address) = side.address(service, *port).map(|receiver| *receiver.borrow()) else {
                return none(format!("{subject}: the service is not reachable"));
            };
            match ask(address, method, path, DEADLINE).await {
                Ok(answer) => Outcome {
                    holds: answer.status == *status,
                    value: Some(f64::from(answer.status)),
                    text: format!("{subject}: status {}, expected {status}", answer.status),
                },
                Err(error) => none(format!("{subject}: {error}, expected status {status}")),
            }
        }
        Check::Prometheus { url, query, expect } => match prometheus(url, query).await {
            Ok(samples) => judge_samples(query, &samples, *expect),
            Err(error) => none(format!("{query}: {error}")),
        },
        Check::Load { .. } | Check::Retries { .. } => none("not a question over HTTP".to_owned()),
    }
}

fn none(text: String) -> Outcome {
    Outcome { holds: false, value: None, text }
}

fn judge_samples(query: &str, samples: &[f64], expect: NumberLimit) -> Outcome {
    let worst = samples.iter().copied().find(|sample| !expect.holds(*sample)).or_else(|| samples.first().copied());
    match worst {
        None => none(format!("{query}: no sample, expected {expect}")),
        Some(value) => Outcome { holds: expect.holds(value), value: Some(value), text: format!("{query}: {value}, expected {expect}") },
    }
}

/// Instant query (Prometheus HTTP API v1); the values of its vector or scalar.
async fn prometheus(url: &str, query: &str) -> Result<Vec<f64>, String> {
    let authority_and_path = url.strip_prefix("http://").ok_or_else(|| format!("{url} does not begin with http://"))?;
    let (authority, prefix) = authority_and_path.split_once('/').map_or((authority_and_path, ""), |(authority, path)| (authority, path));
    let with_port = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let address: SocketAddr = tokio::net::lookup_host(&with_port)
        .await
        .map_err(|error| format!("{authority}: {error}"))?
        .next()
        .ok_or_else(|| format!("{authority}: no address"))?;
    let prefix = prefix.trim_end_matches('/');
    let path = format!("{}{prefix}/api/v1/query?query={}", if prefix.is_empty() { "" } else { "/" }, percent_encode(query));
    let answer = ask(address, "GET", &path, DEADLINE).await.map_err(|error| error.to_string())?;
    samples(&answer.body)
}

fn samples(body: &[u8]) -> Result<Vec<f64>, String> {
    let json: serde_json::Value = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    if json["status"] != "success" {
        return Err(format!("the server says {}", json["error"].as_str().unwrap_or("neither success nor error")));
    }
    let number = |pair: &serde_json::Value| pair[1].as_str().and_then(|text| text.parse().ok());
    let result = &json["data"]["result"];
    match json["data"]["resultType"].as_str() {
        Some("scalar") => Ok(number(result).into_iter().collect()),
        Some("vector") => Ok(result.as_array().into_iter().flatten().filter_map(|series| number(&series["value"])).collect()),
        other => Err(format!("result type {other:?} is not an instant vector or a scalar")),
    }
}

/// RFC 3986: everything but unreserved characters.
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_and_scalars_are_read_and_errors_are_told() {
        let vector = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.5"]},{"metric":{},"value":[1,"2"]}]}}"#;
        assert_eq!(samples(vector).unwrap(), [0.5, 2.0]);
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#;
        assert_eq!(samples(scalar).unwrap(), [3.0]);
        assert!(samples(br#"{"status":"error","error":"parse error"}"#).unwrap_err().contains("parse error"));
        assert!(samples(b"<html>").unwrap_err().contains("not JSON"));
    }

    #[test]
    fn the_sample_that_breaks_the_limit_is_the_one_that_is_told() {
        let limit = "<= 1".parse().unwrap();
        assert_eq!(judge_samples("q", &[0.5, 2.0], limit).value, Some(2.0));
        assert!(judge_samples("q", &[0.5], limit).holds);
        assert!(!judge_samples("q", &[], limit).holds, "no sample is no proof");
    }

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(percent_encode("rate(a[1m]) > 0"), "rate%28a%5B1m%5D%29%20%3E%200");
    }
}
