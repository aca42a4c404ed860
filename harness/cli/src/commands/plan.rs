//! `shakedown plan`: which scenarios this commit runs and why; starts nothing.

use crate::{
    args::{Format, Global, Selection},
    context,
    failure::Failure,
    terminal::Terminal,
};
use shakedown_model::{
    experiment::{BaselineMode, Scenario},
    fault::Search,
    plan::Plan,
};
use std::fmt::Write as _;

/// Pair-blocks with which a comparison can fail at all, where some are made.
const BLOCKS: f64 = 12.0;

pub(crate) async fn run(global: &Global, selection: &Selection, terminal: &Terminal) -> Result<u8, Failure> {
    let loaded = context::load(&global.config, terminal)?;
    let (runtime, why) = context::runtime(global, &loaded).await?;
    let mode = selection.baseline_mode.unwrap_or(loaded.experiment.baseline.mode);
    let commits = context::commits(&loaded, selection, mode)?;
    let plan = context::plan(&loaded, selection, &commits, &*runtime, why, terminal).await?;
    match terminal.format {
        Format::Json => terminal.json(&plan),
        Format::Human => terminal.out(&text(&plan)),
    }
    Ok(0)
}

/// The plan as people read it.
pub(crate) fn text(plan: &Plan) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{args}");
    };
    line(format_args!("runtime    {}: {}", plan.runtime.word(), plan.runtime_why));
    line(format_args!("candidate  {}", commit(plan.commit.candidate.as_deref(), plan.commit.candidate_subject.as_deref())));
    if plan.commit.dirty {
        line(format_args!("           with uncommitted changes"));
    }
    let baseline = commit(plan.commit.baseline.as_deref(), plan.commit.baseline_subject.as_deref());
    line(format_args!("baseline   {baseline} ({})", plan.commit.baseline_source));
    line(format_args!("compared   {}", comparison(plan)));
    line(format_args!("seed       {}", plan.seed));
    line(format_args!("time       {}, and builds", extent(plan)));
    let is_compared = plan.scenarios.iter().any(|planned| planned.scenario.searched().is_none());
    if plan.slot_seconds.is_some() && plan.rounds == 1 && is_compared {
        line(format_args!(
            "           ! one round: the luck of one instance of each is not told from the change; `baseline: {{rounds: 4}}`"
        ));
    }
    for planned in &plan.scenarios {
        let scenario = &planned.scenario;
        line(format_args!("\n{}  {:.0} s  {}", scenario.name, planned.seconds, planned.why));
        line(format_args!(
            "  warmup {}, steady {}, fault {} s, recovery {}",
            scenario.phases.warmup,
            scenario.phases.steady,
            scenario.fault_length().as_secs_f64(),
            scenario.phases.recovery
        ));
        if scenario.episodes > 1 {
            line(format_args!("  {} episodes in each round", scenario.episodes));
        }
        if let Some((_, search)) = scenario.searched() {
            line(format_args!("  {}", searched(plan, search)));
        }
        if let Some(warning) = too_short(plan, scenario) {
            line(format_args!("  ! {warning}"));
        }
        for (fault, mechanism) in scenario.faults.iter().zip(&planned.mechanisms) {
            line(format_args!("  at {} for {}: {} on {} ({mechanism})", fault.at, fault.lasts, fault.action.kind(), fault.on));
        }
    }
    if plan.scenarios.is_empty() {
        line(format_args!("\nnothing runs, and nothing exercised never passes: the verdict would be inconclusive"));
    }
    for (name, why) in &plan.left_out {
        line(format_args!("\n{name}  left out: {why}"));
    }
    text
}

/// How much is played, and how long that takes: `4 rounds with fresh instances, up to 6 within the budget; about 5 min`.
pub(crate) fn extent(plan: &Plan) -> String {
    let rounds = match (plan.rounds, plan.slot_seconds) {
        (_, None) => String::new(),
        (1, Some(_)) => "1 round".to_owned(),
        (rounds, Some(_)) => format!("{rounds} rounds with fresh instances"),
    };
    let more = if plan.most_rounds > plan.rounds { format!(", up to {} within the budget", plan.most_rounds) } else { String::new() };
    let separator = if rounds.is_empty() { "" } else { "; " };
    format!("{rounds}{more}{separator}about {}", time(plan.estimated_seconds))
}

fn time(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// `searches latency.delay from 50 ms to 2 s in steps of 50 ms: about 15 plays, at most 23, in the first round`
fn searched(plan: &Plan, search: &Search) -> String {
    let variants = if plan.slot_seconds.is_some() { 2 } else { 1 };
    let [from, to, step] = [search.from, search.to, search.step].map(|dose| search.unit.show(dose));
    let round = if plan.rounds > 1 { ", in the first round" } else { "" };
    format!(
        "searches {} from {from} to {to} in steps of {step}: about {} plays, at most {}{round}",
        search.path,
        search.plays(variants),
        search.most_plays(variants)
    )
}

/// Too few pair-blocks over all plays to prove anything.
fn too_short(plan: &Plan, scenario: &Scenario) -> Option<String> {
    let block = plan.slot_seconds.filter(|_| scenario.searched().is_none())? * 2.0;
    let plays = f64::from(plan.rounds * scenario.episodes);
    let length = scenario.fault_length().as_secs_f64();
    let blocks = (length / block).floor() * plays;
    (blocks < BLOCKS).then(|| {
        let enough = (BLOCKS / plays).ceil() * block;
        format!("the fault phases hold {blocks} pairs of slots, fewer than {BLOCKS}: the comparison with the baseline may prove nothing; make them {enough} s or play more rounds")
    })
}

fn commit(id: Option<&str>, subject: Option<&str>) -> String {
    match id {
        Some(id) => format!("{} {}", id.get(..12).unwrap_or(id), subject.unwrap_or_default()),
        None => "none".to_owned(),
    }
}

fn comparison(plan: &Plan) -> String {
    match (plan.baseline_mode, plan.slot_seconds) {
        (BaselineMode::Paired, Some(slot)) => format!("paired: both run at once, load alternates in slots of {slot} s"),
        (BaselineMode::Paired, None) => "not at all: there is no baseline commit, so the verdict cannot be a pass".to_owned(),
        (BaselineMode::Recorded, _) => "recorded: with an earlier run of the baseline on this class of machine".to_owned(),
        (BaselineMode::None, _) => "not at all: only the expectations count".to_owned(),
    }
}
