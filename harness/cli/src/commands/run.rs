//! `shakedown run`: plan, run, judge, report; the gate.

use super::{examine::examiner, history, judge, look::looker, plan};
use crate::{
    args::{Format, Global, RunOptions},
    console::Console,
    context::{self, Commits},
    failure::{Failure, io},
    files::{Disk, environment},
    helpers::HELPERS,
    otlp, outputs,
    terminal::Terminal,
};
use shakedown_commits::Store;
use shakedown_evidence::{ReadError, RunDirectory, Variants, read_variants};
use shakedown_model::{
    config::{self, Loaded},
    experiment::{BaselineMode, Experiment},
    plan::{Plan, RuntimeKind},
    result::RunResult,
};
use shakedown_run::{Announcer, Interrupt, Orders, Outcome, Tree, conduct, fingerprint};
use shakedown_runtime::Runtime;
use shakedown_undo::Journal;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) async fn run(global: &Global, options: &RunOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let Gated { path, result, outcome, folder } = Box::pin(gate(global, options, Against::Baseline, terminal)).await?;
    judge::print(&result, &path, terminal)?;
    annotate(&result, &folder, terminal);
    tell_left(&outcome, global, terminal);
    otlp::export(&result, options.otlp_endpoint.as_deref(), terminal).await;
    Ok(result.exit_code)
}

/// What the candidate is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Against {
    /// What flags and config say.
    Baseline,
    /// Another copy of itself.
    Itself,
}

/// A gate that was run and judged.
pub(crate) struct Gated {
    /// The run directory.
    pub(crate) path: PathBuf,
    pub(crate) result: RunResult,
    pub(crate) outcome: Outcome,
    /// Where the experiment lies in its repository.
    pub(crate) folder: PathBuf,
}

/// Plans, runs and judges; prints progress only.
pub(crate) async fn gate(global: &Global, options: &RunOptions, against: Against, terminal: &Terminal) -> Result<Gated, Failure> {
    let mut loaded = context::load(&global.config, terminal)?;
    if let Some(mode) = options.mode {
        loaded.experiment.gate.mode = mode;
    }
    let (runtime, why) = context::runtime(global, &loaded).await?;
    let mode = options.selection.baseline_mode.unwrap_or(loaded.experiment.baseline.mode);
    loaded.experiment.baseline.mode = mode;
    let mut commits = context::commits(&loaded, &options.selection, mode)?;
    let home = context::home(&loaded.experiment.root);
    let trees = match against {
        Against::Baseline => trees(&loaded, &mut commits, options, &home, terminal)?,
        Against::Itself => twice(&loaded, &mut commits),
    };
    let plan = context::plan(&loaded, &options.selection, &commits, &*runtime, why, terminal).await?;
    let history = loaded.experiment.history.clone();
    let folder = context::prefix(&commits, &loaded.experiment.root);
    let machine = fingerprint(runtime.engine());
    let recorded = recorded(&plan, &commits, &home, &machine.class())?;
    let run = run_id();
    let directory = create(options, &home, &run)?;
    if terminal.format == Format::Human {
        introduce(&plan, &runtime.engine(), directory.path(), terminal);
    }
    prepare_directory(&directory, &loaded, &plan)?;
    let orders = orders(loaded, plan, trees, directory, run, runtime, machine)?;
    let path = orders.0.directory.path().to_owned();
    let (outcome, variants) = Box::pin(conducted(orders, recorded, terminal)).await?;
    let result = judge::judged(variants.and_then(|variants| variants.into_evidence(&path)))?;
    outputs::write_all(&path, &result, &options.files, terminal)?;
    if against == Against::Baseline {
        history::keep_if_main(history.as_ref(), &commits, &home, &result, terminal).await;
    }
    Ok(Gated { path, result, outcome, folder })
}

pub(crate) fn tell_left(outcome: &Outcome, global: &Global, terminal: &Terminal) {
    if !outcome.left.is_empty() {
        let named: Vec<&str> = outcome.left.iter().take(LEFT_NAMED).map(String::as_str).collect();
        let message = format!("{} things are left behind or not as they were:\n  {}", outcome.left.len(), named.join("\n  "));
        terminal.error(&message, Some(&recover_line(global)));
    }
}

/// More are in `result.json`.
const LEFT_NAMED: usize = 20;

/// The exact line that cleans up.
fn recover_line(global: &Global) -> String {
    format!("run `shakedown --config {} recover`", global.config.display())
}

/// `20261121-105327-4f2a`: sorts by time; the tail keeps two runs of one second apart.
pub(crate) fn run_id() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    format!("{now}-{:04x}", rand::random::<u16>())
}

/// The trees that are started.
struct Trees {
    candidate: Tree,
    baseline: Option<Tree>,
}

