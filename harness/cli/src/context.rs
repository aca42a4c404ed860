//! What most commands need first: the config, the runtime, the commits, the plan.

use crate::{
    args::{Global, RuntimeChoice, Selection},
    failure::Failure,
    files::{Disk, environment},
    terminal::Terminal,
};
use shakedown_commits::{CiEnvironment, Question, Repository, Selection as Asked};
use shakedown_history::{History, exercised_by_records, exercised_by_runs};
use shakedown_model::{
    config::{self, Loaded},
    experiment::BaselineMode,
    history::{Exercise, HistoryStore},
    plan::Plan,
    run::CommitInfo,
    time::UnixNanos,
};
use shakedown_run::{Choice, ServiceGraph};
use shakedown_runtime::Runtime;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Reads the config; all mistakes at once where there are any. Warnings are counted here and shown in full by `validate` and by `-v`.
pub(crate) fn load(path: &Path, terminal: &Terminal) -> Result<Loaded, Failure> {
    let loaded = read(path, terminal)?;
    let warnings = loaded.warnings.0.len();
    if terminal.verbose {
        show_warnings(&loaded, terminal);
    } else if warnings > 0 {
        terminal.note(&format!("{warnings} warnings about the config or the compose file: `shakedown validate` shows them"));
    }
    Ok(loaded)
}

/// Reads the config and shows every warning with its line.
pub(crate) fn load_and_show_warnings(path: &Path, terminal: &Terminal) -> Result<Loaded, Failure> {
    let loaded = read(path, terminal)?;
    show_warnings(&loaded, terminal);
    Ok(loaded)
}

fn read(path: &Path, terminal: &Terminal) -> Result<Loaded, Failure> {
    let loaded = config::load(&absolute(path)?, &Disk, &environment())
        .map_err(|mistakes| Failure::Config(mistakes.render(terminal.color_errors)))?;
    for load in loaded.experiment.loads.values() {
        let place = format!("{}:{}", load.source.file, load.source.line);
        shakedown_load::check_load(load)
            .map_err(|error| Failure::usage(format!("{place}: {error}"), "write another template, or none: docs/config.md"))?;
    }
    Ok(loaded)
}

fn show_warnings(loaded: &Loaded, terminal: &Terminal) {
    if !loaded.warnings.is_empty() && !terminal.quiet {
        terminal.err(&format!("{}\n", loaded.warnings.render(terminal.color_errors).trim_end()));
    }
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display()), "name a file"))
}

/// The runtime that the flags and the machine allow, and why it was taken.
pub(crate) async fn runtime(global: &Global, loaded: &Loaded) -> Result<(Arc<dyn Runtime>, String), Failure> {
    let choice = match global.runtime {
        RuntimeChoice::Auto => shakedown_runtime::Choice::Auto,
        RuntimeChoice::Docker => shakedown_runtime::Choice::Docker,
        RuntimeChoice::Process => shakedown_runtime::Choice::Process,
    };
    let services = &loaded.experiment.services;
    shakedown_runtime::choose(choice, services.compose.is_some(), !services.process.is_empty()).await.map_err(Failure::environment)
}

/// The commits of this run.
pub(crate) struct Commits {
    pub(crate) repository: Option<Repository>,
    pub(crate) info: CommitInfo,
    pub(crate) ci: CiEnvironment,
}

/// Finds candidate and baseline.
pub(crate) fn commits(loaded: &Loaded, selection: &Selection, mode: BaselineMode) -> Result<Commits, Failure> {
    let experiment = &loaded.experiment;
    let usage = |error: shakedown_commits::CommitError| Failure::usage(error, "see `git log`; --base and --head take what git understands");
    let ci = CiEnvironment::read(|name| std::env::var(name).ok());
    let Some(repository) = Repository::discover(&experiment.root).map_err(usage)? else {
        if let Some(revision) = selection.base.as_ref().or(selection.head.as_ref()) {
            return Err(Failure::usage(
                format!("{revision}: {} is not in a git repository", experiment.root.display()),
                "run inside a repository, or leave out --base and --head",
            ));
        }
        let baseline_source = "none: not a git repository".to_owned();
        return Ok(Commits { repository: None, info: CommitInfo { baseline_source, ..CommitInfo::default() }, ci });
    };
    let question =
        Question { head: selection.head.as_deref(), base: selection.base.as_deref(), config: &experiment.baseline.commit, ci: &ci };
    let mut info = repository.find(&question).map_err(usage)?;
    if mode == BaselineMode::None {
        info.baseline = None;
        info.baseline_subject = None;
        info.baseline_source = "none: --baseline-mode none, or baseline.mode in the config".to_owned();
    }
    Ok(Commits { repository: Some(repository), info, ci })
}

