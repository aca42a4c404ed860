//! One scenario of the page: faults, findings, figures, culprits, traces, logs and charts, as words.

use super::{
    alerts::AlertView,
    blame::BlameView,
    chart_view::ChartView,
    graph::GraphView,
    interval::IntervalView,
    logs::{self, LogView},
    patterns::PatternsView,
    percentiles::PercentilesView,
    waterfall::{self, TraceView},
};
use crate::{digest, plain::one_line, words};
use serde::Serialize;
use shakedown_model::{
    event::Phase,
    result::{FaultResult, Figures, Finding, PhaseFigures, RunResult, ScenarioResult},
    time::UnixNanos,
    verdict::Verdict,
};

#[derive(Debug, Serialize)]
pub(super) struct ScenarioView {
    id: String,
    name: String,
    verdict: &'static str,
    headline: String,
    why: Option<String>,
    place: Option<String>,
    tally: [usize; 3],
    phases: String,
    faults: Vec<FaultView>,
    /// Those that did not pass, then those that did.
    findings: Vec<FindingGroup>,
    blame: Option<BlameView>,
    graph: Option<GraphView>,
    charts: Vec<ChartView>,
    percentiles: Vec<PercentilesView>,
    figures: Vec<FiguresTable>,
    traces: Vec<TraceView>,
    /// Log patterns new and lost.
    patterns: Option<PatternsView>,
    /// What the alerts of a rule file did.
    alerts: Vec<AlertView>,
    logs: Vec<LogView>,
    logs_left_out: String,
    /// What the numbers of this scenario rest on.
    quality: Vec<String>,
    rerun: String,
}

/// A fault in the overview.
#[derive(Debug, Serialize)]
pub(super) struct DoseView {
    name: String,
    dose: String,
    touched: String,
    nothing: bool,
}

