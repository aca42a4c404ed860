//! `http` and `prometheus` expectations under the fault, from the answers that the conductor recorded as metric points.

use super::{Check, sources};
use crate::{
    finding::{Place, held},
    plays::{Plays, Telling},
    text,
    view::View,
};
use shakedown_model::{
    event::Phase,
    evidence::MetricPoint,
    experiment::{Check as Expected, Expectation},
    result::Finding,
    units::trim_float,
};

/// The conductor's names for its answers.
const HTTP_STATUS: &str = "shakedown_probe_http_status";
const VALUE: &str = "shakedown_probe_value";

pub(crate) struct Probes;

impl Check for Probes {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        plays.merged(Telling::Largest, judge_play)
    }
}

fn judge_play(view: &View<'_>) -> Vec<Finding> {
    if view.candidate.phase(Phase::Fault).is_none() {
        return Vec::new();
    }
    let expectations = view.scenario.expect_fault.iter().enumerate();
    expectations.filter_map(|(index, expectation)| judge_probe(view, index, expectation)).collect()
}

fn judge_probe(view: &View<'_>, index: usize, expectation: &Expectation) -> Option<Finding> {
    let place = |subject: &str, check: &str| Place::new(view.scenario, Some(Phase::Fault), subject, check).at(&expectation.source);
    match &expectation.check {
        Expected::Http { method, service, port, path, status } => {
            let place = place(&format!("{service}:{port}{path}"), "http");
            let wanted = f64::from(*status);
            let answers = Answers::of(view, HTTP_STATUS, index);
            Some(answers.judge(view, &place, &format!("{method} {path}"), wanted, &format!("status {status}"), |value| {
                (value - wanted).abs() < 0.5
            }))
        }
        Expected::Prometheus { query, expect, .. } => {
            let place = place(&text::clean(query, 80), "prometheus");
            let answers = Answers::of(view, VALUE, index);
            Some(answers.judge(view, &place, "the query", expect.value(), &expect.to_string(), |value| expect.holds(value)))
        }
        Expected::Load { .. } | Expected::Retries { .. } => None,
    }
}

/// What one probe saw while the faults were on.
struct Answers {
    values: Vec<f64>,
    unanswered: u64,
}

impl Answers {
    fn of(view: &View<'_>, name: &str, index: usize) -> Answers {
        let window = view.candidate.disturbed();
        let points = view.evidence.candidate.metrics.iter().filter(|point| {
            *point.name == *name && window.is_some_and(|window| window.contains(point.at)) && belongs(point, index, &view.scenario.name)
        });
        let mut answers = Answers { values: Vec::new(), unanswered: 0 };
        for point in points {
            if point.value.is_finite() { answers.values.push(point.value) } else { answers.unanswered += 1 }
        }
        answers
    }

    fn judge(&self, view: &View<'_>, place: &Place, what: &str, limit: f64, asked: &str, holds: impl Fn(f64) -> bool) -> Finding {
        let samples = self.values.len() as u64;
        let wrong: Vec<f64> = self.values.iter().copied().filter(|value| !holds(*value)).collect();
        let shown = wrong.first().or(self.values.first()).copied();
        let finding = match (wrong.first(), shown) {
            (None, None) => {
                let why = sources::failed(view.evidence, view.end(), sources::Kind::Probes)
                    .unwrap_or_else(|| "nothing was recorded while the fault was on".to_owned());
                place.inconclusive(format!("{what} has no answer to judge: {why}"))
            }
            (None, Some(_)) if self.unanswered > 0 => {
                place.inconclusive(format!("{what} had no value {} of {} times", self.unanswered, self.unanswered + samples))
            }
            (Some(first), _) => {
                let first = if *first == 0.0 && place.check == "http" { "no answer".to_owned() } else { trim_float(*first) };
                place.finding(
                    held(false),
                    format!("{what} was wrong {} of {samples} times (first: {first}); asked for {asked}", wrong.len()),
                )
            }
            (None, Some(_)) => place.finding(held(true), format!("{what} kept to {asked} all {samples} times")),
        };
        Finding { observed: shown, limit: Some(limit), samples, ..finding }
    }
}

/// Labels are written as `k="v"`, sorted; names hold no quotation marks.
fn belongs(point: &MetricPoint, index: usize, scenario: &str) -> bool {
    let has = |label: String| point.labels.split(',').any(|pair| pair.trim() == label);
    has(format!("probe=\"{index}\"")) && has(format!("scenario=\"{scenario}\"")) && has("phase=\"fault\"".to_owned())
}
