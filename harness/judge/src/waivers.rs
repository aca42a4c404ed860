//! Failures that somebody answers for until a day. The day is that of the run's start, so that a recorded run is judged the same on any day.

use crate::text;
use shakedown_model::{
    config::Glob,
    evidence::Evidence,
    experiment::Waiver,
    result::{Finding, HealthNote, ScenarioResult, Waived},
    time::Day,
    verdict::Verdict,
};

/// Whether the experiment was carried out is nobody's to waive: without it nothing is known.
const NOT_WAIVED: [&str; 4] = ["environment", "generator", "steady-state", "dose"];
/// More are in the config.
const NAMED: usize = 20;

/// Marks the failures that a waiver covers. What is inconclusive stays so: a waiver bears what is known.
pub(crate) fn apply(evidence: &Evidence, findings: &mut [Finding]) {
    let today = evidence.run.started.day();
    let in_force: Vec<(&Waiver, Glob)> = globs(evidence).filter(|(waiver, _)| !has_expired(waiver, &today)).collect();
    for finding in findings.iter_mut().filter(|finding| can_be_waived(finding) && finding.verdict == Verdict::Fail) {
        finding.waived = in_force.iter().find(|(_, glob)| covers(glob, &finding.id)).map(|(waiver, _)| waived(waiver));
    }
}

/// What is wrong with the waivers themselves.
pub(crate) fn notes(evidence: &Evidence, scenarios: &[ScenarioResult]) -> Vec<HealthNote> {
    let today = evidence.run.started.day();
    let said = globs(evidence).filter_map(|(waiver, glob)| {
        let named = format!("{} ({})", text::clean(&waiver.finding, 200), text::clean(&waiver.owner, 100));
        if has_expired(waiver, &today) {
            return Some(("waiver-expired", format!("the waiver of {named} ended on {}: what it waived counts again", waiver.expires)));
        }
        let played = scenarios.iter().any(|scenario| meant(waiver, &scenario.name));
        let covered =
            scenarios.iter().flat_map(|scenario| &scenario.findings).any(|finding| can_be_waived(finding) && covers(&glob, &finding.id));
        (played && !covered).then(|| ("waiver-unused", format!("the waiver of {named} matches no finding that can be waived")))
    });
    said.take(NAMED).map(|(name, text)| HealthNote { name: name.to_owned(), text, forces_inconclusive: false }).collect()
}

/// `; 2 failures are waived: slow-payment/fault/checkout/p99 (team-payments, until 2026-12-31)`; empty where there are none.
pub(crate) fn said<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let waived: Vec<(&Finding, &Waived)> = findings.filter_map(|finding| Some((finding, finding.waived.as_ref()?))).collect();
    let Some((first, by)) = waived.first() else { return String::new() };
    let count = if waived.len() == 1 { "1 failure is".to_owned() } else { format!("{} failures are", waived.len()) };
    format!("; {count} waived: {} ({}, until {})", first.id, by.owner, by.expires)
}

fn globs(evidence: &Evidence) -> impl Iterator<Item = (&Waiver, Glob)> {
    // The config refuses what is no pattern.
    evidence.experiment.waivers.iter().filter_map(|waiver| Some((waiver, Glob::new(&waiver.finding).ok()?)))
}

fn has_expired(waiver: &Waiver, today: &Day) -> bool {
    waiver.expires <= *today
}

fn can_be_waived(finding: &Finding) -> bool {
    !finding.advisory && !NOT_WAIVED.contains(&finding.check.as_str())
}

/// The second finding of an id carries a number; the id without it stands for all of them.
fn covers(glob: &Glob, id: &str) -> bool {
    let family = id.rsplit_once('#').filter(|(_, number)| number.parse::<u32>().is_ok()).map_or(id, |(family, _)| family);
    glob.matches(id) || glob.matches(family)
}

/// Whether the waiver is about that scenario: a run plays some of them only.
fn meant(waiver: &Waiver, scenario: &str) -> bool {
    let first = waiver.finding.split('/').next().unwrap_or_default();
    first.contains("**") || Glob::new(first).is_ok_and(|glob| glob.matches(scenario))
}

fn waived(waiver: &Waiver) -> Waived {
    Waived {
        owner: text::clean(&waiver.owner, 100),
        expires: waiver.expires.clone(),
        why: waiver.why.as_ref().map(|why| text::clean(why, 300)),
    }
}
