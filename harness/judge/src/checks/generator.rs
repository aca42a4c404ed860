//! Whether the load generator kept its own schedule. Where it did not, latency from due times measures us, not the services.

use super::Check;
use crate::{
    finding::Place,
    plays::{Plays, Telling},
    text,
    view::View,
};
use shakedown_model::{
    event::GeneratorReport,
    evidence::Evidence,
    experiment::{Check as Expected, Scenario},
    result::Finding,
    verdict::Verdict,
};

/// `sent − due` at P99 may be this many milliseconds: the scale at which it starts to show in latencies of interest.
const LATE_MS: f64 = 10.0;
/// Where a bound on latency is tighter than 100 ms: this share of it, …
const LATE_SHARE_OF_BOUND: f64 = 0.1;
/// … but never less than a scheduler on a busy machine takes.
const LATE_FLOOR_MS: f64 = 2.0;
/// Share of the due requests that must have been sent.
const SENT_SHARE: f64 = 0.99;

pub(crate) struct Generator;

impl Check for Generator {
    fn name(&self) -> &'static str {
        "generator"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        plays.merged(Telling::Largest, judge_play)
    }
}

fn judge_play(view: &View<'_>) -> Vec<Finding> {
    if view.run.is_none() || view.evidence.run.imported.is_some() {
        return Vec::new();
    }
    let place = Place::new(view.scenario, None, "load", "generator");
    let report = view.generator;
    let figures = |finding: Finding| Finding {
        observed: report.map(|report| report.late_p99_ms / 1e3),
        limit: Some(late_limit_ms(view.evidence, view.scenario) / 1e3),
        unit: "s".to_owned(),
        samples: report.map_or(0, |report| report.due),
        ..finding
    };
    match (shortcoming(view), report) {
        (Some(why), _) => vec![figures(place.inconclusive(why))],
        (None, Some(report)) => {
            let late = text::seconds(report.late_p99_ms / 1e3);
            vec![figures(place.finding(
                Verdict::Pass,
                format!("all {} were sent on time (P99 of sent − due: {late})", text::count(report.due, "request")),
            ))]
        }
        (None, None) => Vec::new(),
    }
}

/// What is wrong with the load generator in one of the plays; `None`: nothing.
pub(crate) fn distrust(plays: &Plays<'_>) -> Option<String> {
    plays.first(shortcoming)
}

/// The same of this play.
fn shortcoming(view: &View<'_>) -> Option<String> {
    match view.generator {
        // Others sent the requests; what that is worth is told of the run as a whole.
        None if view.evidence.run.imported.is_some() => None,
        Some(report) => complaint(report, late_limit_ms(view.evidence, view.scenario)),
        None => Some("the load generator left no report of its own health".to_owned()),
    }
}

fn complaint(report: &GeneratorReport, limit_ms: f64) -> Option<String> {
    let GeneratorReport { due, sent, late_p99_ms, shed, .. } = *report;
    if due == 0 {
        Some("the load generator had nothing to send".to_owned())
    } else if shed > 0 {
        Some(format!(
            "the load generator had to shed {shed} of {} because too many were open; lower the rate or the timeout",
            text::count(due, "request")
        ))
    } else if (sent as f64) < SENT_SHARE * due as f64 {
        Some(format!("the load generator sent only {sent} of {} that were due", text::count(due, "request")))
    } else if late_p99_ms.is_nan() || late_p99_ms > limit_ms {
        let (late, limit) = (text::seconds(late_p99_ms / 1e3), text::seconds(limit_ms / 1e3));
        Some(format!(
            "the load generator ran late by {late} at P99, more than the {limit} that would not show; lower the rate or give it more processor"
        ))
    } else {
        None
    }
}

fn late_limit_ms(evidence: &Evidence, scenario: &Scenario) -> f64 {
    let expected = evidence.experiment.steady_state.iter().chain(&scenario.expect_fault);
    let bounds = expected.filter_map(|expectation| match &expectation.check {
        Expected::Load { latency, .. } => latency.iter().map(|(_, limit)| limit.value() * 1e3).reduce(f64::min),
        _ => None,
    });
    let tightest = bounds.fold(f64::INFINITY, f64::min);
    (tightest * LATE_SHARE_OF_BOUND).clamp(LATE_FLOOR_MS, LATE_MS)
}
