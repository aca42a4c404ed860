//! A rule as it is said on the wire.

use serde::{Deserialize, Serialize};

/// A rule on the wire, which may be none: what it is for, and what is done to that.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleWords<M, A> {
    #[serde(rename = "match", default)]
    pub(crate) matching: M,
    pub(crate) action: A,
}
