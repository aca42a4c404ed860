//! The faults of a scenario: which kind on which target, when, and that no two claim the same thing at the same time.

use super::{
    expectation::read_target,
    fields::{Field, Fields, each},
    kinds,
    names::Names,
    problems::Problems,
    search,
    text::Spot,
    units,
};
use crate::{
    fault::{Action, Edge, Fault, Target},
    units::{Percent, Span},
};
use std::collections::BTreeSet;

/// Keys of a fault that are not its kind.
pub(super) const FRAME: &[&str] = &["at", "for", "on", "connections", "ports", "search"];
/// Kinds that change the life of a service: nothing else can be done to it meanwhile.
const ON_LIFE: &[&str] = &["pause", "stop", "term", "kill", "oom", "restart", "crash_loop"];
/// Kinds that are done to a service.
pub(super) const ON_SERVICE: &[&str] = &[
    "pause",
    "stop",
    "term",
    "kill",
    "oom",
    "restart",
    "crash_loop",
    "cpu",
    "memory",
    "io",
    "fill",
    "disk",
    "pids",
    "files",
    "clock",
    "dns",
];
/// Kinds that are done to an edge.
pub(crate) const ON_EDGE: &[&str] = &[
    "latency",
    "loss",
    "reorder",
    "corrupt",
    "duplicate",
    "connect",
    "mtu",
    "bandwidth",
    "partition",
    "reset",
    "slicer",
    "limit_data",
    "slow_close",
    "timeout",
    "down",
    "http",
    "grpc",
    "postgres",
    "redis",
];
/// Kinds that the language knows and this version cannot do.
pub(super) const LATER: &[&str] = &["abort", "error"];

