//! The page: the same words and figures, all of them, in the look of the report.

use super::{Cell, Row, RunDiff, ScenarioDiff, Side, Step};
use crate::{ReportError, html, words};
use minijinja::{Value, context, value::Serde};
use serde::Serialize;
use shakedown_model::verdict::Verdict;

#[derive(Serialize)]
struct SideView<'a> {
    name: &'static str,
    verdict: &'static str,
    sentence: String,
    commit: Option<String>,
    subject: Option<&'a str>,
    run: &'a str,
}

#[derive(Serialize)]
struct ScenarioView<'a> {
    id: String,
    name: &'a str,
    a: Option<&'static str>,
    b: Option<&'static str>,
    step: &'static str,
    culprits: [&'a str; 2],
    rows: Vec<RowView<'a>>,
}

#[derive(Serialize)]
struct RowView<'a> {
    step: &'static str,
    changed: bool,
    topic: &'a str,
    id: &'a str,
    a: CellView,
    b: CellView,
    change: String,
}

#[derive(Serialize)]
struct CellView {
    verdict: Option<&'static str>,
    figure: String,
}

impl RunDiff {
    /// One page that opens anywhere, without a request to anywhere.
    pub fn html(&self) -> Result<String, ReportError> {
        let sides = [side_view("A", &self.a), side_view("B", &self.b)];
        let scenarios: Vec<ScenarioView<'_>> = self.scenarios.iter().enumerate().map(scenario_view).collect();
        html::page(
            "diff.html",
            context! {
                sides => Value::from(Serde(sides)),
                cautions => Value::from(Serde(&self.cautions)),
                scenarios => Value::from(Serde(scenarios)),
            },
        )
    }
}

fn side_view<'a>(name: &'static str, side: &'a Side) -> SideView<'a> {
    SideView {
        name,
        verdict: side.verdict.word(),
        sentence: words::sentence(&side.headline, side.verdict),
        commit: side.commit.as_deref().map(words::short),
        subject: side.subject.as_deref(),
        run: &side.run,
    }
}

fn scenario_view((index, scenario): (usize, &ScenarioDiff)) -> ScenarioView<'_> {
    let [a, b] = &scenario.culprits;
    ScenarioView {
        id: format!("s{index}"),
        name: &scenario.name,
        a: scenario.a.map(Verdict::word),
        b: scenario.b.map(Verdict::word),
        step: scenario.step().word(),
        culprits: [a.as_deref().unwrap_or("nobody"), b.as_deref().unwrap_or("nobody")],
        rows: scenario.rows.iter().map(row_view).collect(),
    }
}

fn row_view(row: &Row) -> RowView<'_> {
    let cell = |cell: Option<Cell>| CellView {
        verdict: cell.map(|cell| cell.verdict.word()),
        figure: words::optional(cell.and_then(|cell| cell.observed), &row.unit),
    };
    RowView {
        step: row.step.word(),
        changed: row.step != Step::Same,
        topic: &row.topic,
        id: &row.id,
        a: cell(row.a),
        b: cell(row.b),
        change: row.change.map_or_else(|| words::NOTHING.to_owned(), words::change),
    }
}