fn tree_of(loaded: &Loaded, root: PathBuf) -> Tree {
    Tree { root, project: loaded.project.clone().unwrap_or_default(), processes: loaded.experiment.services.process.clone() }
}

/// Candidate: the working tree, or `--head` as exported. Baseline: as exported, with the compose file and processes that it had then.
/// A baseline that cannot be read is told, and then there is none.
fn trees(loaded: &Loaded, commits: &mut Commits, options: &RunOptions, home: &Path, terminal: &Terminal) -> Result<Trees, Failure> {
    let root = loaded.experiment.root.clone();
    let candidate = match (&options.selection.head, &commits.info.candidate) {
        (Some(_), Some(id)) => exported(loaded, commits, id, home)?,
        _ => tree_of(loaded, root),
    };
    let paired = loaded.experiment.baseline.mode == BaselineMode::Paired;
    let Some(id) = commits.info.baseline.clone().filter(|_| paired) else { return Ok(Trees { candidate, baseline: None }) };
    if commits.info.candidate.as_deref() == Some(&id) && !commits.info.dirty {
        return Ok(Trees { baseline: Some(candidate.clone()), candidate });
    }
    match exported(loaded, commits, &id, home) {
        Ok(baseline) => Ok(Trees { candidate, baseline: Some(baseline) }),
        Err(failure) => {
            terminal.note(&format!("warning: the baseline {id} cannot be read, so nothing is compared: {failure}"));
            commits.info.baseline = None;
            commits.info.baseline_subject = None;
            let first = failure.to_string().lines().next().unwrap_or_default().to_owned();
            commits.info.baseline_source = format!("none: the baseline's config cannot be read: {first}");
            Ok(Trees { candidate, baseline: None })
        }
    }
}

/// The working tree, and the working tree once more.
fn twice(loaded: &Loaded, commits: &mut Commits) -> Trees {
    let info = &mut commits.info;
    let id = info.candidate.clone().unwrap_or_else(|| "the same tree".to_owned());
    (info.baseline, info.baseline_subject) = (Some(id), info.candidate_subject.clone());
    "the candidate itself".clone_into(&mut info.baseline_source);
    let candidate = tree_of(loaded, loaded.experiment.root.clone());
    Trees { baseline: Some(candidate.clone()), candidate }
}

/// A commit's files with the services as that commit describes them.
fn exported(loaded: &Loaded, commits: &Commits, id: &str, home: &Path) -> Result<Tree, Failure> {
    let Some(repository) = &commits.repository else { return Err(Failure::Bug("a commit without a repository".to_owned())) };
    let top = repository.export_tree(id, &home.join("cache/trees")).map_err(Failure::environment)?;
    let root = top.join(context::prefix(commits, &loaded.experiment.root));
    let then = config::load(&root.join(&loaded.experiment.config), &Disk, &environment())
        .map_err(|mistakes| Failure::Config(mistakes.render(false)))?;
    Ok(tree_of(&then, root))
}

/// The recorded baseline, where the mode asks for one.
fn recorded(plan: &Plan, commits: &Commits, home: &Path, class: &str) -> Result<Option<PathBuf>, Failure> {
    let (BaselineMode::Recorded, Some(id)) = (plan.baseline_mode, &plan.commit.baseline) else { return Ok(None) };
    let found = Store::at(home.join("baselines")).find(id, class, commits.repository.as_ref()).map_err(Failure::environment)?;
    Ok(found.map(|entry| entry.path))
}

fn create(options: &RunOptions, home: &Path, run: &str) -> Result<RunDirectory, Failure> {
    let (parent, name) = place(options.out.as_deref(), home, run)?;
    let directory = RunDirectory::create(&parent, &name).map_err(io(&parent.join(&name)))?;
    keep_out_of_git(home);
    Ok(directory)
}

/// Parent and name of a new run directory.
pub(crate) fn place(out: Option<&Path>, home: &Path, run: &str) -> Result<(PathBuf, String), Failure> {
    let Some(out) = out else { return Ok((home.join("runs"), run.to_owned())) };
    let out = context::absolute(out)?;
    let filled = std::fs::read_dir(&out).is_ok_and(|mut entries| entries.next().is_some());
    if filled || out.is_file() {
        return Err(Failure::usage(format!("--out {}: it is there already", out.display()), "name a new directory"));
    }
    match (out.parent(), out.file_name()) {
        (Some(parent), Some(name)) => Ok((parent.to_owned(), name.to_string_lossy().into_owned())),
        _ => Err(Failure::usage(format!("--out {}: not a directory's name", out.display()), "name a new directory")),
    }
}

/// `.shakedown` is nobody's source: it ignores itself, so that runs do not make the tree dirty.
pub(crate) fn keep_out_of_git(home: &Path) {
    let ignore = home.join(".gitignore");
    if home.is_dir() && !ignore.exists() {
        // Where it cannot be written, git shows the runs; nothing else depends on it.
        let _ = std::fs::write(ignore, "*\n");
    }
}

