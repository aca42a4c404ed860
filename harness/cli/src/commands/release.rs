//! `shakedown release FROM..TO`: what the recorded runs of a range of commits say of the last of them. Starts nothing; exits as a gate would: 0 where
//! nothing speaks against the release, 1 where a scenario failed and has not passed since, 3 where something is not known.

use super::history::shifts;
use crate::{
    args::{Format, Global, ReleaseOptions},
    context,
    failure::Failure,
    outputs,
    terminal::Terminal,
};
use shakedown_commits::Repository;
use shakedown_history::{History, Range, readiness};
use shakedown_model::{
    experiment::Experiment,
    history::HistoryRecord,
    release::Release,
    result::RunResult,
    verdict::{Cleanliness, Ending, GateMode, exit_code},
};
use shakedown_reporters::{ReportError, release_html, release_markdown, release_text};
use std::{collections::BTreeSet, fs, path::Path};

/// A release of more commits is read from its end.
const MOST_COMMITS: usize = 10_000;
/// Larger than any `result.json` of ours.
const MAX_RESULT_BYTES: u64 = 64 << 20;

pub(crate) async fn run(global: &Global, options: &ReleaseOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let experiment = context::load(&global.config, terminal)?.experiment;
    let git = |error: shakedown_commits::CommitError| Failure::usage(error, "see `git log`; a range is FROM..TO, such as v1.4..HEAD");
    let Some(repository) = Repository::discover(&experiment.root).map_err(git)? else {
        let message = format!("{} is not in a git repository", experiment.root.display());
        return Err(Failure::usage(message, "run inside the repository whose release it is"));
    };
    let (from, to) = &options.range;
    let text = format!("{from}..{to}");
    let commits = repository.range(from, to, MOST_COMMITS).map_err(git)?;
    if commits.is_empty() {
        return Err(Failure::usage(format!("{text} holds no commit"), "name the older revision first"));
    }
    let records = records(&experiment, &repository, terminal).await;
    let release = readiness(Range { text: &text, commits: &commits }, &experiment, &records, shifts);
    write(options, &release)?;
    if terminal.format == Format::Json {
        terminal.json(&release);
    } else {
        terminal.out(&release_text(&release));
    }
    Ok(exit_code(Ending::Judged(release.verdict), Cleanliness::Clean, GateMode::Block, GateMode::Block))
}

fn write(options: &ReleaseOptions, release: &Release) -> Result<(), Failure> {
    let bug = |error: ReportError| Failure::Bug(error.to_string());
    if let Some(path) = &options.html {
        outputs::write(path, release_html(release).map_err(bug)?.as_bytes())?;
    }
    if let Some(path) = &options.markdown {
        outputs::write(path, release_markdown(release).as_bytes())?;
    }
    if let Some(path) = &options.json {
        outputs::write(path, &serde_json::to_vec_pretty(release).map_err(|error| Failure::Bug(error.to_string()))?)?;
    }
    Ok(())
}

/// Of run directories that are still here, and what history keeps of others.
async fn records(experiment: &Experiment, repository: &Repository, terminal: &Terminal) -> Vec<HistoryRecord> {
    let home = context::home(&experiment.root);
    let mut records = of_runs(&home.join("runs"), terminal);
    let Some(spec) = &experiment.history else { return records };
    let kept = match History::open(&spec.store, &home, Some(repository)) {
        Ok(history) => history.read().await,
        Err(error) => Err(error),
    };
    match kept {
        Ok(kept) => {
            let here: BTreeSet<String> = records.iter().map(|record| record.run.clone()).collect();
            records.extend(kept.records.into_iter().filter(|record| !here.contains(&record.run)));
        }
        Err(error) => terminal.note(&format!("warning: history is not known: {error}")),
    }
    records
}

/// What cannot be read is left out and counted.
fn of_runs(runs: &Path, terminal: &Terminal) -> Vec<HistoryRecord> {
    let folders = fs::read_dir(runs).into_iter().flatten().flatten().map(|entry| entry.path().join("result.json"));
    let (mut records, mut unread) = (Vec::new(), 0);
    for path in folders.filter(|path| path.is_file()) {
        match read(&path) {
            // Uncommitted changes, or half a run: no commit's answer.
            Some(result) => records.extend(HistoryRecord::of(&result).ok()),
            None => unread += 1,
        }
    }
    if unread > 0 {
        terminal.note(&format!("warning: {unread} results below {} cannot be read and are left out", runs.display()));
    }
    records
}

fn read(path: &Path) -> Option<RunResult> {
    let small = fs::metadata(path).is_ok_and(|metadata| metadata.len() <= MAX_RESULT_BYTES);
    let text = small.then(|| fs::read_to_string(path).ok()).flatten()?;
    serde_json::from_str(&text).ok()
}
