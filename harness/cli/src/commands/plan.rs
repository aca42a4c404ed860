//! `shakedown plan`: which scenarios this commit runs and why; starts nothing.

use crate::{
    args::{Format, Global, Selection},
    context,
    failure::Failure,
    terminal::Terminal,
};
use shakedown_model::{experiment::BaselineMode, plan::Plan};
use std::fmt::Write as _;

pub(crate) async fn run(global: &Global, selection: &Selection, terminal: &Terminal) -> Result<u8, Failure> {
    let loaded = context::load(&global.config, terminal)?;
    let (runtime, why) = context::runtime(global, &loaded).await?;
    let mode = selection.baseline_mode.unwrap_or(loaded.experiment.baseline.mode);
    let commits = context::commits(&loaded, selection, mode)?;
    let plan = context::plan(&loaded, selection, &commits, &*runtime, why)?;
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
    line(format_args!("time       about {:.0} s, and builds and starts", plan.estimated_seconds));
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
        if let Some(slot) = plan.slot_seconds.filter(|slot| scenario.fault_length().as_secs_f64() < slot * 24.0) {
            line(format_args!(
                "  ! the fault phase holds fewer than 12 pairs of {slot} s slots: the comparison with the baseline may prove nothing; make it {} s",
                slot * 24.0
            ));
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
