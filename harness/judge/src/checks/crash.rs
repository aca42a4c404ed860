//! Services of the candidate that died although no fault was aimed at their life.

use super::Check;
use crate::{
    finding::Place,
    plays::{Plays, Telling},
    text,
    view::{Arm, View},
};
use indexmap::IndexMap;
use shakedown_model::{event::Event, fault::Target, result::Finding, stack::Variant, time::Window, verdict::Verdict};

/// Words by which engines and runtimes say that a service is gone.
const DEATH: [&str; 7] = ["exit", "died", "die ", "oom", "out of memory", "killed", "crash"];

pub(crate) struct Crash;

impl Check for Crash {
    fn name(&self) -> &'static str {
        "crash"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        plays.merged(Telling::Largest, judge_play)
    }
}

fn judge_play(view: &View<'_>) -> Vec<Finding> {
    let Some(whole) = view.candidate.whole() else { return Vec::new() };
    let baseline = view.baseline.as_ref().and_then(Arm::whole).map_or_else(IndexMap::new, |whole| deaths(view, Variant::Baseline, whole));
    deaths(view, Variant::Candidate, whole)
        .into_iter()
        .map(|(service, (times, what))| {
            let place = Place::new(view.scenario, None, service, "crash");
            let also =
                baseline.get(service).map_or_else(String::new, |(_, what)| format!("; the baseline's did too: {}", text::clean(what, 200)));
            let again = if times > 1 { format!(" (and {} more)", text::count(times - 1, "time")) } else { String::new() };
            let reason =
                format!("{} {}{again}, and no fault was aimed at its life{also}", text::clean(service, 100), text::clean(what, 200));
            let baseline = view.baseline.as_ref().map(|_| baseline.get(service).map_or(0.0, |(times, _)| *times as f64));
            Finding {
                observed: Some(times as f64),
                limit: Some(0.0),
                baseline,
                unit: "count".to_owned(),
                samples: times,
                ..place.finding(Verdict::Fail, reason)
            }
        })
        .collect()
}

/// Unaimed deaths of a variant in a window, by service: how often, and the first in the engine's words.
fn deaths<'a>(view: &View<'a>, variant: Variant, window: Window) -> IndexMap<&'a str, (u64, &'a str)> {
    let mut found = IndexMap::new();
    for timed in &view.evidence.events {
        if let Event::ServiceChanged { variant: of, service, what } = &timed.event
            && *of == variant
            && window.contains(timed.at)
            && !aimed_at(view, service)
            && is_death(what)
        {
            found.entry(service.as_str()).or_insert((0, what.as_str())).0 += 1;
        }
    }
    found
}

fn aimed_at(view: &View<'_>, service: &str) -> bool {
    let is_service = |target: &Target| matches!(target, Target::Service(target) if target == service);
    view.scenario.faults.iter().any(|fault| fault.action.ends_service() && is_service(&fault.on))
}

fn is_death(what: &str) -> bool {
    let what = what.to_lowercase();
    DEATH.iter().any(|word| what.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_are_told_from_other_changes() {
        for what in ["exited with code 101", "died (exit code 137)", "ran out of memory", "OOM-killed"] {
            assert!(is_death(what), "{what}");
        }
        for what in ["became unhealthy", "became healthy", "started", "paused"] {
            assert!(!is_death(what), "{what}");
        }
    }
}
