//! Marks on the time axis, from the events of the candidate.

use crate::{text, view::View};
use shakedown_model::{
    event::{Event, TimedEvent},
    fault::FaultRecord,
    result::Mark,
    stack::Variant::Candidate,
    time::UnixNanos,
};

/// A service that flaps must not fill the page.
const AT_MOST: usize = 200;

pub(super) fn marks(view: &View<'_>) -> Vec<Mark> {
    let Some(whole) = view.candidate.whole() else { return Vec::new() };
    let mut marks: Vec<Mark> = view
        .evidence
        .events
        .iter()
        .filter(|timed| whole.start <= timed.at && timed.at <= whole.end)
        .filter_map(|timed| mark(timed, &view.scenario.name))
        .take(AT_MOST)
        .collect();
    // Faults are also in their own records, with the time at which they really took hold.
    let told = |marks: &[Mark], text: &str| marks.iter().any(|mark| mark.text == text);
    for fault in &view.candidate.faults {
        for (at, text) in [(fault.applied_at, took_hold(fault)), (fault.reverted_at, gone(fault))] {
            if let Some(at) = at.filter(|_| !told(&marks, &text)) {
                marks.push(Mark { at, text });
            }
        }
    }
    marks.sort_by(|a, b| (a.at, &a.text).cmp(&(b.at, &b.text)));
    marks
}

fn mark(timed: &TimedEvent, scenario: &str) -> Option<Mark> {
    let (at, text): (UnixNanos, String) = match &timed.event {
        Event::PhaseStarted { scenario: of, phase, .. } if of == scenario => (timed.at, format!("{} begins", phase.word())),
        Event::FaultApplied { variant: Candidate, fault } if fault.scenario == scenario => {
            (fault.applied_at.unwrap_or(timed.at), took_hold(fault))
        }
        Event::FaultReverted { variant: Candidate, fault } if fault.scenario == scenario => match &fault.error {
            Some(error) => (timed.at, format!("{} on {} failed: {}", fault.kind, fault.target, text::clean(error, 200))),
            None => (fault.reverted_at.unwrap_or(timed.at), gone(fault)),
        },
        Event::ServiceChanged { variant: Candidate, service, what } => {
            (timed.at, format!("{} {}", text::clean(service, 100), text::clean(what, 200)))
        }
        Event::StopCondition { scenario: of, detail } if of == scenario => {
            (timed.at, format!("stopped early: {}", text::clean(detail, 200)))
        }
        Event::SteadyState { scenario: of, variant: Candidate, holds: false, detail } if of == scenario => {
            (timed.at, format!("steady state broken: {}", text::clean(detail, 200)))
        }
        Event::Interrupted { signal } => (timed.at, format!("interrupted by {}", text::clean(signal, 20))),
        _ => return None,
    };
    Some(Mark { at, text })
}

fn took_hold(fault: &FaultRecord) -> String {
    format!("{} on {} took hold", fault.kind, fault.target)
}

fn gone(fault: &FaultRecord) -> String {
    format!("{} on {} gone", fault.kind, fault.target)
}
