//! `trace.json`: the run itself as one OTLP trace, in the JSON form of an export request. Scenarios, phases and faults are spans, findings events of
//! their scenario. Ids follow from the run's id, so that the same run is the same trace however often it is sent.

use crate::{ReportError, Reporter, plain::one_line, words};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shakedown_model::{
    result::{FaultResult, Finding, RunResult, ScenarioResult},
    time::UnixNanos,
    verdict::Verdict,
};
use std::{fmt::Write as _, io};

/// Findings of a scenario that become events; more are in the report.
const EVENTS: usize = 100;

/// `SPAN_KIND_INTERNAL`
const INTERNAL: u32 = 1;

/// Prints `trace.json`.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The span that called for the run; `None`: the run begins a trace.
    pub parent: Option<TraceParent>,
}

/// Trace and span of a W3C `traceparent`, in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent {
    trace: String,
    span: String,
}

impl TraceParent {
    /// Reads `00-<trace>-<span>-<flags>`; what is not well-formed is no parent.
    pub fn parse(text: &str) -> Option<TraceParent> {
        let [version, trace, span, flags] = text.trim().split('-').collect::<Vec<_>>().try_into().ok()?;
        let is_id = |id: &str, length: usize| {
            let hex = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            id.len() == length && hex && id.bytes().any(|byte| byte != b'0')
        };
        (version == "00" && flags.len() == 2 && is_id(trace, 32) && is_id(span, 16))
            .then(|| TraceParent { trace: trace.to_owned(), span: span.to_owned() })
    }
}

impl Reporter for Trace {
    fn file_name(&self) -> &'static str {
        "trace.json"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let mut spans = Spans::new(&result.run.id, self.parent.as_ref());
        let root = spans.run(result, self.parent.as_ref());
        for (index, scenario) in result.scenarios.iter().enumerate() {
            spans.scenario(&root, index, scenario);
        }
        let resource =
            attributes([("service.name", json!({ "stringValue": "shakedown" })), ("service.version", text(&result.run.tool_version))]);
        let request = json!({ "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{ "scope": { "name": "shakedown", "version": result.run.tool_version }, "spans": spans.spans }],
        }] });
        serde_json::to_writer(&mut *out, &request)?;
        writeln!(out)?;
        Ok(())
    }
}

struct Spans {
    run: String,
    trace: String,
    spans: Vec<Value>,
}

/// From the first instant inside to the first outside.
#[derive(Clone, Copy)]
struct Length {
    start: UnixNanos,
    end: UnixNanos,
}

impl Spans {
    fn new(run: &str, parent: Option<&TraceParent>) -> Spans {
        let trace = parent.map_or_else(|| id(&[run], 16), |parent| parent.trace.clone());
        Spans { run: run.to_owned(), trace, spans: Vec::new() }
    }

    /// The span's id.
    fn add(&mut self, path: &str, parent: &str, name: &str, length: Length, more: Value) -> String {
        let span = id(&[&self.run, path], 8);
        let mut value = json!({
            "traceId": self.trace,
            "spanId": span,
            "parentSpanId": parent,
            "name": one_line(name, 200),
            "kind": INTERNAL,
            // OTLP's JSON writes 64-bit numbers as text.
            "startTimeUnixNano": length.start.0.to_string(),
            "endTimeUnixNano": length.end.0.max(length.start.0).to_string(),
        });
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        self.spans.push(value);
        span
    }

    fn run(&mut self, result: &RunResult, parent: Option<&TraceParent>) -> String {
        let last = result.scenarios.iter().flat_map(|scenario| &scenario.phases).map(|phase| phase.end).max();
        let end = result.run.ended.or(last).unwrap_or(result.run.started);
        let mut found = vec![
            ("shakedown.run.id", text(&result.run.id)),
            ("shakedown.verdict", text(result.verdict.word())),
            ("shakedown.exit_code", integer(u64::from(result.exit_code))),
            ("shakedown.clean", json!({ "boolValue": result.clean })),
            ("shakedown.seed", text(&result.seed.to_string())),
            ("shakedown.runtime", text(result.run.runtime.word())),
            ("shakedown.baseline.mode", text(&result.run.baseline_mode)),
        ];
        let commits = [("vcs.ref.head.revision", &result.commit.candidate), ("vcs.ref.base.revision", &result.commit.baseline)];
        found.extend(commits.into_iter().filter_map(|(name, commit)| Some((name, text(commit.as_deref()?)))));
        let more = json!({ "attributes": attributes(found), "status": status(result.verdict, &result.headline) });
        let parent = parent.map_or("", |parent| parent.span.as_str());
        self.add("", parent, "shakedown run", Length { start: result.run.started, end }, more)
    }

