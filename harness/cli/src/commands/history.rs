//! `shakedown history record|list|trends|merge`: results of main over time. Advises; no exit code but for usage and stores that do not answer.

use super::report;
use crate::{
    args::{Format, Global, HistoryAction},
    context::{self, Commits},
    failure::Failure,
    terminal::Terminal,
};
use shakedown_commits::{NotesMerge, Repository};
use shakedown_history::{Change, History, HistoryError, Series, Shift, Trends, trends};
use shakedown_judge::stats::change_points::{ChangePoint, Sensitivity, change_points};
use shakedown_model::{
    history::{HistoryRecord, HistorySpec},
    result::RunResult,
};
use shakedown_reporters::plain;
use std::path::Path;

pub(crate) async fn run(global: &Global, action: &HistoryAction, terminal: &Terminal) -> Result<u8, Failure> {
    let experiment = context::load(&global.config, terminal)?.experiment;
    let Some(spec) = &experiment.history else {
        return Err(Failure::usage("the config has no `history`", "add `history: {store: git-notes}`, or another store: docs/history.md"));
    };
    let home = context::home(&experiment.root);
    let repository = Repository::discover(&experiment.root).map_err(|error| Failure::usage(error, "see `git status`"))?;
    let history = History::open(&spec.store, &home, repository.as_ref()).map_err(failed)?;
    match action {
        HistoryAction::Record { directory } => {
            let result = report::read(directory)?;
            let record = HistoryRecord::of(&result)
                .map_err(|why| Failure::usage(format!("{}: {why}", directory.display()), "keep a run of a commit that ran to its end"))?;
            history.keep(&record).await.map_err(failed)?;
            terminal.out(&format!("kept {} of {} in {}\n", record.run, record.commit, spec.store));
        }
        HistoryAction::List => list(&read(&history, terminal).await?, terminal),
        HistoryAction::Trends { json } => {
            let records = read(&history, terminal).await?;
            let mut found = trends(&records);
            found.find_changes(&records, shifts);
            if *json || terminal.format == Format::Json {
                terminal.json(&found);
            } else {
                terminal.out(&text(&found));
            }
        }
        HistoryAction::Merge => terminal.out(match history.merge().map_err(failed)? {
            NotesMerge::NothingFetched => {
                "nothing to merge: run `git fetch origin +refs/notes/shakedown:refs/notes/shakedown-origin` first\n"
            }
            NotesMerge::UpToDate => "nothing new\n",
            NotesMerge::FastForward => "took over what was fetched\n",
            NotesMerge::Joined => "joined; run `git push origin refs/notes/shakedown`\n",
        }),
    }
    Ok(0)
}

/// Keeps the result of a run of the main branch, where the config says where. A store that does not answer changes no verdict.
pub(crate) async fn keep_if_main(spec: Option<&HistorySpec>, commits: &Commits, home: &Path, result: &RunResult, terminal: &Terminal) {
    let (Some(spec), Some(repository)) = (spec, &commits.repository) else { return };
    let Ok(record) = HistoryRecord::of(result) else { return };
    if !repository.is_on_main(&record.commit, &commits.ci).unwrap_or(false) {
        return;
    }
    let kept = match History::open(&spec.store, home, Some(repository)) {
        Ok(history) => history.keep(&record).await,
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        terminal.note(&format!("warning: history was not kept: {error}"));
    }
}

fn failed(error: HistoryError) -> Failure {
    match error {
        HistoryError::NoRepository | HistoryError::NothingToMerge(_) => Failure::usage(error, "see docs/history.md"),
        HistoryError::Git(_) | HistoryError::Store { .. } => Failure::environment(error),
    }
}

async fn read(history: &History<'_>, terminal: &Terminal) -> Result<Vec<HistoryRecord>, Failure> {
    let kept = history.read().await.map_err(failed)?;
    if kept.refused > 0 {
        terminal.note(&format!("warning: {} entries of the store are no records and are left out", kept.refused));
    }
    Ok(kept.records)
}

fn list(records: &[HistoryRecord], terminal: &Terminal) {
    if terminal.format == Format::Json {
        return terminal.json(&records);
    }
    if records.is_empty() {
        terminal
            .out("nothing is kept yet; runs of the main branch are kept by `shakedown run`, others by `shakedown history record DIR`\n");
    }
    for record in records.iter().rev() {
        let subject = plain(record.subject.as_deref().unwrap_or_default());
        terminal.out(&format!("{}  {}  {:12}  {subject}\n", short(&record.commit), record.time.rfc3339(), record.verdict.word()));
    }
}

/// Lasting changes of a series.
pub(crate) fn shifts(series: &[f64]) -> Vec<Shift> {
    change_points(series, Sensitivity::default()).into_iter().map(shift).collect()
}

fn shift(point: ChangePoint) -> Shift {
    Shift { index: point.index, before: point.before, after: point.after, significance: point.significance }
}

fn text(trends: &Trends) -> String {
    let changed = trends.series.iter().flat_map(|series| series.changes.iter().flatten().map(move |change| change_line(series, change)));
    let flaky = trends.flaky.iter().map(|flaky| {
        let name = plain(&flaky.scenario);
        let commits: Vec<&str> = flaky.commits.iter().map(|commit| short(commit)).collect();
        format!(
            "{name}: flaky: {} of {} commits that were judged more than once have different verdicts ({:.0} %): {}\n",
            flaky.differing,
            flaky.repeated,
            flaky.rate * 100.0,
            commits.join(", ")
        )
    });
    let points: usize = trends.series.iter().map(|series| series.points.len()).sum();
    let found: String = changed.chain(flaky).collect();
    let nothing = if found.is_empty() { "nothing to tell: no scenario is flaky\n" } else { "" };
    format!("{} series, {points} points\n{found}{nothing}", trends.series.len())
}

fn change_line(series: &Series, change: &Change) -> String {
    let commit = short(&change.commit);
    let subject = plain(change.subject.as_deref().unwrap_or_default());
    let names = [&*series.scenario, &*series.load, series.phase.word(), &*series.measure].map(plain).join(" ");
    let since = change.after_commit.as_deref().map(|commit| format!(" (last measured before: {})", short(commit))).unwrap_or_default();
    format!("{names}: {:.4} -> {:.4} with {commit} {subject}{since}; p = {:.4}\n", change.before, change.after, change.significance)
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
