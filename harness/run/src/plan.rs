//! What a run will do: a pure function of experiment, commits and flags.

use crate::{choice::choose, extent::Extent, graph::ServiceGraph, means::mechanism, weather::drawn};
use shakedown_commits::{Selection, seed_of};
use shakedown_model::{
    experiment::{BaselineMode, Experiment, Scenario},
    history::Exercise,
    plan::{Plan, PlannedScenario, RuntimeKind},
    run::{Changes, CommitInfo},
    time::UnixNanos,
};
use std::{collections::BTreeMap, time::Duration};

/// What the command line and the commits say about the choice of scenarios.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// `--scenario NAME…`
    pub names: Vec<String>,
    /// `--all`
    pub all: bool,
    /// Labels of the pull request, and `--label`.
    pub labels: Option<Selection>,
    /// Trailer of the commit message.
    pub trailer: Option<Selection>,
    /// Paths that differ from the baseline; `None`: not known.
    pub changed: Option<Vec<String>>,
    /// The same by service.
    pub changes: Option<Changes>,
    /// Which services those paths belong to, and who calls whom.
    pub graph: ServiceGraph,
    /// How the scenarios fared lately, by name.
    pub exercised: BTreeMap<String, Exercise>,
    /// What ages are counted from; `None`: nobody looked at history.
    pub now: Option<UnixNanos>,
    /// `--shard i/n`, 1-based.
    pub shard: Option<(u32, u32)>,
    /// `--budget`
    pub budget: Option<Duration>,
    /// `--seed`
    pub seed: Option<u64>,
    /// When the baseline is measured.
    pub mode: Option<BaselineMode>,
}

/// A choice that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// `--scenario`, a label or a trailer names one that the config does not have.
    #[error("no scenario `{name}` in the config; there are: {known}")]
    NoSuchScenario {
        /// As asked.
        name: String,
        /// All names.
        known: String,
    },
    /// A shard outside `1..=n`.
    #[error("--shard {0}/{1}: the first number goes from 1 to the second")]
    Shard(u32, u32),
}

/// Makes the plan.
pub fn plan(
    experiment: &Experiment,
    commit: CommitInfo,
    choice: &Choice,
    runtime: RuntimeKind,
    runtime_why: String,
) -> Result<Plan, PlanError> {
    let mode = choice.mode.unwrap_or(experiment.baseline.mode);
    let paired = mode == BaselineMode::Paired && commit.baseline.is_some();
    let extent = Extent::of(experiment, paired, runtime);
    let seed = choice.seed.unwrap_or_else(|| seed_of(commit.candidate.as_deref().unwrap_or("no commit")));
    let scenarios = experiment.scenarios.iter().map(|scenario| drawn(scenario, seed, runtime)).collect();
    let room = choice.budget.map(|budget| extent.phases_within(budget));
    let (chosen, left_out) = choose(&Experiment { scenarios, ..experiment.clone() }, choice, room, &|scenario| extent.in_round(scenario))?;
    let scenarios = || chosen.iter().map(|(scenario, _)| scenario);
    let extent = extent.for_scenarios(scenarios());
    let phases = extent.phases(scenarios());
    let scenarios: Vec<PlannedScenario> = chosen.into_iter().map(|(scenario, why)| planned(scenario, why, runtime)).collect();
    Ok(Plan {
        runtime,
        runtime_why,
        commit,
        changes: choice.changes.clone(),
        baseline_mode: mode,
        seed,
        shard: choice.shard.map_or(1, |(index, _)| index),
        shards: choice.shard.map_or(1, |(_, count)| count),
        rounds: extent.rounds,
        most_rounds: if paired { extent.most(phases, choice.budget) } else { 1 },
        estimated_seconds: extent.time(phases).as_secs_f64(),
        scenarios,
        left_out,
        slot_seconds: paired.then(|| slot_seconds(experiment)),
    })
}

fn planned(scenario: Scenario, why: String, runtime: RuntimeKind) -> PlannedScenario {
    PlannedScenario {
        why,
        mechanisms: scenario.faults.iter().map(|fault| mechanism(&fault.action, fault.connections, runtime).to_owned()).collect(),
        seconds: scenario.length().as_secs_f64(),
        scenario,
    }
}

/// Length of a slot of the interleaving: as the config says, else 0.5 s, longer where a load sends fewer than 25 requests in that, at most 2 s
/// (statistics.md 2.1 asks for enough requests in each slot that its slowest 2 % mean something).
fn slot_seconds(experiment: &Experiment) -> f64 {
    if let Some(slot) = experiment.baseline.slot {
        return slot.0.as_secs_f64();
    }
    let slowest = experiment.loads.values().map(|load| load.rate.0).fold(f64::INFINITY, f64::min);
    (25.0 / slowest).clamp(0.5, 2.0)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
