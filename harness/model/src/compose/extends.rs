//! `extends`: a service that is another one with changes. Works on trees, before anything in them is given a meaning.

use super::{Reading, interpolate::expand_tree, keys};
use crate::config::{
    fields::Field,
    problems::meant,
    text::Spot,
    tree::{self, Entry, Node, Value},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// A longer chain is a mistake even where it is no circle.
const LONGEST_CHAIN: usize = 32;

/// Where chains lead, read once.
#[derive(Default)]
pub(super) struct Extends {
    /// The trees of other files, interpolated. `None`: not readable, which was told.
    files: HashMap<PathBuf, Option<Node>>,
    /// Where in its file a service stands.
    places: HashMap<PathBuf, HashMap<String, usize>>,
}

impl Extends {
    /// The tree of a service with everything that it extends merged in. `services`: the node of `services` in the file at `path`.
    pub(super) fn resolve(&mut self, name: &str, node: &Node, services: &Node, path: &Path, reading: &mut Reading<'_>) -> Node {
        let mut chain = vec![(path.to_owned(), name.to_owned())];
        self.follow(node, services, &mut chain, reading)
    }

    fn follow(&mut self, node: &Node, services: &Node, chain: &mut Vec<(PathBuf, String)>, reading: &mut Reading<'_>) -> Node {
        let Value::Map(entries) = &node.value else {
            return node.clone();
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == "extends" && !matches!(entry.node.value, Value::Null)) else {
            return node.clone();
        };
        let own = Node { value: Value::Map(entries.iter().filter(|entry| entry.key != "extends").cloned().collect()), ..node.clone() };
        let Some((spot, base_name, file)) = target(Field::of(entry), reading) else {
            return own;
        };
        let mut here = chain.last().map(|(path, _)| path.clone()).unwrap_or_default();
        let foreign = match file {
            None => None,
            Some((text, node)) => {
                here = super::forms::path(&text, &node, None);
                let Some(root) = self.open(&here, &node.spot, reading) else {
                    return own;
                };
                root.get("services").cloned()
            }
        };
        let services = if file_changed(chain, &here) { foreign.as_ref() } else { Some(services) };
        let step = (here, base_name);
        if chain.contains(&step) || chain.len() > LONGEST_CHAIN {
            let names: Vec<&str> = chain.iter().chain([&step]).map(|(_, name)| name.as_str()).collect();
            reading.problems.error(&spot, format!("services extend one another: {}", names.join(" -> "))).hint("take one `extends` away");
            return own;
        }
        let Some(services) = services else {
            reading.problems.error(&spot, format!("{} has no `services`", reading.problems.shown(&step.0))).hint("name another file");
            return own;
        };
        let Some(base) = self.find(&step, services) else {
            let names: Vec<&str> = match &services.value {
                Value::Map(entries) => entries.iter().map(|entry| entry.key.as_str()).collect(),
                _ => Vec::new(),
            };
            let hint = meant(&step.1, "services", names);
            reading.problems.error(&spot, format!("unknown service `{}` to extend", step.1)).hint(hint);
            return own;
        };
        if !reading.problems.spend(base.size().saturating_mul(64), &spot) {
            return own;
        }
        chain.push(step);
        let base = self.follow(base, services, chain, reading);
        merge(base, own, "")
    }

    fn find<'n>(&mut self, (path, name): &(PathBuf, String), services: &'n Node) -> Option<&'n Node> {
        let Value::Map(entries) = &services.value else {
            return None;
        };
        let places = self
            .places
            .entry(path.clone())
            .or_insert_with(|| entries.iter().enumerate().map(|(index, entry)| (entry.key.clone(), index)).collect());
        places.get(name).map(|index| &entries[*index].node)
    }

    fn open(&mut self, path: &Path, at: &Spot, reading: &mut Reading<'_>) -> Option<Node> {
        if let Some(known) = self.files.get(path) {
            return known.clone();
        }
        let text = reading.problems.open(path, reading.files, Some(at));
        let mut node = text.and_then(|text| tree::parse(&text, reading.problems));
        if let Some(node) = &mut node {
            expand_tree(node, &reading.env, reading.problems);
        }
        self.files.insert(path.to_owned(), node.clone());
        node
    }
}

fn file_changed(chain: &[(PathBuf, String)], here: &Path) -> bool {
    chain.last().is_some_and(|(path, _)| path != here)
}

type Target = (Spot, String, Option<(String, Node)>);