    fn scenario(&mut self, root: &str, index: usize, scenario: &ScenarioResult) {
        let start = scenario.phases.iter().map(|phase| phase.start).min();
        let end = scenario.phases.iter().map(|phase| phase.end).max();
        // What never ran has no time to stand at.
        let (Some(start), Some(end)) = (start, end) else { return };
        let mut found = vec![("shakedown.scenario", text(&scenario.name)), ("shakedown.verdict", text(scenario.verdict.word()))];
        if let Some(culprit) = scenario.culprits.first() {
            found.push(("shakedown.culprit.service", text(&culprit.service)));
            found.push(("shakedown.culprit.operation", text(&culprit.operation)));
        }
        // The worst first: they must not be those that are left out.
        let mut findings: Vec<&Finding> = scenario.findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight()));
        let events: Vec<Value> = findings.into_iter().take(EVENTS).map(|finding| event(finding, end)).collect();
        let status = status(scenario.verdict, &scenario.headline);
        let more = json!({ "attributes": attributes(found), "events": events, "status": status });
        let path = format!("scenario {index}");
        let span = self.add(&path, root, &format!("scenario {}", scenario.name), Length { start, end }, more);
        for (number, phase) in scenario.phases.iter().enumerate() {
            let play = [("shakedown.round", phase.round), ("shakedown.episode", phase.episode)];
            let play = play.into_iter().filter_map(|(name, number)| Some((name, integer(u64::from(number?)))));
            let more = json!({ "attributes": attributes([("shakedown.phase", text(phase.name.word()))].into_iter().chain(play)) });
            let length = Length { start: phase.start, end: phase.end };
            self.add(&format!("{path} phase {number}"), &span, &format!("phase {}", phase.name.word()), length, more);
        }
        for (number, fault) in scenario.faults.iter().enumerate() {
            self.fault(&format!("{path} fault {number}"), &span, fault, Length { start, end });
        }
    }

    /// One that never took hold stands at the scenario's start.
    fn fault(&mut self, path: &str, parent: &str, fault: &FaultResult, scenario: Length) {
        let start = fault.applied_at.unwrap_or(scenario.start);
        let end = fault.reverted_at.or(fault.applied_at.map(|_| scenario.end)).unwrap_or(start);
        let doses = [("asked", &fault.asked), ("achieved", &fault.achieved)];
        let doses = doses.into_iter().flat_map(|(word, dose)| {
            dose.iter().filter(|(_, number)| number.is_finite()).map(move |(name, number)| {
                json!({ "key": format!("shakedown.fault.{word}.{}", one_line(name, 60)), "value": { "doubleValue": number } })
            })
        });
        let mut found = attributes([
            ("shakedown.fault.kind", text(&fault.kind)),
            ("shakedown.fault.target", text(&fault.target)),
            ("shakedown.fault.variant", text(&fault.variant)),
            ("shakedown.fault.mechanism", text(&fault.mechanism)),
            ("shakedown.fault.touched", integer(fault.touched)),
        ]);
        found.extend(doses);
        let mut more = json!({ "attributes": found });
        if let Some(error) = &fault.error {
            more["status"] = json!({ "code": 2, "message": one_line(error, 500) });
        }
        let name = format!("fault {} {} ({})", fault.kind, words::target(&fault.target), fault.variant);
        self.add(path, parent, &name, Length { start, end }, more);
    }
}

fn event(finding: &Finding, at: UnixNanos) -> Value {
    let mut found = attributes([
        ("shakedown.finding.id", text(&finding.id)),
        ("shakedown.finding.verdict", text(finding.verdict.word())),
        ("shakedown.finding.reason", text(&finding.reason)),
        ("shakedown.finding.waived", json!({ "boolValue": finding.waived.is_some() })),
    ]);
    let numbers = [("observed", finding.observed), ("limit", finding.limit), ("baseline", finding.baseline), ("change", finding.change)];
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, number.filter(|number| number.is_finite())?)));
    found.extend(numbers.map(|(name, number)| json!({ "key": format!("shakedown.finding.{name}"), "value": { "doubleValue": number } })));
    json!({ "timeUnixNano": at.0.to_string(), "name": "finding", "attributes": found })
}

/// Unset where nothing is proven: neither good nor bad.
fn status(verdict: Verdict, headline: &str) -> Value {
    match verdict {
        Verdict::Pass => json!({ "code": 1 }),
        Verdict::Inconclusive => json!({ "code": 0 }),
        Verdict::Fail => json!({ "code": 2, "message": one_line(headline, 500) }),
    }
}

fn attributes<'a>(found: impl IntoIterator<Item = (&'a str, Value)>) -> Vec<Value> {
    found.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

fn text(value: &str) -> Value {
    json!({ "stringValue": one_line(value, 1_000) })
}

fn integer(value: u64) -> Value {
    json!({ "intValue": value.to_string() })
}

/// So many bytes that follow from `parts`, in hex.
fn id(parts: &[&str], bytes: usize) -> String {
    let hash = Sha256::digest(parts.join("\0"));
    hash.iter().take(bytes).fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_traceparent_is_no_parent() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(TraceParent::parse(&format!("00-{trace}-00f067aa0ba902b7-01\n")).is_some());
        let nothing = "0".repeat(32);
        for wrong in ["", "00", &format!("01-{trace}-00f067aa0ba902b7-01"), &format!("00-{nothing}-00f067aa0ba902b7-01"), "00-zz-11-01"] {
            assert_eq!(TraceParent::parse(wrong), None, "{wrong}");
        }
    }
}
