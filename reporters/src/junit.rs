//! `junit.xml`: one suite a scenario, one case a finding; valid against Jenkins' `junit-10.xsd`, the strictest of the schemas in use.
//!
//! The crate `junit-report` writes the cases; this file feeds it what it cannot check itself (plain text, whole milliseconds, a fixed time),
//! and [`enrich`] adds what it cannot write. `fail` is a `<failure>`; `inconclusive` and everything that is the environment's is an
//! `<error>` where it blocks, else `<skipped>`.

mod enrich;

use crate::{
    ReportError, Reporter, digest,
    markdown::culprit_name,
    plain::{one_line, plain},
    words,
};
use enrich::SuiteExtras;
use junit_report::{Duration, OffsetDateTime, Report, TestCase, TestResult, TestSuite};
use shakedown_model::{
    event::Phase,
    result::{Finding, RunResult, ScenarioResult},
    time::UnixNanos,
    verdict::Verdict,
};
use std::{collections::HashMap, io};

/// Jenkins keeps 100,000 characters of output.
const OUTPUT_LIMIT: usize = 90_000;

/// Prints `junit.xml`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Junit;

impl Reporter for Junit {
    fn file_name(&self) -> &'static str {
        "junit.xml"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let mut report = Report::new();
        let mut extras = Vec::new();
        for scenario in &result.scenarios {
            report.add_testsuite(suite(result, scenario));
            extras.push(SuiteExtras { milliseconds: length(scenario), properties: properties(result, scenario) });
        }
        let troubles = digest::troubles(result);
        if !troubles.is_empty() {
            report.add_testsuite(run_suite(result, &troubles));
            extras.push(SuiteExtras { milliseconds: 0, properties: run_properties(result) });
        }
        let mut xml = Vec::new();
        report.write_xml(&mut xml).map_err(|error| ReportError::Junit(error.to_string()))?;
        out.write_all(&enrich::enrich(&xml, &extras)?)?;
        Ok(())
    }
}

fn suite(result: &RunResult, scenario: &ScenarioResult) -> TestSuite {
    let name = one_line(&scenario.name, 200);
    let start = scenario.phases.first().map_or(result.run.started, |phase| phase.start);
    let mut suite = empty_suite(&name, start);
    let mut seen = HashMap::new();
    for finding in &scenario.findings {
        let mut case =
            TestCase::success(&unique(case_name(scenario, finding), &mut seen), Duration::milliseconds(case_length(scenario, finding)));
        case.set_classname(&name);
        case.result = case_result(result, scenario, finding);
        suite.add_testcase(case);
    }
    if scenario.findings.is_empty() {
        suite.add_testcase(nothing_judged(scenario, &name));
    }
    suite.system_out = output(scenario);
    suite
}

