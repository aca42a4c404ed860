//! The names that a config may use: services of the compose file and of `services.process`, and loads. Tells an unknown one with what was
//! meant.

use super::{
    problems::{Problems, meant},
    text::Spot,
    tree::shorten,
};
use crate::stack::Project;
use indexmap::{IndexMap, IndexSet};
use std::collections::{BTreeMap, BTreeSet};

/// What is declared.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The compose file as it is shown, and its services with the TCP ports that they tell. `None`: no such file, or not readable.
    pub(super) compose: Option<(String, IndexMap<String, Vec<u16>>)>,
    /// Services of the compose file that no active profile asks for.
    pub(super) left_out: Vec<String>,
    /// The keys of `services.process`. `None`: there is no such key.
    pub(super) process: Option<IndexSet<String>>,
    /// Whether some services could not be read: then an unknown name says nothing.
    pub(super) incomplete: bool,
    /// What each service depends on.
    pub(super) depends_on: BTreeMap<String, BTreeSet<String>>,
    /// The keys of `load`.
    pub(super) loads: IndexSet<String>,
}

impl Names {
    pub(super) fn add_project(&mut self, shown: String, project: &Project, left_out: Vec<String>) {
        let services = project.services.iter().map(|(name, service)| (name.clone(), service.ports.clone())).collect();
        self.compose = Some((shown, services));
        self.left_out = left_out;
        for (name, service) in &project.services {
            self.add_dependencies(name, service.depends_on.iter().map(|dependency| dependency.service.as_str()));
        }
    }

    pub(super) fn add_dependencies<'n>(&mut self, service: &str, on: impl IntoIterator<Item = &'n str>) {
        self.depends_on.entry(service.to_owned()).or_default().extend(on.into_iter().map(str::to_owned));
    }

    /// How many services depend on one, directly or not.
    pub(super) fn dependents(&self, service: &str) -> u32 {
        let mut found: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![service];
        while let Some(next) = open.pop() {
            let direct = self.depends_on.iter().filter(|(_, on)| on.contains(next)).map(|(name, _)| name.as_str());
            open.extend(direct.filter(|name| found.insert(name)));
        }
        u32::try_from(found.len()).unwrap_or(u32::MAX)
    }

    /// Also those whose entries are wrong: a mistake in one place must not be told in another.
    pub(super) fn add_process<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        self.process = Some(names.into_iter().map(str::to_owned).collect());
    }

    /// Tells a service that is not there. Returns whether all is well.
    pub(super) fn check_service(&self, name: &str, spot: &Spot, problems: &mut Problems) -> bool {
        let in_compose = self.compose.as_ref().map(|(_, services)| services.contains_key(name));
        let in_process = self.process.as_ref().map(|services| services.contains(name));
        match (in_compose, in_process) {
            _ if self.incomplete => true,
            (Some(true), None | Some(true)) | (None, Some(true)) => true,
            // No error: a scenario about a cache has its use in containers where the processes do without one.
            (Some(true), Some(false)) => {
                let message = format!("service `{name}` is in {} but not in `services.process`", self.compose_file());
                problems.warn_once(spot, message).hint(format!("add `{name}` there, or use `--runtime docker` only"));
                true
            }
            (Some(false), Some(true)) => {
                let message = format!("service `{name}` is in `services.process` but not in {}", self.compose_file());
                problems.warn_once(spot, message).hint(format!("add `{name}` there, or use `--runtime process` only"));
                true
            }
            _ => {
                self.tell_unknown(name, spot, problems);
                false
            }
        }
    }

    fn compose_file(&self) -> &str {
        self.compose.as_ref().map_or("the compose file", |(shown, _)| shown.as_str())
    }

    fn tell_unknown(&self, name: &str, spot: &Spot, problems: &mut Problems) {
        let mistake = problems.error(spot, format!("unknown service `{}`", shorten(name)));
        if self.left_out.iter().any(|left_out| left_out == name) {
            mistake.hint("no active profile asks for it: set COMPOSE_PROFILES");
            return;
        }
        let compose = self.compose.iter().flat_map(|(_, services)| services.keys());
        let all: IndexSet<&str> = compose.chain(self.process.iter().flatten()).map(String::as_str).collect();
        mistake.hint(meant(name, "services", all.iter().copied()));
    }

    /// Tells a service that is not there, and warns of a port that its compose entry does not tell.
    pub(super) fn check_port(&self, service: &str, port: u16, spot: &Spot, problems: &mut Problems) {
        if !self.check_service(service, spot, problems) {
            return;
        }
        let Some((shown, services)) = &self.compose else {
            return;
        };
        // A service that tells no port at all may well expose some in its Dockerfile.
        if let Some(ports) = services.get(service).filter(|ports| !ports.is_empty() && !ports.contains(&port)) {
            let told: Vec<String> = ports.iter().map(u16::to_string).collect();
            let message = format!("{shown} does not say that `{service}` listens on port {port}");
            problems.warn(spot, message).hint(format!("its `ports` and `expose` say {}", told.join(", ")));
        }
    }

    /// Tells a load that is not there.
    pub(super) fn check_load(&self, name: &str, spot: &Spot, problems: &mut Problems) {
        if !self.loads.contains(name) {
            let hint = meant(name, "loads", self.loads.iter().map(String::as_str));
            problems.error(spot, format!("unknown load `{}`", shorten(name))).hint(hint);
        }
    }
}

/// Tells a name that is not of the form that files, labels and reports can hold.
pub(crate) fn check_form(kind: &str, name: &str, spot: &Spot, problems: &mut Problems) -> bool {
    let fine = !name.is_empty() && name.len() <= 100 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !fine {
        let message = format!("{kind} name {:?} is not made of letters, digits, `.`, `_` and `-`", shorten(name));
        let better: String =
            name.chars().map(|char| if char.is_ascii_alphanumeric() || "._-".contains(char) { char } else { '-' }).take(100).collect();
        problems.error(spot, message).hint(if name.is_empty() { "give it one".to_owned() } else { format!("for example `{better}`") });
    }
    fine
}
