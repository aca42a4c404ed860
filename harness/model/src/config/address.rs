//! Addresses and requests inside of texts: `gateway:8080`, `POST /checkout`, `:8080/metrics`.

use super::{fields::Field, problems::Problems};
use crate::experiment::MetricsEndpoint;

/// `service:port`.
pub(super) fn service_port(text: &str) -> Option<(&str, u16)> {
    let (service, port) = text.split_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!service.is_empty() && !service.contains(char::is_whitespace)).then_some((service, port))
}

/// `METHOD /path`.
pub(super) fn method_path(text: &str) -> Option<(&str, &str)> {
    let (method, path) = text.trim().split_once(char::is_whitespace)?;
    let path = path.trim();
    (is_method(method) && is_path(path)).then_some((method, path))
}

fn is_method(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}

/// Whether it begins with a slash and can stand in a request line. Templates may hold blanks inside of `{{ }}`.
pub(super) fn is_path(text: &str) -> bool {
    let mut inside = false;
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        if rest.starts_with("{{") || rest.starts_with("}}") {
            inside = rest.starts_with('{');
            rest = &rest[2..];
            continue;
        }
        if char.is_control() || (char.is_whitespace() && !inside) {
            return false;
        }
        rest = &rest[char.len_utf8()..];
    }
    text.starts_with('/')
}

/// The request of a load.
pub(super) fn request(field: Field<'_>, problems: &mut Problems) -> Option<(String, String)> {
    let text = field.text(problems)?;
    if let Some((method, path)) = method_path(text) {
        return Some((method.to_owned(), path.to_owned()));
    }
    let message = format!("`{}`: expected a request such as `POST /checkout`, found {}", field.name, field.node.describe());
    let mistake = problems.error(field.spot(), message);
    if is_path(text.trim()) {
        mistake.hint(format!("write `GET {}`", text.trim()));
    } else if let Some((method, path)) = text.split_once(' ').filter(|(method, _)| is_method(&method.to_uppercase())) {
        mistake.hint(format!(
            "methods are in capitals and paths begin with a slash: `{} /{}`",
            method.to_uppercase(),
            path.trim_start_matches('/')
        ));
    }
    None
}

/// `METHOD service:port/path`.
pub(super) fn probe(text: &str) -> Option<(String, String, u16, String)> {
    let (method, target) = text.trim().split_once(char::is_whitespace)?;
    let target = target.trim();
    let slash = target.find('/').unwrap_or(target.len());
    let (service, port) = service_port(&target[..slash])?;
    let path = if slash == target.len() { "/" } else { &target[slash..] };
    (is_method(method) && is_path(path)).then(|| (method.to_owned(), service.to_owned(), port, path.to_owned()))
}

/// `:8080/metrics`.
pub(super) fn metrics(text: &str) -> Option<MetricsEndpoint> {
    let rest = text.strip_prefix(':')?;
    let slash = rest.find('/').unwrap_or(rest.len());
    let port = rest[..slash].parse().ok().filter(|port| *port > 0)?;
    let path = if slash == rest.len() { "/metrics" } else { &rest[slash..] };
    is_path(path).then(|| MetricsEndpoint { port, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!(service_port("gateway:8080"), Some(("gateway", 8080)));
        for wrong in ["gateway", "gateway:", ":80", "gateway:0", "gateway:99999", "a b:80"] {
            assert_eq!(service_port(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn requests_and_probes_are_read() {
        assert_eq!(method_path("POST /a/{{ seq }}?x=1"), Some(("POST", "/a/{{ seq }}?x=1")));
        assert_eq!(probe("GET gateway:8080/healthz").unwrap().3, "/healthz");
        assert_eq!(probe("GET gateway:8080").unwrap().3, "/");
        for wrong in ["POST", "/checkout", "post /x", "GET checkout", "GET /a b", "GET /a\u{7}"] {
            assert_eq!(method_path(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn metrics_endpoints_are_read() {
        assert_eq!(metrics(":8080/metrics"), Some(MetricsEndpoint { port: 8080, path: "/metrics".to_owned() }));
        assert_eq!(metrics(":8080").unwrap().path, "/metrics");
        assert_eq!(metrics("8080/metrics"), None);
    }
}