/// The list of faults.
pub(super) fn read_all(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Vec<Fault>> {
    let items = field.list(problems)?;
    if items.is_empty() {
        problems.error(field.key, "there is no fault").hint("add `{for: 20s, on: payment, pause: {}}`");
    }
    let read: Vec<Option<Vec<Fault>>> = items.iter().map(|item| read(*item, names, problems)).collect();
    let spots = items.iter().map(|item| item.node.get("on").map_or(item.key, |on| &on.spot));
    let claims = read.iter().zip(spots).flat_map(|(faults, spot)| faults.iter().flatten().map(move |fault| (fault, spot)));
    tell_overlaps(claims.collect(), problems);
    read.into_iter().collect::<Option<Vec<_>>>().map(|faults| faults.into_iter().flatten().collect())
}

/// One item of the list: a fault, or as many as it names targets.
fn read(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Vec<Fault>> {
    let known: Vec<&str> = [FRAME, ON_SERVICE, ON_EDGE, LATER].concat();
    let fields = field.fields("a fault", &known, problems)?;
    let at = fields.or("at", Span::default(), |field| units::span(field, problems));
    let lasts = fields.need("for", "for: 20s", problems).and_then(|field| units::long_span(field, problems));
    let on = fields.need("on", "on: payment` or `on: \"orders -> payment\"", problems);
    let targets = on.and_then(|field| read_targets(field, names, problems));
    let action = read_action(&fields, problems);
    let connections = fields.or("connections", Percent(1.0), |field| {
        units::share(field, "a share of the connections from 1% to 100%", |share| (0.01..=1.0).contains(&share), problems)
    });
    let ports = fields.or("ports", Vec::new(), |field| read_ports(field, problems));
    for target in targets.iter().flatten() {
        tell_edge_keys(&fields, target, problems);
        if let (Some(on), Some((action, key))) = (on, &action) {
            tell_wrong_target(on, target, action, key, problems);
        }
    }
    let (action, _) = action?;
    let search = fields.or("search", None, |field| search::read(field, fields.get(action.kind())?, problems).map(Some));
    let (at, lasts, connections, ports, search) = (at?, lasts?, connections?, ports?, search?);
    let fault = |on| {
        let (action, ports, search) = (action.clone(), ports.clone(), search.clone());
        Fault { at, lasts, on, action, connections, ports, search, source: field.key.source() }
    };
    Some(targets?.into_iter().map(fault).collect())
}

/// One target, or several: `orders, gateway -> payment, redis` are the four edges from one group to the other.
fn read_targets(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Vec<Target>> {
    let text = field.text(problems)?;
    if !text.contains(',') {
        return read_target(field, names, problems).map(|target| vec![target]);
    }
    let group = |side: &str| -> Vec<String> { side.split(',').map(|name| name.trim().to_owned()).collect() };
    let targets: Vec<Target> = match text.split_once("->") {
        None => group(text).into_iter().map(Target::Service).collect(),
        Some((from, to)) => group(from)
            .iter()
            .flat_map(|from| group(to).into_iter().map(move |to| Edge { from: from.clone(), to }))
            .filter(|edge| edge.from != edge.to)
            .map(Target::Edge)
            .collect(),
    };
    let services: BTreeSet<&str> = text.split("->").flat_map(|side| side.split(',')).map(str::trim).collect();
    if services.contains("") || targets.is_empty() {
        return field.wrong("services such as `orders, payment` or groups such as `orders, gateway -> payment`", problems);
    }
    let known: Vec<bool> = services.into_iter().map(|service| names.check_service(service, field.spot(), problems)).collect();
    known.into_iter().all(|known| known).then_some(targets)
}

/// One port or a list of ports.
fn read_ports(field: Field<'_>, problems: &mut Problems) -> Option<Vec<u16>> {
    let items = if field.node.scalar().is_some() { vec![field] } else { field.list(problems)? };
    each(items, |item| match item.number("a port from 1 to 65535", problems)? {
        0 => item.wrong("a port from 1 to 65535", problems),
        port => Some(port),
    })
}

/// What is said of connections means nothing to a service.
fn tell_edge_keys(fields: &Fields<'_>, target: &Target, problems: &mut Problems) {
    let Target::Service(service) = target else { return };
    for field in ["connections", "ports"].iter().filter_map(|key| fields.get(key)) {
        let message = format!("`{}` is for faults on an edge, and `{service}` is a service", field.name);
        problems.error(field.key, message).hint("take it away");
    }
}

/// What kinds there are, for hints.
fn supported() -> String {
    format!("supported: {} on a service; {} on an edge", ON_SERVICE.join(", "), ON_EDGE.join(", "))
}

fn read_action(fields: &Fields<'_>, problems: &mut Problems) -> Option<(Action, Spot)> {
    for field in LATER.iter().filter_map(|kind| fields.get(kind)) {
        problems.error(field.key, format!("fault kind `{}` is not supported yet", field.name)).hint(supported());
    }
    let kinds: Vec<Field<'_>> = [ON_SERVICE, ON_EDGE].concat().into_iter().filter_map(|kind| fields.get(kind)).collect();
    match kinds.as_slice() {
        [] => {
            if !fields.has_unknown() && LATER.iter().all(|kind| fields.get(kind).is_none()) {
                problems.error(fields.at, "the fault does not say what is done").hint(supported());
            }
            None
        }
        [one] => Some((kinds::read(*one, problems)?, one.key.clone())),
        [first, second, ..] => {
            let message = format!("`{}` and `{}` are two faults", first.name, second.name);
            problems.error(second.key, message).also(first.key, "the first").hint("write each in an item of its own");
            None
        }
    }
}

fn tell_wrong_target(on: Field<'_>, target: &Target, action: &Action, key: &Spot, problems: &mut Problems) {
    let kind = action.kind();
    match target {
        Target::Edge(edge) if !action.is_on_edge() => {
            let message = format!("`{kind}` is done to a service, and `{edge}` is an edge");
            let hint = format!("write `on: {}`, or choose {}", edge.to, ON_EDGE.join(", "));
            problems.error(key, message).also(on.spot(), "the edge").hint(hint);
        }
        Target::Service(service) if action.is_on_edge() => {
            let message = format!("`{kind}` is done to an edge, and `{service}` is a service");
            let hint = format!("write `on: \"caller -> {service}\"`, or choose {}", ON_SERVICE.join(", "));
            problems.error(key, message).also(on.spot(), "the service").hint(hint);
        }
        _ => {}
    }
}

/// What a fault keeps others from doing at the same time.
#[derive(PartialEq)]
enum Claim {
    /// Everything: the service is gone, or the edge is led by one rule.
    All,
    /// The same kind.
    Kind(&'static str),
}

fn claim(action: &Action) -> Claim {
    let kind = action.kind();
    if action.is_on_edge() || ON_LIFE.contains(&kind) { Claim::All } else { Claim::Kind(kind) }
}

/// Two faults that claim the same thing at the same time would take each other back.
fn tell_overlaps(mut claims: Vec<(&Fault, &Spot)>, problems: &mut Problems) {
    claims.sort_by_key(|(fault, _)| fault.at);
    for (index, (fault, spot)) in claims.iter().enumerate() {
        let clashes = |earlier: &&(&Fault, &Spot)| earlier.0.at.0 + earlier.0.lasts.0 > fault.at.0 && exclude(earlier.0, fault);
        let longest = claims[..index].iter().filter(clashes).max_by_key(|(earlier, _)| earlier.at.0 + earlier.lasts.0);
        if let Some((earlier, first)) = longest {
            let end = Span(earlier.at.0 + earlier.lasts.0);
            let message = format!("two faults claim `{}` at the same time", fault.on);
            let hint = format!("start this one at {end} or later, or put it into a scenario of its own");
            problems.error(spot, message).also(first, format!("held from {} to {end}", earlier.at)).hint(hint);
        }
    }
}

fn exclude(one: &Fault, other: &Fault) -> bool {
    let claims = [claim(&one.action), claim(&other.action)];
    one.on == other.on && (claims.contains(&Claim::All) || claims[0] == claims[1])
}
