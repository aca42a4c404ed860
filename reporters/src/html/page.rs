//! The page: verdict, commits, machine, overview and health. Scenarios have their own view.

use super::{
    interval::IntervalView,
    scenario::{DoseView, ScenarioView},
    since::{self, SinceView},
};
use crate::{digest, plain::one_line, words};
use serde::Serialize;
use shakedown_model::{
    result::{RunResult, ScenarioResult},
    time::human,
    verdict::Verdict,
};

/// All that `report.html` shows.
#[derive(Debug, Serialize)]
pub(super) struct PageView {
    verdict: &'static str,
    word: &'static str,
    headline: String,
    exit_code: u8,
    candidate: CommitView,
    baseline: Option<CommitView>,
    baseline_source: String,
    facts: Vec<(&'static str, String)>,
    troubles: Vec<String>,
    health: Vec<HealthView>,
    overview: Vec<OverviewRow>,
    tally: Vec<(&'static str, usize)>,
    /// What changed since the baseline.
    since: Option<Vec<SinceView>>,
    scenarios: Vec<ScenarioView>,
    rerun: String,
    id: String,
    tool_version: String,
}

#[derive(Debug, Serialize)]
struct CommitView {
    id: Option<String>,
    full_id: String,
    subject: String,
    dirty: bool,
}

#[derive(Debug, Serialize)]
struct HealthView {
    name: String,
    text: String,
    forces: bool,
}

/// One line of the table of scenarios.
#[derive(Debug, Serialize)]
struct OverviewRow {
    id: String,
    name: String,
    verdict: &'static str,
    headline: String,
    comparison: Option<IntervalView>,
    success: Option<SuccessView>,
    recovery: Option<String>,
    recovery_verdict: &'static str,
    doses: Vec<DoseView>,
}

#[derive(Debug, Serialize)]
struct SuccessView {
    load: Option<String>,
    before: String,
    during: String,
    after: String,
}

impl PageView {
    /// Of the scenarios, in the order of the page.
    pub(super) fn anchors(&self) -> impl Iterator<Item = &str> {
        self.overview.iter().map(|row| row.id.as_str())
    }

    pub(super) fn of(result: &RunResult) -> PageView {
        let ordered = digest::scenarios(result);
        let commit = &result.commit;
        let anchors: Vec<String> = ordered.iter().enumerate().map(|(index, scenario)| anchor(scenario, index)).collect();
        PageView {
            verdict: result.verdict.word(),
            word: words::shout(result.verdict),
            headline: words::sentence(&result.headline, result.verdict),
            exit_code: result.exit_code,
            candidate: commit_view(commit.candidate.as_deref(), commit.candidate_subject.as_deref(), commit.dirty),
            baseline: commit.baseline.as_deref().map(|id| commit_view(Some(id), commit.baseline_subject.as_deref(), false)),
            baseline_source: one_line(&commit.baseline_source, 300),
            facts: facts(result),
            troubles: digest::troubles(result).into_iter().map(|(_, text)| one_line(&text, 1_000)).collect(),
            health: result
                .health
                .iter()
                .map(|note| HealthView {
                    name: one_line(&note.name, 80),
                    text: one_line(&note.text, 1_000),
                    forces: note.forces_inconclusive,
                })
                .collect(),
            overview: ordered.iter().enumerate().map(|(index, scenario)| overview_row(scenario, index)).collect(),
            tally: [Verdict::Fail, Verdict::Inconclusive, Verdict::Pass]
                .map(|verdict| (verdict.word(), ordered.iter().filter(|scenario| scenario.verdict == verdict).count()))
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .collect(),
            since: since::since(result, &anchors),
            scenarios: ordered.iter().zip(&anchors).map(|(scenario, anchor)| ScenarioView::of(result, scenario, anchor)).collect(),
            rerun: one_line(&result.run.rerun, 4_000),
            id: one_line(&result.run.id, 100),
            tool_version: one_line(&result.run.tool_version, 40),
        }
    }
}

fn commit_view(id: Option<&str>, subject: Option<&str>, dirty: bool) -> CommitView {
    CommitView {
        id: id.map(words::short),
        full_id: id.map(|id| one_line(id, 64)).unwrap_or_default(),
        subject: one_line(subject.unwrap_or_default(), 200),
        dirty,
    }
}

fn facts(result: &RunResult) -> Vec<(&'static str, String)> {
    let run = &result.run;
    let machine = &run.machine;
    let how = match run.baseline_mode.as_str() {
        "paired" => "paired: measured on the same machine in the same run, interleaved with the candidate".to_owned(),
        "recorded" => "recorded: measured in an earlier run, not beside the candidate".to_owned(),
        "none" => "none: this commit alone".to_owned(),
        other => one_line(other, 80),
    };
    let memory = machine.memory_mib as f64 / 1024.0;
    let hardware = format!("{} × {}, {memory:.1} GiB, {} {}", machine.cores, machine.cpu, machine.kernel, machine.arch);
    let mut facts = vec![
        ("comparison", how),
        ("machine", one_line(&hardware, 200)),
        ("runtime", one_line(&format!("{} ({})", run.runtime.word(), machine.engine), 100)),
        ("started", words::moment(run.started)),
    ];
    if let Some(ended) = run.ended {
        facts.push(("took", human(ended.since(run.started))));
    }
    facts.push(("seed", result.seed.to_string()));
    facts.push(("exit code", result.exit_code.to_string()));
    facts
}

fn overview_row(scenario: &ScenarioResult, index: usize) -> OverviewRow {
    let recovery = digest::recovery(scenario);
    let loads = scenario.exhibits.loads.len();
    OverviewRow {
        id: anchor(scenario, index),
        name: one_line(&scenario.name, 120),
        verdict: scenario.verdict.word(),
        headline: words::sentence(&scenario.headline, scenario.verdict),
        comparison: digest::comparison(scenario).and_then(IntervalView::of),
        success: digest::success(scenario).map(|(load, [before, during, after])| SuccessView {
            load: (loads > 1).then(|| one_line(&load.load, 60)),
            before: words::optional(before, "fraction"),
            during: words::optional(during, "fraction"),
            after: words::optional(after, "fraction"),
        }),
        recovery: recovery.map(|finding| finding.observed.map_or_else(|| "not seen".to_owned(), words::seconds)),
        recovery_verdict: recovery.map_or("pass", |finding| finding.verdict.word()),
        doses: digest::faults(scenario).into_iter().map(DoseView::of).collect(),
    }
}

/// A place in the page: readable, and unique by its number whatever the scenario is called.
fn anchor(scenario: &ScenarioResult, index: usize) -> String {
    let slug: String =
        scenario.name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).take(60).collect();
    format!("s{}-{slug}", index + 1)
}
