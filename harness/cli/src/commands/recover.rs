//! `shakedown recover`: takes back whatever dead runs left behind: by their journals, then by label. With `--all`, `recover_all` ends the others
//! first.

use super::recover_all::{self, Ended};
use crate::{
    args::{Global, RecoverOptions},
    context,
    failure::{Failure, io},
    terminal::Terminal,
};
use shakedown_model::verdict::{Cleanliness, Ending, GateMode, Verdict, exit_code};
use shakedown_runtime::{Reverter, sweep, sweep_run};
use shakedown_undo::{Journal, unwind};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const DEADLINE: Duration = Duration::from_secs(120);
/// An engine finishes what a dead run asked of it: for so long after its last word a run's containers may still be made.
const SETTLING: Duration = Duration::from_secs(3);

pub(crate) async fn run(global: &Global, options: &RecoverOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let config = context::absolute(&global.config)?;
    let runs = context::home(config.parent().unwrap_or(Path::new("/"))).join("runs");
    if options.all {
        let Some(ended) = recover_all::end(&runs, options, terminal).await? else { return Ok(0) };
        return recover(&runs, &ended, terminal).await;
    }
    recover(&runs, &Ended::default(), terminal).await
}

/// Takes back what dead runs left, and what those left that have just been ended.
async fn recover(runs: &Path, ended: &Ended, terminal: &Terminal) -> Result<u8, Failure> {
    let mut journals = of_dead_runs(runs, terminal)?;
    journals.extend(ended.journals.iter().filter(|path| path.is_file() && !path.starts_with(runs)).cloned());
    settle(&journals).await;
    let mut left = take_back(&journals, terminal).await?;
    let mut swept = sweep().await.map_err(Failure::environment)?;
    for run in &ended.runs {
        let more = sweep_run(run).await.map_err(Failure::environment)?;
        swept.removed.extend(more.removed);
        swept.left.retain(|what| !swept.removed.iter().any(|removed| what.starts_with(&format!("{removed}:"))));
        swept.left.extend(more.left);
    }
    for name in &swept.removed {
        terminal.out(&format!("removed {name}\n"));
    }
    if !left.is_empty() {
        // What the sweep removed may have been in the way.
        left = take_back(&journals, terminal).await?;
    }
    left.extend(ended.alive.iter().cloned());
    left.extend(swept.left);
    for what in &left {
        terminal.error(&format!("left behind: {what}"), None);
    }
    if left.is_empty() {
        let whose = if ended.runs.is_empty() { "a dead run" } else { "any run" };
        terminal.out(&format!("clean: nothing of {whose} is left\n"));
    }
    let cleanliness = if left.is_empty() { Cleanliness::Clean } else { Cleanliness::NotClean };
    Ok(exit_code(Ending::Judged(Verdict::Pass), cleanliness, GateMode::Block, GateMode::Block))
}

/// Journals of runs that are not alive and have something pending.
fn of_dead_runs(runs: &Path, terminal: &Terminal) -> Result<Vec<PathBuf>, Failure> {
    let mut dead = Vec::new();
    for path in journals(runs)? {
        if Journal::owner_alive(&path).map_err(Failure::environment)? {
            terminal.note(&format!("{}: its run is still alive, so it is left alone", path.display()));
        } else if !Journal::open(&path).map_err(Failure::environment)?.pending().is_empty() {
            dead.push(path);
        }
    }
    Ok(dead)
}

/// Waits until the last word of the youngest is old enough.
async fn settle(journals: &[PathBuf]) {
    let age = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok()?.elapsed().ok();
    if let Some(youngest) = journals.iter().filter_map(age).min() {
        tokio::time::sleep(SETTLING.saturating_sub(youngest)).await;
    }
}

/// What could not be taken back is returned.
async fn take_back(journals: &[PathBuf], terminal: &Terminal) -> Result<Vec<String>, Failure> {
    let mut left = Vec::new();
    for journal in journals {
        left.extend(one(journal, terminal).await?);
    }
    Ok(left)
}

pub(super) fn journals(runs: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(runs)(error)),
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path().join("journal.jsonl")).filter(|path| path.is_file()).collect();
    found.sort();
    Ok(found)
}

/// Takes back what one journal holds; what could not be is returned.
async fn one(path: &Path, terminal: &Terminal) -> Result<Vec<String>, Failure> {
    let journal = Journal::open(path).map_err(Failure::environment)?;
    let pending = journal.pending().len();
    if pending == 0 {
        return Ok(Vec::new());
    }
    let unwound = unwind(&journal, &Reverter::default(), DEADLINE).await;
    terminal.out(&format!("{}: {} of {pending} taken back\n", path.display(), pending - unwound.left.len()));
    let left = unwound.left.into_iter().map(|(undo, why)| format!("{undo:?}: {why}"));
    Ok(left.chain(unwound.unsettled).collect())
}
