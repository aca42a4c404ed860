//! `depends_on` and `links`: what is started before what; and that nothing waits for itself.

use super::{Reading, forms, keys};
use crate::{
    config::{cycle::find_cycle, fields::Field, problems::meant, text::Spot, tree::Value},
    stack::{Condition, ContainerSpec, Dependency},
};
use indexmap::IndexMap;

/// A dependency as it was written, to be checked when all services are known.
pub(super) struct Wish {
    pub(super) dependency: Dependency,
    pub(super) required: bool,
    pub(super) spot: Spot,
}

/// What a service waits for.
pub(super) fn read(service: Field<'_>, reading: &mut Reading<'_>) -> Vec<Wish> {
    let mut wishes = Vec::new();
    if let Some(field) = keys::get(service, "depends_on") {
        if matches!(field.node.value, Value::Map(_)) {
            for entry in field.entries(reading.problems).unwrap_or_default() {
                wishes.extend(read_long(entry, reading));
            }
        } else {
            for item in field.list(reading.problems).unwrap_or_default() {
                wishes.extend(item.full_text(reading.problems).map(|name| wish(name, Condition::Started, true, item.spot())));
            }
        }
    }
    if let Some(field) = keys::get(service, "links") {
        for item in field.list(reading.problems).unwrap_or_default() {
            let Some(text) = item.full_text(reading.problems) else {
                continue;
            };
            let (name, alias) = text.split_once(':').unwrap_or((text, text));
            if name != alias {
                let message = format!("alias `{alias}` of a link is not supported");
                let hint = format!("give `{name}` the alias: `networks: {{default: {{aliases: [{alias}]}}}}`");
                reading.problems.error(item.spot(), message).hint(hint);
            }
            wishes.push(wish(name, Condition::Started, true, item.spot()));
        }
    }
    let mut seen = std::collections::HashSet::new();
    wishes.retain(|wish| seen.insert(wish.dependency.service.clone()));
    wishes
}

fn wish(name: &str, condition: Condition, required: bool, spot: &Spot) -> Wish {
    Wish { dependency: Dependency { service: name.to_owned(), condition }, required, spot: spot.clone() }
}

fn read_long(entry: Field<'_>, reading: &mut Reading<'_>) -> Option<Wish> {
    if entry.is_null() {
        return Some(wish(entry.name, Condition::Started, true, entry.key));
    }
    if !keys::check(entry, "`depends_on`", keys::DEPENDENCY, reading.problems) {
        return None;
    }
    let words = [
        ("service_started", Condition::Started),
        ("service_healthy", Condition::Healthy),
        ("service_completed_successfully", Condition::CompletedSuccessfully),
    ];
    let condition = match keys::get(entry, "condition") {
        Some(field) => field.choice(&words, reading.problems)?,
        None => Condition::Started,
    };
    let required = keys::get(entry, "required").and_then(|field| forms::flag(field, reading.problems)).unwrap_or(true);
    Some(wish(entry.name, condition, required, entry.key))
}

/// Gives every service what it waits for, where that is there. `left_out`: services of profiles that are not active.
pub(super) fn connect(
    services: &mut IndexMap<String, ContainerSpec>,
    wishes: Vec<(String, Vec<Wish>)>,
    left_out: &[String],
    reading: &mut Reading<'_>,
) {
    let names: Vec<String> = services.keys().cloned().collect();
    let mut spots: Vec<(String, Spot)> = Vec::new();
    for (name, wishes) in wishes {
        for wish in wishes {
            let target = &wish.dependency.service;
            if !services.contains_key(target) {
                tell_missing(&wish, &names, left_out, reading);
            } else if let Some(spec) = services.get_mut(&name) {
                spots.push((format!("{name} -> {target}"), wish.spot));
                spec.depends_on.push(wish.dependency);
            }
        }
    }
    let edges: IndexMap<&str, Vec<&str>> = services
        .iter()
        .map(|(name, spec)| (name.as_str(), spec.depends_on.iter().map(|dependency| dependency.service.as_str()).collect()))
        .collect();
    if let Some(cycle) = find_cycle(&edges) {
        let first = format!("{} -> {}", cycle[0], cycle[1]);
        if let Some((_, spot)) = spots.iter().find(|(edge, _)| *edge == first) {
            let message = format!("services wait for one another: {}", cycle.join(" -> "));
            reading.problems.error(spot, message).hint("take one `depends_on` away");
        }
    }
}

fn tell_missing(wish: &Wish, names: &[String], left_out: &[String], reading: &mut Reading<'_>) {
    let target = &wish.dependency.service;
    if !wish.required {
        reading.problems.warn(&wish.spot, format!("service `{target}` is not there, and not required"));
        return;
    }
    let message = format!("depends on an undefined service `{target}`");
    let hint = if left_out.contains(target) {
        "no active profile asks for it: set COMPOSE_PROFILES".to_owned()
    } else {
        meant(target, "services", names.iter().map(String::as_str))
    };
    reading.problems.error(&wish.spot, message).hint(hint);
}