/// The service, and the file where it is another.
fn target(field: Field<'_>, reading: &mut Reading<'_>) -> Option<Target> {
    if let Some(name) = field.node.scalar() {
        return Some((field.spot().clone(), name.to_owned(), None));
    }
    if !keys::check(field, "`extends`", keys::EXTENDS, reading.problems) {
        return None;
    }
    let Some(service) = keys::get(field, "service") else {
        reading.problems.error(field.key, "`service` is missing in `extends`").hint("add `service: base`");
        return None;
    };
    let name = service.text(reading.problems)?.to_owned();
    let file = match keys::get(field, "file") {
        Some(file) => Some((file.full_text(reading.problems)?.to_owned(), file.node.clone())),
        None => None,
    };
    Some((service.spot().clone(), name, file))
}

/// Keys whose value the extending service replaces as a whole.
const REPLACED: &[&str] = &["command", "entrypoint", "test"];
/// Keys that may be a list or a mapping, and are merged by what stands before the separator.
const PAIRS: &[&str] = &["environment", "labels", "args", "sysctls", "annotations", "extra_hosts", "depends_on", "networks"];

/// `over` on top of `base`, by the rules of compose: mappings key by key, lists one after the other, the rest replaced.
pub(super) fn merge(base: Node, over: Node, key: &str) -> Node {
    if matches!(over.value, Value::Null) {
        return base;
    }
    if matches!(base.value, Value::Null) || REPLACED.contains(&key) {
        return over;
    }
    let (base, over) = same_form(base, over, key);
    let Node { spot, value } = over;
    let value = match (base.value, value) {
        (Value::Map(base), Value::Map(over)) => Value::Map(merge_entries(base, over)),
        (Value::List(base), Value::List(over)) => Value::List(base.into_iter().chain(over).collect()),
        (_, over) => over,
    };
    Node { spot, value }
}

fn merge_entries(base: Vec<Entry>, over: Vec<Entry>) -> Vec<Entry> {
    let mut merged = base;
    let mut places: HashMap<String, usize> = merged.iter().enumerate().map(|(index, entry)| (entry.key.clone(), index)).collect();
    for entry in over {
        let Some(index) = places.get(&entry.key) else {
            places.insert(entry.key.clone(), merged.len());
            merged.push(entry);
            continue;
        };
        let old = &mut merged[*index];
        let node = merge(old.node.clone(), entry.node, &entry.key);
        *old = Entry { node, ..entry };
    }
    merged
}

/// Brings a list and a mapping, or a text and a list, to one form.
fn same_form(base: Node, over: Node, key: &str) -> (Node, Node) {
    if PAIRS.contains(&key) {
        return (as_map(base, key), as_map(over, key));
    }
    if key == "build" {
        return (as_build(base), as_build(over));
    }
    match (&base.value, &over.value) {
        (Value::Scalar { .. }, Value::List(_)) => (as_list(base), over),
        (Value::List(_), Value::Scalar { .. }) => (base, as_list(over)),
        (Value::Scalar { .. }, Value::Scalar { .. }) if ["env_file", "tmpfs"].contains(&key) => (as_list(base), as_list(over)),
        _ => (base, over),
    }
}

fn as_list(node: Node) -> Node {
    Node { spot: node.spot.clone(), value: Value::List(vec![node]) }
}

fn as_build(node: Node) -> Node {
    match node.value {
        Value::Scalar { .. } => {
            let entry = Entry { key: "context".to_owned(), spot: node.spot.clone(), node: node.clone() };
            Node { spot: node.spot, value: Value::Map(vec![entry]) }
        }
        _ => node,
    }
}

fn as_map(node: Node, key: &str) -> Node {
    let Value::List(items) = node.value else {
        return node;
    };
    let separators: &[char] = if key == "extra_hosts" { &['=', ':'] } else { &['='] };
    let mut entries: Vec<Entry> = Vec::new();
    for item in items {
        let Some(text) = item.scalar() else { continue };
        let (name, value) = match text.split_once(separators) {
            Some((name, value)) => (name.to_owned(), Value::Scalar { text: value.to_owned(), plain: false }),
            None => (text.to_owned(), Value::Null),
        };
        let node = Node { spot: item.spot.clone(), value };
        entries.retain(|entry| entry.key != name);
        entries.push(Entry { key: name, spot: item.spot, node });
    }
    Node { spot: node.spot, value: Value::Map(entries) }
}
