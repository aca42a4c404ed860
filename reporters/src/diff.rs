//! Two results side by side: what broke, what is fixed, and how the figures moved. It compares what two runs said and decides nothing: runs of other
//! machines, or of another day, differ by more than their commits do.

mod html;
mod text;

use crate::plain::one_line;
use serde::Serialize;
use shakedown_model::{
    result::{Finding, RunResult, ScenarioResult},
    verdict::Verdict,
};
use std::cmp::Reverse;

/// Version of the JSON form.
pub const DIFF_SCHEMA: &str = "shakedown.diff/1";

/// Two runs side by side.
#[derive(Debug, Clone, Serialize)]
pub struct RunDiff {
    /// [`DIFF_SCHEMA`].
    pub schema: &'static str,
    /// The first run.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// Why figures of the one say little of the other; empty: nothing speaks against it.
    pub cautions: Vec<String>,
    /// Of both, those with changed verdicts first.
    pub scenarios: Vec<ScenarioDiff>,
}

/// One of the runs.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    /// Id of the run.
    pub run: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Verdict and reason in one sentence.
    pub headline: String,
    /// Full id of its commit, if it had one.
    pub commit: Option<String>,
    /// First line of the commit's message.
    pub subject: Option<String>,
}

/// One scenario of either run.
#[derive(Debug, Clone, Serialize)]
pub struct ScenarioDiff {
    /// Name.
    pub name: String,
    /// What the first run said; `None`: it did not play it.
    pub a: Option<Verdict>,
    /// What the second said.
    pub b: Option<Verdict>,
    /// Whom each blamed first, `service / operation`.
    pub culprits: [Option<String>; 2],
    /// Its findings, changed verdicts first, then by the size of the change.
    pub rows: Vec<Row>,
}

/// One finding of either run.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Id of the finding.
    pub id: String,
    /// What it is about, in a few words.
    pub topic: String,
    /// What became of it.
    pub step: Step,
    /// What the first run said; `None`: nothing.
    pub a: Option<Cell>,
    /// What the second said.
    pub b: Option<Cell>,
    /// From the first to the second, relative: 0.38 is +38 %.
    pub change: Option<f64>,
    /// Unit of the figures, as in `result.json`.
    pub unit: String,
}

/// What one run said.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cell {
    /// The answer.
    pub verdict: Verdict,
    /// What was seen.
    pub observed: Option<f64>,
}

/// What became of a finding from the first run to the second. In the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Fails now.
    Broke,
    /// Fails in both.
    StillFails,
    /// Failed and does no longer.
    Fixed,
    /// Passed and cannot be told any more.
    Lost,
    /// Could not be told and passes now.
    Settled,
    /// Only the second run has it.
    New,
    /// Only the first has it.
    Gone,
    /// The same answer.
    Same,
}

impl Step {
    /// In a word or two.
    pub fn word(self) -> &'static str {
        match self {
            Step::Broke => "broke",
            Step::StillFails => "still fails",
            Step::Fixed => "fixed",
            Step::Lost => "can't tell now",
            Step::Settled => "told now",
            Step::New => "new",
            Step::Gone => "gone",
            Step::Same => "same",
        }
    }

    fn of(a: Option<Verdict>, b: Option<Verdict>) -> Step {
        use Verdict::{Fail, Inconclusive, Pass};
        match (a, b) {
            (Some(Fail), Some(Fail)) => Step::StillFails,
            (_, Some(Fail)) => Step::Broke,
            (Some(Fail), Some(_)) => Step::Fixed,
            (Some(Pass), Some(Inconclusive)) => Step::Lost,
            (Some(Inconclusive), Some(Pass)) => Step::Settled,
            (None, _) => Step::New,
            (_, None) => Step::Gone,
            (Some(_), Some(_)) => Step::Same,
        }
    }
}

impl RunDiff {
    /// Puts `b` beside `a`.
    pub fn of(a: &RunResult, b: &RunResult) -> RunDiff {
        let firsts = a.scenarios.iter().map(|one| scenario(Some(one), b.scenarios.iter().find(|other| other.name == one.name)));
        let added = b
            .scenarios
            .iter()
            .filter(|other| a.scenarios.iter().all(|one| one.name != other.name))
            .map(|other| scenario(None, Some(other)));
        let mut scenarios: Vec<ScenarioDiff> = firsts.chain(added).collect();
        scenarios.sort_by_key(ScenarioDiff::step);
        RunDiff { schema: DIFF_SCHEMA, a: side(a), b: side(b), cautions: cautions(a, b), scenarios }
    }
}

impl ScenarioDiff {
    /// What became of it.
    pub fn step(&self) -> Step {
        Step::of(self.a, self.b)
    }
}

