//! `services`: the compose file and the same services as plain processes.

use super::{
    address,
    cycle::find_cycle,
    fields::{Field, Fields},
    files::{Files, normalize},
    names::{Names, check_form},
    problems::{Problems, meant},
    tree::{Entry, Node, Value, shorten},
};
use crate::{
    compose,
    experiment::{ProcessService, Ready, Services},
    stack::Project,
};
use indexmap::IndexMap;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub(super) const KEYS: &[&str] = &["compose", "process", "build"];
pub(super) const PROCESS_KEYS: &[&str] = &["run", "env", "cwd", "ready", "depends_on"];
pub(super) const READY_KEYS: &[&str] = &["http", "tcp"];

/// What `services` says, and the project of the compose file.
pub(super) struct Found {
    pub(super) services: Option<Services>,
    pub(super) project: Option<Project>,
}

/// `services`. Adds the names of the services to `names`.
pub(super) fn read(
    root: &Fields<'_>,
    directory: &Path,
    files: &dyn Files,
    env: &BTreeMap<String, String>,
    names: &mut Names,
    problems: &mut Problems,
) -> Found {
    let nothing = Found { services: None, project: None };
    let field = root.need("services", "services: {compose: compose.yaml}", problems);
    let Some((field, fields)) = field.and_then(|field| Some((field, field.fields("services", KEYS, problems)?))) else {
        names.incomplete = true;
        return nothing;
    };
    if fields.get("compose").is_none() && fields.get("process").is_none() {
        problems.error(field.key, "`services` names no services").hint("add `compose: compose.yaml` or `process: {…}`");
        names.incomplete = true;
    }
    let build = fields.or("build", Vec::new(), |field| command(field, problems));
    let process = fields.or("process", IndexMap::new(), |field| read_processes(field, problems));
    match fields.get("process").map(|field| &field.node.value) {
        Some(Value::Map(entries)) => {
            names.add_process(entries.iter().map(|entry| entry.key.as_str()));
        }
        Some(_) => names.incomplete = true,
        None => {}
    }
    for (name, service) in process.iter().flatten() {
        names.add_dependencies(name, service.depends_on.iter().map(String::as_str));
    }
    let mut project = None;
    let compose = fields.or("compose", None, |field| {
        let (path, read) = read_compose(field, directory, files, env, problems)?;
        if let Some((found, left_out)) = read {
            names.add_project(problems.shown(&directory.join(&path)), &found, left_out);
            project = Some(found);
        }
        Some(Some(path))
    });
    check_templates(&fields, names, problems);
    names.incomplete |= compose.is_none() || (fields.get("compose").is_some() && project.is_none());
    let services = || Some(Services { compose: compose?, build: build?, process: process? });
    Found { services: services(), project }
}

type Compose = (PathBuf, Option<(Project, Vec<String>)>);

