//! `shakedown init`: a first experiment out of the compose file that the team already has.

use crate::{
    args::{Global, InitOptions},
    context,
    failure::{Failure, io},
    files::{Disk, environment},
    terminal::Terminal,
};
use minijinja::{Environment, UndefinedBehavior, context};
use shakedown_model::{
    compose,
    fault::Edge,
    stack::{ContainerSpec, Project},
};
use std::path::{Path, PathBuf};

const USUAL_NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
/// More scenarios than this are not a start but a heap.
const MOST_EDGES: usize = 4;

/// A file to write: path and text.
type Draft = (PathBuf, String);

pub(crate) fn run(global: &Global, options: &InitOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let config = context::absolute(&global.config)?;
    let root = config.parent().unwrap_or(Path::new("/")).to_owned();
    let compose_file = compose_file(&root, options)?;
    let project = compose::read(&root.join(&compose_file), &Disk, &environment())
        .map_err(|mistakes| Failure::Config(mistakes.render(terminal.color_errors)))?;
    let drafts = drafts(&project, &compose_file, &config, &root)?;
    if let Some((path, _)) = drafts.iter().find(|(path, _)| path.exists()).filter(|_| !options.force) {
        return Err(Failure::usage(format!("{} is there already", path.display()), "remove it, or write over it with --force"));
    }
    for (path, text) in &drafts {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        std::fs::write(path, text).map_err(io(path))?;
        terminal.out(&format!("wrote {}\n", path.strip_prefix(&root).unwrap_or(path).display()));
    }
    // What was just written must be what `run` reads.
    context::load(&global.config, terminal)?;
    terminal.out("next: look at the load's request in it, then `shakedown run`\n");
    Ok(0)
}

fn compose_file(root: &Path, options: &InitOptions) -> Result<PathBuf, Failure> {
    if let Some(given) = &options.compose {
        return Ok(given.clone());
    }
    USUAL_NAMES.iter().map(PathBuf::from).find(|name| root.join(name).is_file()).ok_or_else(|| {
        Failure::usage(
            format!("no compose file in {} (tried {})", root.display(), USUAL_NAMES.join(", ")),
            "name one with --compose, or write services.process by hand (docs/config.md)",
        )
    })
}

struct EdgeView {
    from: String,
    to: String,
    name: String,
}

fn drafts(project: &Project, compose_file: &Path, config: &Path, root: &Path) -> Result<Vec<Draft>, Failure> {
    let edges: Vec<EdgeView> = edges(project)
        .into_iter()
        .take(MOST_EDGES)
        .map(|edge| EdgeView { name: format!("slow-{}", edge.to), from: edge.from, to: edge.to })
        .collect();
    let Some(entry) = entry(project) else {
        return Err(Failure::usage(
            format!("{}: no service has `ports` or `expose`, so there is nothing to send load to", compose_file.display()),
            "add `expose: [\"8080\"]` to the service that takes requests",
        ));
    };
    let port = entry.ports.first().copied().unwrap_or(80);
    let victim = edges.first().map_or(entry.name.clone(), |edge| edge.to.clone());
    let compose = compose_file.display().to_string();
    let path = health_path(entry).unwrap_or_else(|| "/".to_owned());
    let shared = context! { compose, entry => entry.name.clone(), port, path, victim => victim.clone() };
    let mut drafts = vec![(config.to_owned(), render(include_str!("../../../../templates/init/shakedown.yaml"), &shared)?)];
    for edge in &edges {
        let text = render(
            include_str!("../../../../templates/init/edge.yaml"),
            &context! { from => edge.from.clone(), to => edge.to.clone(), name => edge.name.clone() },
        )?;
        drafts.push((root.join(format!("chaos/{}.yaml", edge.name)), text));
    }
    drafts.push((root.join(format!("chaos/{victim}-dies.yaml")), render(include_str!("../../../../templates/init/kill.yaml"), &shared)?));
    drafts.push((root.join(".github/workflows/shakedown.yml"), include_str!("../../../../templates/init/workflow.yml").to_owned()));
    Ok(drafts)
}

fn render(template: &str, values: &minijinja::Value) -> Result<String, Failure> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let text = environment.render_str(template, values).map_err(|error| Failure::Bug(format!("starter file: {error}")))?;
    Ok(format!("{}\n", text.trim_end()))
}

/// The service that takes requests: it has a port, nobody depends on it, and of those the one with most dependencies.
fn entry(project: &Project) -> Option<&ContainerSpec> {
    let needed = |name: &str| project.services.values().any(|other| other.depends_on.iter().any(|dependency| dependency.service == name));
    let with_ports = || project.services.values().filter(|service| !service.ports.is_empty());
    let free = with_ports().filter(|service| !needed(&service.name)).max_by_key(|service| service.depends_on.len());
    free.or_else(|| with_ports().max_by_key(|service| service.depends_on.len()))
}

/// `a -> b` where `a` depends on `b` or names it in its environment, in the order of the file.
fn edges(project: &Project) -> Vec<Edge> {
    let mut edges = Vec::new();
    for service in project.services.values() {
        for other in project.services.values().filter(|other| other.name != service.name) {
            let depends = service.depends_on.iter().any(|dependency| dependency.service == other.name);
            let names = service.environment.values().any(|value| mentions(value, &other.name));
            if depends || names {
                edges.push(Edge { from: service.name.clone(), to: other.name.clone() });
            }
        }
    }
    edges
}

/// Whether a value holds `//name` or `@name` as a host, or is `name:port`.
fn mentions(value: &str, name: &str) -> bool {
    let ends = |rest: &str| rest.chars().next().is_none_or(|next| matches!(next, ':' | '/' | ',' | '?'));
    let host = ["//", "@"].iter().any(|mark| value.split(mark).skip(1).any(|rest| rest.strip_prefix(name).is_some_and(ends)));
    host || value.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))
}

/// The path that the health check asks for.
fn health_path(service: &ContainerSpec) -> Option<String> {
    let test = service.healthcheck.as_ref()?.test.join(" ");
    let (_, rest) = test.split_once("http://")?;
    let path = rest.split_once('/')?.1;
    let end = path.find(|c: char| c.is_whitespace() || "\"'|;&".contains(c)).unwrap_or(path.len());
    Some(format!("/{}", &path[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_addresses_and_nowhere_else() {
        for (value, expected) in [
            ("http://payment:8080/x", true),
            ("postgres://user@payment/shop", true),
            ("payment:6379", true),
            ("http://payments:8080", false),
            ("the payment service", false),
            ("payment", false),
        ] {
            assert_eq!(mentions(value, "payment"), expected, "{value}");
        }
    }

    #[test]
    fn the_path_of_a_health_check_is_where_a_first_load_can_go() {
        let test = ["CMD-SHELL", "curl -f http://localhost:8080/healthz || exit 1"].map(str::to_owned).to_vec();
        let healthcheck = shakedown_model::stack::Healthcheck { test, interval: None, timeout: None, retries: None, start_period: None };
        let service = ContainerSpec { healthcheck: Some(healthcheck), ..ContainerSpec::default() };
        assert_eq!(health_path(&service).as_deref(), Some("/healthz"));
    }
}
