//! The proof that faults are gone: services are looked at before the first fault of a scenario and after the last, and what differs is a
//! residue. These eyes trust no undo. They know what is life, too: a service that ended or was started again has other namespaces.

use crate::{posts::replace_agent, sides::Side};
use futures_util::future::{join_all, try_join_all};
use shakedown_agent::wire::{ProcessSurvey, Survey as Namespaces};
use shakedown_model::{experiment::Scenario, fault::Target, stack::Variant};
use shakedown_runtime::{Depth, Post, RuntimeError, StateWord, Survey};
use shakedown_undo::Journal;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

/// What a fault did may need a moment to be gone: a helper inside a service ends, the last packets of a queue go on.
const SETTLING: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);

/// How the services of a side stood before the first fault.
pub(crate) struct Before {
    stacks: BTreeMap<String, (Depth, Survey)>,
    /// As the agents see them that stand beside.
    agents: BTreeMap<(String, Post), Namespaces>,
}

/// Looks at every service, and into the namespaces of those that an agent stands beside: without this look there is no fault.
pub(crate) async fn look(side: &Side, scenario: &Scenario) -> Result<Before, String> {
    let services = side.stack.services();
    let stacks = try_join_all(services.iter().map(|service| async {
        let depth = depth(scenario, service);
        side.stack.survey(service, depth).await.map(|survey| (depth, survey))
    }));
    let agents = try_join_all(side.agents.iter().map(|(post, agent)| async move {
        let survey = agent.lock().await.survey().await;
        survey.map(|survey| (post.clone(), survey)).map_err(|error| error.to_string())
    }));
    let (stacks, agents) = tokio::join!(stacks, agents);
    let stacks = stacks.map_err(|error: RuntimeError| error.to_string())?;
    Ok(Before { stacks: services.into_iter().zip(stacks).collect(), agents: agents?.into_iter().collect() })
}

/// Inside those that a fault is for.
fn depth(scenario: &Scenario, service: &str) -> Depth {
    let is_for = |target: &Target| match target {
        Target::Service(name) => name == service,
        Target::Edge(edge) => edge.from == service,
    };
    if scenario.faults.iter().any(|fault| is_for(&fault.on)) { Depth::Inside } else { Depth::Outside }
}

/// What is not as it was, each with the service and what it is: empty once everything was seen to be gone.
pub(crate) async fn residues(side: &mut Side, before: &Before, journal: &Journal) -> Vec<String> {
    let until = Instant::now() + SETTLING;
    loop {
        let found = compare(side, before, journal).await;
        if found.is_empty() || Instant::now() >= until {
            let of = if side.variant == Variant::Baseline { " of the baseline" } else { "" };
            return found.into_iter().map(|(service, what)| format!("service {service}{of}: {what}")).collect();
        }
        sleep(PAUSE).await;
    }
}

async fn compare(side: &mut Side, before: &Before, journal: &Journal) -> Vec<(String, String)> {
    let stacks = before.stacks.iter().map(|(service, (depth, before))| async {
        match side.stack.survey(service, *depth).await {
            Ok(after) => (service.clone(), of_stack(before, &after), Some(after)),
            Err(error) => (service.clone(), vec![format!("could not be looked at again: {error}")], None),
        }
    });
    let mut found = Vec::new();
    let mut same_life = Vec::new();
    for (service, residues, after) in join_all(stacks).await {
        let is_same = after.is_some_and(|after| is_one_life(&before.stacks[&service].1, &after));
        found.extend(residues.into_iter().map(|what| (service.clone(), what)));
        same_life.extend(is_same.then_some(service));
    }
    for (post, before) in before.agents.iter().filter(|((service, _), _)| same_life.contains(service)) {
        let residues = match look_again(side, post, journal).await {
            Ok(after) => of_namespaces(post.1, before, &after),
            Err(error) => vec![format!("its namespaces could not be looked at again: {error}")],
        };
        found.extend(residues.into_iter().map(|what| (post.0.clone(), what)));
    }
    found
}

/// By another agent where the first is gone: what it did may still be there.
async fn look_again(side: &mut Side, (service, post): &(String, Post), journal: &Journal) -> Result<Namespaces, String> {
    let first = side.agent(service, *post)?.lock().await.survey().await;
    if let Ok(survey) = first {
        return Ok(survey);
    }
    replace_agent(side, service, *post, journal).await.map_err(|error| error.to_string())?;
    let second = side.agent(service, *post)?.lock().await.survey().await;
    second.map_err(|error| error.to_string())
}

