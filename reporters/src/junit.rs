//! `junit.xml`: one suite a scenario, one case a finding.
//!
//! The crate `junit-report` writes the cases; this file feeds it what it cannot check itself (plain text, whole milliseconds, a fixed time),
//! and [`enrich`] adds what it cannot write: totals and properties, and in the rich flavour what a case knows of itself.

mod case;
mod enrich;

use crate::{ReportError, Reporter, digest, markdown::culprit_name, plain::one_line, words};
use enrich::{CaseExtras, SuiteExtras};
use junit_report::{Duration, OffsetDateTime, Report, TestCase, TestResult, TestSuite};
use shakedown_model::{
    event::Phase,
    result::{Finding, RunResult, ScenarioResult},
    time::UnixNanos,
    verdict::Verdict,
};
use std::{collections::HashSet, io};

/// How much a file says, by who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// Valid against Jenkins' `junit-10.xsd`, the strictest of the schemas in use.
    #[default]
    Portable,
    /// Cases also carry file and line of their expectation, a timestamp and properties.
    Rich,
}

/// Reports of the run directory that a case links to.
const ATTACHED: [&str; 2] = ["report.html", "result.json"];

/// Prints `junit.xml`.
#[derive(Debug, Clone, Default)]
pub struct Junit {
    /// How much it says.
    pub flavour: Flavour,
    /// The run directory as CI finds it from its workspace; `None`: the file lies in it.
    pub folder: Option<String>,
}

impl Reporter for Junit {
    fn file_name(&self) -> &'static str {
        "junit.xml"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let mut report = Report::new();
        let mut extras = Vec::new();
        for scenario in &result.scenarios {
            report.add_testsuite(self.suite(result, scenario));
            extras.push(SuiteExtras {
                milliseconds: length(scenario),
                properties: properties(result, scenario),
                cases: self.cases(result, scenario),
            });
        }
        let troubles = digest::troubles(result);
        if !troubles.is_empty() {
            report.add_testsuite(run_suite(result, &troubles));
            extras.push(SuiteExtras { milliseconds: 0, properties: run_properties(result), cases: Vec::new() });
        }
        let mut xml = Vec::new();
        report.write_xml(&mut xml).map_err(|error| ReportError::Junit(error.to_string()))?;
        out.write_all(&enrich::enrich(&xml, &extras)?)?;
        Ok(())
    }
}

impl Junit {
    /// Paths of what a case links to.
    fn attachments(&self) -> impl Iterator<Item = String> + '_ {
        let folder = self.folder.as_deref().map(|folder| one_line(folder.trim_end_matches('/'), 1_000));
        ATTACHED.iter().map(move |name| folder.as_ref().map_or_else(|| (*name).to_owned(), |folder| format!("{folder}/{name}")))
    }

    fn suite(&self, result: &RunResult, scenario: &ScenarioResult) -> TestSuite {
        let name = one_line(&scenario.name, 200);
        let mut suite = empty_suite(&name, start(result, scenario));
        let mut seen = HashSet::new();
        for finding in &scenario.findings {
            let length = Duration::milliseconds(case_length(scenario, finding));
            let mut case = TestCase::success(&unique(&case_name(scenario, finding), &mut seen), length);
            case.set_classname(&name);
            case.result = case::result_of(result, scenario, finding);
            if !case.is_success() {
                case.system_out = Some(case::output_of_case(self, scenario));
            }
            suite.add_testcase(case);
        }
        if scenario.findings.is_empty() {
            suite.add_testcase(nothing_judged(scenario, &name));
        }
        suite.system_out = case::output_of_suite(scenario);
        suite
    }

    /// What the rich flavour adds to each case; the portable one: nothing.
    fn cases(&self, result: &RunResult, scenario: &ScenarioResult) -> Vec<CaseExtras> {
        match self.flavour {
            Flavour::Portable => Vec::new(),
            Flavour::Rich => scenario.findings.iter().map(|finding| self.case(result, scenario, finding)).collect(),
        }
    }

    fn case(&self, result: &RunResult, scenario: &ScenarioResult, finding: &Finding) -> CaseExtras {
        let phase = finding.phase.and_then(|wanted| scenario.phases.iter().find(|phase| phase.name == wanted));
        let began = phase.map_or_else(|| start(result, scenario), |phase| phase.start);
        let mut attributes = vec![("timestamp", began.rfc3339())];
        if finding.source.line > 0 {
            attributes.extend([("file", one_line(&finding.source.file, 400)), ("line", finding.source.line.to_string())]);
        }
        let mut properties = vec![
            ("id".to_owned(), one_line(&finding.id, 400)),
            ("verdict".to_owned(), finding.verdict.word().to_owned()),
            ("check".to_owned(), one_line(&finding.check, 100)),
            ("subject".to_owned(), one_line(&finding.subject, 200)),
        ];
        properties.extend(case::numbers(finding).into_iter().map(|(name, value)| (name.to_owned(), one_line(&value, 400))));
        if let Some(culprit) = scenario.culprits.first() {
            properties.push(("culprit".to_owned(), culprit_name(culprit)));
        }
        if finding.verdict != Verdict::Pass {
            properties.extend(self.attachments().map(|path| ("attachment".to_owned(), path)));
        }
        CaseExtras { attributes, properties }
    }
}

fn start(result: &RunResult, scenario: &ScenarioResult) -> UnixNanos {
    scenario.phases.first().map_or(result.run.started, |phase| phase.start)
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
fn unique(name: &str, seen: &mut HashSet<String>) -> String {
    let mut unique = name.to_owned();
    let mut number = 1;
    while !seen.insert(unique.clone()) {
        number += 1;
        unique = format!("{name} ({number})");
    }
    unique
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

fn nothing_judged(scenario: &ScenarioResult, classname: &str) -> TestCase {
    let message = format!("nothing was judged: {}", words::sentence(&scenario.headline, scenario.verdict));
    let mut case = TestCase::error("judged", Duration::milliseconds(length(scenario)), "nothing-judged", &one_line(&message, 200));
    if let TestResult::Error { cause, .. } = &mut case.result {
        *cause = Some(case::cdata(&message));
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
            *cause = Some(case::cdata(&format!("{trouble}\n\nrun it again: {}", result.run.rerun)));
        }
        case.set_classname("shakedown");
        suite.add_testcase(case);
    }
    suite
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
