//! A run with a waived failure.

use crate::common::sample;
use shakedown_model::result::{RunResult, Waived};

/// The sample in which somebody answers for the third finding of the first scenario.
pub(crate) fn waived() -> RunResult {
    let mut result = sample();
    result.scenarios[0].findings[2].waived = Some(Waived {
        owner: "team-payments".to_owned(),
        expires: "2026-12-31".parse().expect("a day"),
        why: Some("known | since May".to_owned()),
    });
    result
}
