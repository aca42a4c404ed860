//! The page of a release.

use super::{figure, place, shift, span};
use crate::{ReportError, html, plain::one_line, words};
use minijinja::{context, value::Serde};
use serde::Serialize;
use shakedown_model::{
    release::{Release, ScenarioReadiness, Trend},
    verdict::Verdict,
};

const LINE_WIDTH: f64 = 160.0;
const LINE_HEIGHT: f64 = 28.0;

#[derive(Serialize)]
struct ScenarioView {
    name: String,
    verdict: &'static str,
    last: String,
    when: String,
    subject: String,
    runs: [usize; 3],
    flaky: String,
}

#[derive(Serialize)]
struct CoverageView {
    target: String,
    kind: String,
    runs: usize,
    commit: String,
    when: String,
    touched: String,
}

#[derive(Serialize)]
struct WaivedView {
    finding: String,
    by: String,
}

#[derive(Serialize)]
struct TrendView {
    figure: String,
    span: String,
    machine: String,
    line: String,
    label: String,
    marks: Vec<f64>,
    shifts: Vec<String>,
    runs: usize,
}

/// One page that opens anywhere, without a request to anywhere.
pub fn release_html(release: &Release) -> Result<String, ReportError> {
    let scenarios: Vec<ScenarioView> = release.scenarios.iter().map(scenario).collect();
    let coverage: Vec<CoverageView> = release
        .coverage
        .iter()
        .map(|covered| CoverageView {
            target: words::target(&one_line(&covered.target, 120)),
            kind: one_line(&covered.kind, 60),
            runs: covered.runs,
            commit: words::short(&covered.commit),
            when: words::moment(covered.time),
            touched: words::count(covered.touched),
        })
        .collect();
    let waived = release.scenarios.iter().flat_map(|scenario| &scenario.waived);
    let waived: Vec<WaivedView> =
        waived.map(|failure| WaivedView { finding: one_line(&failure.finding, 200), by: words::waived(&failure.by) }).collect();
    let trends: Vec<TrendView> = release.trends.iter().map(trend).collect();
    html::page(
        "release.html",
        context! {
            verdict => release.verdict.word(),
            word => words::shout(release.verdict),
            advice => one_line(&release.advice, 400),
            range => one_line(&release.range, 120),
            tip => words::short(&release.tip),
            commits => release.commits,
            exercised => release.exercised,
            runs => release.runs,
            open => release.open.iter().map(|open| one_line(open, 400)).collect::<Vec<_>>(),
            untouched => release.untouched.iter().map(|name| one_line(name, 80)).collect::<Vec<_>>(),
            scenarios => Serde(scenarios),
            coverage => Serde(coverage),
            trends => Serde(trends),
            waived => Serde(waived),
        },
    )
}

fn scenario(scenario: &ScenarioReadiness) -> ScenarioView {
    let known = scenario.last.as_ref();
    ScenarioView {
        name: one_line(&scenario.name, 120),
        verdict: known.map_or(Verdict::Inconclusive, |last| last.verdict).word(),
        last: known.map_or_else(|| "not exercised".to_owned(), place),
        when: known.map_or_else(|| words::NOTHING.to_owned(), |last| words::moment(last.time)),
        subject: known.and_then(|last| last.subject.as_deref()).map(|subject| one_line(subject, 120)).unwrap_or_default(),
        runs: scenario.runs,
        flaky: scenario.flaky.map_or_else(|| words::NOTHING.to_owned(), words::share),
    }
}

fn trend(trend: &Trend) -> TrendView {
    let finite = || trend.values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let x = |index: usize| 2.0 + (LINE_WIDTH - 4.0) * index as f64 / (trend.values.len().max(2) - 1) as f64;
    let y = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        LINE_HEIGHT - 3.0 - (LINE_HEIGHT - 6.0) * share
    };
    let points: Vec<String> = trend
        .values
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite())
        .map(|(index, value)| format!("{:.1},{:.1}", x(index), y(*value)))
        .collect();
    TrendView {
        figure: figure(trend),
        span: span(trend),
        machine: one_line(&trend.machine_class, 120),
        line: points.join(" "),
        label: format!("{}: {} over {} runs", figure(trend), span(trend), trend.values.len()),
        marks: trend.shifts.iter().map(|change| (x(change.index) * 10.0).round() / 10.0).collect(),
        shifts: trend.shifts.iter().map(|change| shift(trend, change)).collect(),
        runs: trend.values.len(),
    }
}
