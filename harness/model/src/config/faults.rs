//! The faults of a scenario: which kind on which target, when, and that no two claim the same thing at the same time.

use super::{
    expectation::read_target,
    fields::{Field, Fields},
    kinds,
    names::Names,
    problems::Problems,
    text::Spot,
    units,
};
use crate::{
    fault::{Action, Fault, Target},
    units::{Percent, Span},
};
use std::collections::HashMap;

/// Keys of a fault that are not its kind.
pub(super) const FRAME: &[&str] = &["at", "for", "on", "connections"];
/// Kinds that are done to a service.
pub(super) const ON_SERVICE: &[&str] = &["pause", "term", "kill", "restart"];
/// Kinds that are done to an edge.
pub(super) const ON_EDGE: &[&str] = &[
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
];
/// Kinds that the language knows and this version cannot do.
pub(super) const LATER: &[&str] = &["stop", "cpu", "memory", "disk", "io", "fill", "dns", "clock", "abort", "error", "grpc"];
/// The list of faults.
pub(super) fn read_all(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Vec<Fault>> {
    let items = field.list(problems)?;
    if items.is_empty() {
        problems.error(field.key, "there is no fault").hint("add `{for: 20s, on: payment, pause: {}}`");
    }
    let read: Vec<Option<(Fault, Spot)>> = items
        .into_iter()
        .map(|item| read(item, names, problems).map(|fault| (fault, item.node.get("on").map_or(item.key, |on| &on.spot).clone())))
        .collect();
    tell_overlaps(read.iter().flatten(), problems);
    read.into_iter().map(|fault| fault.map(|(fault, _)| fault)).collect()
}

fn read(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Fault> {
    let known: Vec<&str> = [FRAME, ON_SERVICE, ON_EDGE, LATER].concat();
    let fields = field.fields("a fault", &known, problems)?;
    let at = fields.or("at", Span::default(), |field| units::span(field, problems));
    let lasts = fields.need("for", "for: 20s", problems).and_then(|field| units::long_span(field, problems));
    let on = fields.need("on", "on: payment` or `on: \"orders -> payment\"", problems);
    let target = on.and_then(|field| read_target(field, names, problems));
    let action = read_action(&fields, problems);
    let connections = fields.or("connections", Percent(1.0), |field| {
        units::share(field, "a share of the connections from 1% to 100%", |share| (0.01..=1.0).contains(&share), problems)
    });
    if let (Some(field), Some(Target::Service(service))) = (fields.get("connections"), &target) {
        problems.error(field.key, format!("`connections` is for faults on an edge, and `{service}` is a service")).hint("take it away");
    }
    if let (Some(on), Some(target), Some((action, key))) = (on, &target, &action) {
        tell_wrong_target(on, target, action, key, problems);
    }
    Some(Fault { at: at?, lasts: lasts?, on: target?, action: action?.0, connections: connections?, source: field.key.source() })
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

/// Two faults that claim the same service or the same edge at the same time would take each other back.
fn tell_overlaps<'f>(faults: impl Iterator<Item = &'f (Fault, Spot)>, problems: &mut Problems) {
    let mut by_target: HashMap<&Target, Vec<&(Fault, Spot)>> = HashMap::new();
    for fault in faults {
        by_target.entry(&fault.0.on).or_default().push(fault);
    }
    for claims in by_target.values_mut() {
        claims.sort_by_key(|(fault, _)| fault.at);
        let mut longest = claims[0];
        for claim in claims.iter().skip(1) {
            let end = longest.0.at.0 + longest.0.lasts.0;
            if claim.0.at.0 < end {
                let message = format!("two faults claim `{}` at the same time", claim.0.on);
                let first = format!("held from {} to {}", longest.0.at, Span(end));
                let hint = format!("start this one at {} or later, or put it into a scenario of its own", Span(end));
                problems.error(&claim.1, message).also(&longest.1, first).hint(hint);
            }
            if claim.0.at.0 + claim.0.lasts.0 > end {
                longest = claim;
            }
        }
    }
}
