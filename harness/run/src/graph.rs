//! Which services a change touches, and which stand next to them: build contexts, and who calls whom.

use shakedown_model::{
    experiment::{Experiment, Scenario},
    fault::{Edge, Target},
    run::{Changes, ServiceChanges},
    stack::{ContainerSpec, MountSource, Project},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

/// Changed files that are named of one service, …
const FILES_NAMED: usize = 20;
/// … and how much of their names.
const PATH_CHARS: usize = 300;

/// The services with the paths that each is made from, and the calls between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceGraph {
    /// Folders and files of the repository, from its top, by service. A service whose build context is the whole project has none: such a
    /// context says nothing about which service changed.
    paths: BTreeMap<String, Vec<String>>,
    /// Services whose build context is theirs, so that nothing else goes into them.
    enclosed: BTreeSet<String>,
    calls: BTreeSet<Edge>,
}

impl ServiceGraph {
    /// Out of the compose file (or the processes) and the edges that faults name. `top` is the repository's, absolute.
    pub fn of(experiment: &Experiment, project: Option<&Project>, top: &Path) -> ServiceGraph {
        let mut graph = ServiceGraph::default();
        let within = |path: &Path| -> Option<String> {
            let from_top = path.strip_prefix(top).ok().filter(|_| !experiment.root.starts_with(path))?;
            from_top.to_str().map(|text| text.trim_end_matches('/').to_owned()).filter(|text| !text.is_empty())
        };
        for service in project.iter().flat_map(|project| project.services.values()) {
            if service.build.as_ref().is_some_and(|build| within(&normal(&build.context)).is_some()) {
                graph.enclosed.insert(service.name.clone());
            }
            graph.paths.insert(service.name.clone(), made_from(service).iter().filter_map(|path| within(path)).collect());
            graph.calls.extend(service.depends_on.iter().map(|on| Edge { from: service.name.clone(), to: on.service.clone() }));
        }
        for (name, process) in &experiment.services.process {
            let folder = process.cwd.iter().filter_map(|cwd| within(&experiment.root.join(cwd)));
            graph.paths.entry(name.clone()).or_default().extend(folder);
            graph.calls.extend(process.depends_on.iter().map(|on| Edge { from: name.clone(), to: on.clone() }));
        }
        for fault in experiment.scenarios.iter().flat_map(|scenario| &scenario.faults) {
            if let Target::Edge(edge) = &fault.on {
                graph.calls.insert(edge.clone());
            }
        }
        graph
    }

    /// The services that `changed` touches, each with the path that says so.
    fn touched<'a>(&'a self, changed: &'a [String]) -> BTreeMap<&'a str, &'a str> {
        let of = |own: &[String]| changed.iter().find(|path| own.iter().any(|own| is_below(path, own)));
        self.paths.iter().filter_map(|(service, own)| Some((service.as_str(), of(own)?.as_str()))).collect()
    }

    /// What a change does to each service, as far as that can be told: by the paths that it is made from, and by its name (folders and files that are
    /// called like it). That nothing of a service changes is known only where its build context is its own. `changed` are paths from the top of the
    /// repository.
    pub fn changes(&self, changed: &[String]) -> Changes {
        let of_service = |(service, own): (&String, &Vec<String>)| {
            let is_own = |path: &&String| own.iter().any(|own| is_below(path, own)) || is_called(path, service);
            let files: Vec<&String> = changed.iter().filter(is_own).collect();
            let known = !files.is_empty() || self.enclosed.contains(service);
            let named = files.iter().take(FILES_NAMED).map(|file| file.chars().take(PATH_CHARS).collect()).collect();
            known.then(|| (service.clone(), ServiceChanges { files: files.len() as u64, named }))
        };
        Changes { files: changed.len() as u64, services: self.paths.iter().filter_map(of_service).collect() }
    }

    /// Why a change matters to a scenario: one of its faults is on a service that the change touches, or on one that calls it or that it calls.
    pub(crate) fn reason(&self, scenario: &Scenario, changed: &[String]) -> Option<String> {
        let touched = self.touched(changed);
        let own = targets(scenario);
        if let Some((service, path)) = own.iter().find_map(|service| touched.get_key_value(service.as_str())) {
            return Some(format!("the change touches {path} of {service}"));
        }
        self.calls.iter().find_map(|call| {
            let (caller, callee) = (call.from.as_str(), call.to.as_str());
            if let (true, Some(path)) = (own.contains(caller), touched.get(callee)) {
                return Some(format!("{caller} calls {callee}, of which the change touches {path}"));
            }
            let path = touched.get(caller).filter(|_| own.contains(callee))?;
            Some(format!("{callee} is called by {caller}, of which the change touches {path}"))
        })
    }

    /// How many services depend, directly or not, on those that a scenario's faults are on.
    pub(crate) fn dependents(&self, scenario: &Scenario) -> usize {
        let own: BTreeSet<String> = scenario.faults.iter().map(|fault| hit(&fault.on).to_owned()).collect();
        let mut reached = own.clone();
        while let Some(next) = self.calls.iter().find(|call| reached.contains(&call.to) && !reached.contains(&call.from)) {
            reached.insert(next.from.clone());
        }
        reached.len() - own.len()
    }
}

/// Whether a folder of a path, or its file without the ending, has this name.
fn is_called(path: &str, name: &str) -> bool {
    let path = Path::new(path);
    let folders = path.parent().into_iter().flat_map(Path::components);
    folders.map(Component::as_os_str).chain(path.file_stem()).any(|part| part == name)
}

/// The service that suffers first.
fn hit(target: &Target) -> &str {
    match target {
        Target::Service(service) => service,
        Target::Edge(edge) => &edge.to,
    }
}

fn targets(scenario: &Scenario) -> BTreeSet<String> {
    let of = |target: &Target| match target {
        Target::Service(service) => vec![service.clone()],
        Target::Edge(edge) => vec![edge.from.clone(), edge.to.clone()],
    };
    scenario.faults.iter().flat_map(|fault| of(&fault.on)).collect()
}

/// Build context, Dockerfile and its folder, and what is mounted out of the repository.
fn made_from(service: &ContainerSpec) -> Vec<PathBuf> {
    let build = service.build.iter().flat_map(|build| {
        let dockerfile = normal(&build.context.join(&build.dockerfile));
        let folder = dockerfile.parent().map(Path::to_owned);
        [Some(normal(&build.context)), folder, Some(dockerfile)].into_iter().flatten()
    });
    let mounted = service.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind(path) => Some(normal(path)),
        MountSource::Volume(_) | MountSource::Anonymous => None,
    });
    build.chain(mounted).collect()
}

/// Without `.` and `..`, as far as that needs no disk.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