fn introduce(plan: &Plan, engine: &str, directory: &Path, terminal: &Terminal) {
    if terminal.verbose {
        return terminal.note(&plan::text(plan));
    }
    terminal.note(&format!(
        "shakedown {} on {} ({engine}): {}",
        env!("CARGO_PKG_VERSION"),
        plan.runtime.word(),
        if plan.runtime == RuntimeKind::Process { &plan.runtime_why } else { "containers" },
    ));
    let short = |id: &Option<String>| id.as_deref().map_or("none", |id| id.get(..12).unwrap_or(id)).to_owned();
    let dirty = if plan.commit.dirty { " with uncommitted changes" } else { "" };
    let baseline = match &plan.commit.baseline {
        Some(_) => format!("{} ({})", short(&plan.commit.baseline), plan.commit.baseline_source),
        None => plan.commit.baseline_source.clone(),
    };
    terminal.note(&format!("candidate {}{dirty}, baseline {baseline}", short(&plan.commit.candidate)));
    let names: Vec<&str> = plan.scenarios.iter().map(|planned| planned.scenario.name.as_str()).collect();
    let said = if names.is_empty() { "nothing to run".to_owned() } else { names.join(", ") };
    terminal.note(&format!("{said}; {}; into {}", plan::extent(plan), directory.display()));
}

fn prepare_directory(directory: &RunDirectory, loaded: &Loaded, plan: &Plan) -> Result<(), Failure> {
    let wrote = |result: std::io::Result<()>| result.map_err(io(directory.path()));
    // The judge expects every scenario of this file to have run.
    let planned = plan.scenarios.iter().map(|planned| planned.scenario.clone()).collect();
    let experiment = Experiment { scenarios: planned, ..loaded.experiment.clone() };
    wrote(directory.write_experiment(&config::to_yaml(&experiment)))?;
    let json = serde_json::to_string_pretty(plan).map_err(|error| Failure::Bug(format!("plan.json: {error}")))?;
    wrote(directory.write_plan(&json))
}

fn orders(
    loaded: Loaded,
    plan: Plan,
    trees: Trees,
    directory: RunDirectory,
    run: String,
    runtime: Arc<dyn Runtime>,
    machine: shakedown_model::run::Machine,
) -> Result<(Orders, mpsc::UnboundedReceiver<shakedown_model::event::TimedEvent>), Failure> {
    let journal = Journal::create(&directory.journal_path(), &run).map_err(Failure::environment)?;
    let log = directory.events().map_err(io(directory.path()))?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let looker = looker(directory.path().to_owned());
    let examiner = examiner(loaded.experiment.clone());
    let orders = Orders {
        experiment: loaded.experiment,
        plan,
        candidate: trees.candidate,
        baseline: trees.baseline,
        directory,
        run,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        runtime,
        journal: Arc::new(journal),
        helpers: HELPERS,
        machine,
        announcer: Announcer::new(log, sender),
        interrupt: Interrupt::default(),
        recorded: CancellationToken::new(),
        looker,
        examiner,
    };
    Ok((orders, receiver))
}

/// Conducts with signals and the console beside it. What was recorded is read while the machine is cleaned.
async fn conducted(
    (orders, events): (Orders, mpsc::UnboundedReceiver<shakedown_model::event::TimedEvent>),
    recorded_baseline: Option<PathBuf>,
    terminal: &Terminal,
) -> Result<(Outcome, Result<Variants, ReadError>), Failure> {
    let path = orders.directory.path().to_owned();
    let interrupt = orders.interrupt.clone();
    let (recorded, ended) = (orders.recorded.clone(), orders.recorded.clone().drop_guard());
    let console = Console::new(terminal, orders.baseline.is_some()).show(events);
    let work = async {
        let _ended = ended;
        tokio::select! {
            outcome = conduct(orders) => outcome,
            Err(error) = interrupt.listen() => Err(error),
        }
    };
    let directory = path.clone();
    let reading = async {
        recorded.cancelled().await;
        tokio::task::spawn_blocking(move || read_variants(&directory, recorded_baseline.as_deref())).await
    };
    let (outcome, (), variants) = tokio::join!(work, console, reading);
    let outcome = outcome.map_err(io(&path))?;
    let variants = variants.map_err(|error| Failure::Bug(format!("reading what was recorded: {error}")))?;
    Ok((outcome, variants))
}

/// On GitHub Actions the findings are annotations at the lines of the expectations.
fn annotate(result: &RunResult, folder: &Path, terminal: &Terminal) {
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        for line in shakedown_reporters::annotations(result, &folder.to_string_lossy()) {
            terminal.workflow_command(&line);
        }
    }
}
