//! The compose format: the files that teams already have, as a [`Project`].
//!
//! Read over our own tree with spans rather than through `docker-compose-types`: that crate takes serde's road, which drops the keys it does not
//! know, stops at the first mistake and forgets lines; here every key of the format is read, warned of or refused (`keys`), with a caret. The
//! crate is the second opinion in the tests: what it finds in the fixtures must be what is found here.
//!
//! The order is compose's own: variables, then `extends`, then meaning. Knows nothing of engines; a path means the directory of the file that
//! it stands in.

mod build;
mod dependencies;
mod dotenv;
mod environment;
mod extends;
mod forms;
mod health;
mod interpolate;
mod keys;
mod mounts;
mod networks;
mod ports;
mod service;
#[cfg(test)]
mod tests;

use crate::{
    config::{
        Files, Mistakes,
        fields::Field,
        files::normalize,
        names::check_form,
        problems::Problems,
        text::Text,
        tree::{self, Node},
    },
    stack::{MountSource, NetworkSpec, Project, VolumeSpec},
};
use indexmap::{IndexMap, IndexSet};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Reads a compose file with everything that it names. `path` is absolute. What has no effect is said in [`Project::warnings`].
pub fn read(path: &Path, files: &dyn Files, env: &BTreeMap<String, String>) -> Result<Project, Mistakes> {
    let path = normalize(path);
    let mut problems = Problems::new(path.parent().unwrap_or(Path::new("")));
    let text = problems.open(&path, files, None);
    let project = text.and_then(|text| read_text(&path, &text, files, env, &mut problems));
    problems.finish()?;
    Ok(project.map(|(project, _)| project).unwrap_or_default())
}

/// What the parts of the reading share.
struct Reading<'a> {
    files: &'a dyn Files,
    /// With `.env` merged in.
    env: BTreeMap<String, String>,
    problems: &'a mut Problems,
    /// Declared at the top.
    networks: IndexMap<String, NetworkSpec>,
    volumes: IndexMap<String, VolumeSpec>,
}

impl Reading<'_> {
    fn home(&self) -> Option<&str> {
        self.env.get("HOME").map(String::as_str)
    }
}

/// Reads the text of a compose file. Where there are mistakes, what could be read all the same is still of use for names. With it: the services
/// of profiles that are not active.
pub(crate) fn read_text(
    path: &Path,
    text: &Arc<Text>,
    files: &dyn Files,
    env: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Option<(Project, Vec<String>)> {
    let before = problems.count();
    let mut root = tree::parse(text, problems)?;
    let env = environment::with_dotenv(path, files, env, problems);
    interpolate::expand_tree(&mut root, &env, problems);
    let field = Field::root("the compose file", &root);
    if !keys::check(field, "the compose file", keys::TOP, problems) {
        return None;
    }
    let mut reading = Reading { files, env, problems, networks: IndexMap::new(), volumes: IndexMap::new() };
    reading.networks = networks::read_declared(&root, &mut reading);
    reading.volumes = mounts::read_declared(&root, &mut reading);
    tell_override(path, &root, &mut reading);
    let name = project_name(&root, path, &mut reading);
    let services = keys::get(field, "services");
    let Some(services) = services.filter(|services| !services.node.is_empty_map()) else {
        reading.problems.error(&root.spot, format!("{} has no services", text.shown)).hint("add `services: {gateway: {image: …}}`");
        return None;
    };
    let (mut project, left_out) = read_services(services, path, &mut reading)?;
    project.name = name;
    keep_what_is_used(&mut project, &reading);
    project.warnings = problems.warnings_since(before);
    Some((project, left_out))
}

fn read_services(services: Field<'_>, path: &Path, reading: &mut Reading<'_>) -> Option<(Project, Vec<String>)> {
    let mut project = Project::default();
    let mut left_out = Vec::new();
    let mut wishes = Vec::new();
    let mut extends = extends::Extends::default();
    for entry in services.entries(reading.problems)? {
        if entry.name.starts_with("x-") {
            continue;
        }
        check_form("service", entry.name, entry.key, reading.problems);
        let node = extends.resolve(entry.name, entry.node, services.node, path, reading);
        let field = Field { node: &node, ..entry };
        if !is_active(field, reading) {
            let message = format!("service `{}` is left out: no active profile asks for it", entry.name);
            reading.problems.warn(entry.key, message).hint("set COMPOSE_PROFILES to start it");
            left_out.push(entry.name.to_owned());
            continue;
        }
        if let Some(spec) = service::read(field, reading) {
            wishes.push((spec.name.clone(), dependencies::read(field, reading)));
            project.services.insert(spec.name.clone(), spec);
        }
    }
    if project.services.is_empty() && reading.problems.errors() == 0 {
        reading.problems.error(services.key, "no service is active").hint("set COMPOSE_PROFILES, or take a `profiles` away");
    }
    dependencies::connect(&mut project.services, wishes, &left_out, reading);
    Some((project, left_out))
}

/// Whether a service has no profiles or one that COMPOSE_PROFILES names.
fn is_active(service: Field<'_>, reading: &mut Reading<'_>) -> bool {
    let Some(field) = keys::get(service, "profiles") else {
        return true;
    };
    let profiles = forms::texts(field, reading.problems);
    let active = reading.env.get("COMPOSE_PROFILES").map(String::as_str).unwrap_or_default();
    let mut active = active.split(',').map(str::trim).filter(|profile| !profile.is_empty());
    profiles.is_empty() || active.any(|active| active == "*" || profiles.iter().any(|profile| profile == active))
}

/// Compose reads an override file by itself where no file is named; a config names one.
fn tell_override(path: &Path, root: &Node, reading: &mut Reading<'_>) {
    let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
        return;
    };
    for extension in ["yaml", "yml"] {
        let other = path.with_file_name(format!("{stem}.override.{extension}"));
        if reading.files.exists(&other) {
            let shown = reading.problems.shown(&other);
            reading.problems.warn(&root.spot, format!("`{shown}` has no effect: only the file that the config names is read"));
        }
    }
}

/// COMPOSE_PROJECT_NAME, `name`, or the name of the directory; in the letters that engines take.
fn project_name(root: &Node, path: &Path, reading: &mut Reading<'_>) -> String {
    let given = reading.env.get("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty()).cloned();
    let written =
        keys::get(Field::root("the compose file", root), "name").and_then(|field| field.full_text(reading.problems)).map(str::to_owned);
    let directory = || path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = given.or(written).unwrap_or_else(directory).to_lowercase();
    let clean: String = name.chars().filter(|char| char.is_ascii_alphanumeric() || "_-".contains(*char)).collect();
    let clean = clean.trim_start_matches(['_', '-']);
    if clean.is_empty() { "project".to_owned() } else { clean.to_owned() }
}

/// Networks and volumes that no service uses are not made.
fn keep_what_is_used(project: &mut Project, reading: &Reading<'_>) {
    let used: IndexSet<&String> = project.services.values().flat_map(|service| service.networks.keys()).collect();
    for name in used {
        project.networks.insert(name.clone(), reading.networks.get(name).cloned().unwrap_or_default());
    }
    let mounts = project.services.values().flat_map(|service| &service.mounts);
    let used: IndexSet<&String> =
        mounts.filter_map(|mount| if let MountSource::Volume(name) = &mount.source { Some(name) } else { None }).collect();
    for name in used {
        project.volumes.insert(name.clone(), reading.volumes.get(name).cloned().unwrap_or_default());
    }
}
