//! What the alerts of a rule file did under the fault.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertExhibit {
    /// Name.
    pub name: String,
    /// Its label `severity`.
    pub severity: Option<String>,
    /// How long its condition must hold, seconds.
    pub needs: f64,
    /// On the candidate; `None`: it was not evaluated, for which `problem` is the reason.
    pub candidate: Option<AlertState>,
    /// On the baseline; `None`: that is not known.
    pub baseline: Option<AlertState>,
    /// Why it was not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What an alert did on one variant, from the first fault of a play to the end of its recovery, over all plays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertState {
    /// Whether it fires.
    pub fires: bool,
    /// Whether it fires before the fault.
    pub fired_before: bool,
    /// When it first fires, seconds after the fault took hold.
    pub after: Option<f64>,
    /// How long it fires, seconds.
    pub fired_for: f64,
    /// The longest time that its condition held without a break, seconds.
    pub held: f64,
}
