//! Calls per request that the fault multiplies: a retry storm, whether or not an expectation asks for it.

use super::{FEWEST, SHOWN, advice, name, traced};
use crate::{checks::Check, plays::Plays, slices::Sliced, view::Arm};
use indexmap::IndexMap;
use shakedown_model::{
    event::Phase,
    evidence::{SpanKind, SpanRecord},
    experiment::Check as Expected,
    result::Finding,
    units::trim_float,
};

/// How many times the calls of the baseline are too many, …
const TIMES: f64 = 1.5;
/// … and of its own without the fault.
const TIMES_OF_CALM: f64 = 1.3;
/// How rarely chance may do that.
const CHANCE: f64 = 0.000_1;

pub(super) struct Amplification;

impl Check for Amplification {
    fn name(&self) -> &'static str {
        "amplification"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        let asked = |caller: &str| {
            let mut expectations = plays.scenario.expect_fault.iter();
            expectations.any(|expectation| matches!(&expectation.check, Expected::Retries { edge, .. } if edge.from == caller))
        };
        let (ours, theirs) = (calls(plays.candidates(), Phase::Fault), calls(plays.baselines(), Phase::Fault));
        let calm = calls(plays.candidates(), Phase::Steady);
        let grown = ours.iter().filter_map(|(operation, (caller, ours))| {
            let (_, theirs) = theirs.get(operation)?;
            let (_, calm) = calm.get(operation)?;
            let enough = ours.count().min(theirs.count()).min(calm.count()) >= FEWEST;
            let grown = ours.mean() >= TIMES * theirs.mean() && ours.mean() >= TIMES_OF_CALM * calm.mean();
            (enough && grown && !asked(caller) && ours.p_above(theirs) <= CHANCE).then_some((operation, ours, theirs, calm))
        });
        let mut grown: Vec<(&String, &Sliced, &Sliced, &Sliced)> = grown.collect();
        grown.sort_by(|a, b| (b.1.mean() / b.2.mean()).total_cmp(&(a.1.mean() / a.2.mean())));
        let finding = |(operation, ours, theirs, calm): &(&String, &Sliced, &Sliced, &Sliced)| {
            let round = |value: f64| trim_float((value * 100.0).round() / 100.0);
            let reason = format!(
                "called {} times in each request that calls it at all while the fault was on, by the baseline {} times; without the fault {} times",
                round(ours.mean()),
                round(theirs.mean()),
                round(calm.mean())
            );
            Finding {
                observed: Some(ours.mean()),
                baseline: Some(theirs.mean()),
                unit: "ratio".to_owned(),
                samples: ours.count(),
                ..advice(plays, Phase::Fault, operation, self.name(), reason)
            }
        };
        grown.iter().take(SHOWN).map(finding).collect()
    }
}

/// By operation of a client span: its service, and calls per request that makes any.
fn calls<'p, 'a: 'p>(arms: impl Iterator<Item = &'p Arm<'a>>, phase: Phase) -> IndexMap<String, (String, Sliced)> {
    let mut calls: IndexMap<String, (String, Sliced)> = IndexMap::new();
    traced(arms, phase, |_, spans, slice| {
        for (operation, (service, count)) in of_trace(spans) {
            calls.entry(operation).or_insert_with(|| (service.to_owned(), Sliced::default())).1.add(slice, f64::from(count));
        }
    });
    calls
}

fn of_trace<'a>(spans: &[&'a SpanRecord]) -> IndexMap<String, (&'a str, u32)> {
    let mut counts: IndexMap<(&str, &str), (&'a SpanRecord, u32)> = IndexMap::new();
    for span in spans.iter().filter(|span| span.kind == SpanKind::Client) {
        counts.entry((&span.service, &span.name)).or_insert((span, 0)).1 += 1;
    }
    let mut named: IndexMap<String, (&str, u32)> = IndexMap::new();
    for (span, count) in counts.into_values() {
        named.entry(name(span)).or_insert((&span.service, 0)).1 += count;
    }
    named
}
