//! One expectation: `{load: …, success: …, p99: …}`, `{http: …}`, `{prometheus: …}` or `{retries: …}`.

use super::{
    address,
    fields::{Field, Fields, each},
    load::status,
    names::Names,
    problems::Problems,
};
use crate::{
    experiment::{Check, Expectation, Quantile},
    fault::{Edge, Target},
    units::{NumberLimit, RatioLimit, ShareLimit},
};

pub(super) const KEYS: &[&str] = &[
    "load",
    "success",
    "p50",
    "p90",
    "p95",
    "p99",
    "p999",
    "max",
    "http",
    "status",
    "prometheus",
    "query",
    "expect",
    "retries",
    "amplification",
];
const QUANTILES: [Quantile; 6] = [Quantile::P50, Quantile::P90, Quantile::P95, Quantile::P99, Quantile::P999, Quantile::Max];
/// The key that says what is looked at, and the keys that go with it.
const KINDS: [(&str, &[&str]); 4] = [
    ("load", &["success", "p50", "p90", "p95", "p99", "p999", "max"]),
    ("http", &["status"]),
    ("prometheus", &["query", "expect"]),
    ("retries", &["amplification"]),
];

/// A list of expectations.
pub(super) fn read_all(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Vec<Expectation>> {
    each(field.list(problems)?, |item| read(item, names, problems))
}

fn read(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Expectation> {
    let fields = field.fields("an expectation", KEYS, problems)?;
    let kind = kind_of(&fields, problems)?;
    let check = match kind {
        "load" => read_load(&fields, names, problems),
        "http" => read_http(&fields, names, problems),
        "prometheus" => read_prometheus(&fields, problems),
        _ => read_retries(&fields, names, problems),
    };
    Some(Expectation { check: check?, source: field.key.source() })
}

/// Exactly one kind, and no key of another.
fn kind_of(fields: &Fields<'_>, problems: &mut Problems) -> Option<&'static str> {
    let here: Vec<_> = KINDS.iter().filter_map(|(kind, keys)| fields.get(kind).map(|field| (*kind, *keys, field))).collect();
    let (kind, keys, first) = match here.as_slice() {
        [] => {
            if !fields.has_unknown() {
                problems
                    .error(fields.at, "the expectation does not say what it looks at")
                    .hint("add one of `load`, `http`, `prometheus`, `retries`");
            }
            return None;
        }
        [one] => one,
        [first, second, ..] => {
            let message = format!("`{}` and `{}` are two expectations", first.0, second.0);
            problems.error(second.2.key, message).also(first.2.key, "the first").hint("write each in an item of its own");
            return None;
        }
    };
    for (owner, foreign) in KINDS.iter().filter(|(other, _)| other != kind) {
        for stray in foreign.iter().filter(|key| !keys.contains(key)).filter_map(|key| fields.get(key)) {
            let message = format!("`{}` belongs to `{owner}`, not to `{kind}`", stray.name);
            problems
                .error(stray.key, message)
                .also(first.key, "this is what is looked at")
                .hint(format!("`{kind}` takes: {}", keys.join(", ")));
        }
    }
    Some(kind)
}

fn read_load(fields: &Fields<'_>, names: &Names, problems: &mut Problems) -> Option<Check> {
    let field = fields.get("load")?;
    let load = field.text(problems)?;
    names.check_load(load, field.spot(), problems);
    let success = fields.or("success", None, |field| success_limit(field, problems).map(Some));
    let mut latency = Vec::new();
    let mut whole = true;
    for quantile in QUANTILES {
        let Some(field) = fields.get(quantile.word()) else {
            continue;
        };
        match field.parse(problems) {
            Some(limit) => latency.push((quantile, limit)),
            None => whole = false,
        }
    }
    if whole && latency.is_empty() && matches!(success, Some(None)) {
        problems.error(field.key, format!("nothing is expected of load `{load}`")).hint("add `success: \">= 99%\"` or `p99: \"<= 250ms\"`");
    }
    whole.then_some(Check::Load { load: load.to_owned(), success: success?, latency })
}

/// A bound on a share: between 0 % and 100 %.
pub(super) fn success_limit(field: Field<'_>, problems: &mut Problems) -> Option<ShareLimit> {
    let limit: ShareLimit = field.parse(problems)?;
    if limit.value() > 1.0 {
        problems.error(field.spot(), format!("`{}`: {} is more than all", field.name, limit.limit)).hint("shares go from 0% to 100%");
    }
    Some(limit)
}

fn read_http(fields: &Fields<'_>, names: &Names, problems: &mut Problems) -> Option<Check> {
    let field = fields.get("http")?;
    let Some((method, service, port, path)) = address::probe(field.text(problems)?) else {
        return field.wrong("a request such as `GET gateway:8080/healthz`", problems);
    };
    names.check_port(&service, port, field.spot(), problems);
    let status = fields.or("status", 200, |field| status(field, problems));
    Some(Check::Http { method, service, port, path, status: status? })
}

fn read_prometheus(fields: &Fields<'_>, problems: &mut Problems) -> Option<Check> {
    let field = fields.get("prometheus")?;
    let url = field.text(problems)?;
    if !["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme))
        || url.contains(char::is_whitespace)
    {
        field.wrong::<()>("the address of a Prometheus server such as `http://localhost:9090`", problems);
    }
    let query = fields.need("query", "query: \"…\"", problems).and_then(|field| field.full_text(problems));
    let expect = fields.need("expect", "expect: \"<= 0.01\"", problems).and_then(|field| field.parse::<NumberLimit>(problems));
    Some(Check::Prometheus { url: url.to_owned(), query: query?.to_owned(), expect: expect? })
}

fn read_retries(fields: &Fields<'_>, names: &Names, problems: &mut Problems) -> Option<Check> {
    let field = fields.get("retries")?;
    let edge = read_edge(field, names, problems);
    let limit = fields.need("amplification", "amplification: \"<= 2x\"", problems).and_then(|field| field.parse::<RatioLimit>(problems));
    Some(Check::Retries { edge: edge?, amplification: limit? })
}

fn read_edge(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Edge> {
    match read_target(field, names, problems)? {
        Target::Edge(edge) => Some(edge),
        Target::Service(_) => field.wrong("an edge such as `orders -> payment`", problems),
    }
}

/// A service or an edge, its names checked.
pub(super) fn read_target(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Target> {
    let target = match field.text(problems)?.parse() {
        Ok(target) => target,
        Err(error) => {
            problems.error(field.spot(), format!("`{}`: {error}", field.name));
            return None;
        }
    };
    match &target {
        Target::Service(service) => {
            names.check_service(service, field.spot(), problems);
        }
        Target::Edge(edge) => {
            names.check_service(&edge.from, field.spot(), problems);
            names.check_service(&edge.to, field.spot(), problems);
            if edge.from == edge.to {
                problems
                    .error(field.spot(), format!("`{edge}` is no edge: both ends are the same service"))
                    .hint("name the caller and the called");
            }
        }
    }
    Some(target)
}