fn side(result: &RunResult) -> Side {
    Side {
        run: one_line(&result.run.id, 120),
        verdict: result.verdict,
        headline: one_line(&result.headline, 400),
        commit: result.commit.candidate.as_deref().map(|commit| one_line(commit, 64)),
        subject: result.commit.candidate_subject.as_deref().map(|subject| one_line(subject, 120)),
    }
}

fn cautions(a: &RunResult, b: &RunResult) -> Vec<String> {
    let mut cautions = Vec::new();
    if a.run.machine != b.run.machine {
        cautions.push("the runs are of machines of different kinds: verdicts can be compared, milliseconds cannot".to_owned());
    } else if a.run.id != b.run.id {
        cautions
            .push("two runs on one machine differ by the luck of their instances too: what counts is each run's own comparison".to_owned());
    }
    if a.run.runtime != b.run.runtime {
        cautions.push(format!("one ran on {}, the other on {}", a.run.runtime.word(), b.run.runtime.word()));
    }
    if a.seed != b.seed {
        cautions.push(format!("their seeds differ ({}, {}): not the same weather", a.seed, b.seed));
    }
    cautions
}

fn scenario(a: Option<&ScenarioResult>, b: Option<&ScenarioResult>) -> ScenarioDiff {
    let (ours, theirs) = (findings(a), findings(b));
    let firsts = ours.iter().map(|one| row(Some(one), theirs.iter().find(|other| other.id == one.id).copied()));
    let added = theirs.iter().filter(|other| ours.iter().all(|one| one.id != other.id)).map(|other| row(None, Some(other)));
    let mut rows: Vec<Row> = firsts.chain(added).flatten().collect();
    rows.sort_by(|one, other| one.step.cmp(&other.step).then_with(|| Reverse(size(one)).cmp(&Reverse(size(other)))));
    let culprit = |side: Option<&ScenarioResult>| {
        let first = side?.culprits.first()?;
        Some(one_line(&format!("{} / {}", first.service, first.operation), 120))
    };
    ScenarioDiff {
        name: one_line(&a.or(b).map(|scenario| scenario.name.clone()).unwrap_or_default(), 120),
        a: a.map(|scenario| scenario.verdict),
        b: b.map(|scenario| scenario.verdict),
        culprits: [culprit(a), culprit(b)],
        rows,
    }
}

fn findings(side: Option<&ScenarioResult>) -> Vec<&Finding> {
    side.map_or_else(Vec::new, |scenario| scenario.findings.iter().collect())
}

/// What a finding is about, short enough for a column: `p99 checkout, fault`.
fn topic(finding: &Finding) -> String {
    let phase = finding.phase.map_or_else(String::new, |phase| format!(", {}", phase.word()));
    format!("{} {}{phase}", finding.check, finding.subject)
}

/// Of the change, in thousandths.
fn size(row: &Row) -> u64 {
    row.change.map_or(0, |change| (change.abs().min(1e6) * 1e3) as u64)
}

fn row(a: Option<&Finding>, b: Option<&Finding>) -> Option<Row> {
    let either = b.or(a)?;
    let cell = |finding: &Finding| Cell { verdict: finding.verdict, observed: finding.observed };
    let observed = |finding: Option<&Finding>| finding.and_then(|finding| finding.observed).filter(|value| value.is_finite());
    let same_unit = a.zip(b).is_some_and(|(a, b)| a.unit == b.unit);
    let change = observed(a).zip(observed(b)).filter(|(old, _)| same_unit && *old > 0.0).map(|(old, new)| new / old - 1.0);
    Some(Row {
        id: one_line(&either.id, 200),
        topic: one_line(&topic(either), 120),
        step: Step::of(a.map(|finding| finding.verdict), b.map(|finding| finding.verdict)),
        a: a.map(cell),
        b: b.map(cell),
        change,
        unit: either.unit.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_worst_first_and_every_pair_of_answers_has_one() {
        use Verdict::{Fail, Inconclusive, Pass};
        let check = |a, b, step| assert_eq!(Step::of(a, b), step, "{a:?} {b:?}");
        check(Some(Pass), Some(Fail), Step::Broke);
        check(Some(Inconclusive), Some(Fail), Step::Broke);
        check(None, Some(Fail), Step::Broke);
        check(Some(Fail), Some(Fail), Step::StillFails);
        check(Some(Fail), Some(Inconclusive), Step::Fixed);
        check(Some(Pass), Some(Inconclusive), Step::Lost);
        check(Some(Inconclusive), Some(Pass), Step::Settled);
        check(None, Some(Pass), Step::New);
        check(Some(Fail), None, Step::Gone);
        check(Some(Pass), Some(Pass), Step::Same);
        assert!(Step::Broke < Step::StillFails && Step::StillFails < Step::Fixed && Step::Gone < Step::Same);
    }
}