#[derive(Debug, Serialize)]
struct FaultView {
    kind: String,
    target: String,
    variant: String,
    mechanism: String,
    asked: Vec<(String, String)>,
    achieved: Vec<(String, String)>,
    touched: String,
    nothing: bool,
    when: String,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct FindingGroup {
    passed: bool,
    findings: Vec<FindingView>,
}

#[derive(Debug, Serialize)]
struct FindingView {
    /// Its place in the scenario, from 1.
    number: usize,
    verdict: &'static str,
    check: String,
    subject: String,
    during: &'static str,
    reason: String,
    observed: String,
    limit: String,
    baseline: String,
    change: Option<IntervalView>,
    smallest: String,
    samples: String,
    place: Option<String>,
    /// By whom it is waived, until when and why.
    waived: Option<String>,
}

#[derive(Debug, Serialize)]
struct FiguresTable {
    load: String,
    rows: Vec<FiguresRow>,
}

#[derive(Debug, Serialize)]
struct FiguresRow {
    phase: &'static str,
    variant: &'static str,
    cells: Vec<String>,
}

impl ScenarioView {
    pub(super) fn of(result: &RunResult, scenario: &ScenarioResult, id: &str) -> ScenarioView {
        let origin = origin(scenario, result.run.started);
        let traces = waterfall::traces(&scenario.exhibits.traces, id, origin);
        let (logs, logs_hidden) = logs::logs(scenario, origin, &traces);
        ScenarioView {
            id: id.to_owned(),
            name: one_line(&scenario.name, 120),
            verdict: scenario.verdict.word(),
            headline: words::sentence(&scenario.headline, scenario.verdict),
            why: scenario.why.as_deref().map(|why| one_line(why, 600)),
            place: place(&scenario.source.file, scenario.source.line),
            tally: digest::tally(scenario),
            phases: phases(scenario),
            faults: scenario
                .faults
                .iter()
                .filter(|fault| scenario.is_shown(fault.round, fault.episode))
                .map(|fault| fault_view(fault, origin))
                .collect(),
            findings: finding_groups(scenario),
            blame: BlameView::of(scenario, &traces, origin),
            charts: scenario
                .exhibits
                .loads
                .iter()
                .enumerate()
                .filter_map(|(index, load)| ChartView::of(scenario, load, origin, &format!("{id}-load-{}", index + 1)))
                .collect(),
            graph: GraphView::of(scenario, origin, id),
            percentiles: scenario
                .exhibits
                .loads
                .iter()
                .enumerate()
                .filter_map(|(index, load)| PercentilesView::of(load, &one_line(&load.load, 80), &format!("{id}-load-{}", index + 1)))
                .collect(),
            figures: figures(scenario),
            patterns: PatternsView::of(scenario.exhibits.log_diff.as_ref(), origin, &traces),
            alerts: scenario.exhibits.alerts.iter().map(AlertView::of).collect(),
            logs,
            logs_left_out: words::count(scenario.exhibits.logs_left_out + logs_hidden),
            traces,
            quality: quality(result, scenario),
            rerun: rerun(&result.run.rerun, &scenario.name),
        }
    }
}

impl DoseView {
    pub(super) fn of(fault: &FaultResult) -> DoseView {
        DoseView {
            name: format!("{} {}", one_line(&fault.kind, 40), words::target(&fault.target)),
            dose: words::dose(fault),
            touched: words::count(fault.touched),
            nothing: fault.touched == 0,
        }
    }
}

/// Time counts from the start of the fault.
fn origin(scenario: &ScenarioResult, otherwise: UnixNanos) -> UnixNanos {
    let fault = scenario.shown_phases().find(|phase| phase.name == Phase::Fault);
    fault.or(scenario.phases.first()).map_or(otherwise, |phase| phase.start)
}

fn phases(scenario: &ScenarioResult) -> String {
    let phases = scenario
        .shown_phases()
        .map(|phase| format!("{} {}", phase.name.word(), words::seconds(phase.end.since(phase.start).as_secs_f64())));
    let phases = phases.collect::<Vec<_>>().join(" → ");
    match words::shown_play(scenario) {
        Some(play) => format!("{phases} (time axis, faults, traces and logs are of {play})"),
        None => phases,
    }
}

fn place(file: &str, line: u32) -> Option<String> {
    (line > 0 && !file.is_empty()).then(|| format!("{}:{line}", one_line(file, 200)))
}

fn fault_view(fault: &FaultResult, origin: UnixNanos) -> FaultView {
    let when = match (fault.applied_at, fault.reverted_at) {
        (Some(from), Some(to)) => format!("{} … {}", words::offset(from, origin), words::offset(to, origin)),
        (Some(from), None) => format!("{} …", words::offset(from, origin)),
        _ => "never took hold".to_owned(),
    };
    let figures =
        |figures: &indexmap::IndexMap<String, f64>| figures.iter().map(|(name, number)| words::dose_figure(name, *number)).collect();
    FaultView {
        kind: one_line(&fault.kind, 40),
        target: words::target(&fault.target),
        variant: one_line(&fault.variant, 20),
        mechanism: one_line(&fault.mechanism, 80),
        asked: figures(&fault.asked),
        achieved: figures(&fault.achieved),
        touched: words::count(fault.touched),
        nothing: fault.touched == 0,
        when,
        error: fault.error.as_deref().map(|error| one_line(error, 600)),
    }
}

fn finding_groups(scenario: &ScenarioResult) -> Vec<FindingGroup> {
    let group = |passed: bool| {
        let findings = digest::findings(scenario).into_iter().enumerate();
        let of_group = findings.filter(|(_, finding)| (finding.verdict == Verdict::Pass) == passed);
        FindingGroup { passed, findings: of_group.map(|(index, finding)| finding_view(finding, index + 1)).collect() }
    };
    [group(false), group(true)].into_iter().filter(|group| !group.findings.is_empty()).collect()
}

fn finding_view(finding: &Finding, number: usize) -> FindingView {
    FindingView {
        number,
        verdict: finding.verdict.word(),
        check: one_line(&finding.check, 60),
        subject: words::target(&finding.subject),
        during: words::during(finding.phase),
        reason: one_line(&finding.reason, 1_000),
        observed: words::optional(finding.observed, &finding.unit),
        limit: words::limit(finding),
        baseline: words::optional(finding.baseline, &finding.unit),
        change: IntervalView::of(finding),
        smallest: finding
            .smallest_detectable
            .map_or_else(|| words::NOTHING.to_owned(), |change| words::change(change.abs()).replace('+', "±")),
        samples: if finding.samples == 0 { String::new() } else { words::count(finding.samples) },
        place: place(&finding.source.file, finding.source.line),
        waived: finding.waived.as_ref().map(words::waived),
    }
}

fn figures(scenario: &ScenarioResult) -> Vec<FiguresTable> {
    let tables = scenario.exhibits.loads.iter().map(|load| {
        let rows = load.table.iter().flat_map(|row| {
            let phase = row.phase.word();
            let candidate = FiguresRow { phase, variant: "candidate", cells: cells(&row.candidate) };
            let baseline = row.baseline.as_ref().map(|baseline| FiguresRow { phase, variant: "baseline", cells: cells(baseline) });
            [Some(candidate), baseline].into_iter().flatten()
        });
        FiguresTable { load: one_line(&load.load, 80), rows: rows.collect() }
    });
    tables.filter(|table| !table.rows.is_empty()).collect()
}

fn cells(figures: &Figures) -> Vec<String> {
    if figures.requests == 0 {
        return vec!["0".to_owned(); 1].into_iter().chain(std::iter::repeat_n(words::NOTHING.to_owned(), 7)).collect();
    }
    let mut cells = vec![words::count(figures.requests), words::share(figures.success)];
    cells.extend([figures.p50, figures.p90, figures.p95, figures.p99, figures.p999, figures.max].map(words::seconds));
    cells
}

/// The generator's punctuality, what there is of each kind of evidence, and what weakens all of the run.
fn quality(result: &RunResult, scenario: &ScenarioResult) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(report) = &scenario.exhibits.generator {
        let shed = if report.shed > 0 { format!(", {} shed", words::count(report.shed)) } else { String::new() };
        lines.push(format!(
            "Load generator: {} requests due, {} sent{shed}; sent {} late at P99, {} at most.",
            words::count(report.due),
            words::count(report.sent),
            words::seconds(report.late_p99_ms / 1e3),
            words::seconds(report.late_max_ms / 1e3)
        ));
    }
    let rounds = scenario.phases.iter().filter(|phase| phase.name == Phase::Fault).count();
    let fault = |of: fn(&PhaseFigures) -> u64| {
        let rows = scenario.exhibits.loads.iter().flat_map(|load| &load.table).filter(|row| row.phase == Phase::Fault);
        words::count(rows.map(of).sum())
    };
    if !scenario.exhibits.loads.is_empty() {
        let plays = if rounds == 1 { "1 play".to_owned() } else { format!("{rounds} plays") };
        let (candidate, baseline) = (fault(|row| row.candidate.requests), fault(|row| row.baseline.map_or(0, |figures| figures.requests)));
        lines.push(format!("Under the fault: {candidate} requests of the candidate, {baseline} of the baseline, in {plays}."));
    }
    if scenario.exhibits.traces.is_empty() {
        lines.push("No traced request under the fault: services are blamed by spans, and there were none.".to_owned());
    }
    lines.extend(result.health.iter().map(|note| format!("{}: {}", one_line(&note.name, 80), one_line(&note.text, 600))));
    lines
}

