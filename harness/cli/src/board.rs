//! What a run is doing at this moment, as a few lines that fit a terminal: the phase and what is left of it, the faults that are on, each load.
//! Knows events and times; draws nothing.

use shakedown_model::{event::Event, stack::Variant, time::UnixNanos};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Columns that a line takes at most: one is left, since some terminals wrap when the last one is written.
const WIDTH: usize = 79;
/// More loads and faults than this are counted.
const SHOWN: usize = 6;
/// Columns of a load's name.
const NAME: usize = 24;

/// The state of a run.
#[derive(Debug, Default)]
pub(crate) struct Board {
    round: String,
    scenario: Option<Step>,
    phase: Option<Step>,
    busy: String,
    faults: BTreeSet<(Variant, String)>,
    loads: BTreeMap<String, BTreeMap<Variant, Figures>>,
}

/// Something that takes a known time.
#[derive(Debug)]
struct Step {
    name: String,
    ends: UnixNanos,
}

impl Step {
    fn new(name: &str, at: UnixNanos, seconds: f64) -> Step {
        Step { name: name.to_owned(), ends: at + Duration::try_from_secs_f64(seconds).unwrap_or_default() }
    }

    /// `12 s left`; nothing where the time is over and the step is not.
    fn left(&self, now: UnixNanos) -> String {
        match self.ends.since(now).as_secs_f64().ceil() as u64 {
            0 => String::new(),
            seconds if seconds < 120 => format!(", {seconds} s left"),
            seconds => format!(", {} min {:02} s left", seconds / 60, seconds % 60),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Figures {
    rate: f64,
    success: f64,
    p99_ms: f64,
}

impl Figures {
    fn text(self) -> String {
        format!("{:>6.0}/s  ok {:>5.1} %  p99 {:>6.0} ms", self.rate, self.success * 100.0, self.p99_ms)
    }
}

impl Board {
    /// Takes in what happened.
    pub(crate) fn event(&mut self, at: UnixNanos, event: &Event) {
        match event {
            Event::Building { what, .. } => self.busy = format!("building {what}"),
            Event::ServiceStarting { service, .. } => self.busy = format!("starting {service}"),
            Event::RoundStarted { round, planned, most } if *most > 1 => {
                self.round = if round > planned { format!("round {round}, at most {most}") } else { format!("round {round}/{planned}") };
            }
            Event::ScenarioStarted { scenario, seconds, .. } => self.scenario = Some(Step::new(scenario, at, *seconds)),
            Event::PhaseStarted { phase, seconds, .. } => {
                self.phase = Some(Step::new(phase.word(), at, *seconds));
                self.loads.clear();
                self.busy.clear();
            }
            Event::FaultApplied { variant, fault } => {
                self.faults.insert((*variant, format!("{} on {}", fault.kind, fault.target)));
            }
            Event::FaultReverted { variant, fault } => {
                self.faults.remove(&(*variant, format!("{} on {}", fault.kind, fault.target)));
            }
            Event::LoadProgress { load, variant, rate, success, p99_ms } => {
                let figures = Figures { rate: *rate, success: *success, p99_ms: *p99_ms };
                self.loads.entry(load.clone()).or_default().insert(*variant, figures);
            }
            Event::ScenarioEnded { .. } => {
                (self.scenario, self.phase) = (None, None);
                self.loads.clear();
                self.faults.clear();
                "taking everything back".clone_into(&mut self.busy);
            }
            Event::Interrupted { signal } => self.busy = format!("{signal}: taking everything back"),
            _ => {}
        }
    }

    /// What to show, the first line first; empty: nothing is known yet.
    pub(crate) fn lines(&self, now: UnixNanos) -> Vec<String> {
        let mut lines = vec![self.head(now)];
        if !self.faults.is_empty() {
            lines.push(format!("  on: {}", self.faults()));
        }
        lines.extend(self.loads().into_iter().map(|line| format!("  {line}")));
        let lines = lines.into_iter().filter(|line| !line.trim().is_empty());
        lines.map(|line| cut(&line)).collect()
    }

    /// One line for each load: name, candidate, baseline.
    pub(crate) fn loads(&self) -> Vec<String> {
        let several = self.loads.values().any(|figures| figures.len() > 1);
        let mut lines = Vec::new();
        for (name, figures) in self.loads.iter().take(SHOWN) {
            let name: String = name.chars().take(NAME).collect();
            for (index, (variant, figures)) in figures.iter().enumerate() {
                let name = if index == 0 { name.as_str() } else { "" };
                let of = if several { format!("{:<10}", variant.word()) } else { String::new() };
                lines.push(format!("{name:<NAME$} {of}{}", figures.text()));
            }
        }
        if self.loads.len() > SHOWN {
            lines.push(format!("and {} more loads", self.loads.len() - SHOWN));
        }
        lines
    }

    fn head(&self, now: UnixNanos) -> String {
        let mut parts: Vec<String> = Vec::new();
        if !self.round.is_empty() {
            parts.push(self.round.clone());
        }
        if let Some(scenario) = &self.scenario {
            parts.push(scenario.name.clone());
        }
        match (&self.phase, self.busy.is_empty()) {
            (Some(phase), true) => parts.push(format!("{}{}", phase.name, phase.left(now))),
            _ if self.busy.is_empty() => {}
            _ => parts.push(self.busy.clone()),
        }
        parts.join(" · ")
    }

    /// The same fault on both variants is one.
    fn faults(&self) -> String {
        let mut names: Vec<&str> = self.faults.iter().map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let more = names.len().saturating_sub(SHOWN);
        let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        if more == 0 { shown } else { format!("{shown} and {more} more") }
    }
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(WIDTH - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::{
        event::Phase,
        fault::{Dose, FaultRecord},
        run::Play,
    };

    fn at(seconds: f64) -> UnixNanos {
        UnixNanos::from_seconds(1_000.0 + seconds)
    }

    fn fault(kind: &str) -> FaultRecord {
        FaultRecord {
            scenario: "slow-payment".to_owned(),
            play: Play::default(),
            index: 0,
            kind: kind.to_owned(),
            target: "orders -> payment".to_owned(),
            mechanism: "packets".to_owned(),
            asked: Dose::default().figures,
            dose: Dose::default(),
            applied_at: None,
            reverted_at: None,
            error: None,
        }
    }

    fn in_the_fault_phase() -> Board {
        let mut board = Board::default();
        board.event(at(0.0), &Event::RoundStarted { round: 2, planned: 4, most: 6 });
        board.event(at(0.0), &Event::ScenarioStarted { scenario: "slow-payment".to_owned(), play: Play::default(), seconds: 40.0 });
        board.event(at(10.0), &Event::PhaseStarted { scenario: "slow-payment".to_owned(), phase: Phase::Fault, seconds: 20.0 });
        for variant in [Variant::Candidate, Variant::Baseline] {
            board.event(at(10.1), &Event::FaultApplied { variant, fault: fault("latency") });
            board
                .event(at(11.0), &Event::LoadProgress { load: "checkout".to_owned(), variant, rate: 120.0, success: 0.998, p99_ms: 412.4 });
        }
        board
    }

    #[test]
    fn phase_time_left_faults_and_loads_are_shown() {
        let board = in_the_fault_phase();
        assert_eq!(
            board.lines(at(12.5)),
            [
                "round 2/4 · slow-payment · fault, 18 s left",
                "  on: latency on orders -> payment",
                "  checkout                 candidate    120/s  ok  99.8 %  p99    412 ms",
                "                           baseline     120/s  ok  99.8 %  p99    412 ms",
            ]
        );
    }

    #[test]
    fn a_fault_that_is_gone_and_a_phase_that_is_over_are_not_shown_as_on() {
        let mut board = in_the_fault_phase();
        board.event(at(30.0), &Event::FaultReverted { variant: Variant::Candidate, fault: fault("latency") });
        assert!(board.lines(at(31.0))[1].starts_with("  on: latency"), "it is still on for the baseline");
        board.event(at(30.1), &Event::FaultReverted { variant: Variant::Baseline, fault: fault("latency") });
        let lines = board.lines(at(31.0));
        assert_eq!(lines[0], "round 2/4 · slow-payment · fault");
        assert!(!lines.iter().any(|line| line.contains("on:")), "{lines:?}");
        board.event(at(32.0), &Event::ScenarioEnded { scenario: "slow-payment".to_owned(), play: Play::default() });
        assert_eq!(board.lines(at(33.0)), ["round 2/4 · taking everything back"]);
    }

    #[test]
    fn no_line_is_wider_than_a_terminal_and_there_are_few_of_them() {
        let mut board = in_the_fault_phase();
        for number in 0..50 {
            board.event(
                at(11.0),
                &Event::FaultApplied { variant: Variant::Candidate, fault: fault(&format!("a-very-long-kind-of-fault-{number}")) },
            );
            let load = format!("a-load-with-a-name-that-is-far-too-long-{number}");
            board.event(at(11.0), &Event::LoadProgress { load, variant: Variant::Candidate, rate: 1e9, success: 1.0, p99_ms: 1e9 });
        }
        let lines = board.lines(at(12.0));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        assert!(lines.len() <= 12, "{lines:#?}");
    }

    #[test]
    fn before_anything_happened_nothing_is_shown() {
        assert!(Board::default().lines(at(0.0)).is_empty());
    }
}
