//! `shakedown baseline list|show|save|prune`: the store of baselines.

use crate::{
    args::{BaselineAction, Format, Global},
    context,
    failure::{Failure, io},
    terminal::Terminal,
};
use shakedown_commits::{Entry, Prune, Repository, Store};
use shakedown_model::time::UnixNanos;
use std::path::{Path, PathBuf};

pub(crate) fn run(global: &Global, action: &BaselineAction, terminal: &Terminal) -> Result<u8, Failure> {
    let config = context::absolute(&global.config)?;
    let home = context::home(config.parent().unwrap_or(Path::new("/")));
    let store = Store::at(home.join("baselines"));
    let usage = |error: shakedown_commits::StoreError| Failure::usage(error, "see `shakedown baseline list`");
    match action {
        BaselineAction::List => list(&store.list().map_err(usage)?, terminal),
        BaselineAction::Show { commit } => {
            let entries: Vec<Entry> = store.list().map_err(usage)?.into_iter().filter(|entry| entry.commit.starts_with(commit)).collect();
            if entries.is_empty() {
                return Err(Failure::usage(format!("no baseline is stored for {commit}"), "see `shakedown baseline list`"));
            }
            show(&entries, terminal);
        }
        BaselineAction::Save { directory } => {
            let directory = match directory {
                Some(directory) => directory.clone(),
                None => newest_run(&home.join("runs"))?,
            };
            let entry = store.save(&directory).map_err(usage)?;
            terminal.out(&format!("saved {} as the baseline of {}\n", directory.display(), entry.commit));
        }
        BaselineAction::Prune { keep, older_than, unreachable, dry_run } => {
            let repository = if *unreachable { Some(repository(&config)?) } else { None };
            let before = older_than.map(|age| UnixNanos(context::now().0.saturating_sub(age.as_nanos() as u64)));
            let rule = Prune { keep: *keep, before, reachable_in: repository.as_ref() };
            for (entry, why) in store.superfluous(&rule).map_err(usage)? {
                if !dry_run {
                    store.remove(&entry).map_err(usage)?;
                }
                let does = if *dry_run { "would remove" } else { "removed" };
                terminal.out(&format!("{does} {} of {}: {why}\n", entry.commit, entry.measured().rfc3339()));
            }
        }
    }
    Ok(0)
}

fn repository(config: &Path) -> Result<Repository, Failure> {
    let found =
        Repository::discover(config.parent().unwrap_or(Path::new("/"))).map_err(|error| Failure::usage(error, "see `git status`"))?;
    found.ok_or_else(|| Failure::usage("--unreachable: not in a git repository", "leave it out"))
}

fn list(entries: &[Entry], terminal: &Terminal) {
    if terminal.format == Format::Json {
        return show(entries, terminal);
    }
    if entries.is_empty() {
        terminal.out("no baseline is stored; `shakedown baseline save` stores the newest run\n");
    }
    for entry in entries {
        let commit = entry.commit.get(..12).unwrap_or(&entry.commit);
        terminal.out(&format!("{commit}  {}  {}\n", entry.measured().rfc3339(), entry.run.machine.class()));
    }
}

fn show(entries: &[Entry], terminal: &Terminal) {
    terminal.json(&entries.iter().map(|entry| (&entry.path, &entry.run)).collect::<Vec<_>>());
}

fn newest_run(runs: &Path) -> Result<PathBuf, Failure> {
    let entries = std::fs::read_dir(runs).map_err(io(runs))?;
    // Ids begin with the time, so the last one in order is the newest.
    let newest = entries.flatten().map(|entry| entry.path()).filter(|path| path.join("run.json").is_file()).max();
    newest.ok_or_else(|| Failure::usage(format!("{}: no run", runs.display()), "`shakedown run` makes one"))
}
