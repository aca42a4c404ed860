//! The first half of `shakedown recover --all`: finds every run on this machine, asks, and ends the harnesses that live. What they leave is then
//! taken back as that of any dead run.

use super::recover::journals;
use crate::{args::RecoverOptions, failure::Failure, terminal::Terminal};
use shakedown_runtime::{End, Harness, Marked, marked};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, IsTerminal as _},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::task::JoinSet;

/// A harness unwinds within a minute of being asked.
const PATIENCE: Duration = Duration::from_secs(75);

/// What there is to take back of runs that were ended or found.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Ids of all runs that anything is marked with.
    pub(super) runs: BTreeSet<String>,
    /// Journals of those that lived.
    pub(super) journals: BTreeSet<PathBuf>,
    /// Harnesses that could not be ended, each with the reason.
    pub(super) alive: Vec<String>,
}

/// `None`: whoever was asked said no.
pub(super) async fn end(runs: &Path, options: &RecoverOptions, terminal: &Terminal) -> Result<Option<Ended>, Failure> {
    let found = marked().await.map_err(Failure::environment)?;
    let harnesses = harnesses(&found, &journals(runs)?);
    let is_something = !found.is_empty() || !harnesses.is_empty();
    if is_something && !options.yes && !agreed(&found, &harnesses, terminal)? {
        terminal.note("nothing was touched");
        return Ok(None);
    }
    let mut ended =
        Ended { runs: found.into_keys().collect(), journals: harnesses.iter().flat_map(Harness::journals).collect(), alive: Vec::new() };
    let mut ends = JoinSet::new();
    for harness in harnesses {
        terminal.note(&format!("asking {harness} to end its run; it has {} s", PATIENCE.as_secs()));
        ends.spawn(async move { (harness, harness.end(PATIENCE).await) });
    }
    for (harness, end) in ends.join_all().await {
        match end {
            Ok(End::Asked) => terminal.out(&format!("ended {harness}\n")),
            Ok(End::Killed) => terminal.out(&format!("killed {harness}\n")),
            Err(why) => ended.alive.push(why),
        }
    }
    // What began since is a run as well.
    ended.runs.extend(marked().await.map_err(Failure::environment)?.into_keys());
    Ok(Some(ended))
}

/// By the marks of what they made, and by the journals that they hold open: a run that builds has made nothing yet.
fn harnesses(found: &BTreeMap<String, Marked>, journals: &[PathBuf]) -> BTreeSet<Harness> {
    let by_mark = found.values().filter_map(|marked| marked.harness);
    by_mark.chain(journals.iter().flat_map(|path| Harness::holding(path))).collect()
}

fn agreed(found: &BTreeMap<String, Marked>, harnesses: &BTreeSet<Harness>, terminal: &Terminal) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("recover --all asks before it ends runs, and there is no terminal to ask at", "add `--yes`"));
    }
    terminal.err(&question(found, harnesses));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Failure::environment)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn question(found: &BTreeMap<String, Marked>, harnesses: &BTreeSet<Harness>) -> String {
    let mut text = String::new();
    for (run, marked) in found {
        let life = marked.harness.map_or_else(|| "its harness is not alive here".to_owned(), |harness| format!("ALIVE, {harness}"));
        text.push_str(&format!("run {run}: {life}; {} things\n", marked.things.len()));
    }
    text.push_str(&format!("end {} living runs and remove everything of all of them? [y/N] ", harnesses.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_every_run_and_whether_it_lives() {
        let marked = Marked { things: vec!["container a".to_owned(), "network b".to_owned()], harness: None };
        let found = BTreeMap::from([("r1".to_owned(), marked)]);
        let asked = question(&found, &BTreeSet::new());
        assert!(asked.starts_with("run r1: its harness is not alive here; 2 things\n"), "{asked}");
        assert!(asked.ends_with("[y/N] "), "no is the default: {asked}");
    }
}
