//! Baselines recorded earlier: a directory, keyed by commit and machine class.
//!
//! `<store>/<commit>/<class hash>/` is a run directory as it was saved. Writes are atomic (copy aside, rename).

use crate::repository::{CommitError, Repository};
use sha2::{Digest as _, Sha256};
use shakedown_model::{run::RunMeta, time::UnixNanos};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A disk said no.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Git said no.
    #[error(transparent)]
    Git(#[from] CommitError),
    /// Not a run directory, or one of another version.
    #[error("{path} is not a run that can be a baseline: {why}")]
    NotARun {
        /// Where.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// One recorded baseline.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Commit it was measured at.
    pub commit: String,
    /// Its `run.json`.
    pub run: RunMeta,
    /// Where it lies.
    pub path: PathBuf,
}

impl Entry {
    /// When it was measured.
    pub fn measured(&self) -> UnixNanos {
        self.run.started
    }
}

/// The store.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}

fn class_hash(class: &str) -> String {
    Sha256::digest(class.as_bytes()).iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn read_run(path: &Path) -> Result<RunMeta, StoreError> {
    let file = path.join("run.json");
    let text =
        std::fs::read_to_string(&file).map_err(|error| StoreError::NotARun { path: path.to_owned(), why: format!("run.json: {error}") })?;
    serde_json::from_str(&text).map_err(|error| StoreError::NotARun { path: path.to_owned(), why: format!("run.json: {error}") })
}

impl Store {
    /// A store at `root`; nothing is created before something is saved.
    pub fn at(root: impl Into<PathBuf>) -> Store {
        Store { root: root.into() }
    }

    /// Saves a run as the baseline of the commit it was measured at; replaces an older one of the same machine class.
    pub fn save(&self, run_directory: &Path) -> Result<Entry, StoreError> {
        let run = read_run(run_directory)?;
        let refuse = |why: &str| StoreError::NotARun { path: run_directory.to_owned(), why: why.to_owned() };
        let commit = run.commit.candidate.clone().ok_or_else(|| refuse("it was not made in a git repository"))?;
        if run.commit.dirty {
            return Err(refuse("its tree had uncommitted changes, so no commit stands for it; commit and run again"));
        }
        if run.aborted.is_some() || run.ended.is_none() {
            return Err(refuse("it did not run to its end"));
        }
        let target = self.root.join(&commit).join(class_hash(&run.machine.class()));
        let aside = self.root.join(format!(".saving-{}", std::process::id()));
        copy_tree(run_directory, &aside)?;
        if target.exists() {
            std::fs::remove_dir_all(&target).map_err(io(&target))?;
        }
        let parent = self.root.join(&commit);
        std::fs::create_dir_all(&parent).map_err(io(&parent))?;
        std::fs::rename(&aside, &target).map_err(io(&target))?;
        Ok(Entry { commit, run, path: target })
    }

    /// Everything that can be read, newest first; what cannot is left out.
    pub fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for commit in folders(&self.root)? {
            for path in folders(&commit)? {
                if let Ok(run) = read_run(&path) {
                    let commit = commit.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    entries.push(Entry { commit, run, path });
                }
            }
        }
        entries.sort_by(|a, b| b.measured().cmp(&a.measured()).then_with(|| a.commit.cmp(&b.commit)));
        Ok(entries)
    }

    /// The recorded baseline for `commit`: of this machine class where there is one, else of another (the judge refuses it by name).
    /// Where the commit has none, its first-parent ancestors are asked, nearest first, at most 50.
    pub fn find(&self, commit: &str, class: &str, repository: Option<&Repository>) -> Result<Option<Entry>, StoreError> {
        let entries = self.list()?;
        let ancestors =
            repository.and_then(|repository| repository.first_parents(commit, 50).ok()).unwrap_or_else(|| vec![commit.to_owned()]);
        let of_class = |wanted: bool| {
            ancestors.iter().find_map(|ancestor| {
                entries.iter().find(|entry| &entry.commit == ancestor && (entry.run.machine.class() == class) == wanted)
            })
        };
        Ok(of_class(true).or_else(|| of_class(false)).cloned())
    }

    /// What `rule` lets go, each with the reason; nothing is removed.
    pub fn superfluous(&self, rule: &Prune<'_>) -> Result<Vec<(Entry, String)>, StoreError> {
        let reachable = rule.reachable_in.map(Repository::reachable).transpose()?;
        let mut of_class: HashMap<String, usize> = HashMap::new();
        let mut gone = Vec::new();
        for entry in self.list()? {
            let rank = of_class.entry(entry.run.machine.class()).or_default();
            *rank += 1;
            let lost = reachable.as_ref().is_some_and(|reachable| !reachable.contains(&entry.commit));
            let why = if lost {
                "no branch or tag leads to its commit".to_owned()
            } else if rule.before.is_some_and(|before| entry.measured() < before) {
                "it is too old".to_owned()
            } else if *rank > rule.keep {
                format!("{} newer ones are of its machine class", *rank - 1)
            } else {
                continue;
            };
            gone.push((entry, why));
        }
        Ok(gone)
    }

    /// Removes an entry.
    pub fn remove(&self, entry: &Entry) -> Result<(), StoreError> {
        std::fs::remove_dir_all(&entry.path).map_err(io(&entry.path))?;
        if let Some(parent) = entry.path.parent() {
            // Fails where another machine class still lies there, as it should.
            let _ = std::fs::remove_dir(parent);
        }
        Ok(())
    }
}

/// What of a store stays.
#[derive(Clone, Copy, Default)]
pub struct Prune<'r> {
    /// The newest of each machine class.
    pub keep: usize,
    /// Only what was measured since then.
    pub before: Option<UnixNanos>,
    /// Only what belongs to commits that a branch or a tag of this repository leads to.
    pub reachable_in: Option<&'r Repository>,
}

fn folders(root: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(root)(error)),
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
        .collect();
    found.sort();
    Ok(found)
}

/// Copies what a judge needs: evidence and the files beside it; not the baseline's half, not the journal.
fn copy_tree(from: &Path, to: &Path) -> Result<(), StoreError> {
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(io(to))?;
    }
    std::fs::create_dir_all(to.join("evidence")).map_err(io(to))?;
    for name in ["run.json", "experiment.yaml", "plan.json", "events.jsonl"] {
        let source = from.join(name);
        if source.is_file() {
            std::fs::copy(&source, to.join(name)).map_err(io(&source))?;
        }
    }
    let evidence = from.join("evidence");
    for entry in std::fs::read_dir(&evidence).map_err(io(&evidence))? {
        let path = entry.map_err(io(&evidence))?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            std::fs::copy(&path, to.join("evidence").join(name)).map_err(io(&path))?;
        }
    }
    Ok(())
}
