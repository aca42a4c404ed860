//! A change with its interval as a small bar on an axis from −50 % to +100 %; what lies beyond ends in an arrow.

use super::axis::Axis;
use crate::words;
use serde::Serialize;
use shakedown_model::result::Finding;

const LOW: f64 = -0.5;
const HIGH: f64 = 1.0;
const WIDTH: f64 = 140.0;
/// Room for an arrow at either end.
const MARGIN: f64 = 8.0;

/// What the template draws and says.
#[derive(Debug, Serialize)]
pub(super) struct IntervalView {
    verdict: &'static str,
    change: String,
    interval: Option<String>,
    label: String,
    zero: String,
    tolerance: Option<String>,
    from: String,
    to: String,
    point: Option<String>,
    goes_below: bool,
    goes_above: bool,
}

impl IntervalView {
    /// `None` where `finding` compares nothing.
    pub(super) fn of(finding: &Finding) -> Option<IntervalView> {
        let change = finding.change?;
        let [low, high] = finding.ci.unwrap_or([change, change]);
        let axis = Axis::linear(LOW, HIGH, MARGIN, WIDTH - MARGIN);
        let place = |value: f64| format!("{:.1}", axis.place(value));
        // A bar that lies wholly beyond the axis is drawn as its last piece, so that its arrow has a shaft.
        let (from, to) = (low.clamp(LOW, HIGH - 0.12), high.clamp(LOW + 0.12, HIGH));
        let interval = finding.ci.map(words::interval);
        Some(IntervalView {
            verdict: finding.verdict.word(),
            label: format!(
                "{}: {}{}",
                words::topic(finding),
                words::change(change),
                interval.as_ref().map(|interval| format!(", between {}", interval.replace(" … ", " and "))).unwrap_or_default()
            ),
            change: words::change(change),
            interval,
            zero: place(0.0),
            tolerance: tolerance(finding).map(place),
            from: place(from),
            to: place(to),
            point: (LOW..=HIGH).contains(&change).then(|| place(change)),
            goes_below: low < LOW,
            goes_above: high > HIGH,
        })
    }
}

/// The limit of a comparison, as a change against the baseline.
fn tolerance(finding: &Finding) -> Option<f64> {
    let (limit, baseline) = (finding.limit?, finding.baseline?);
    (baseline > 0.0).then(|| limit / baseline - 1.0).filter(|tolerance| (LOW..=HIGH).contains(tolerance))
}
