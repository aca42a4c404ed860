//! Lines that the candidate must not write from the first fault to the end of recovery.

use super::{Check, sources};
use crate::{
    finding::Place,
    plays::{Plays, Telling},
    text,
    view::View,
};
use regex::{Regex, RegexBuilder};
use shakedown_model::{
    evidence::LogRecord,
    experiment::{Scenario, Source},
    result::Finding,
    time::Window,
    verdict::Verdict,
};

/// Bound on the memory of one compiled pattern.
const PATTERN_SIZE: usize = 1 << 20;
/// Bytes of an offending line that the reason quotes.
const QUOTED: usize = 300;

pub(crate) struct Logs;

impl Check for Logs {
    fn name(&self) -> &'static str {
        "logs"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        plays.merged(Telling::Largest, judge_play)
    }
}

fn judge_play(view: &View<'_>) -> Vec<Finding> {
    let Some(window) = watched(view) else { return Vec::new() };
    let patterns = view.scenario.forbid_logs.iter();
    patterns.map(|(pattern, source)| judge_pattern(view, window, pattern, source)).collect()
}

/// From the first fault (or, where none took hold, the fault phase) to the end of the scenario.
fn watched(view: &View<'_>) -> Option<Window> {
    let phase = view.candidate.phase(shakedown_model::event::Phase::Fault)?;
    let start = view.candidate.disturbed().map_or(phase.start, |disturbed| disturbed.start);
    Some(Window { start, end: view.candidate.whole()?.end })
}

fn judge_pattern(view: &View<'_>, window: Window, pattern: &str, source: &Source) -> Finding {
    let shown = text::clean(pattern, 80);
    let place = Place::new(view.scenario, None, &shown, "logs").at(source);
    let Some(regex) = compile(pattern) else {
        return place.inconclusive(format!("the pattern {shown:?} is no regular expression that can be searched for"));
    };
    let lines = view.candidate.logs(window);
    let offending: Vec<&&LogRecord> = lines.iter().filter(|line| regex.is_match(&line.body)).collect();
    let failure = sources::failed(view.evidence, view.end(), sources::Kind::Logs);
    let finding = match (offending.first(), failure) {
        (Some(first), _) => {
            let times = text::count(offending.len() as u64, "line");
            let reason = format!(
                "{times} matched {shown:?}; the first, of {}: {}",
                text::clean(&first.service, 100),
                text::clean(&first.body, QUOTED)
            );
            place.finding(Verdict::Fail, reason)
        }
        (None, _) if view.evidence.candidate.logs.is_empty() => {
            place.inconclusive("no service wrote a single log line in the whole run, so silence proves nothing")
        }
        (None, Some(failure)) => place.inconclusive(format!("lines may be missing: {failure}")),
        (None, None) => place.finding(Verdict::Pass, format!("none of {} matched {shown:?}", text::count(lines.len() as u64, "log line"))),
    };
    Finding { observed: Some(offending.len() as f64), limit: Some(0.0), unit: "count".to_owned(), samples: lines.len() as u64, ..finding }
}

/// All patterns of a scenario that compile.
pub(crate) fn offending(scenario: &Scenario) -> Vec<Regex> {
    scenario.forbid_logs.iter().filter_map(|(pattern, _)| compile(pattern)).collect()
}

fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build().ok()
}
