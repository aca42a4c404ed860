//! An error that is swallowed: requests in which a call failed are answered as if it had not, where the baseline said so by another status. A success
//! rate looks better for it.

use super::{FEWEST, SHOWN, advice, name, traced};
use crate::{checks::Check, plays::Plays, view::Arm};
use indexmap::{IndexMap, IndexSet};
use shakedown_model::{
    event::Phase,
    evidence::{SpanKind, SpanRecord},
    result::Finding,
};

/// So many of the requests must be answered as usual, …
const MOST: f64 = 0.9;
/// … and so many by the baseline at most.
const FEW: f64 = 0.1;

pub(super) struct Swallowed;

impl Check for Swallowed {
    fn name(&self) -> &'static str {
        "swallowed-error"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        let usual = usual(plays.candidates());
        let (ours, theirs) = (failing(plays.candidates()), failing(plays.baselines()));
        let mut found: Vec<(u64, Finding)> = Vec::new();
        for ((load, operation), ours) in &ours {
            let Some(theirs) = theirs.get(&(load.clone(), operation.clone())) else { continue };
            let Some(usual) = usual.get(load) else { continue };
            let (ours_of, theirs_of) = (total(ours), total(theirs));
            let share = |statuses: &Statuses, of: u64| statuses.get(usual).copied().unwrap_or(0) as f64 / of.max(1) as f64;
            let told =
                theirs.iter().filter(|(status, _)| (200..300).contains(*status) && *status != usual).max_by_key(|(_, count)| **count);
            let Some((told, _)) = told.filter(|(_, count)| **count as f64 >= MOST * theirs_of as f64) else { continue };
            if ours_of.min(theirs_of) < FEWEST || share(ours, ours_of) < MOST || share(theirs, theirs_of) > FEW {
                continue;
            }
            let reason = format!(
                "it failed in {ours_of} requests of {load} that were answered {usual} as if it had not; the baseline answers such requests {told}"
            );
            let finding = advice(plays, Phase::Fault, operation, self.name(), reason);
            found.push((ours_of, Finding { samples: ours_of, ..finding }));
        }
        found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        found.into_iter().take(SHOWN).map(|(_, finding)| finding).collect()
    }
}

/// How often each status was answered.
type Statuses = IndexMap<u16, u64>;

fn total(statuses: &Statuses) -> u64 {
    statuses.values().sum()
}

/// The status that a load is mostly answered with before the fault.
fn usual<'p, 'a: 'p>(arms: impl Iterator<Item = &'p Arm<'a>>) -> IndexMap<String, u16> {
    let mut statuses: IndexMap<String, Statuses> = IndexMap::new();
    for arm in arms {
        let Some(window) = arm.phase(Phase::Steady) else { continue };
        for request in arm.requests.iter().filter(|request| request.ok && window.contains(request.due)) {
            *statuses.entry(request.load.clone()).or_default().entry(request.status).or_insert(0) += 1;
        }
    }
    let most = |statuses: Statuses| statuses.into_iter().max_by_key(|(_, count)| *count).map(|(status, _)| status);
    statuses.into_iter().filter_map(|(load, statuses)| Some((load, most(statuses)?))).collect()
}

/// Statuses of successful requests in which every call of an operation failed, by load and operation.
fn failing<'p, 'a: 'p>(arms: impl Iterator<Item = &'p Arm<'a>>) -> IndexMap<(String, String), Statuses> {
    let mut failing: IndexMap<(String, String), Statuses> = IndexMap::new();
    traced(arms, Phase::Fault, |request, spans, _| {
        if request.ok {
            for operation in failed(spans) {
                *failing.entry((request.load.clone(), operation)).or_default().entry(request.status).or_insert(0) += 1;
            }
        }
    });
    failing
}

/// Operations of calls all of which failed.
fn failed(spans: &[&SpanRecord]) -> IndexSet<String> {
    let calls = |error: bool| spans.iter().filter(move |span| span.kind == SpanKind::Client && span.error == error);
    let succeeded: IndexSet<(&str, &str)> = calls(false).map(|span| (&*span.service, &*span.name)).collect();
    calls(true).filter(|span| !succeeded.contains(&(&*span.service, &*span.name))).map(|span| name(span)).collect()
}
