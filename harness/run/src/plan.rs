//! What a run will do: a pure function of experiment, commits and flags.

use crate::{
    extent::{Extent, phases},
    means::mechanism,
    weather::drawn,
};
use shakedown_commits::{Selection, matches_any, seed_of};
use shakedown_model::{
    experiment::{BaselineMode, Experiment, Scenario, When},
    plan::{Plan, PlannedScenario, RuntimeKind},
    run::CommitInfo,
};
use std::time::Duration;

/// What the command line and the commits say about the choice of scenarios.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// `--scenario NAME…`
    pub names: Vec<String>,
    /// `--all`
    pub all: bool,
    /// Trailer of the commit message.
    pub trailer: Option<Selection>,
    /// Paths that differ from the baseline; `None`: not known.
    pub changed: Option<Vec<String>>,
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
    /// `--scenario` or a trailer names one that the config does not have.
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
    let (mut chosen, mut left_out) = choose(&Experiment { scenarios, ..experiment.clone() }, choice)?;
    if let Some((index, count)) = choice.shard {
        shard(&mut chosen, &mut left_out, index, count)?;
    }
    if let Some(budget) = choice.budget {
        keep_within(&mut chosen, &mut left_out, extent.phases_within(budget));
    }
    let phases = phases(chosen.iter().map(|(scenario, _)| scenario));
    let scenarios: Vec<PlannedScenario> = chosen.into_iter().map(|(scenario, why)| planned(scenario, why, runtime)).collect();
    Ok(Plan {
        runtime,
        runtime_why,
        commit,
        baseline_mode: mode,
        seed,
        rounds: extent.rounds,
        most_rounds: if paired { extent.most(phases, choice.budget) } else { 1 },
        estimated_seconds: extent.time(phases).as_secs_f64(),
        scenarios,
        left_out,
        slot_seconds: paired.then(|| slot_seconds(experiment)),
    })
}

type Chosen = Vec<(Scenario, String)>;
type LeftOut = Vec<(String, String)>;

fn choose(experiment: &Experiment, choice: &Choice) -> Result<(Chosen, LeftOut), PlanError> {
    let named = match (&choice.names[..], choice.all, &choice.trailer) {
        (names @ [_, ..], _, _) => Some((names, "asked for with --scenario")),
        (_, false, Some(Selection::Names(names))) => Some((&names[..], "asked for by the commit's trailer")),
        _ => None,
    };
    if let Some((names, _)) = named {
        check_names(experiment, names)?;
    }
    let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
    for scenario in &experiment.scenarios {
        let answer = match (named, choice.all, &choice.trailer) {
            (Some((names, why)), _, _) if names.contains(&scenario.name) => Ok(why.to_owned()),
            (Some((_, why)), _, _) => Err(format!("not among those {why}")),
            (None, true, _) => Ok("asked for with --all".to_owned()),
            (None, _, Some(Selection::Skip)) => Err("the commit's trailer says `Shakedown: skip`".to_owned()),
            (None, _, Some(Selection::All)) => Ok("the commit's trailer says `Shakedown: all`".to_owned()),
            _ => by_paths(scenario, choice.changed.as_deref()),
        };
        match answer {
            Ok(why) => chosen.push((scenario.clone(), why)),
            Err(why) => left_out.push((scenario.name.clone(), why)),
        }
    }
    Ok((chosen, left_out))
}

fn check_names(experiment: &Experiment, names: &[String]) -> Result<(), PlanError> {
    let known = || experiment.scenarios.iter().map(|scenario| scenario.name.as_str());
    match names.iter().find(|name| !known().any(|other| other == *name)) {
        Some(name) => Err(PlanError::NoSuchScenario { name: name.clone(), known: known().collect::<Vec<_>>().join(", ") }),
        None => Ok(()),
    }
}

fn by_paths(scenario: &Scenario, changed: Option<&[String]>) -> Result<String, String> {
    match (&scenario.when, changed) {
        (When::Always, _) => Ok("runs for every commit".to_owned()),
        (When::Paths(_), None) => Ok("no baseline commit to compare paths with, so it runs".to_owned()),
        (When::Paths(globs), Some(paths)) => match matches_any(globs, paths) {
            Some(path) => Ok(format!("the change touches {path}")),
            None => Err(format!("the change touches none of {}", globs.join(", "))),
        },
    }
}

/// Deals scenarios to shards, longest first to the shard with least to do; ties by name, so that every shard deals the same.
fn shard(chosen: &mut Chosen, left_out: &mut LeftOut, index: u32, count: u32) -> Result<(), PlanError> {
    if index == 0 || index > count {
        return Err(PlanError::Shard(index, count));
    }
    let mut order: Vec<(Duration, String)> =
        chosen.iter().map(|(scenario, _)| (scenario.length_in_round(), scenario.name.clone())).collect();
    order.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut loads = vec![Duration::ZERO; count as usize];
    let mut mine = Vec::new();
    for (length, name) in order {
        let lightest = (0..loads.len()).min_by_key(|&shard| (loads[shard], shard)).unwrap_or_default();
        loads[lightest] += length;
        if lightest + 1 == index as usize {
            mine.push(name);
        }
    }
    drop_where(chosen, left_out, |scenario| !mine.contains(&scenario.name), &format!("in another shard than {index}/{count}"));
    Ok(())
}

fn keep_within(chosen: &mut Chosen, left_out: &mut LeftOut, budget: Duration) {
    let mut spent = Duration::ZERO;
    let over = |scenario: &Scenario| {
        let fits = spent + scenario.length_in_round() <= budget;
        spent += if fits { scenario.length_in_round() } else { Duration::ZERO };
        !fits
    };
    drop_where(chosen, left_out, over, &format!("does not fit into the budget: {} s for the phases of each round", budget.as_secs()));
}

fn drop_where(chosen: &mut Chosen, left_out: &mut LeftOut, mut out: impl FnMut(&Scenario) -> bool, why: &str) {
    chosen.retain(|(scenario, _)| {
        let goes = out(scenario);
        if goes {
            left_out.push((scenario.name.clone(), why.to_owned()));
        }
        !goes
    });
}

fn planned(scenario: Scenario, why: String, runtime: RuntimeKind) -> PlannedScenario {
    PlannedScenario {
        why,
        mechanisms: scenario.faults.iter().map(|fault| mechanism(&fault.action, fault.connections, runtime).to_owned()).collect(),
        seconds: scenario.length().as_secs_f64(),
        scenario,
    }
}

/// Length of a slot of the interleaving: 0.5 s, longer where a load sends fewer than 25 requests in that, at most 2 s
/// (statistics.md 2.1 asks for enough requests in each slot that its slowest 2 % mean something).
fn slot_seconds(experiment: &Experiment) -> f64 {
    let slowest = experiment.loads.values().map(|load| load.rate.0).fold(f64::INFINITY, f64::min);
    (25.0 / slowest).clamp(0.5, 2.0)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