/// The run's command with this scenario alone; as it is where quotes make its words uncertain.
fn rerun(command: &str, scenario: &str) -> String {
    let command = one_line(command, 4_000);
    let is_plain = |text: &str| !text.contains(['\'', '"', '\\', '$', '`']);
    let is_word = scenario.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c)) && !scenario.is_empty();
    if !is_plain(&command) || !is_word || !command.starts_with("shakedown run") {
        return command;
    }
    let mut kept = Vec::new();
    let mut dropping = false;
    for word in command.split(' ').skip(2) {
        dropping = word == "--scenario" || (dropping && !word.starts_with('-'));
        if !dropping && word != "--all" {
            kept.push(word);
        }
    }
    [vec!["shakedown", "run", "--scenario", scenario], kept].concat().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_a_scenario_names_it_alone_and_keeps_the_rest() {
        let command = "shakedown run --scenario a --scenario b c --seed 42 --all --base v1";
        assert_eq!(rerun(command, "b"), "shakedown run --scenario b --seed 42 --base v1");
        assert_eq!(rerun("shakedown run --config 'my file' --seed 1", "b"), "shakedown run --config 'my file' --seed 1");
        assert_eq!(rerun("shakedown run --seed 1", "b; rm -rf"), "shakedown run --seed 1");
    }
}
