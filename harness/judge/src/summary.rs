//! The run as a whole: its verdict, its exit code, and the facts that stand at the top of a report.

use crate::text::shell_word;
use shakedown_model::{
    evidence::Evidence,
    experiment::BaselineMode,
    result::{HealthNote, RunSummary, ScenarioResult},
    run::AbortKind,
    verdict::{self, Cleanliness, Ending, GateMode, Verdict},
};

/// Worst of the scenarios; what weakens the whole run keeps it from passing.
pub(crate) fn verdict(evidence: &Evidence, scenarios: &[ScenarioResult], health: &[HealthNote]) -> Verdict {
    let weakened = health.iter().any(|note| note.forces_inconclusive) || evidence.run.aborted.is_some();
    let of_run = weakened.then_some(Verdict::Inconclusive);
    Verdict::merge(scenarios.iter().map(|scenario| scenario.verdict).chain(of_run))
}

/// What the process exits with.
pub(crate) fn exit_code(evidence: &Evidence, verdict: Verdict) -> u8 {
    let cleanliness = if evidence.run.clean { Cleanliness::Clean } else { Cleanliness::NotClean };
    let gate = &evidence.experiment.gate;
    verdict::exit_code(ending(evidence, verdict), cleanliness, gate.mode, gate.inconclusive)
}

fn ending(evidence: &Evidence, verdict: Verdict) -> Ending {
    let never_steady = evidence.run.scenarios.iter().any(|run| run.steady_broken.is_some());
    match evidence.run.aborted.as_ref().map(|abort| abort.kind) {
        Some(AbortKind::Interrupted) => Ending::Interrupted,
        Some(AbortKind::Terminated) => Ending::Terminated,
        Some(AbortKind::Environment) => Ending::Environment,
        // A proven failure elsewhere says more than an environment that was not ready here.
        None if never_steady && verdict != Verdict::Fail => Ending::Environment,
        None => Ending::Judged(verdict),
    }
}

pub(crate) fn inconclusive_blocks(evidence: &Evidence) -> bool {
    let gate = &evidence.experiment.gate;
    gate.mode == GateMode::Block && gate.inconclusive == GateMode::Block
}

pub(crate) fn summary(evidence: &Evidence) -> RunSummary {
    let run = &evidence.run;
    RunSummary {
        id: run.run.clone(),
        tool_version: run.tool_version.clone(),
        started: run.started,
        ended: run.ended,
        runtime: run.runtime,
        baseline_mode: baseline_mode(evidence).to_owned(),
        machine: run.machine.clone(),
        rerun: rerun(evidence),
        aborted: run.aborted.as_ref().map(|abort| crate::text::clean(&abort.reason, 500)),
        ended_by: run.aborted.as_ref().map(|abort| match abort.kind {
            AbortKind::Interrupted | AbortKind::Terminated => "user".to_owned(),
            AbortKind::Environment => "environment".to_owned(),
        }),
    }
}

/// How it was measured, whatever was asked for.
fn baseline_mode(evidence: &Evidence) -> &'static str {
    match &evidence.baseline {
        _ if evidence.experiment.baseline.mode == BaselineMode::None => "none",
        Some(baseline) if baseline.paired => "paired",
        Some(_) => "recorded",
        None => "none",
    }
}

/// The command that runs the same again.
fn rerun(evidence: &Evidence) -> String {
    if let Some(imported) = &evidence.run.imported {
        let sources = imported.sources.iter().take(5).map(|source| shell_word(source));
        let words = ["shakedown".to_owned(), "import".to_owned(), shell_word(&imported.format)].into_iter().chain(sources);
        return if imported.format.is_empty() { "shakedown judge DIR".to_owned() } else { words.collect::<Vec<String>>().join(" ") };
    }
    let mut words = vec!["shakedown".to_owned(), "run".to_owned()];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), shell_word(value)]);
    let config = evidence.experiment.config.to_string_lossy();
    if config != "shakedown.yaml" {
        option("--config", &config);
    }
    option("--runtime", evidence.run.runtime.word());
    for scenario in &evidence.experiment.scenarios {
        option("--scenario", &scenario.name);
    }
    let mode = match evidence.experiment.baseline.mode {
        BaselineMode::Paired => "paired",
        BaselineMode::Recorded => "recorded",
        BaselineMode::None => "none",
    };
    option("--baseline-mode", mode);
    let commit = &evidence.run.commit;
    if let (Some(baseline), true) = (&commit.baseline, evidence.experiment.baseline.mode != BaselineMode::None) {
        option("--base", baseline);
    }
    option("--seed", &evidence.run.seed.to_string());
    words.join(" ")
}
