//! `telemetry` and `load`.

use super::{
    address, alerts,
    fields::{Field, Fields, each},
    files::Files,
    names::{Names, check_form},
    problems::Problems,
    units,
};
use crate::{
    experiment::{Arrivals, Load, Telemetry},
    units::{Rate, Span},
};
use indexmap::IndexMap;
use std::{path::Path, time::Duration};

pub(super) const TELEMETRY_KEYS: &[&str] = &["otlp", "metrics", "alerts"];
pub(super) const LOAD_KEYS: &[&str] = &["to", "request", "headers", "body", "rate", "arrivals", "timeout", "success"];

/// `telemetry`; `around` is where the files lie that it names.
pub(super) fn read_telemetry(
    field: Option<Field<'_>>,
    around: (&Path, &dyn Files),
    names: &Names,
    problems: &mut Problems,
) -> Option<Telemetry> {
    let Some(field) = field else {
        return Some(Telemetry { otlp: true, metrics: IndexMap::new(), alerts: Vec::new() });
    };
    let fields = field.fields("telemetry", TELEMETRY_KEYS, problems)?;
    let otlp = fields.or("otlp", true, |field| field.flag(problems));
    let mut metrics = IndexMap::new();
    for entry in fields.get("metrics").and_then(|field| field.entries(problems)).unwrap_or_default() {
        let Some(text) = entry.text(problems) else {
            continue;
        };
        match address::metrics(text) {
            Some(endpoint) => {
                names.check_port(entry.name, endpoint.port, entry.key, problems);
                metrics.insert(entry.name.to_owned(), endpoint);
            }
            None => {
                entry.wrong::<()>("a port and a path such as `:8080/metrics`", problems);
            }
        }
    }
    let alerts = fields.or("alerts", Vec::new(), |field| alerts::read(field, around, problems));
    Some(Telemetry { otlp: otlp?, metrics, alerts: alerts? })
}

/// `load`.
pub(super) fn read_loads(root: &Fields<'_>, names: &Names, problems: &mut Problems) -> Option<IndexMap<String, Load>> {
    let example = "load: {home: {to: \"gateway:8080\", request: GET /, rate: 50/s}}";
    let entries = root.need("load", example, problems)?.entries(problems)?;
    if entries.is_empty()
        && let Some(field) = root.get("load")
    {
        problems.error(field.key, "there is no load: a run in which nothing is exercised never passes").hint(format!("add `{example}`"));
    }
    let loads = each(entries, |entry| read_load(entry, names, problems))?;
    Some(loads.into_iter().map(|load| (load.name.clone(), load)).collect())
}

fn read_load(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Load> {
    check_form("load", field.name, field.key, problems);
    let fields = field.fields(format!("load `{}`", field.name), LOAD_KEYS, problems)?;
    let to = fields.need("to", "to: \"gateway:8080\"", problems).and_then(|field| read_to(field, names, problems));
    let request = fields.need("request", "request: GET /", problems).and_then(|field| address::request(field, problems));
    let headers = fields.or("headers", IndexMap::new(), |field| read_headers(field, problems));
    let body = fields.or("body", None, |field| read_body(field, problems).map(Some));
    let rate = fields.need("rate", "rate: 50/s", problems).and_then(|field| field.parse::<Rate>(problems));
    let words = [("poisson", Arrivals::Poisson), ("constant", Arrivals::Constant)];
    let arrivals = fields.or("arrivals", Arrivals::Poisson, |field| field.choice(&words, problems));
    let timeout = fields.or("timeout", Span(Duration::from_secs(5)), |field| units::long_span(field, problems));
    let success_status = fields.or("success", Vec::new(), |field| read_statuses(field, problems));
    let ((service, port), (method, path)) = (to?, request?);
    Some(Load {
        name: field.name.to_owned(),
        service,
        port,
        method,
        path,
        headers: headers?,
        body: body?,
        rate: rate?,
        arrivals: arrivals?,
        timeout: timeout?,
        success_status: success_status?,
        source: field.key.source(),
    })
}

fn read_to(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<(String, u16)> {
    let Some((service, port)) = address::service_port(field.text(problems)?) else {
        return field.wrong("a service and its port such as `gateway:8080`", problems);
    };
    names.check_port(service, port, field.spot(), problems);
    Some((service.to_owned(), port))
}

pub(super) fn read_headers(field: Field<'_>, problems: &mut Problems) -> Option<IndexMap<String, String>> {
    let mut headers = IndexMap::new();
    for entry in field.entries(problems)? {
        if !is_token(entry.name) {
            problems
                .error(entry.key, format!("{:?} is not the name of a header", super::tree::shorten(entry.name)))
                .hint("for example `Content-Type`");
        }
        let Some(value) = entry.text(problems) else {
            continue;
        };
        if value.chars().any(|char| char.is_control() && char != '\t') {
            problems
                .error(entry.spot(), format!("the value of header `{}` holds a control character", entry.name))
                .hint("a header is one line of text");
        }
        headers.insert(entry.name.to_owned(), value.to_owned());
    }
    Some(headers)
}

/// The name of a header, or a method (RFC 9110, 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

fn read_body(field: Field<'_>, problems: &mut Problems) -> Option<String> {
    if let Some(text) = field.node.scalar() {
        return Some(text.to_owned());
    }
    let message = format!("`body`: expected a text, found {}", field.node.describe());
    problems.error(field.spot(), message).hint("put the body into single quotes: `body: '{\"sku\": {{ seq }}}'`");
    None
}

fn read_statuses(field: Field<'_>, problems: &mut Problems) -> Option<Vec<u16>> {
    let items = field.list(problems)?;
    if items.is_empty() {
        problems.error(field.spot(), "`success` names no status").hint("take it away: then every 2xx and 3xx is a success");
    }
    each(items, |item| status(item, problems))
}

/// An HTTP status.
pub(super) fn status(field: Field<'_>, problems: &mut Problems) -> Option<u16> {
    let expected = "an HTTP status such as 200";
    let status: u16 = field.number(expected, problems)?;
    if (100..600).contains(&status) { Some(status) } else { field.wrong(expected, problems) }
}
