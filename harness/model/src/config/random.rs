//! Faults that are drawn: how many, of which kinds, on what.

use super::{
    expectation::read_target,
    fields::{Field, each},
    names::Names,
    problems::Problems,
    units,
};
use crate::{
    experiment::Random,
    fault::{Edge, Target},
    units::Span,
};
use std::time::Duration;

pub(super) const KEYS: &[&str] = &["count", "for", "gap", "kinds", "on"];
/// Kinds that can be drawn, those for an edge before those for a service.
pub(crate) const DRAWN_ON_EDGE: &[&str] = &["latency", "loss", "bandwidth", "partition", "reset", "down"];
pub(crate) const DRAWN_ON_SERVICE: &[&str] = &["pause", "stop", "kill", "restart", "cpu"];
/// More than anybody waits for.
const MOST: std::ops::RangeInclusive<u32> = 1..=50;
const COUNT: u32 = 3;
const LASTS: Span = Span(Duration::from_secs(5));
const GAP: Span = Span(Duration::from_secs(3));

pub(super) fn read(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Random> {
    let fields = field.fields("`random`", KEYS, problems)?;
    let count = fields.or("count", COUNT, |field| units::count(field, "a number of faults such as 3", &MOST, problems));
    let lasts = fields.or("for", LASTS, |field| units::long_span(field, problems));
    let gap = fields.or("gap", GAP, |field| units::span(field, problems));
    let all = [DRAWN_ON_EDGE, DRAWN_ON_SERVICE].concat();
    let words: Vec<(&str, &str)> = all.iter().map(|kind| (*kind, *kind)).collect();
    let kinds = fields.or("kinds", all.clone(), |field| each(field.list(problems)?, |item| item.choice(&words, problems)));
    let on = fields.or("on", Vec::new(), |field| each(field.list(problems)?, |item| read_target(item, names, problems)));
    let kinds: Vec<String> = kinds?.into_iter().map(str::to_owned).collect();
    let targets = weighed(if on.as_ref().is_some_and(Vec::is_empty) { everything(names) } else { on? }, &kinds, names);
    if targets.is_empty() && !names.incomplete {
        let hint = "name edges or services in `on`, or kinds that fit them; without `on` edges are those of `depends_on`";
        problems.error(field.key, "there is nothing to draw from").hint(hint);
        return None;
    }
    Some(Random { count: count?, lasts: lasts?, gap: gap?, kinds, targets })
}

/// Every service that is known, and every edge along which one depends on another.
fn everything(names: &Names) -> Vec<Target> {
    let edges = names.depends_on.iter().flat_map(|(from, on)| on.iter().map(|to| Edge { from: from.clone(), to: to.clone() }));
    edges.map(Target::Edge).chain(names.depends_on.keys().cloned().map(Target::Service)).collect()
}

fn weighed(targets: Vec<Target>, kinds: &[String], names: &Names) -> Vec<(Target, u32)> {
    let is_drawn = |target: &Target| {
        let fitting = if matches!(target, Target::Edge(_)) { DRAWN_ON_EDGE } else { DRAWN_ON_SERVICE };
        kinds.iter().any(|kind| fitting.contains(&kind.as_str()))
    };
    let weight = |target: &Target| match target {
        Target::Edge(edge) => 1 + names.dependents(&edge.to),
        Target::Service(service) => 1 + names.dependents(service),
    };
    targets.into_iter().filter(is_drawn).map(|target| (weight(&target), target)).map(|(weight, target)| (target, weight)).collect()
}
