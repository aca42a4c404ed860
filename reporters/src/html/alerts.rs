//! What the alerts of a rule file did under the fault.

use crate::{plain::one_line, words};
use serde::Serialize;
use shakedown_model::result::{AlertExhibit, AlertState};

#[derive(Debug, Serialize)]
pub(super) struct AlertView {
    name: String,
    severity: String,
    needs: String,
    candidate: String,
    baseline: String,
    problem: Option<String>,
}

impl AlertView {
    pub(super) fn of(alert: &AlertExhibit) -> AlertView {
        let problem = alert.problem.as_deref().map(|problem| one_line(problem, 300));
        AlertView {
            name: one_line(&alert.name, 120),
            severity: alert.severity.as_deref().map_or_else(|| words::NOTHING.to_owned(), |severity| one_line(severity, 40)),
            needs: words::seconds(alert.needs),
            candidate: state(alert.candidate.as_ref()),
            baseline: state(alert.baseline.as_ref()),
            problem: problem.or_else(|| alert.candidate.is_none().then(|| "no reason was recorded".to_owned())),
        }
    }
}

fn state(state: Option<&AlertState>) -> String {
    let Some(state) = state else { return "not known".to_owned() };
    if !state.fires {
        let held = if state.held > 0.0 { format!(", its condition held for {}", words::seconds(state.held)) } else { String::new() };
        return format!("silent{held}");
    }
    let after = state.after.map(|after| format!(" {} after the fault", words::seconds(after))).unwrap_or_default();
    let before = if state.fired_before { "; it did so before the fault, too" } else { "" };
    format!("fires{after}, for {}{before}", words::seconds(state.fired_for))
}