/// The plan for these commits.
pub(crate) async fn plan(
    loaded: &Loaded,
    selection: &Selection,
    commits: &Commits,
    runtime: &dyn Runtime,
    runtime_why: String,
    terminal: &Terminal,
) -> Result<Plan, Failure> {
    let experiment = &loaded.experiment;
    let usage = |error: shakedown_commits::CommitError| Failure::usage(error, "see `git status`");
    if let Some(why) = &commits.ci.unreadable {
        terminal.note(&format!("warning: {why}; labels and the base of a merge queue are not known"));
    }
    let (mut trailer, mut changed) = (None, None);
    if let (Some(repository), Some(candidate)) = (&commits.repository, &commits.info.candidate) {
        trailer = repository.selection(candidate, &commits.ci).map_err(usage)?;
        if let Some(baseline) = &commits.info.baseline {
            changed = Some(repository.changed_paths(baseline, candidate, commits.info.dirty).map_err(usage)?);
        }
    }
    let graph = ServiceGraph::of(experiment, loaded.project.as_ref(), &top(commits, &experiment.root));
    let choice = Choice {
        names: selection.scenario.clone(),
        all: selection.all,
        labels: Asked::of_labels(&[&commits.ci.labels[..], &selection.label[..]].concat()),
        trailer,
        changes: changed.as_ref().map(|paths| graph.changes(paths)),
        changed: changed.map(|paths| below(&paths, commits, &experiment.root)),
        graph,
        exercised: exercised(loaded, selection, commits, terminal).await,
        now: Some(now()),
        shard: selection.shard,
        budget: selection.budget.map(|span| span.0),
        seed: selection.seed,
        mode: Some(selection.baseline_mode.unwrap_or(experiment.baseline.mode)),
    };
    shakedown_run::plan(experiment, commits.info.clone(), &choice, runtime.kind(), runtime_why)
        .map_err(|error| Failure::usage(error, "see `shakedown plan --all`"))
}

pub(crate) fn now() -> UnixNanos {
    UnixNanos(u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default())
}

/// How scenarios fared in runs that are still here and in what history keeps. A bucket is asked only where the answer decides something.
async fn exercised(loaded: &Loaded, selection: &Selection, commits: &Commits, terminal: &Terminal) -> BTreeMap<String, Exercise> {
    let home = home(&loaded.experiment.root);
    let (mut exercised, counted) = exercised_by_runs(&home.join("runs"));
    let Some(spec) = &loaded.experiment.history else { return exercised };
    if matches!(spec.store, HistoryStore::Bucket { .. }) && selection.budget.is_none() {
        return exercised;
    }
    let kept = match History::open(&spec.store, &home, commits.repository.as_ref()) {
        Ok(history) => history.read().await,
        Err(error) => Err(error),
    };
    match kept {
        Ok(kept) => exercised_by_records(&mut exercised, &kept.records, &counted),
        Err(error) => terminal.note(&format!("warning: history is not known: {error}")),
    }
    exercised
}

/// Paths relative to the config's directory as well as to the repository: globs are written either way.
fn below(paths: &[String], commits: &Commits, root: &Path) -> Vec<String> {
    let prefix = prefix(commits, root);
    let inside = paths.iter().filter_map(|path| Path::new(path).strip_prefix(&prefix).ok().map(|path| path.to_string_lossy().into_owned()));
    let mut all: Vec<String> = inside.chain(paths.iter().cloned()).collect();
    all.dedup();
    all
}

/// Root of the repository as the config's directory names it.
fn top(commits: &Commits, root: &Path) -> PathBuf {
    root.ancestors().nth(prefix(commits, root).components().count()).unwrap_or(root).to_owned()
}

/// Where the config's directory lies in the repository.
pub(crate) fn prefix(commits: &Commits, root: &Path) -> PathBuf {
    let top = commits.repository.as_ref().and_then(|repository| repository.root()).and_then(|top| top.canonicalize().ok());
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    top.and_then(|top| root.strip_prefix(top).ok().map(Path::to_owned)).unwrap_or_default()
}

/// `.shakedown` beside the config: runs, cache, baselines.
pub(crate) fn home(loaded_root: &Path) -> PathBuf {
    loaded_root.join(".shakedown")
}
