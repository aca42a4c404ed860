//! The terminal's form: 80 columns, changed verdicts first.

use super::{Cell, Row, RunDiff, ScenarioDiff, Side, Step};
use crate::{
    console::{pad, wrap},
    plain::cut,
    words,
};
use shakedown_model::verdict::Verdict;

const WIDTH: usize = 80;
/// Rows of a scenario whose verdict is the same in both runs.
const SAME_SHOWN: usize = 6;

impl RunDiff {
    /// For a terminal or a log.
    pub fn text(&self) -> String {
        let mut lines = vec![side("A", &self.a), side("B", &self.b), String::new()];
        for caution in &self.cautions {
            lines.extend(indented("  ! ", caution));
        }
        if !self.cautions.is_empty() {
            lines.push(String::new());
        }
        for scenario in &self.scenarios {
            lines.extend(scenario_lines(scenario));
            lines.push(String::new());
        }
        if self.scenarios.is_empty() {
            lines.push("neither run played a scenario".to_owned());
        }
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        format!("{}\n", lines.join("\n").trim_end())
    }
}

fn side(name: &str, side: &Side) -> String {
    let commit = side.commit.as_deref().map_or_else(|| "no commit".to_owned(), words::short);
    let subject = side.subject.as_deref().unwrap_or_default();
    cut(&format!("{name}  {} {:<13} {commit}  {subject}  ({})", words::symbol(side.verdict), words::shout(side.verdict), side.run), WIDTH)
}

fn scenario_lines(scenario: &ScenarioDiff) -> Vec<String> {
    let word = |verdict: Option<Verdict>| verdict.map_or("not played", words::shout);
    let head = match scenario.step() {
        Step::Same | Step::StillFails => word(scenario.b).to_owned(),
        _ => format!("{} → {}", word(scenario.a), word(scenario.b)),
    };
    let mut lines = vec![format!("{} {}", pad(&scenario.name, WIDTH - 1 - head.chars().count()), head)];
    if scenario.a.is_none() || scenario.b.is_none() {
        lines.push(format!("    in one run only, with {} findings", scenario.rows.len()));
        return lines;
    }
    let (same, changed): (Vec<&Row>, Vec<&Row>) = scenario.rows.iter().partition(|row| row.step == Step::Same);
    let shown: Vec<&Row> = same.iter().copied().filter(|row| moved(row)).take(SAME_SHOWN).collect();
    lines.extend(changed.iter().chain(&shown).map(|row| row_line(row)));
    if same.len() > shown.len() {
        lines.push(format!("    {} with the same answer in both", count(same.len() - shown.len())));
    }
    let [a, b] = &scenario.culprits;
    if a != b {
        let name = |culprit: &Option<String>| culprit.clone().unwrap_or_else(|| "nobody".to_owned());
        lines.extend(indented("    ", &format!("culprit: {} → {}", name(a), name(b))));
    }
    lines
}

/// By what can be shown.
fn moved(row: &Row) -> bool {
    row.change.is_some_and(|change| change.abs() >= 0.000_5)
}

fn count(findings: usize) -> String {
    if findings == 1 { "1 more finding".to_owned() } else { format!("{findings} more findings") }
}

fn row_line(row: &Row) -> String {
    let figure = |cell: Option<Cell>| match cell {
        Some(Cell { observed: Some(observed), .. }) => words::value(observed, &row.unit),
        Some(Cell { verdict, .. }) => verdict.word().to_owned(),
        None => words::NOTHING.to_owned(),
    };
    let change = row.change.map_or_else(String::new, words::change);
    let figures = format!("{} → {}", figure(row.a), figure(row.b));
    format!("    {} {} {} {change}", pad(row.step.word(), 14), pad(&row.topic, 33), pad(&figures, 18))
}

fn indented(lead: &str, text: &str) -> Vec<String> {
    let lines = wrap(text, WIDTH - lead.len()).into_iter().enumerate();
    lines.map(|(index, line)| if index == 0 { format!("{lead}{line}") } else { format!("{}{line}", " ".repeat(lead.len())) }).collect()
}