fn empty_suite(name: &str, start: UnixNanos) -> TestSuite {
    let mut suite = TestSuite::new(name);
    // Jenkins would put the package before the name.
    suite.package = String::new();
    let milliseconds = i128::from(start.0 / 1_000_000);
    suite.timestamp = OffsetDateTime::from_unix_timestamp_nanos(milliseconds * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    suite
}

/// The id without its scenario, which stands in the class name: stable over runs, so that CI can tell new failures from old ones.
fn case_name(scenario: &ScenarioResult, finding: &Finding) -> String {
    let tail = finding.id.strip_prefix(&scenario.name).and_then(|tail| tail.strip_prefix('/')).unwrap_or(&finding.id);
    let name = one_line(tail, 400);
    if name.is_empty() { words::topic(finding) } else { name }
}

/// GitLab drops the second case of a name.
fn unique(name: String, seen: &mut HashMap<String, usize>) -> String {
    let times = seen.entry(name.clone()).or_insert(0);
    *times += 1;
    if *times == 1 { name } else { format!("{name} ({times})") }
}

fn case_length(scenario: &ScenarioResult, finding: &Finding) -> i64 {
    match finding.phase {
        Some(phase) => length_of(scenario, |name| name == phase),
        None => length(scenario),
    }
}

/// All phases together, in whole milliseconds.
fn length(scenario: &ScenarioResult) -> i64 {
    length_of(scenario, |_| true)
}

fn length_of(scenario: &ScenarioResult, wanted: impl Fn(Phase) -> bool) -> i64 {
    let phases = scenario.phases.iter().filter(|phase| wanted(phase.name));
    phases.map(|phase| phase.end.since(phase.start).as_millis() as i64).sum()
}

fn case_result(result: &RunResult, scenario: &ScenarioResult, finding: &Finding) -> TestResult {
    if finding.verdict == Verdict::Pass {
        return TestResult::Success;
    }
    let type_ = one_line(&finding.check, 100);
    let message = one_line(&finding.reason, 200);
    let cause = Some(cdata(&body(result, scenario, finding)));
    // A check of the environment says nothing of the change, whatever its verdict: the harness could not do its work.
    let environment = matches!(finding.check.as_str(), "environment" | "steady-state");
    match finding.verdict {
        _ if finding.advisory => TestResult::SkippedWithCause { type_, message, cause },
        _ if environment => TestResult::Error { type_, message, cause },
        Verdict::Fail => TestResult::Failure { type_, message, cause },
        _ if result.inconclusive_blocks => TestResult::Error { type_, message, cause },
        _ => TestResult::SkippedWithCause { type_, message, cause },
    }
}

fn nothing_judged(scenario: &ScenarioResult, classname: &str) -> TestCase {
    let message = format!("nothing was judged: {}", words::sentence(&scenario.headline, scenario.verdict));
    let mut case = TestCase::error("judged", Duration::milliseconds(length(scenario)), "nothing-judged", &one_line(&message, 200));
    if let TestResult::Error { cause, .. } = &mut case.result {
        *cause = Some(cdata(&plain(&message)));
    }
    case.set_classname(classname);
    case
}

/// What belongs to no scenario: an undo that failed, an early end.
fn run_suite(result: &RunResult, troubles: &[(&'static str, String)]) -> TestSuite {
    let mut suite = empty_suite("shakedown", result.run.started);
    for (name, trouble) in troubles {
        let mut case = TestCase::error(name, Duration::ZERO, name, &one_line(trouble, 200));
        if let TestResult::Error { cause, .. } = &mut case.result {
            *cause = Some(cdata(&plain(&format!("{trouble}\n\nrun it again: {}", result.run.rerun))));
        }
        case.set_classname("shakedown");
        suite.add_testcase(case);
    }
    suite
}

/// Everything that a reader of a CI page needs: some consumers show nothing but this text.
fn body(result: &RunResult, scenario: &ScenarioResult, finding: &Finding) -> String {
    let mut lines = vec![finding.reason.clone(), String::new(), format!("{}: {}", words::topic(finding), finding.verdict)];
    let unit = &finding.unit;
    let rows = [
        ("observed", finding.observed.map(|number| words::value(number, unit))),
        ("limit", finding.limit.map(|_| words::limit(finding))),
        ("baseline", finding.baseline.map(|number| words::value(number, unit))),
        ("change", finding.change.map(words::change)),
        ("interval", finding.ci.map(words::interval)),
        ("smallest detectable change", finding.smallest_detectable.map(words::change)),
        ("samples", (finding.samples > 0).then(|| words::count(finding.samples))),
        ("config", (finding.source.line > 0).then(|| format!("{}:{}", finding.source.file, finding.source.line))),
    ];
    lines.extend(rows.into_iter().filter_map(|(name, value)| value.map(|value| format!("  {name}: {value}"))));
    if let Some(culprit) = scenario.culprits.first() {
        lines.push(String::new());
        lines.push(format!("culprit: {}", culprit_name(culprit)));
        lines.extend(culprit.evidence.iter().map(|note| format!("  {}", note.text)));
    }
    lines.extend([String::new(), format!("run it again: {}", result.run.rerun)]);
    lines.join("\n")
}

fn output(scenario: &ScenarioResult) -> Option<String> {
    let origin = scenario.shown_phases().find(|phase| phase.name == Phase::Fault).or(scenario.phases.first())?.start;
    let mut text = String::new();
    for log in &scenario.exhibits.logs {
        let line = format!("{} {} {} {}\n", words::offset(log.at, origin), log.service, log.severity.as_deref().unwrap_or("-"), log.body);
        if text.len() + line.len() > OUTPUT_LIMIT {
            text.push_str("… the rest is in the report\n");
            break;
        }
        text.push_str(&line);
    }
    (!text.is_empty()).then(|| cdata(&plain(&text)))
}

fn properties(result: &RunResult, scenario: &ScenarioResult) -> Vec<(String, String)> {
    let mut properties = run_properties(result);
    properties.push(("verdict".to_owned(), scenario.verdict.word().to_owned()));
    for (index, fault) in scenario.faults.iter().enumerate() {
        let text = format!(
            "{} {} on {} by {}: {}, touched {}",
            fault.kind,
            words::target(&fault.target),
            fault.variant,
            fault.mechanism,
            words::dose(fault),
            fault.touched
        );
        let round = fault.round.map_or_else(String::new, |round| match fault.episode {
            Some(episode) => format!("round {round}, episode {episode}: "),
            None => format!("round {round}: "),
        });
        properties.push((format!("fault.{}", index + 1), one_line(&format!("{round}{text}"), 400)));
    }
    for finding in &scenario.findings {
        if let (Some(change), Some(ci)) = (finding.change, finding.ci) {
            let text = format!("{} ({})", words::change(change), words::interval(ci));
            properties.push((format!("change.{}", case_name(scenario, finding)), text));
        }
    }
    properties
}

fn run_properties(result: &RunResult) -> Vec<(String, String)> {
    let commit = &result.commit;
    let text = |value: &Option<String>| one_line(value.as_deref().unwrap_or("none"), 200);
    vec![
        ("commit".to_owned(), text(&commit.candidate)),
        ("baseline".to_owned(), text(&commit.baseline)),
        ("baseline_source".to_owned(), one_line(&commit.baseline_source, 200)),
        ("seed".to_owned(), result.seed.to_string()),
        ("run_verdict".to_owned(), result.verdict.word().to_owned()),
    ]
}

/// `junit-report` writes bodies as CDATA as they are; `]]>` would end the section, so it is split over two.
fn cdata(text: &str) -> String {
    plain(text).replace("]]>", "]]]]><![CDATA[>")
}
