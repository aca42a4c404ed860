//! What nobody asked and somebody should know: how the candidate bears the fault, where that can be told without doubt. One kind, one file. All of it
//! is advisory: it says something and decides nothing. What an expectation asks is not said twice.

mod amplification;
mod hangover;
mod pool;
mod swallowed;
mod timeout;
mod twice;

use crate::{
    checks::{self, Check},
    finding::Place,
    plays::Plays,
    slices,
    view::Arm,
};
use shakedown_model::{
    event::Phase,
    evidence::{Request, SpanRecord},
    result::Finding,
    verdict::Verdict,
};

/// Findings of one kind that are shown, the worst first.
const SHOWN: usize = 3;
/// Requests on each side below which nothing is said.
const FEWEST: u64 = 20;

/// What there is to say, once there was a fault.
pub(crate) fn after_a_fault(plays: &Plays<'_>) -> Vec<Finding> {
    if plays.candidates().all(|arm| arm.judged(Phase::Fault).is_none()) {
        return Vec::new();
    }
    let kinds: Vec<Box<dyn Check>> = vec![
        Box::new(amplification::Amplification),
        Box::new(timeout::MissingTimeout),
        Box::new(swallowed::Swallowed),
        Box::new(twice::Twice),
        Box::new(pool::Pool),
        Box::new(hangover::Hangover),
    ];
    // One that crashes says nothing: nobody asked.
    let mut findings: Vec<Finding> = Vec::new();
    for kind in kinds {
        findings.extend(checks::guarded(|| kind.judge(plays)).unwrap_or_default());
    }
    findings
}

/// An advisory finding.
fn advice(plays: &Plays<'_>, phase: Phase, subject: &str, check: &str, reason: String) -> Finding {
    let place = Place::new(plays.scenario, Some(phase), subject, check);
    Finding { advisory: true, ..place.finding(Verdict::Fail, reason) }
}

/// Every traced request of one variant in one phase: its spans, and the slice of the phase in which it was due.
fn traced<'p, 'a: 'p>(arms: impl Iterator<Item = &'p Arm<'a>>, phase: Phase, mut see: impl FnMut(&'a Request, &[&'a SpanRecord], usize)) {
    for arm in arms {
        let Some(window) = arm.judged(phase) else { continue };
        let requests: Vec<&Request> = arm.requests.iter().copied().filter(|request| window.contains(request.due)).collect();
        for (place, request) in requests.iter().enumerate() {
            if let Some(spans) = arm.traces.get(&request.trace_id) {
                see(request, spans, slices::slice(place, requests.len()));
            }
        }
    }
}

/// `orders / POST /charges`.
fn name(span: &SpanRecord) -> String {
    use crate::text::clean;
    format!("{} / {}", clean(&span.service, 100), crate::culprit::operation(&span.name))
}
