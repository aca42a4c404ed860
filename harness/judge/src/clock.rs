//! Whether time went on as it should. Phases are written down by the wall clock, due times by one that is never set: where the two disagree the clock
//! was set or the machine slept, and nothing that is told by phases means anything. Knows no latency.

use crate::{
    text,
    view::{Arm, View},
};
use shakedown_model::{
    event::Phase,
    evidence::Request,
    run::{PhaseRun, ScenarioRun},
    time::{UnixNanos, Window},
};
use std::time::Duration;

/// So far the two clocks may drift apart, and phases may overlap.
const SLACK: Duration = Duration::from_secs(1);
/// Before the first phase and after the last one load may run so long.
const AROUND: Duration = Duration::from_secs(10);
/// Without a request for so long …
const SILENCE: f64 = 2.0;
/// … and for as long as so many requests should have taken: chance makes such a gap once in e²⁵.
const MISSED: f64 = 25.0;

/// What is wrong with the time of one play; `None`: nothing.
pub(crate) fn complaint(view: &View<'_>) -> Option<String> {
    view.run?;
    // Phases of an imported run were cut by the clock of its spans, and nobody knows at which rate its requests should have come.
    if view.evidence.run.imported.is_some() {
        return None;
    }
    let paired = view.evidence.baseline.as_ref().is_some_and(|baseline| baseline.paired);
    let arms: Vec<&Arm<'_>> = std::iter::once(&view.candidate).chain(view.baseline.iter().filter(|_| paired)).collect();
    went_back(view).or_else(|| misplaced(view, &arms)).or_else(|| silence(view, &arms))
}

/// A phase that ends before it begins, or begins before the one before it ended.
fn went_back(view: &View<'_>) -> Option<String> {
    let phases = &view.run?.phases;
    let within = phases.iter().map(|phase| (phase.name, phase.start, phase.end));
    let between = phases.windows(2).map(|pair| (pair[1].name, pair[0].end, pair[1].start));
    let (phase, back) =
        within.chain(between).map(|(phase, earlier, later)| (phase, earlier.since(later))).find(|(_, back)| *back > SLACK)?;
    Some(format!("the clock went back by {} in or before the {} phase", text::seconds(back.as_secs_f64()), phase.word()))
}

/// Requests that were due in a phase by the load's own clock and outside it by the wall clock.
fn misplaced(view: &View<'_>, arms: &[&Arm<'_>]) -> Option<String> {
    let run = view.run?;
    let windows: Vec<(Phase, Window)> =
        run.phases.iter().enumerate().map(|(place, phase)| (phase.name, allowed(run, place, phase))).collect();
    let distance = |request: &Request| {
        let (phase, window) = windows.iter().find(|(phase, _)| *phase == request.phase)?;
        Some((window.start.since(request.due).max(request.due.since(window.end)), *phase))
    };
    let requests = arms.iter().flat_map(|arm| arm.requests);
    let (distance, phase) = requests.filter_map(|request| distance(request)).max_by_key(|(distance, _)| *distance)?;
    if distance.is_zero() {
        return None;
    }
    Some(format!(
        "requests of the {} phase were due {} and more outside it: the clock was set, or the machine slept",
        phase.word(),
        text::seconds(distance.as_secs_f64())
    ))
}

/// Where requests of a phase may be due: up to the next phase, as what is looked at between two belongs to the earlier one.
fn allowed(run: &ScenarioRun, place: usize, phase: &PhaseRun) -> Window {
    let early = if place == 0 { AROUND } else { SLACK };
    let end = run.phases.get(place + 1).map_or(phase.end + AROUND, |next| next.start.max(phase.end) + SLACK);
    Window { start: UnixNanos(phase.start.0.saturating_sub(early.as_nanos() as u64)), end }
}

/// No request of either variant for a time in which there should have been many.
fn silence(view: &View<'_>, arms: &[&Arm<'_>]) -> Option<String> {
    let whole = view.candidate.whole()?;
    let rate: f64 = view.evidence.experiment.loads.values().map(|load| load.rate.0).sum();
    let mut due: Vec<UnixNanos> = arms.iter().flat_map(|arm| arm.requests).map(|request| request.due).collect();
    if due.is_empty() || rate <= 0.0 {
        return None;
    }
    // Of a play that was cut short the end is known to be missing.
    let cut_short = view.evidence.run.aborted.is_some() || view.run.is_some_and(|run| run.stopped.is_some() || run.steady_broken.is_some());
    due.extend((!cut_short).then_some(whole.end));
    due.sort_unstable();
    let longest = due.windows(2).map(|pair| pair[1].since(pair[0])).max()?.as_secs_f64();
    (longest > SILENCE.max(MISSED / rate)).then(|| {
        format!(
            "no request was due for {} although {} are asked for: the machine slept, or evidence is missing",
            text::seconds(longest),
            text::rate(rate)
        )
    })
}