fn read_compose(
    field: Field<'_>,
    directory: &Path,
    files: &dyn Files,
    env: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Option<Compose> {
    let path = relative_path(field, problems)?;
    let full = normalize(&directory.join(&path));
    let text = problems.open(&full, files, Some(field.spot()))?;
    Some((path, compose::read_text(&full, &text, files, env, problems)))
}

/// A path below the directory of the config.
fn relative_path(field: Field<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let path = Path::new(field.full_text(problems)?);
    if path.is_absolute() {
        let message = format!("`{}`: {} is absolute", field.name, field.node.describe());
        problems.error(field.spot(), message).hint("paths are meant from the directory of the config: the baseline's tree lies elsewhere");
        return None;
    }
    Some(normalize(path))
}

/// Program and arguments.
fn command(field: Field<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    if let Some(text) = field.node.scalar() {
        let words = shlex::split(text).unwrap_or_default();
        let message = format!("`{}`: expected a list of program and arguments, found {}", field.name, field.node.describe());
        problems.error(field.spot(), message).hint(format!("write `{}: [{}]`", field.name, words.join(", ")));
        return None;
    }
    let words = field.texts(problems)?;
    if words.first().is_none_or(String::is_empty) {
        problems.error(field.spot(), format!("`{}` names no program", field.name)).hint("for example `[cargo, build, --release]`");
        return None;
    }
    Some(words)
}

fn read_processes(field: Field<'_>, problems: &mut Problems) -> Option<IndexMap<String, ProcessService>> {
    let entries = field.entries(problems)?;
    if entries.is_empty() {
        problems.error(field.key, "`services.process` names no service").hint("take it away, or add `gateway: {run: [./gateway]}`");
    }
    let read: Vec<Option<(String, ProcessService)>> = entries.iter().map(|entry| read_process(*entry, problems)).collect();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    let mut edges = IndexMap::new();
    for entry in &entries {
        edges.insert(entry.name, check_dependencies(*entry, &names, problems));
    }
    if let Some(cycle) = find_cycle(&edges)
        && let Some(first) = entries.iter().find(|entry| entry.name == cycle[0])
    {
        problems.error(first.key, format!("services wait for one another: {}", cycle.join(" -> "))).hint("take one `depends_on` away");
    }
    read.into_iter().collect()
}

fn read_process(field: Field<'_>, problems: &mut Problems) -> Option<(String, ProcessService)> {
    check_form("service", field.name, field.key, problems);
    let fields = field.fields(format!("service `{}`", field.name), PROCESS_KEYS, problems)?;
    let run = fields.need("run", "run: [./gateway]", problems).and_then(|field| command(field, problems));
    let env = fields.or("env", IndexMap::new(), |field| read_env(field, problems));
    let cwd = fields.or("cwd", None, |field| relative_path(field, problems).map(Some));
    let ready = fields.or("ready", Ready::Tcp, |field| read_ready(field, problems));
    let depends_on = fields.or("depends_on", Vec::new(), |field| field.texts(problems));
    let service = ProcessService { run: run?, env: env?, cwd: cwd?, ready: ready?, depends_on: depends_on? };
    Some((field.name.to_owned(), service))
}

fn read_env(field: Field<'_>, problems: &mut Problems) -> Option<IndexMap<String, String>> {
    let mut env = IndexMap::new();
    for entry in field.entries(problems)? {
        if entry.name.is_empty() || entry.name.contains(['=', '\0']) {
            problems.error(entry.key, format!("{:?} is not the name of a variable", entry.name)).hint("for example `ORDERS_URL`");
        }
        if let Some(value) = entry.text(problems) {
            env.insert(entry.name.to_owned(), value.to_owned());
        }
    }
    Some(env)
}

fn read_ready(field: Field<'_>, problems: &mut Problems) -> Option<Ready> {
    let fields = field.fields("ready", READY_KEYS, problems)?;
    match (fields.get("http"), fields.get("tcp")) {
        (Some(http), None) => match http.text(problems)? {
            path if address::is_path(path) => Some(Ready::Http(path.to_owned())),
            _ => http.wrong("a path such as `/healthz`", problems),
        },
        (None, Some(tcp)) if tcp.flag(problems)? => Some(Ready::Tcp),
        (None, _) => {
            problems.error(field.spot(), "`ready` says nothing").hint("write `ready: {http: /healthz}` or `ready: {tcp: true}`");
            None
        }
        (Some(http), Some(tcp)) => {
            problems.error(tcp.key, "`http` and `tcp` exclude each other").also(http.key, "the other").hint("take one of them away");
            None
        }
    }
}

fn check_dependencies<'n>(service: Field<'n>, names: &[&'n str], problems: &mut Problems) -> Vec<&'n str> {
    let Some(node) = service.node.get("depends_on") else {
        return Vec::new();
    };
    let field = Field { name: "depends_on", key: &node.spot, node };
    let Value::List(items) = &node.value else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in field.items(items) {
        let Some(name) = item.node.scalar() else {
            continue;
        };
        if names.contains(&name) {
            found.push(name);
        } else {
            problems.error(item.spot(), format!("unknown service `{name}`")).hint(meant(name, "services", names.iter().copied()));
        }
    }
    found
}

/// `{{ name }}` in `run` and `env` must name a service, or be `listen` or `port`.
fn check_templates(services: &Fields<'_>, names: &Names, problems: &mut Problems) {
    let Some(Value::Map(entries)) = services.get("process").map(|field| &field.node.value) else {
        return;
    };
    let texts = entries.iter().flat_map(|entry| ["run", "env"].into_iter().filter_map(|key| entry.node.get(key)));
    for node in texts.flat_map(Node::children) {
        let mut rest = node.scalar().unwrap_or_default();
        while let Some((_, tail)) = rest.split_once("{{") {
            let Some((name, after)) = tail.split_once("}}") else {
                problems.error(&node.spot, "`{{` is not closed by `}}`").hint("for example `http://{{ orders }}`");
                break;
            };
            check_template(name.trim(), node, entries, names, problems);
            rest = after;
        }
    }
}

fn check_template(name: &str, node: &Node, process: &[Entry], names: &Names, problems: &mut Problems) {
    let own: Vec<&str> = ["listen", "port"].into_iter().chain(process.iter().map(|entry| entry.key.as_str())).collect();
    if own.contains(&name) {
        return;
    }
    if names.compose.as_ref().is_some_and(|(_, services)| services.contains_key(name)) {
        names.check_service(name, &node.spot, problems);
        return;
    }
    problems.error(&node.spot, format!("`{{{{ {} }}}}` stands for nothing", shorten(name))).hint(meant(name, "it may be", own));
}
