//! What is wrong with the experiment itself: said once for the run, beside the findings of the scenarios.

use crate::{comparison, drift, plays::Plays, text};
use shakedown_model::{
    event::Event,
    evidence::{Evidence, VariantEvidence},
    experiment::BaselineMode,
    result::HealthNote,
};

/// Notes of one run, in a fixed order.
pub(crate) fn notes(evidence: &Evidence, scenarios: &[Plays<'_>]) -> Vec<HealthNote> {
    let mut notes = Vec::new();
    let mut say = |name: &str, text: String, forces_inconclusive: bool| {
        notes.push(HealthNote { name: name.to_owned(), text, forces_inconclusive });
    };
    if let Some(abort) = &evidence.run.aborted {
        say("ended-early", format!("the run ended before its plan did: {}", text::clean(&abort.reason, 500)), true);
    }
    if !evidence.run.clean {
        let what: Vec<String> = evidence.run.left.iter().take(3).map(|what| text::clean(what, 200)).collect();
        let more = evidence.run.left.len().saturating_sub(what.len());
        let named = if what.is_empty() { "something".to_owned() } else { what.join("; ") };
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        say("not-clean", format!("left behind: {named}{more}; take it back with `shakedown recover`"), false);
    }
    for plays in scenarios.iter().filter(|plays| plays.ran()) {
        if let Some(why) = &plays.clock {
            say("clock", format!("{}: {why}", plays.scenario.name), true);
        }
        if let Some(why) = plays.load_distrust.as_ref().filter(|why| plays.clock.as_ref() != Some(*why)) {
            say("generator", format!("{}: {why}", plays.scenario.name), true);
        }
        if plays.candidates().chain(plays.baselines()).all(|arm| arm.requests.is_empty()) {
            say("no-requests", format!("{}: not a single request was recorded", plays.scenario.name), true);
        }
    }
    for drift in drift::drifts(scenarios) {
        say("drift", drift, false);
    }
    baseline(evidence, &mut say);
    losses("candidate", &evidence.candidate, &mut say);
    if let Some(baseline) = &evidence.baseline {
        losses("baseline", &baseline.evidence, &mut say);
    }
    for timed in &evidence.events {
        if let Event::SourceFailed { variant, source, error } = &timed.event {
            let text = format!("{}: the source {} failed: {}", variant.word(), text::clean(source, 100), text::clean(error, 300));
            say("source-failed", text, false);
        }
    }
    if evidence.run.commit.dirty {
        say("uncommitted", "the tree holds changes that no commit has: this verdict belongs to no commit".to_owned(), false);
    }
    let unknown = |name: &String| !evidence.experiment.scenarios.iter().any(|scenario| scenario.name == *name);
    for run in evidence.run.scenarios.iter().filter(|run| unknown(&run.name)) {
        say(
            "unknown-scenario",
            format!("{} ran but the experiment does not name it, so it was not judged", text::clean(&run.name, 100)),
            true,
        );
    }
    notes
}

fn baseline(evidence: &Evidence, say: &mut impl FnMut(&str, String, bool)) {
    let mode = evidence.experiment.baseline.mode;
    match &evidence.baseline {
        _ if mode == BaselineMode::None => {}
        None => say("baseline-missing", "there is no baseline to compare with, so only expectations were judged".to_owned(), true),
        Some(baseline) => {
            if evidence.run.imported.is_some() {
                say("recorded-baseline", "both were recorded by others: differences of load and machine are not removed".to_owned(), false);
            } else if !baseline.paired {
                say(
                    "recorded-baseline",
                    "recorded baseline: run-to-run effects are not removed; --baseline-mode paired removes them".to_owned(),
                    false,
                );
            }
            if let Some(why) = comparison::incomparable(evidence, baseline) {
                say("baseline-incomparable", why, true);
            }
        }
    }
}

/// One note a variant, however many things were lost.
fn losses(variant: &str, evidence: &VariantEvidence, say: &mut impl FnMut(&str, String, bool)) {
    let lost: Vec<String> = evidence
        .losses
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(what, count)| format!("{count} {}", text::clean(what, 100)))
        .collect();
    if !lost.is_empty() {
        say("telemetry-lost", format!("{variant}: {}", lost.join(", ")), false);
    }
}
