//! Kinds that are done to the life of a service.

use crate::{
    config::{fields::Field, problems::Problems, units},
    fault::{CrashLoop, Term},
    units::Span,
};
use std::time::Duration;

/// What engines give a service by default before they kill it.
const GRACE: Span = Span(Duration::from_secs(10));
/// From one kill to the next, where nobody says.
const EVERY: Span = Span(Duration::from_secs(3));

pub(super) fn term(field: Field<'_>, problems: &mut Problems) -> Option<Term> {
    if field.is_null() {
        return Some(Term { grace: GRACE });
    }
    let fields = field.fields("`term`", &["grace"], problems)?;
    Some(Term { grace: fields.or("grace", GRACE, |field| units::long_span(field, problems))? })
}

pub(super) fn crash_loop(field: Field<'_>, problems: &mut Problems) -> Option<CrashLoop> {
    if field.is_null() {
        return Some(CrashLoop { every: EVERY });
    }
    let fields = field.fields("`crash_loop`", &["every"], problems)?;
    Some(CrashLoop { every: fields.or("every", EVERY, |field| units::long_span(field, problems))? })
}
