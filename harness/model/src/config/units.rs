//! Quantities with the bounds that the config sets to them.

use super::{fields::Field, problems::Problems};
use crate::units::{Percent, Span};
use std::{ops::RangeInclusive, time::Duration};

/// Longer than this no phase, fault or wait may be.
const LONGEST: Duration = Duration::from_hours(24);

/// A length of time, zero included.
pub(super) fn span(field: Field<'_>, problems: &mut Problems) -> Option<Span> {
    let span: Span = field.parse(problems)?;
    if span.0 > LONGEST {
        problems
            .error(field.spot(), format!("`{}`: {} is longer than a day", field.name, field.node.scalar().unwrap_or_default()))
            .hint("durations are written as `200ms`, `5s`, `2m`");
        return None;
    }
    Some(span)
}

/// A length of time above zero.
pub(super) fn long_span(field: Field<'_>, problems: &mut Problems) -> Option<Span> {
    let span = span(field, problems)?;
    if span.0.is_zero() {
        problems.error(field.spot(), format!("`{}` must be longer than zero", field.name)).hint("for example `5s`");
        return None;
    }
    Some(span)
}

/// A share that `accept` takes; `expected` says which.
pub(super) fn share(field: Field<'_>, expected: &str, accept: impl Fn(f64) -> bool, problems: &mut Problems) -> Option<Percent> {
    let percent: Percent = field.parse(problems)?;
    if accept(percent.0) {
        return Some(percent);
    }
    problems.error(field.spot(), format!("`{}`: expected {expected}, found {percent}", field.name));
    None
}

/// A whole number within bounds; `example` names it where none is found.
pub(super) fn count(field: Field<'_>, example: &str, bounds: &RangeInclusive<u32>, problems: &mut Problems) -> Option<u32> {
    match field.number(example, problems)? {
        count if bounds.contains(&count) => Some(count),
        _ => field.wrong(format!("a number from {} to {}", bounds.start(), bounds.end()), problems),
    }
}
