//! `networks` of a service, and `networks` of the file.

use super::{Reading, forms, keys};
use crate::{
    config::{
        fields::Field,
        problems::meant,
        tree::{Node, Value},
    },
    stack::{ContainerSpec, NetworkSpec},
};
use indexmap::IndexMap;

/// Networks of a service with its aliases there; its own name is the first.
pub(super) fn read(service: Field<'_>, spec: &mut ContainerSpec, reading: &mut Reading<'_>) {
    let mut shared = vec![spec.name.clone()];
    // In files of the wild, services are called by their container names.
    let container_name = keys::get(service, "container_name").and_then(|field| field.full_text(reading.problems));
    shared.extend(container_name.filter(|name| *name != spec.name).map(str::to_owned));
    if let Some(mode) = keys::get(service, "network_mode").filter(|mode| mode.node.scalar() != Some("default")) {
        let message = format!("`network_mode` {} is not supported", mode.node.describe());
        reading
            .problems
            .error(mode.spot(), message)
            .hint("faults are injected on networks of the run: take the key away, and call services by their names");
    }
    let Some(field) =
        keys::get(service, "networks").filter(|field| !matches!(&field.node.value, Value::Map(entries) if entries.is_empty()))
    else {
        spec.networks.insert("default".to_owned(), shared);
        return;
    };
    let named: Vec<(Field<'_>, &str, Vec<String>)> = if let Value::Map(_) = &field.node.value {
        let entries = field.entries(reading.problems).unwrap_or_default();
        entries.into_iter().map(|entry| (entry, entry.name, read_aliases(entry, reading))).collect()
    } else {
        let items = field.list(reading.problems).unwrap_or_default();
        items.into_iter().filter_map(|item| Some((item, item.text(reading.problems)?, Vec::new()))).collect()
    };
    for (at, name, aliases) in named {
        if name != "default" && !reading.networks.contains_key(name) {
            let hint = format!(
                "{}; or declare it under `networks:` at the top",
                meant(name, "networks", reading.networks.keys().map(String::as_str))
            );
            let spot = if at.name == name { at.key } else { at.spot() };
            reading.problems.error(spot, format!("undefined network `{name}`")).hint(hint);
        }
        let mut all = shared.clone();
        for alias in aliases {
            if !all.contains(&alias) {
                all.push(alias);
            }
        }
        spec.networks.insert(name.to_owned(), all);
    }
}

fn read_aliases(entry: Field<'_>, reading: &mut Reading<'_>) -> Vec<String> {
    if entry.is_null() || !keys::check(entry, "a network of a service", keys::SERVICE_NETWORK, reading.problems) {
        return Vec::new();
    }
    keys::get(entry, "aliases").and_then(|field| field.texts(reading.problems)).unwrap_or_default()
}

/// `networks` of the file.
pub(super) fn read_declared(root: &Node, reading: &mut Reading<'_>) -> IndexMap<String, NetworkSpec> {
    let Some(field) = keys::get(Field::root("the compose file", root), "networks") else {
        return IndexMap::new();
    };
    let mut networks = IndexMap::new();
    for entry in field.entries(reading.problems).unwrap_or_default() {
        let spec = if entry.is_null() { NetworkSpec::default() } else { read_network(entry, reading) };
        networks.insert(entry.name.to_owned(), spec);
    }
    networks
}

fn read_network(entry: Field<'_>, reading: &mut Reading<'_>) -> NetworkSpec {
    if !keys::check(entry, "a network", keys::NETWORK, reading.problems) {
        return NetworkSpec::default();
    }
    let external = external(entry, reading);
    let driver = keys::get(entry, "driver").and_then(|field| {
        let driver = field.text(reading.problems)?;
        match driver {
            "bridge" => Some(driver.to_owned()),
            "default" => None,
            // `overlay` and others need a cluster, `host` and `none` are no networks of the run.
            _ => {
                reading.problems.error(field.spot(), format!("network driver {driver:?} is not supported")).hint("supported: bridge");
                None
            }
        }
    });
    let internal = keys::get(entry, "internal").and_then(|field| forms::flag(field, reading.problems)).unwrap_or(false);
    let enable_ipv6 = keys::get(entry, "enable_ipv6").and_then(|field| forms::flag(field, reading.problems)).unwrap_or(false);
    NetworkSpec { driver, internal, external, enable_ipv6 }
}

/// The name under which a network or a volume exists already. `name` of one that is ours has no effect, which is told.
pub(super) fn external(entry: Field<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let name = keys::get(entry, "name");
    let own_name = name.and_then(|field| field.text(reading.problems)).map(str::to_owned);
    let external = keys::get(entry, "external");
    let is_external = match external {
        // The form of old files: `external: {name: x}`.
        Some(field) if matches!(field.node.value, Value::Map(_)) => {
            let legacy = keys::get(field, "name").and_then(|field| field.text(reading.problems)).map(str::to_owned);
            return legacy.or(own_name).or_else(|| Some(entry.name.to_owned()));
        }
        Some(field) => forms::flag(field, reading.problems).unwrap_or(false),
        None => false,
    };
    if is_external {
        return own_name.or_else(|| Some(entry.name.to_owned()));
    }
    if let Some(name) = name {
        reading.problems.warn(name.key, "`name` has no effect: both variants run side by side, under names of the run");
    }
    None
}
