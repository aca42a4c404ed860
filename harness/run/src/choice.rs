//! Which scenarios run, in which order, and why: a pure function of what is asked for, what changed and what was exercised.
//!
//! Chosen first, then dealt to shards, then put in order and kept within the budget. Shards are dealt by planned times alone: every shard sees
//! the same plan, but perhaps not the same history.

use crate::plan::{Choice, PlanError};
use shakedown_commits::{Selection, matches_any};
use shakedown_model::{
    experiment::{Experiment, Scenario, When},
    history::Exercise,
    time::UnixNanos,
};
use std::time::Duration;

/// Scenarios that run, each with the reason.
pub(crate) type Chosen = Vec<(Scenario, String)>;
/// Names of those that do not, each with the reason.
pub(crate) type LeftOut = Vec<(String, String)>;
/// What a scenario costs in each round, as planned.
pub(crate) type Cost<'a> = dyn Fn(&Scenario) -> Duration + 'a;

/// Chooses, deals and keeps within the room that the budget leaves each round; what is not chosen is left out with its reason.
pub(crate) fn choose(
    experiment: &Experiment,
    choice: &Choice,
    room: Option<Duration>,
    cost: &Cost<'_>,
) -> Result<(Chosen, LeftOut), PlanError> {
    let (mut chosen, mut left_out) = asked_for(experiment, choice)?;
    if let Some((index, count)) = choice.shard {
        shard(&mut chosen, &mut left_out, (index, count), cost)?;
    }
    if let Some(room) = room {
        keep_within(&mut chosen, &mut left_out, room, choice, cost);
    }
    if choice.now.is_some() {
        for (scenario, why) in &mut chosen {
            *why = format!("{why}; {}", exercised(scenario, choice));
        }
    }
    Ok((chosen, left_out))
}

/// Flags go before labels, labels before trailers, all of them before what changed.
fn asked_for(experiment: &Experiment, choice: &Choice) -> Result<(Chosen, LeftOut), PlanError> {
    let (selection, by) = match (&choice.names[..], choice.all, &choice.labels, &choice.trailer) {
        (names @ [_, ..], ..) => (Some(Selection::Names(names.to_vec())), "with --scenario"),
        (_, true, ..) => (Some(Selection::All), "with --all"),
        (_, _, Some(labels), _) => (Some(labels.clone()), "by a label of the pull request"),
        (.., trailer) => (trailer.clone(), "by the commit's trailer"),
    };
    if let Some(Selection::Names(names)) = &selection {
        check_names(experiment, names)?;
    }
    let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
    for scenario in &experiment.scenarios {
        let answer = match &selection {
            Some(Selection::Names(names)) if names.contains(&scenario.name) => Ok(format!("asked for {by}")),
            Some(Selection::Names(_)) => Err(format!("not among those asked for {by}")),
            Some(Selection::All) => Ok(format!("all are asked for {by}")),
            Some(Selection::Skip) => Err(format!("`Shakedown: skip` is asked for {by}")),
            None => by_change(scenario, choice),
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

fn by_change(scenario: &Scenario, choice: &Choice) -> Result<String, String> {
    let When::Paths(globs) = &scenario.when else { return Ok("runs for every commit".to_owned()) };
    let Some(changed) = &choice.changed else { return Ok("no baseline commit to compare paths with, so it runs".to_owned()) };
    if let Some(path) = matches_any(globs, changed) {
        return Ok(format!("the change touches {path}"));
    }
    choice.graph.reason(scenario, changed).ok_or_else(|| {
        format!("the change touches none of {}, nor a service that its faults are on, or a neighbour of one", globs.join(", "))
    })
}

/// Deals scenarios to shards, longest first to the shard with least to do; ties by name, so that every shard deals the same.
fn shard(chosen: &mut Chosen, left_out: &mut LeftOut, (index, count): (u32, u32), cost: &Cost<'_>) -> Result<(), PlanError> {
    if index == 0 || index > count {
        return Err(PlanError::Shard(index, count));
    }
    let mut order: Vec<(Duration, String)> = chosen.iter().map(|(scenario, _)| (cost(scenario), scenario.name.clone())).collect();
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
    let others = format!("in another shard than {index}/{count}");
    drop_where(chosen, left_out, |scenario| (!mine.contains(&scenario.name)).then(|| others.clone()));
    Ok(())
}

/// Most urgent first, as long as they fit; what is as urgent stays in the order of the file.
fn keep_within(chosen: &mut Chosen, left_out: &mut LeftOut, room: Duration, choice: &Choice, cost: &Cost<'_>) {
    chosen.sort_by(|(a, _), (b, _)| urgency(b, choice).total_cmp(&urgency(a, choice)));
    let mut left = room;
    let over = |scenario: &Scenario| {
        let cost = cost(scenario);
        if cost <= left {
            left -= cost;
            return None;
        }
        Some(format!(
            "its {} s do not fit into the {} s that the budget leaves each round; {}",
            cost.as_secs(),
            left.as_secs(),
            exercised(scenario, choice)
        ))
    };
    drop_where(chosen, left_out, over);
}

fn drop_where(chosen: &mut Chosen, left_out: &mut LeftOut, mut out: impl FnMut(&Scenario) -> Option<String>) {
    chosen.retain(|(scenario, _)| {
        let why = out(scenario);
        left_out.extend(why.clone().map(|why| (scenario.name.clone(), why)));
        why.is_none()
    });
}

/// Chance of trouble (Laplace's rule on the latest runs), times how many services would feel it, times the days since it was last looked at.
fn urgency(scenario: &Scenario, choice: &Choice) -> f64 {
    const LONG_AGO_DAYS: f64 = 30.0;
    let exercise = exercise(scenario, choice);
    let chance = f64::from(exercise.troubled + 1) / f64::from(exercise.runs + 2);
    let days = choice.now.zip(exercise.last).map_or(LONG_AGO_DAYS, |(now, last)| now.since(last).as_secs_f64() / 86_400.0);
    chance * (1 + choice.graph.dependents(scenario)) as f64 * days.clamp(1.0, LONG_AGO_DAYS)
}

fn exercise(scenario: &Scenario, choice: &Choice) -> Exercise {
    choice.exercised.get(&scenario.name).copied().unwrap_or_default()
}

/// "last exercised 12 days ago, 2 of its last 10 runs did not pass"
fn exercised(scenario: &Scenario, choice: &Choice) -> String {
    let exercise = exercise(scenario, choice);
    let (Some(now), Some(last)) = (choice.now, exercise.last) else { return "not exercised as far as is known".to_owned() };
    let troubled = match (exercise.troubled, exercise.runs) {
        (0, _) => String::new(),
        (_, 1) => ", when it did not pass".to_owned(),
        (troubled, runs) => format!(", {troubled} of its last {runs} runs did not pass"),
    };
    format!("last exercised {}{troubled}", ago(now, last))
}

fn ago(now: UnixNanos, then: UnixNanos) -> String {
    let seconds = now.since(then).as_secs();
    let (count, unit) = match seconds {
        0..120 => return "just now".to_owned(),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit} ago")
}
