//! `shakedown calibrate`: the same commit against itself, several times.

use super::run::{Against, Gated, gate, tell_left};
use crate::{
    args::{CalibrateOptions, Files, Format, Global, RunOptions, Selection},
    context,
    failure::{Failure, io},
    terminal::Terminal,
};
use shakedown_judge::calibration::{Calibration, DURATIONS, Noise, SelfRun, Share, calibrate, observe};
use shakedown_model::{experiment::BaselineMode, experiment::Gate, verdict::GateMode};
use std::{fmt::Write as _, path::PathBuf};

pub(crate) async fn run(global: &Global, options: &CalibrateOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let loaded = context::load(&global.config, terminal)?;
    let began = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let folder = context::home(&loaded.experiment.root).join("calibrations").join(began);
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    let mut runs: Vec<SelfRun> = Vec::new();
    for number in 1..=options.runs {
        let out = folder.join(format!("run-{number}"));
        let Gated { path, result, outcome, .. } =
            Box::pin(gate(global, &against_itself(options, number, out), Against::Itself, terminal)).await?;
        tell_left(&outcome, global, terminal);
        if let Some(abort) = &outcome.meta.aborted {
            terminal.error(&format!("run {number} ended early: {}", abort.reason), None);
            if !runs.is_empty() {
                show(&runs, &loaded.experiment.gate, terminal);
            }
            return Ok(result.exit_code);
        }
        if !outcome.left.is_empty() {
            return Ok(result.exit_code);
        }
        let evidence = shakedown_evidence::read(&path, None).map_err(Failure::environment)?;
        let seen = observe(&evidence, &result);
        terminal.note(&told(number, options.runs, &seen));
        runs.push(seen);
    }
    let json = serde_json::to_string_pretty(&runs).map_err(|error| Failure::Bug(format!("calibration.json: {error}")))?;
    let file = folder.join("calibration.json");
    std::fs::write(&file, json).map_err(io(&file))?;
    Ok(show(&runs, &loaded.experiment.gate, terminal))
}

fn against_itself(options: &CalibrateOptions, number: u32, out: PathBuf) -> RunOptions {
    let selection = Selection {
        scenario: options.scenario.clone(),
        all: options.scenario.is_empty(),
        baseline_mode: Some(BaselineMode::Paired),
        seed: Some(options.seed.wrapping_add(u64::from(number - 1))),
        ..Selection::default()
    };
    // Nothing that a run of one commit against itself finds is to block anything.
    RunOptions { selection, out: Some(out), mode: Some(GateMode::Warn), otlp_endpoint: None, files: Files::default() }
}

fn told(number: u32, of: u32, seen: &SelfRun) -> String {
    let alarms =
        if seen.false_alarms.is_empty() { "no false alarm".to_owned() } else { format!("FALSE ALARM: {}", seen.false_alarms.join(", ")) };
    format!("run {number} of {of}: {alarms} among {} comparisons, {} could not tell", seen.comparisons, seen.inconclusive)
}

/// Prints what was found; 3 where that is nothing.
fn show(runs: &[SelfRun], gate: &Gate, terminal: &Terminal) -> u8 {
    let Some(calibration) = calibrate(runs, gate) else {
        terminal
            .error("no run could compare anything", Some("longer phases or a higher rate: a slot needs ten requests, a phase a few slots"));
        return 3;
    };
    if terminal.format == Format::Json {
        terminal.json(&calibration);
    } else {
        terminal.out(&text(&calibration));
    }
    0
}

fn text(calibration: &Calibration) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "false alarms     {}", of(&calibration.gates, "runs"));
    let _ = writeln!(text, "                 {}", of(&calibration.comparisons, "comparisons"));
    let _ = writeln!(text, "could not tell   {}", of(&calibration.inconclusive, "comparisons"));
    let effect = match calibration.instance_effect {
        Some(effect) => format!("fresh instances shift a round's tail by {:.1} % (standard deviation)", effect.exp_m1() * 100.0),
        None => "not known: it takes two rounds at least".to_owned(),
    };
    let _ = writeln!(text, "instance luck    {effect}\n");
    let _ = writeln!(
        text,
        "smallest change of the tail that is proven four times out of five, by the length of the phase in all rounds together"
    );
    let heads: Vec<String> = DURATIONS.iter().map(|seconds| format!("{:>7}", span(*seconds))).collect();
    let _ = writeln!(text, "{:<28}{:>8}{:>8}{}", "load, phase", "rate", "noise", heads.concat());
    for noise in &calibration.noise {
        let _ = writeln!(text, "{}", row(noise));
    }
    let _ = writeln!(text, "\nfor shakedown.yaml, as this machine goes:\n");
    for line in calibration.proposal.to_yaml().lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn of(share: &Share, what: &str) -> String {
    format!("{} of {} {what} (95 %: {:.1} to {:.1} %)", share.hits, share.of, share.low * 100.0, share.high * 100.0)
}

fn span(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// At the measured rate: the second of the columns.
fn row(noise: &Noise) -> String {
    let cells: Vec<String> = noise
        .smallest_visible
        .iter()
        .map(|row| {
            row.get(1)
                .copied()
                .flatten()
                .map_or_else(|| format!("{:>7}", "-"), |change| format!("{:>7}", format!("+{:.0} %", change * 100.0)))
        })
        .collect();
    let name = format!("{}, {}", noise.load, noise.phase.word());
    format!("{name:<28}{:>8}{:>8}{}", format!("{:.0}/s", noise.rate), format!("{:.0} %", noise.spread * 100.0), cells.concat())
}
