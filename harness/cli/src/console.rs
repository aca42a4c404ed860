//! Progress on stderr: what is going on, from the events of the run. A spinner line on a terminal, plain lines elsewhere.

use crate::terminal::Terminal;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shakedown_model::{
    event::{Event, Phase, SearchAnswer, TimedEvent},
    fault::FaultRecord,
    run::Play,
    stack::Variant,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::mpsc;

/// The console of one run.
pub(crate) struct Console {
    terminal: Terminal,
    bar: ProgressBar,
    loads: BTreeMap<(String, Variant), String>,
    phase: String,
    round: String,
    both: bool,
}

impl Console {
    /// `both`: a baseline runs beside the candidate, so lines name the variant.
    pub(crate) fn new(terminal: &Terminal, both: bool) -> Console {
        let target = if terminal.interactive && !terminal.quiet { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Console { terminal: terminal.clone(), bar, loads: BTreeMap::new(), phase: String::new(), round: String::new(), both }
    }

    /// Shows events until the run has no more to say.
    pub(crate) async fn show(mut self, mut events: mpsc::UnboundedReceiver<TimedEvent>) {
        self.bar.enable_steady_tick(Duration::from_millis(120));
        while let Some(event) = events.recv().await {
            self.event(&event.event);
        }
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| self.terminal.note(&printable(text)));
    }

    fn live(&mut self) {
        let loads: Vec<&str> = self.loads.values().map(String::as_str).collect();
        self.bar.set_message(printable(&format!("{}  {}", self.phase, loads.join("  "))));
    }

    fn of(&self, variant: Variant) -> String {
        if self.both { format!(" ({})", variant.word()) } else { String::new() }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Building { variant, what } => self.busy(&format!("building {what}{}", self.of(*variant))),
            Event::ServiceStarting { variant, service } => self.busy(&format!("starting {service}{}", self.of(*variant))),
            Event::ServiceReady { variant, service, after_ms } => {
                self.line(&format!("  {service} ready after {:.1} s{}", *after_ms as f64 / 1e3, self.of(*variant)));
            }
            Event::ServiceChanged { variant, service, what } => self.line(&format!("  ! {service}{}: {what}", self.of(*variant))),
            Event::RoundStarted { round, planned, most } => self.round_started(*round, *planned, *most),
            Event::Looked { enough, reason, .. } => {
                self.line(&format!("  {}: {reason}", if *enough { "enough" } else { "going on" }));
            }
            Event::ScenarioStarted { scenario, play, seconds } => self.scenario_started(scenario, *play, *seconds),
            Event::PhaseStarted { phase, seconds, scenario } => self.phase_started(scenario, *phase, *seconds),
            Event::SteadyState { variant, holds, detail, .. } => {
                let word = if *holds { "steady state holds" } else { "steady state does NOT hold" };
                self.line(&format!("    {word}{}: {detail}", self.of(*variant)));
            }
            Event::FaultApplied { variant, fault } => self.fault_on(*variant, fault),
            Event::FaultReverted { variant, fault } => self.fault_off(*variant, fault),
            Event::StopCondition { detail, .. } => self.line(&format!("  ! stopped early: {detail}")),
            Event::LoadProgress { load, variant, rate, success, p99_ms } => {
                let text = format!("{load}{} {rate:.0}/s ok {:.1} % p99 {p99_ms:.0} ms", self.of(*variant), success * 100.0);
                self.loads.insert((load.clone(), *variant), text);
                self.live();
            }
            Event::Searched { scenario, dose, unit, answers, .. } => {
                let said: Vec<String> = answers.iter().map(|answer| self.answered(answer)).collect();
                self.line(&format!("  {scenario}: {} {}", unit.show(*dose), said.join(", ")));
            }
            Event::TelemetryDropped { variant, what, count } => {
                self.line(&format!("  ! {count} {what}{}", self.of(*variant)));
            }
            Event::SourceFailed { variant, source, error } => self.line(&format!("  ! {source}{}: {error}", self.of(*variant))),
            Event::Warning { message } => self.line(&format!("  ! {message}")),
            Event::Interrupted { signal } => self.line(&format!("{signal}: taking everything back")),
            Event::Unwound { clean: false, left } => {
                for what in left {
                    self.line(&format!("  ! left behind: {what}"));
                }
            }
            Event::RunStarted { .. }
            | Event::PhaseEnded { .. }
            | Event::Generator { .. }
            | Event::ScenarioEnded { .. }
            | Event::RoundEnded { .. }
            | Event::Unwound { .. } => {}
        }
    }

    /// `holds for the baseline`
    fn answered(&self, answer: &SearchAnswer) -> String {
        let of = if self.both { format!(" for the {}", answer.variant.word()) } else { String::new() };
        match answer.held {
            Some(true) => format!("holds{of}"),
            Some(false) => format!("does not hold{of}"),
            None => format!("says nothing{of} ({})", answer.reason),
        }
    }

    fn busy(&mut self, what: &str) {
        what.clone_into(&mut self.phase);
        if self.bar.is_hidden() {
            self.line(&format!("  {what}"));
        }
        self.live();
    }

    fn round_started(&mut self, round: u32, planned: u32, most: u32) {
        if most == 1 {
            return;
        }
        // Beyond the planned ones nobody knows how many more there will be.
        self.round = if round > planned { format!("round {round}, at most {most}") } else { format!("round {round}/{planned}") };
        self.line(&self.round);
    }

    fn scenario_started(&mut self, scenario: &str, play: Play, seconds: f64) {
        let episode = if play.episode > 1 { format!(", episode {}", play.episode) } else { String::new() };
        self.line(&format!("scenario {scenario}{episode}, {seconds:.0} s"));
    }

    fn phase_started(&mut self, scenario: &str, phase: Phase, seconds: f64) {
        let round = if self.round.is_empty() { String::new() } else { format!("{}, ", self.round) };
        self.phase = format!("{round}{scenario}: {} {seconds:.0} s", phase.word());
        self.line(&format!("  {} {seconds:.0} s", phase.word()));
        self.live();
    }

    fn fault_on(&self, variant: Variant, fault: &FaultRecord) {
        self.line(&format!("    {} on {}{} by {}", fault.kind, fault.target, self.of(variant), fault.mechanism));
    }

    fn fault_off(&self, variant: Variant, fault: &FaultRecord) {
        let text = match &fault.error {
            Some(error) => format!("    ! {} on {}{}: {error}", fault.kind, fault.target, self.of(variant)),
            None => format!("    {} on {}{} gone; {}", fault.kind, fault.target, self.of(variant), dose(fault)),
        };
        self.line(&text);
    }
}

fn dose(fault: &FaultRecord) -> String {
    let figures: Vec<String> = fault.dose.figures.iter().map(|(name, value)| format!("{name} {value:.0}")).collect();
    format!("touched {}{}{}", fault.dose.touched, if figures.is_empty() { "" } else { ", " }, figures.join(", "))
}

/// What services, engines and telemetry say is hostile: no control characters reach the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
