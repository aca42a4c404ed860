//! What is kept of a run for years: one small record, in one line of JSON. Schema `shakedown.history/1`.

mod store;

pub use store::{HistorySpec, HistoryStore, StoreTextError};

use crate::{
    event::Phase,
    result::{Figures, RunResult, ScenarioResult, Waived},
    time::UnixNanos,
    verdict::Verdict,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Version of a record.
pub const HISTORY_SCHEMA: &str = "shakedown.history/1";

/// A run of a commit, as history keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// [`HISTORY_SCHEMA`].
    pub schema: String,
    /// Id of the run.
    pub run: String,
    /// The commit that was judged: full id.
    pub commit: String,
    /// Its subject line.
    pub subject: Option<String>,
    /// When the run began.
    pub time: UnixNanos,
    /// What must agree before figures are compared.
    pub machine_class: String,
    /// Of the run.
    pub verdict: Verdict,
    /// What ran.
    pub scenarios: Vec<ScenarioHistory>,
}

/// A scenario in a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioHistory {
    /// Name.
    pub name: String,
    /// Of the scenario.
    pub verdict: Verdict,
    /// From the start of its first phase to the end of its last.
    pub seconds: f64,
    /// What was measured of the candidate.
    pub figures: Vec<HistoryFigure>,
    /// What its faults did to the candidate.
    pub doses: Vec<HistoryDose>,
    /// What failed and did not block.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<WaivedFailure>,
}

/// A failure that somebody answered for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaivedFailure {
    /// Id of the finding.
    pub finding: String,
    /// By whom, until when, why.
    pub by: Waived,
}

/// One number: what a series of trends is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryFigure {
    /// The load.
    pub load: String,
    /// The phase.
    pub phase: Phase,
    /// `p50`, `p99`, `success`, `recovery`, …
    pub measure: String,
    /// In the unit of the measure: seconds, or a fraction.
    pub value: f64,
}

/// What a fault did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryDose {
    /// Kind as the config writes it.
    pub kind: String,
    /// Target as the config writes it.
    pub target: String,
    /// Number of things it met.
    pub touched: u64,
    /// Achieved, parameter to value with the unit in the name.
    pub achieved: IndexMap<String, f64>,
}

/// Why a result is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// Outside a repository.
    #[error("the run was not made in a git repository")]
    NoCommit,
    /// No commit stands for it.
    #[error("its tree had uncommitted changes, so no commit stands for it")]
    Dirty,
    /// Half a run says nothing of a commit.
    #[error("it did not run to its end")]
    Unfinished,
}

impl HistoryRecord {
    /// What is kept of a result.
    pub fn of(result: &RunResult) -> Result<HistoryRecord, NotKept> {
        let commit = result.commit.candidate.clone().ok_or(NotKept::NoCommit)?;
        if result.commit.dirty {
            return Err(NotKept::Dirty);
        }
        if result.run.aborted.is_some() || result.run.ended.is_none() {
            return Err(NotKept::Unfinished);
        }
        Ok(HistoryRecord {
            schema: HISTORY_SCHEMA.to_owned(),
            run: result.run.id.clone(),
            commit,
            subject: result.commit.candidate_subject.clone(),
            time: result.run.started,
            machine_class: result.run.machine.class(),
            verdict: result.verdict,
            scenarios: result.scenarios.iter().map(scenario).collect(),
        })
    }
}

fn scenario(scenario: &ScenarioResult) -> ScenarioHistory {
    let (start, end) = (scenario.phases.iter().map(|phase| phase.start).min(), scenario.phases.iter().map(|phase| phase.end).max());
    let faults = scenario.faults.iter().filter(|fault| fault.variant == "candidate");
    ScenarioHistory {
        name: scenario.name.clone(),
        verdict: scenario.verdict,
        seconds: end.zip(start).map_or(0.0, |(end, start)| end.since(start).as_secs_f64()),
        figures: loads(scenario).chain(recoveries(scenario)).chain(margins(scenario)).filter(|figure| figure.value.is_finite()).collect(),
        doses: faults
            .map(|fault| HistoryDose {
                kind: fault.kind.clone(),
                target: fault.target.clone(),
                touched: fault.touched,
                achieved: fault.achieved.clone(),
            })
            .collect(),
        waived: scenario
            .findings
            .iter()
            .filter_map(|finding| Some(WaivedFailure { finding: finding.id.clone(), by: finding.waived.clone()? }))
            .collect(),
    }
}

fn loads(scenario: &ScenarioResult) -> impl Iterator<Item = HistoryFigure> {
    let rows = scenario.exhibits.loads.iter().flat_map(|load| load.table.iter().map(move |row| (load, row)));
    rows.filter(|(_, row)| row.phase != Phase::Warmup && row.candidate.requests > 0).flat_map(|(load, row)| {
        measures(&row.candidate).map(|(measure, value)| HistoryFigure {
            load: load.load.clone(),
            phase: row.phase,
            measure: measure.to_owned(),
            value,
        })
    })
}

fn measures(figures: &Figures) -> [(&'static str, f64); 4] {
    [("p50", figures.p50), ("p95", figures.p95), ("p99", figures.p99), ("success", figures.success)]
}

fn recoveries(scenario: &ScenarioResult) -> impl Iterator<Item = HistoryFigure> {
    scenario.findings.iter().filter(|finding| finding.check == "recovery" && finding.unit == "s").filter_map(|finding| {
        let value = finding.observed?;
        Some(HistoryFigure { load: finding.subject.clone(), phase: Phase::Recovery, measure: "recovery".to_owned(), value })
    })
}

/// What was borne at the most, of doses that were searched.
fn margins(scenario: &ScenarioResult) -> impl Iterator<Item = HistoryFigure> {
    let margins = scenario.findings.iter().filter(|finding| matches!(finding.check.as_str(), "margin" | "margin-vs-baseline"));
    margins.filter_map(|finding| {
        let measure = match finding.unit.as_str() {
            "s" => "margin",
            "fraction" => "margin_share",
            _ => "margin_value",
        };
        Some(HistoryFigure { load: finding.subject.clone(), phase: Phase::Fault, measure: measure.to_owned(), value: finding.observed? })
    })
}

/// How a scenario fared in the latest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exercise {
    /// When it last ran; `None`: not as far as is known.
    pub last: Option<UnixNanos>,
    /// Runs that are known, the latest [`Exercise::MOST`] of them.
    pub runs: u32,
    /// Of them those that did not pass.
    pub troubled: u32,
}

impl Exercise {
    /// What lies further back says little about today.
    pub const MOST: u32 = 10;

    /// Counts a run. Runs are told newest first.
    pub fn count(&mut self, at: UnixNanos, verdict: Option<Verdict>) {
        self.last = self.last.max(Some(at));
        if self.runs < Exercise::MOST {
            self.runs += 1;
            self.troubled += u32::from(verdict.is_some_and(|verdict| verdict != Verdict::Pass));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_runs_count_as_trouble() {
        let mut exercise = Exercise::default();
        for hour in (0..20).rev() {
            exercise.count(UnixNanos(hour), Some(if hour < 15 { Verdict::Fail } else { Verdict::Pass }));
        }
        assert_eq!(exercise, Exercise { last: Some(UnixNanos(19)), runs: 10, troubled: 5 });
    }
}
