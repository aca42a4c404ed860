//! The run directory: which file lies where, and how it is written so that a crash leaves either the old one or the new one.
//!
//! Knows names and bytes. What the bytes say is the business of whoever hands them in.

use crate::event_log::EventLog;
use shakedown_model::{run::RunMeta, stack::Variant};
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Component, Path, PathBuf},
};

/// `run.json`
pub(crate) const RUN: &str = "run.json";
/// `experiment.yaml`
pub(crate) const EXPERIMENT: &str = "experiment.yaml";
/// `events.jsonl`
pub(crate) const EVENTS: &str = "events.jsonl";
/// Where a baseline that ran beside the candidate lies.
pub(crate) const BASELINE: &str = "baseline";
/// `evidence/`
pub(crate) const EVIDENCE: &str = "evidence";
const PLAN: &str = "plan.json";
const JOURNAL: &str = "journal.jsonl";

/// `.shakedown/runs/<id>/`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Makes the directory of a new run below `parent`. An id that is taken is an error: no run is ever overwritten.
    pub fn create(parent: &Path, run_id: &str) -> io::Result<Self> {
        let path = parent.join(plain_name(run_id)?);
        fs::create_dir_all(parent).map_err(|error| at(parent, &error))?;
        fs::create_dir(&path).map_err(|error| at(&path, &error))?;
        fs::create_dir(path.join(EVIDENCE)).map_err(|error| at(&path, &error))?;
        Ok(Self { path })
    }

    /// The directory of a run that was recorded before.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        if !path.join(RUN).is_file() {
            let why = format!("{} is no run directory: it has no {RUN} (`.shakedown/runs/<id>` is one)", path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        Ok(Self { path })
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the undo journal lies.
    pub fn journal_path(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// Where the evidence of a variant is kept: the candidate's in the run itself, the baseline's beside it in the same form.
    pub fn variant(&self, variant: Variant) -> PathBuf {
        match variant {
            Variant::Candidate => self.path.clone(),
            Variant::Baseline => self.path.join(BASELINE),
        }
    }

    /// Writes `run.json`, whole or not at all.
    pub fn write_run(&self, run: &RunMeta) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(run)?;
        json.push(b'\n');
        self.write_file(RUN, &json)
    }

    /// Writes `experiment.yaml`.
    pub fn write_experiment(&self, yaml: &str) -> io::Result<()> {
        self.write_file(EXPERIMENT, yaml.as_bytes())
    }

    /// Writes `plan.json`.
    pub fn write_plan(&self, json: &str) -> io::Result<()> {
        self.write_file(PLAN, json.as_bytes())
    }

    /// Opens `events.jsonl` for appending.
    pub fn events(&self) -> io::Result<EventLog> {
        let path = self.path.join(EVENTS);
        EventLog::open(&path).map_err(|error| at(&path, &error))
    }

    /// Writes a file of this directory (`result.json`, `report.html`, …), whole or not at all.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(plain_name(name)?);
        write_atomically(&path, bytes).map_err(|error| at(&path, &error))
    }
}

/// Beside, fsync, rename, fsync of the directory: after a crash the name stands for the old content or the new one, never for half.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Refuses what would lead out of the directory.
fn plain_name(name: &str) -> io::Result<&str> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == name => Ok(name),
        _ => {
            let why = format!("{name:?} cannot be the name of a file in a run directory: use a plain name without `/`");
            Err(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
    }
}

/// The operating system does not say which file it was.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_out_of_the_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["../evil", "a/b", "/etc/passwd", "", ".", ".."] {
            assert!(RunDirectory::create(parent.path(), name).is_err(), "{name:?}");
        }
        let run = RunDirectory::create(parent.path(), "r1").unwrap();
        assert!(run.write_file("../run.json", b"{}").is_err());
        assert!(!parent.path().join("run.json").exists());
    }

    #[test]
    fn an_id_that_is_taken_is_not_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        RunDirectory::create(parent.path(), "r1").unwrap();
        let error = RunDirectory::create(parent.path(), "r1").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("r1"), "{error}");
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(parent.path(), "r1").unwrap();
        run.write_file("summary.md", b"a long first version").unwrap();
        run.write_file("summary.md", b"second").unwrap();
        assert_eq!(fs::read(run.path().join("summary.md")).unwrap(), b"second");
        let names: Vec<_> = fs::read_dir(run.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn a_directory_without_run_json_is_not_opened_and_the_message_says_what_one_is() {
        let parent = tempfile::tempdir().unwrap();
        let error = RunDirectory::open(parent.path()).unwrap_err().to_string();
        assert!(error.contains("run.json") && error.contains(".shakedown/runs"), "{error}");
    }
}
