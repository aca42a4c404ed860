//! The config language: YAML in, an [`Experiment`] or all mistakes at once out.
//!
//! A file becomes a tree whose keys and values know their places; small readers take the tree apart, fill in defaults, check every name and
//! collect every mistake. Pure: files and environment are handed in. Knows nothing of engines, clocks or what a run does.

mod address;
mod alerts;
pub(crate) mod cycle;
mod expectation;
mod experiment_file;
mod faults;
pub(crate) mod fields;
pub(crate) mod files;
mod gate;
mod glob;
mod http;
mod kinds;
mod load;
mod mistake;
pub(crate) mod names;
pub(crate) mod problems;
mod random;
mod scenario;
pub mod schema;
mod search;
mod services;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod text;
pub(crate) mod tree;
mod units;
mod waivers;

pub use experiment_file::{ExperimentFileError, from_yaml, to_yaml};
pub(crate) use faults::ON_EDGE;
pub use files::{FileError, Files};
pub use glob::{Glob, GlobError};
pub use mistake::{Mistake, Mistakes, Related, Severity};
pub use schema::{scenario_schema, schema};

use crate::{
    experiment::{BaselineMode, Experiment},
    stack,
};
use fields::Field;
use names::Names;
use problems::Problems;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub(crate) const KEYS: &[&str] =
    &["services", "telemetry", "load", "steady_state", "baseline", "gate", "waivers", "history", "phases", "scenarios"];

/// A config without errors.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What is meant.
    pub experiment: Experiment,
    /// The compose file, where there is one.
    pub project: Option<stack::Project>,
    /// What runs, but not as the files say.
    pub warnings: Mistakes,
}

/// Reads a config with everything that it names. `config_path` is absolute; the directory it lies in is the experiment's root.
pub fn load(config_path: &Path, files: &dyn Files, env: &BTreeMap<String, String>) -> Result<Loaded, Mistakes> {
    let config_path = &files::normalize(config_path);
    let root = config_path.parent().unwrap_or(Path::new(""));
    let mut problems = Problems::new(root);
    let read = read(config_path, root, files, env, &mut problems);
    let warnings = problems.finish()?;
    match read {
        Some((experiment, project)) => Ok(Loaded { experiment, project, warnings }),
        None => Err(Mistakes(vec![Mistake::of_file(config_path.display().to_string(), "cannot be read".to_owned())])),
    }
}

fn read(
    config_path: &Path,
    root: &Path,
    files: &dyn Files,
    env: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Option<(Experiment, Option<stack::Project>)> {
    let text = problems.open(config_path, files, None)?;
    if root.to_str().is_none() {
        problems.error(&text.spot(0..0), format!("the path of the directory {} is not UTF-8", root.display())).hint("move the project");
    }
    let tree = tree::parse(&text, problems)?;
    let fields = Field::root("the config", &tree).fields("the config", KEYS, problems)?;

    let mut names = Names::default();
    let found = services::read(&fields, root, files, env, &mut names, problems);
    if let Some(tree::Value::Map(entries)) = tree.get("load").map(|node| &node.value) {
        names.loads = entries.iter().map(|entry| entry.key.clone()).collect();
    }
    let telemetry = load::read_telemetry(fields.get("telemetry"), (root, files), &names, problems);
    let loads = load::read_loads(&fields, &names, problems);
    let steady_state = fields.or("steady_state", Vec::new(), |field| expectation::read_all(field, &names, problems));
    let baseline = gate::read_baseline(fields.get("baseline"), problems);
    let gate = gate::read_gate(fields.get("gate"), problems);
    let history = fields.or("history", None, |field| gate::read_history(field, problems).map(Some));
    let phases = gate::read_phases(fields.get("phases"), gate::DEFAULT_PHASES, problems);
    let around = scenario::Around {
        root,
        files,
        names: &names,
        phases: phases.unwrap_or(gate::DEFAULT_PHASES),
        compares: baseline.as_ref().is_none_or(|baseline| baseline.mode != BaselineMode::None),
    };
    let scenarios = scenario::read_all(&fields, &around, problems);
    let waivers = fields.or("waivers", Vec::new(), |field| waivers::read_all(field, scenarios.as_deref(), problems));
    let experiment = Experiment {
        config: config_path.strip_prefix(root).unwrap_or(config_path).to_owned(),
        root: root_of(root),
        services: found.services?,
        telemetry: telemetry?,
        loads: loads?,
        steady_state: steady_state?,
        baseline: baseline?,
        gate: gate?,
        waivers: waivers?,
        history: history?,
        phases: phases?,
        scenarios: scenarios?,
    };
    Some((experiment, found.project))
}

fn root_of(root: &Path) -> PathBuf {
    if root.as_os_str().is_empty() { PathBuf::from(".") } else { root.to_owned() }
}
