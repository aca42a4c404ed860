//! What one case says: its element by the contract, the text that CI pages show, and its output. Some consumers show nothing but the text.

use super::Junit;
use crate::{
    markdown::culprit_name,
    plain::{one_line, plain},
    words,
};
use junit_report::TestResult;
use shakedown_model::{
    event::Phase,
    result::{Finding, RunResult, ScenarioResult},
    verdict::Verdict,
};

/// Jenkins keeps 100,000 characters of a suite's output.
const SUITE_OUTPUT: usize = 90_000;
/// What CI pages show beside a case that did not pass.
const CASE_OUTPUT: usize = 4_000;

/// `fail` is a `<failure>`; `inconclusive` and everything that is the environment's is an `<error>` where it blocks, else `<skipped>`.
pub(super) fn result_of(result: &RunResult, scenario: &ScenarioResult, finding: &Finding) -> TestResult {
    if finding.verdict == Verdict::Pass {
        return TestResult::Success;
    }
    let type_ = one_line(&finding.check, 100);
    let message = one_line(&sentence(finding), 200);
    let cause = Some(cdata(&body(result, scenario, finding)));
    // A check of the environment says nothing of the change, whatever its verdict: the harness could not do its work.
    let environment = matches!(finding.check.as_str(), "environment" | "steady-state");
    match finding.verdict {
        _ if finding.advisory || finding.waived.is_some() => TestResult::SkippedWithCause { type_, message, cause },
        _ if environment => TestResult::Error { type_, message, cause },
        Verdict::Fail => TestResult::Failure { type_, message, cause },
        _ if result.inconclusive_blocks => TestResult::Error { type_, message, cause },
        _ => TestResult::SkippedWithCause { type_, message, cause },
    }
}

/// A waiver first: a reader must not take what is skipped for what was not run.
fn sentence(finding: &Finding) -> String {
    match &finding.waived {
        Some(waived) => format!("{}; {}", words::waived(waived), finding.reason),
        None => finding.reason.clone(),
    }
}

/// The sentence first, then the numbers, the chain of evidence and the command.
fn body(result: &RunResult, scenario: &ScenarioResult, finding: &Finding) -> String {
    let mut lines = vec![sentence(finding), String::new(), format!("{}: {}", words::topic(finding), finding.verdict)];
    lines.extend(numbers(finding).into_iter().map(|(name, value)| format!("  {}: {value}", name.replace('_', " "))));
    if let Some(culprit) = scenario.culprits.first() {
        lines.push(String::new());
        lines.push(format!("culprit: {}", culprit_name(culprit)));
        lines.extend(culprit.evidence.iter().map(|note| format!("  {}", note.text)));
    }
    lines.extend([String::new(), format!("run it again: {}", result.run.rerun)]);
    lines.join("\n")
}

/// The finding's figures that are there, as people read them.
pub(super) fn numbers(finding: &Finding) -> Vec<(&'static str, String)> {
    let unit = &finding.unit;
    let rows = [
        ("observed", finding.observed.map(|number| words::value(number, unit))),
        ("limit", finding.limit.map(|_| words::limit(finding))),
        ("baseline", finding.baseline.map(|number| words::value(number, unit))),
        ("change", finding.change.map(words::change)),
        ("interval", finding.ci.map(words::interval)),
        ("smallest_detectable_change", finding.smallest_detectable.map(words::change)),
        ("samples", (finding.samples > 0).then(|| words::count(finding.samples))),
        ("config", (finding.source.line > 0).then(|| format!("{}:{}", finding.source.file, finding.source.line))),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What hangs on a case that did not pass: links to the reports, and the end of the log. Jenkins, GitLab and Azure DevOps know the links.
pub(super) fn output_of_case(junit: &Junit, scenario: &ScenarioResult) -> String {
    let mut lines: Vec<String> = junit.attachments().map(|path| format!("[[ATTACHMENT|{path}]]")).collect();
    lines.push(log_tail(scenario, CASE_OUTPUT));
    cdata(&lines.join("\n"))
}

/// The end of the scenario's log; `None`: there is none.
pub(super) fn output_of_suite(scenario: &ScenarioResult) -> Option<String> {
    let text = log_tail(scenario, SUITE_OUTPUT);
    (!text.is_empty()).then(|| cdata(&text))
}

/// Whole lines, the last that fit into `limit` bytes.
fn log_tail(scenario: &ScenarioResult, limit: usize) -> String {
    let Some(origin) = scenario.shown_phases().find(|phase| phase.name == Phase::Fault).or(scenario.phases.first()) else {
        return String::new();
    };
    let logs = &scenario.exhibits.logs;
    let (mut lines, mut used) = (Vec::new(), 0);
    for log in logs.iter().rev() {
        let offset = words::offset(log.at, origin.start);
        // One entry is one line, and what would be read as an attachment is not.
        let text = format!("{} {} {}", log.service, log.severity.as_deref().unwrap_or("-"), log.body).replace("[[", "[ [");
        let line = format!("{offset} {}\n", one_line(&text, 2_000));
        used += line.len();
        if used > limit {
            lines.push("… what came before is in the report\n".to_owned());
            break;
        }
        lines.push(line);
    }
    lines.reverse();
    lines.concat()
}

/// `junit-report` writes bodies as CDATA as they are; `]]>` would end the section, so it is split over two.
pub(super) fn cdata(text: &str) -> String {
    plain(text).replace("]]>", "]]]]><![CDATA[>")
}
