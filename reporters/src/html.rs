//! `report.html`: one file for people. No request to anywhere, readable in full without JavaScript, everything from services escaped.
//!
//! The templates live in `templates/report/`; the views beside this file turn a result into the words and coordinates that they place.
//! Escaping is the template engine's: no view builds markup.

mod alerts;
mod axis;
mod blame;
mod chart;
mod chart_view;
mod graph;
mod interval;
mod layout;
mod logs;
mod page;
mod patterns;
mod percentiles;
mod scenario;
mod since;
mod waterfall;

pub use layout::{HtmlFiles, HtmlLayout, html_files};

use crate::{ReportError, Reporter};
use minijinja::{Environment, UndefinedBehavior, Value, context, syntax::SyntaxConfig};
use shakedown_model::result::RunResult;
use std::io;

const TEMPLATES: [(&str, &str); 21] = [
    ("release.html", include_str!("../../templates/report/release.html")),
    ("diff.html", include_str!("../../templates/report/diff.html")),
    ("report.html", include_str!("../../templates/report/report.html")),
    ("top.html", include_str!("../../templates/report/top.html")),
    ("bottom.html", include_str!("../../templates/report/bottom.html")),
    ("tools.html", include_str!("../../templates/report/tools.html")),
    ("side.html", include_str!("../../templates/report/side.html")),
    ("macros.html", include_str!("../../templates/report/macros.html")),
    ("signs.html", include_str!("../../templates/report/signs.html")),
    ("blame.html", include_str!("../../templates/report/blame.html")),
    ("graph.html", include_str!("../../templates/report/graph.html")),
    ("alerts.html", include_str!("../../templates/report/alerts.html")),
    ("patterns.html", include_str!("../../templates/report/patterns.html")),
    ("percentiles.html", include_str!("../../templates/report/percentiles.html")),
    ("head.html", include_str!("../../templates/report/head.html")),
    ("overview.html", include_str!("../../templates/report/overview.html")),
    ("scenario.html", include_str!("../../templates/report/scenario.html")),
    ("findings.html", include_str!("../../templates/report/findings.html")),
    ("chart.html", include_str!("../../templates/report/chart.html")),
    ("waterfall.html", include_str!("../../templates/report/waterfall.html")),
    ("logs.html", include_str!("../../templates/report/logs.html")),
];
const STYLE: &str = include_str!("../../templates/report/report.css");
const SCRIPT: &str = concat!(include_str!("../../templates/report/report.js"), include_str!("../../templates/report/charts.js"));

/// Prints `report.html`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Html;

impl Reporter for Html {
    fn file_name(&self) -> &'static str {
        "report.html"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        out.write_all(layout::whole(result)?.as_bytes())?;
        Ok(())
    }
}

/// Fills one of our templates, with the style of all pages.
pub(crate) fn page(template: &str, values: Value) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    // A misspelt name is an error, not an empty place in the report.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // No empty line for each statement of a template.
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_filter("tie", tie);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    let style = Value::from_safe_string(STYLE.to_owned());
    Ok(environment.get_template(template)?.render(context! { style, ..values })?)
}

/// Ties a unit to its number, so that no line breaks between them.
fn tie(text: &str) -> String {
    let mut tied = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(space) = rest.find(' ') {
        let (before, after) = (&rest[..space], &rest[space + 1..]);
        tied.push_str(before);
        let is_number = before.ends_with(|c: char| c.is_ascii_digit());
        let is_unit = ["%", "ms", "s", "µs", "min", "×"]
            .into_iter()
            .any(|unit| after.strip_prefix(unit).is_some_and(|tail| !tail.starts_with(|c: char| c.is_alphanumeric())));
        tied.push(if is_number && is_unit { '\u{a0}' } else { ' ' });
        rest = after;
    }
    tied.push_str(rest);
    tied
}

#[cfg(test)]
mod tests {
    use super::tie;

    #[test]
    fn units_are_tied_to_their_numbers_and_words_are_not() {
        assert_eq!(tie("P99 2.01 s vs 412 ms (+388 %, at 5 services)"), "P99 2.01\u{a0}s vs 412\u{a0}ms (+388\u{a0}%, at 5 services)");
        assert_eq!(tie(" a  b "), " a  b ");
    }
}