/// Whether the service runs, and has since the first look: another life has namespaces of its own, and nothing is left of the old ones.
fn is_one_life(before: &Survey, after: &Survey) -> bool {
    let lives = |survey: &Survey| matches!(survey.state.word, StateWord::Running | StateWord::Paused);
    lives(before) && lives(after) && before.state.started_at == after.state.started_at
}

/// What the runtime tells. That a service ended is no residue: the judge hears of it elsewhere.
fn of_stack(before: &Survey, after: &Survey) -> Vec<String> {
    let mut found = Vec::new();
    let is_paused = |survey: &Survey| survey.state.word == StateWord::Paused;
    if is_paused(after) && !is_paused(before) {
        found.push(changed("state", &before.state, &after.state));
    } else if after.is_stopped && !before.is_stopped {
        found.push(changed("main process", &"runs", &"stopped (SIGSTOP)"));
    }
    let named = |survey: &Survey| survey.limits.iter().cloned().collect::<BTreeMap<_, _>>();
    let (limits, now) = (named(before), named(after));
    let what: std::collections::BTreeSet<_> = limits.keys().chain(now.keys()).collect();
    let word = |limits: &BTreeMap<String, i64>, what| limits.get(what).map_or_else(|| "none".to_owned(), i64::to_string);
    for what in what.into_iter().filter(|what| limits.get(*what) != now.get(*what)) {
        found.push(changed(&format!("limit of {what}"), &word(&limits, what), &word(&now, what)));
    }
    if after.ours.len() > before.ours.len() {
        found.push(changed("helpers inside", &rows(&before.ours), &rows(&after.ours)));
    }
    found
}

/// What an agent sees: of the network at its post for packets, of the processes at the other.
fn of_namespaces(post: Post, before: &Namespaces, after: &Namespaces) -> Vec<String> {
    if post == Post::Processes {
        return match (&before.processes, &after.processes) {
            (Some(before), Some(after)) => of_processes(before, after),
            (Some(_), None) => vec!["its processes could not be looked at again".to_owned()],
            (None, _) => Vec::new(),
        };
    }
    let lists = |survey: &Namespaces| {
        let Namespaces { nft_tables, qdiscs, routes, rules, links, .. } = survey.clone();
        [("nft tables", nft_tables), ("qdiscs", qdiscs), ("routes", routes), ("routing rules", rules), ("links", links)]
    };
    let mut found: Vec<String> =
        lists(before).into_iter().zip(lists(after)).filter_map(|((what, before), (_, after))| of_list(what, &before, &after)).collect();
    let newly = after.unseen.iter().filter(|what| !before.unseen.contains(what));
    found.extend(newly.map(|what| format!("could not be looked at again: {what}")));
    found
}

/// Only the rows that differ.
pub(crate) fn of_list(what: &str, before: &[String], after: &[String]) -> Option<String> {
    let less = |rows: &[String], others: &[String]| rows.iter().filter(|row| !others.contains(row)).cloned().collect::<Vec<_>>();
    let (gone, new) = (less(before, after), less(after, before));
    (!gone.is_empty() || !new.is_empty()).then(|| changed(what, &rows(&gone), &rows(&new)))
}

/// Processes come and go, and may change their own limits: a residue is one whose clock or state is wrong now, or a limit below what the
/// service had that nobody had before.
fn of_processes(before: &ProcessSurvey, after: &ProcessSurvey) -> Vec<String> {
    let newly = |what: &str, before: &[String], after: &[String]| {
        let new: Vec<String> = after.iter().filter(|row| !before.contains(row)).cloned().collect();
        (!new.is_empty()).then(|| changed(what, &rows(before), &rows(&new)))
    };
    let mut found: Vec<String> = newly("processes with a wrong clock", &before.skewed, &after.skewed).into_iter().collect();
    found.extend(newly("processes that stand still", &before.stopped, &after.stopped));
    let most = before.file_limits.keys().next_back().copied().unwrap_or(u64::MAX);
    let lower = after.file_limits.keys().filter(|limit| **limit < most && !before.file_limits.contains_key(limit));
    let lower: Vec<String> = lower.map(u64::to_string).collect();
    let had: Vec<String> = before.file_limits.keys().map(u64::to_string).collect();
    found.extend((!lower.is_empty()).then(|| changed("limits of open files", &rows(&had), &rows(&lower))));
    found
}

fn changed(what: &str, before: &dyn std::fmt::Display, after: &dyn std::fmt::Display) -> String {
    format!("{what}: {before} → {after}")
}

fn rows(rows: &[String]) -> String {
    if rows.is_empty() { "none".to_owned() } else { rows.join(", ") }
}

#[cfg(test)]
#[path = "clean_tests.rs"]
mod tests;
