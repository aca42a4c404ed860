//! `volumes` of a service, and `volumes` of the file.

use super::{Reading, forms, keys};
use crate::{
    config::{
        fields::Field,
        problems::meant,
        tree::{Node, Value},
    },
    stack::{ContainerSpec, Mount, MountSource, VolumeSpec},
};
use indexmap::IndexMap;

/// `volumes` of a service: into `mounts` and `tmpfs`. A later mount of the same path takes the place of an earlier one.
pub(super) fn read(field: Field<'_>, spec: &mut ContainerSpec, reading: &mut Reading<'_>) {
    for item in field.list(reading.problems).unwrap_or_default() {
        let mount = if matches!(item.node.value, Value::Map(_)) { long(item, spec, reading) } else { short(item, reading) };
        let Some(mount) = mount else { continue };
        if let MountSource::Volume(name) = &mount.source
            && !reading.volumes.contains_key(name)
        {
            let hint = format!(
                "{}; or declare it under `volumes:` at the top",
                meant(name, "volumes", reading.volumes.keys().map(String::as_str))
            );
            reading.problems.error(item.spot(), format!("undefined volume `{name}`")).hint(hint);
        }
        spec.mounts.retain(|other| other.target != mount.target);
        spec.mounts.push(mount);
    }
}

fn short(item: Field<'_>, reading: &mut Reading<'_>) -> Option<Mount> {
    let text = item.full_text(reading.problems)?;
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => return item.wrong("`source:target[:ro]`", reading.problems),
    };
    check_target(target, item, reading)?;
    let source = match source {
        None => MountSource::Anonymous,
        Some(path) if path.starts_with(['.', '/', '~']) => MountSource::Bind(forms::path(path, item.node, reading.home())),
        Some(name) if name.is_empty() || name.contains(['/', '\\']) => {
            let message = format!("{name:?} is neither a path nor the name of a volume");
            reading.problems.error(item.spot(), message).hint(format!("a path begins with `./`: `./{name}:{target}`"));
            return None;
        }
        Some(name) => MountSource::Volume(name.to_owned()),
    };
    Some(Mount { source, target: target.to_owned(), read_only: read_mode(mode, item, reading) })
}

fn read_mode(mode: &str, item: Field<'_>, reading: &mut Reading<'_>) -> bool {
    let mut read_only = false;
    for word in mode.split(',').filter(|word| !word.is_empty()) {
        match word {
            "ro" => read_only = true,
            // The engine's defaults, or for other platforms.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            "nocopy" | "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                reading.problems.warn(item.spot(), format!("`{word}` has no effect: the engine's default is used"));
            }
            _ => {
                reading.problems.error(item.spot(), format!("unknown mode {word:?} of a mount")).hint("modes: ro, rw");
            }
        }
    }
    read_only
}

fn check_target(target: &str, item: Field<'_>, reading: &mut Reading<'_>) -> Option<()> {
    if target.starts_with('/') && target.len() > 1 {
        return Some(());
    }
    reading
        .problems
        .error(item.spot(), format!("mount target {target:?} is not an absolute path"))
        .hint("for example `./data:/var/lib/data`");
    None
}

fn long(item: Field<'_>, spec: &mut ContainerSpec, reading: &mut Reading<'_>) -> Option<Mount> {
    if !keys::check(item, "a mount", keys::MOUNT, reading.problems) {
        return None;
    }
    for (key, table) in [("bind", keys::MOUNT_BIND), ("volume", keys::MOUNT_VOLUME), ("tmpfs", keys::MOUNT_TMPFS)] {
        if let Some(field) = keys::get(item, key) {
            keys::check(field, "a mount", table, reading.problems);
        }
    }
    let Some(target) = keys::get(item, "target") else {
        reading.problems.error(item.spot(), "`target` is missing in a mount").hint("add `target: /data`");
        return None;
    };
    let target = target.text(reading.problems)?;
    check_target(target, item, reading)?;
    let read_only = keys::get(item, "read_only").and_then(|field| forms::flag(field, reading.problems)).unwrap_or(false);
    let source_field = keys::get(item, "source");
    let kind = keys::get(item, "type");
    let source = match (kind.map_or("volume", |kind| kind.node.scalar().unwrap_or_default()), source_field) {
        ("volume", None) => MountSource::Anonymous,
        ("volume", Some(source)) => MountSource::Volume(source.text(reading.problems)?.to_owned()),
        ("bind", Some(source)) => MountSource::Bind(forms::path(source.full_text(reading.problems)?, source.node, reading.home())),
        ("bind", None) => {
            reading.problems.error(item.spot(), "`source` is missing in a bind mount").hint("add `source: ./data`");
            return None;
        }
        ("tmpfs", _) => {
            let options = tmpfs_options(item, reading);
            spec.tmpfs.insert(target.to_owned(), options);
            return None;
        }
        (other, _) => {
            let spot = kind.unwrap_or(item).spot();
            reading.problems.error(spot, format!("mount type {other:?} is not supported")).hint("supported: bind, volume, tmpfs");
            return None;
        }
    };
    Some(Mount { source, target: target.to_owned(), read_only })
}

fn tmpfs_options(item: Field<'_>, reading: &mut Reading<'_>) -> String {
    let Some(tmpfs) = keys::get(item, "tmpfs") else {
        return String::new();
    };
    let size = keys::get(tmpfs, "size").and_then(|field| forms::size(field, reading.problems)).map(|size| format!("size={size}"));
    // Octal, as in a shell.
    let mode = keys::get(tmpfs, "mode").and_then(|field| field.text(reading.problems)).map(|mode| format!("mode={mode}"));
    size.into_iter().chain(mode).collect::<Vec<_>>().join(",")
}

/// `volumes` of the file.
pub(super) fn read_declared(root: &Node, reading: &mut Reading<'_>) -> IndexMap<String, VolumeSpec> {
    let Some(field) = keys::get(Field::root("the compose file", root), "volumes") else {
        return IndexMap::new();
    };
    let mut volumes = IndexMap::new();
    for entry in field.entries(reading.problems).unwrap_or_default() {
        let spec = if entry.is_null() { VolumeSpec::default() } else { read_volume(entry, reading) };
        volumes.insert(entry.name.to_owned(), spec);
    }
    volumes
}

fn read_volume(entry: Field<'_>, reading: &mut Reading<'_>) -> VolumeSpec {
    if !keys::check(entry, "a volume", keys::VOLUME, reading.problems) {
        return VolumeSpec::default();
    }
    if let Some(driver) = keys::get(entry, "driver").filter(|driver| !matches!(driver.node.scalar(), Some("local" | "default"))) {
        let message = format!("volume driver {} is not supported", driver.node.describe());
        reading.problems.error(driver.spot(), message).hint("volumes are the engine's own (`local`); use a bind mount");
    }
    VolumeSpec { external: super::networks::external(entry, reading) }
}
