//! `search: {latency.delay: 0ms..2s by 50ms}`: which parameter of a fault is searched, and in which range.

use super::{
    fields::Field,
    kinds,
    problems::{Problems, meant},
    text::Spot,
    tree::{Entry, Node, Value, shorten},
};
use crate::{
    experiment::{Check, Expectation},
    fault::{
        Fault, Search, Worse,
        search::{DoseUnit, MOST_STEPS, STEPS, field, fields_of},
    },
};

/// Reads `search` of a fault of the kind that `kind` gives.
pub(super) fn read(search: Field<'_>, kind: Field<'_>, problems: &mut Problems) -> Option<Search> {
    let entries = search.entries(problems)?;
    let range = match entries.as_slice() {
        [one] => *one,
        [] => return search.wrong("one parameter and its range such as `{latency.delay: 0ms..2s}`", problems),
        [first, second, ..] => {
            problems
                .error(second.key, "one parameter is searched at a time")
                .also(first.key, "the first")
                .hint("write a scenario for each");
            return None;
        }
    };
    let Some((unit, worse)) = field(range.name).filter(|_| range.name.split_once('.').is_some_and(|(of, _)| of == kind.name)) else {
        tell_unknown(range, kind, problems);
        return None;
    };
    let parameter = range.name.split_once('.').map_or(range.name, |(_, parameter)| parameter);
    if kind.node.get(parameter).and_then(Node::scalar).is_none() {
        let message = format!("`{}` is searched, and the fault does not give it", range.name);
        problems
            .error(range.key, message)
            .also(kind.key, "here")
            .hint(format!("say `{parameter}` there, too: it is what people read first"));
        return None;
    }
    let found = read_range(range, unit, worse, problems)?;
    let ends_are_possible = [found.from, found.to].map(|dose| is_possible(kind, parameter, &unit.write(dose), range.spot(), problems));
    ends_are_possible.iter().all(|possible| *possible).then_some(found)
}

fn tell_unknown(range: Field<'_>, kind: Field<'_>, problems: &mut Problems) {
    let message = format!("`{}` cannot be searched in a fault of the kind `{}`", shorten(range.name), kind.name);
    let known: Vec<&str> = fields_of(kind.name).collect();
    let hint = if known.is_empty() { "nothing of it can".to_owned() } else { meant(range.name, "what can", known) };
    problems.error(range.key, message).hint(hint);
}

/// `0ms..2s`, `0ms..2s by 50ms`
fn read_range(range: Field<'_>, unit: DoseUnit, worse: Worse, problems: &mut Problems) -> Option<Search> {
    let text = range.text(problems)?;
    let (ends, step) = text.split_once(" by ").map_or((text, None), |(ends, step)| (ends, Some(step)));
    let Some((from, to)) = ends.split_once("..") else {
        return range.wrong("a range such as `0ms..2s` or `0ms..2s by 50ms`", problems);
    };
    let mut read = |text: &str| match unit.parse(text) {
        Ok(dose) => Some(dose),
        Err(error) => {
            problems.error(range.spot(), format!("`{}`: {}", range.name, shorten(&error)));
            None
        }
    };
    let (from, to, step) = (read(from), read(to), step.map(&mut read));
    let (from, to) = (unit.settle(from?), unit.settle(to?));
    let length = to - from;
    if length <= 0.0 {
        let message = format!("`{}`: the range ends where it begins or before", range.name);
        let hint = if worse == Worse::Smaller {
            "the smaller number comes first, also where it is the worse one"
        } else {
            "the smaller one comes first"
        };
        problems.error(range.spot(), message).hint(hint);
        return None;
    }
    let step = match step {
        None => (length / STEPS).max(unit.grain()),
        Some(step) => step?,
    };
    if step < unit.grain() || step > length / 2.0 || step < length / MOST_STEPS {
        let message = format!("`{}`: a step is between a half and a {MOST_STEPS:.0}th of the range", range.name);
        problems.error(range.spot(), message).hint(format!("without `by` it is a {STEPS:.0}nd"));
        return None;
    }
    // No fault is no dose: the mildest one that is played is a step.
    let is_nothing = worse == Worse::Larger && from <= 0.0;
    let from = if is_nothing { unit.settle(step) } else { from };
    Some(Search { path: range.name.to_owned(), unit, worse, from, to, step })
}

/// Whether the fault could be written with this value; if not, why is told at `spot`.
fn is_possible(kind: Field<'_>, parameter: &str, value: &str, spot: &Spot, problems: &mut Problems) -> bool {
    let Value::Map(entries) = &kind.node.value else { return false };
    let put = |entry: &Entry| {
        if entry.key == parameter {
            let node = Node { spot: spot.clone(), value: Value::Scalar { text: value.to_owned(), plain: true } };
            Entry { node, ..entry.clone() }
        } else {
            entry.clone()
        }
    };
    let node = Node { spot: kind.node.spot.clone(), value: Value::Map(entries.iter().map(put).collect()) };
    kinds::read(Field { node: &node, ..kind }, problems).is_some()
}

/// What a scenario must be so that a play of it answers whether its expectations hold.
pub(super) fn check(faults: &[Fault], expected: &[Expectation], recovers: bool, episodes: u32, at: &Spot, problems: &mut Problems) {
    let searched = faults.iter().filter(|fault| fault.search.is_some()).count();
    if searched == 0 {
        return;
    }
    if searched > 1 {
        problems
            .error(at, "the doses of two faults are searched in one scenario")
            .hint("a target of its own and a scenario of its own for each");
    }
    if episodes > 1 {
        problems.error(at, "a scenario whose dose is searched is played as often as the search needs").hint("take `episodes` away");
    }
    let is_on_load = |expectation: &&Expectation| matches!(expectation.check, Check::Load { .. });
    if let Some(other) = expected.iter().find(|expectation| !is_on_load(expectation)) {
        problems
            .error(at, format!("the expectation in line {} cannot be asked of a single play", other.source.line))
            .hint("a search is answered by expectations on `load` and by `recovery`; put others into a scenario of their own");
    }
    if !recovers && !expected.iter().any(|expectation| is_on_load(&expectation)) {
        problems
            .error(at, "a dose is searched, and nothing is expected that could hold or not")
            .hint("add `expect: {fault: [{load: checkout, p99: \"<= 900ms\"}]}`");
    }
}
