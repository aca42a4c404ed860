//! Progress on stderr: what is going on, from the events of the run. On a terminal a few lines that are drawn anew stay below what has happened;
//! elsewhere there are plain lines only.

use crate::{board::Board, context::now, terminal::Terminal};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shakedown_model::{
    event::{Event, Phase, SearchAnswer, TimedEvent},
    fault::FaultRecord,
    run::Play,
    stack::Variant,
    time::UnixNanos,
};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

/// How often the time that is left is drawn anew.
const REDRAW: Duration = Duration::from_millis(250);
/// How often a log is told how the loads go.
const TOLD: Duration = Duration::from_secs(10);

/// The console of one run.
pub(crate) struct Console {
    terminal: Terminal,
    bar: ProgressBar,
    board: Board,
    told: UnixNanos,
    both: bool,
}

impl Console {
    /// `both`: a baseline runs beside the candidate, so lines name the variant.
    pub(crate) fn new(terminal: &Terminal, both: bool) -> Console {
        let target = if terminal.interactive && !terminal.quiet { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Console { terminal: terminal.clone(), bar, board: Board::default(), told: UnixNanos(0), both }
    }

    /// Shows events until the run has no more to say.
    pub(crate) async fn show(mut self, mut events: mpsc::UnboundedReceiver<TimedEvent>) {
        self.bar.enable_steady_tick(Duration::from_millis(120));
        let mut redraw = interval(REDRAW);
        redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Both arms may be given up at any time.
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.take(&event),
                    None => break,
                },
                _ = redraw.tick(), if !self.bar.is_hidden() => self.draw(),
            }
        }
        self.bar.finish_and_clear();
    }

    fn take(&mut self, event: &TimedEvent) {
        self.board.event(event.at, &event.event);
        self.event(&event.event);
        match &event.event {
            Event::PhaseStarted { .. } => self.told = event.at,
            Event::LoadProgress { .. } if self.bar.is_hidden() && event.at.since(self.told) >= TOLD => {
                self.told = event.at;
                self.tell_loads();
            }
            _ => {}
        }
    }

    fn tell_loads(&self) {
        for line in self.board.loads() {
            self.line(&format!("    {line}"));
        }
    }

    fn draw(&self) {
        let lines: Vec<String> = self.board.lines(now()).iter().map(|line| printable(line)).collect();
        self.bar.set_message(lines.join("\n"));
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| self.terminal.note(&printable(text)));
    }

    fn of(&self, variant: Variant) -> String {
        if self.both { format!(" ({})", variant.word()) } else { String::new() }
    }

    fn event(&self, event: &Event) {
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
            Event::PhaseStarted { phase, seconds, .. } => self.phase_started(*phase, *seconds),
            Event::SteadyState { variant, holds, detail, .. } => {
                let word = if *holds { "steady state holds" } else { "steady state does NOT hold" };
                let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
                self.line(&format!("    {word}{}{detail}", self.of(*variant)));
            }
            Event::FaultApplied { variant, fault } => self.fault_on(*variant, fault),
            Event::FaultReverted { variant, fault } => self.fault_off(*variant, fault),
            Event::StopCondition { detail, .. } => self.line(&format!("  ! stopped early: {detail}")),
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
            Event::LoadProgress { .. }
            | Event::RunStarted { .. }
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

    /// On a terminal the board says it.
    fn busy(&self, what: &str) {
        if self.bar.is_hidden() {
            self.line(&format!("  {what}"));
        }
    }

    fn round_started(&self, round: u32, planned: u32, most: u32) {
        if most == 1 {
            return;
        }
        // Beyond the planned ones nobody knows how many more there will be.
        let round = if round > planned { format!("round {round}, at most {most}") } else { format!("round {round}/{planned}") };
        self.line(&round);
    }

    fn scenario_started(&self, scenario: &str, play: Play, seconds: f64) {
        let episode = if play.episode > 1 { format!(", episode {}", play.episode) } else { String::new() };
        self.line(&format!("scenario {scenario}{episode}, {seconds:.0} s"));
    }

    fn phase_started(&self, phase: Phase, seconds: f64) {
        self.line(&format!("  {} {seconds:.0} s", phase.word()));
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
