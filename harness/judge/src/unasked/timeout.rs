//! A caller that waits as long as the fault lasts: it has no timeout, or one that no request can wait for.

use super::{SHOWN, advice, name};
use crate::{checks::Check, peer, plays::Plays, text, view::Arm};
use indexmap::IndexMap;
use shakedown_model::{
    event::Phase,
    evidence::{SpanKind, SpanRecord},
    fault::{FaultRecord, Target},
    ids::SpanId,
    result::Finding,
    time::{UnixNanos, Window},
};
use std::{collections::HashSet, time::Duration};

/// A call that waits so long, …
const LONG: Duration = Duration::from_secs(2);
/// … and for this share of the fault, is waiting for its end.
const SHARE: f64 = 0.5;
/// So many of them are no accident.
const FEWEST: usize = 3;

pub(super) struct MissingTimeout;

impl Check for MissingTimeout {
    fn name(&self) -> &'static str {
        "missing-timeout"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        let (ours, theirs) = (waiting(plays.candidates()), waiting(plays.baselines()));
        let mut found: Vec<(&String, &Vec<Duration>)> = ours.iter().filter(|(_, waits)| waits.len() >= FEWEST).collect();
        found.sort_by_key(|(_, waits)| std::cmp::Reverse(waits.len()));
        let finding = |(operation, waits): &(&String, &Vec<Duration>)| {
            let longest = waits.iter().max().map_or(0.0, Duration::as_secs_f64);
            let beside = match theirs.get(*operation).map_or(0, Vec::len) {
                _ if plays.baselines().next().is_none() => String::new(),
                0 => "; none of the baseline's did".to_owned(),
                count => format!("; {count} of the baseline's did as well"),
            };
            let reason = format!(
                "{} waited until the fault was gone, the longest for {}: is there a timeout?{beside}",
                text::count(waits.len() as u64, "call"),
                text::seconds(longest)
            );
            Finding {
                observed: Some(longest),
                unit: "s".to_owned(),
                samples: waits.len() as u64,
                ..advice(plays, Phase::Fault, operation, self.name(), reason)
            }
        };
        found.iter().take(SHOWN).map(finding).collect()
    }
}

/// Calls to what was disturbed that began under a fault and did not end before it did, by operation; none of an operation that takes so long anyway.
fn waiting<'p, 'a: 'p>(arms: impl Iterator<Item = &'p Arm<'a>>) -> IndexMap<String, Vec<Duration>> {
    let mut waiting: IndexMap<String, Vec<Duration>> = IndexMap::new();
    for arm in arms {
        let steady = arm.phase(Phase::Steady);
        for (fault, window) in arm.faults.iter().filter_map(|fault| Some((fault, on(fault)?))) {
            let Ok(target) = fault.target.parse::<Target>() else { continue };
            let least = LONG.max(window.length().mul_f64(SHARE));
            let mut usual: IndexMap<String, Duration> = IndexMap::new();
            let from = steady.map_or(window.start, |steady| steady.start.min(window.start));
            for spans in arm.traces.values().filter(|spans| spans.iter().any(|span| (from..window.end).contains(&span.start))) {
                let answered = answered(spans, &target);
                for span in spans.iter().filter(|span| span.kind == SpanKind::Client && leads_to(span, &answered, &target)) {
                    let length = span.end.since(span.start);
                    if steady.is_some_and(|steady| steady.contains(span.start)) {
                        let longest = usual.entry(name(span)).or_default();
                        *longest = length.max(*longest);
                    } else if window.contains(span.start) && span.end >= window.end && length >= least {
                        waiting.entry(name(span)).or_default().push(length);
                    }
                }
            }
            waiting.retain(|operation, _| usual.get(operation).is_none_or(|usual| *usual < least));
        }
    }
    waiting
}

/// From when to when a fault was on; `None`: that is not known.
fn on(fault: &FaultRecord) -> Option<Window> {
    let (start, end): (UnixNanos, UnixNanos) = (fault.applied_at?, fault.reverted_at?);
    (start < end).then_some(Window { start, end })
}

/// Who was disturbed as a caller, if only one was; and as a callee.
fn ends(target: &Target) -> (Option<&str>, &str) {
    match target {
        Target::Edge(edge) => (Some(&edge.from), &edge.to),
        Target::Service(service) => (None, service),
    }
}

/// Spans of a trace that what was disturbed answered.
fn answered(trace: &[&SpanRecord], target: &Target) -> HashSet<SpanId> {
    trace.iter().filter(|span| *span.service == *ends(target).1).filter_map(|span| span.parent_id).collect()
}

fn leads_to(span: &SpanRecord, answered: &HashSet<SpanId>, target: &Target) -> bool {
    let (from, to) = ends(target);
    from.is_none_or(|from| *span.service == *from) && (answered.contains(&span.span_id) || peer::names(span).any(|name| name == to))
}
