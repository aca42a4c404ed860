//! Latency of one load by percentile, candidate beside baseline, in the phase that matters.

use super::axis::Axis;
use crate::words;
use serde::Serialize;
use shakedown_model::{
    event::Phase,
    result::{Figures, LoadExhibit},
};
use std::fmt::Write;

const LEFT: f64 = 58.0;
const RIGHT: f64 = 430.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 172.0;
const NAMES: [&str; 6] = ["P50", "P90", "P95", "P99", "P99.9", "max"];

#[derive(Debug, Serialize)]
pub(super) struct PercentilesView {
    id: String,
    title: String,
    desc: String,
    candidate: LineView,
    baseline: Option<LineView>,
    x_ticks: Vec<(String, &'static str)>,
    y_ticks: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct LineView {
    path: String,
    points: Vec<(String, String, String)>,
}

impl PercentilesView {
    /// `None` where no phase has requests of the candidate.
    pub(super) fn of(load: &LoadExhibit, name: &str, id: &str) -> Option<PercentilesView> {
        let rows = || load.table.iter().filter(|row| row.candidate.requests > 0);
        let row = rows().find(|row| row.phase == Phase::Fault).or_else(|| rows().find(|row| row.phase == Phase::Steady))?;
        let candidate = latencies(&row.candidate);
        let baseline = row.baseline.as_ref().filter(|figures| figures.requests > 0).map(latencies);
        let all = || candidate.iter().chain(baseline.iter().flatten()).copied().filter(|value| value.is_finite() && *value > 0.0);
        let axis = Axis::log(all().fold(f64::INFINITY, f64::min).min(1e6) * 0.8, all().fold(1e-6, f64::max) * 1.25, BOTTOM, TOP);
        let when = words::during(Some(row.phase));
        Some(PercentilesView {
            id: format!("{id}-p"),
            title: format!("Latency of {name} by percentile, {when}"),
            desc: description(&candidate, baseline.as_ref()),
            candidate: line(&candidate, &axis),
            baseline: baseline.as_ref().map(|baseline| line(baseline, &axis)),
            x_ticks: NAMES.into_iter().enumerate().map(|(index, name)| (format!("{:.0}", place(index)), name)).collect(),
            y_ticks: axis.ticks(3).into_iter().map(|tick| (format!("{:.0}", axis.place(tick)), words::seconds(tick))).collect(),
        })
    }
}

fn latencies(figures: &Figures) -> [f64; 6] {
    [figures.p50, figures.p90, figures.p95, figures.p99, figures.p999, figures.max]
}

/// Each further nine is as wide as the one before.
fn place(index: usize) -> f64 {
    const NINES: [f64; 6] = [0.3, 1.0, 1.3, 2.0, 3.0, 3.6];
    Axis::linear(NINES[0], NINES[5], LEFT + 14.0, RIGHT - 14.0).place(NINES[index])
}

fn line(latencies: &[f64; 6], axis: &Axis) -> LineView {
    let mut path = String::new();
    let mut points = Vec::new();
    for (index, latency) in latencies.iter().enumerate() {
        let (x, y) = (place(index), axis.place(*latency));
        // Writing to a String cannot fail.
        let _ = write!(path, "{}{x:.0} {y:.0}", if index == 0 { "M" } else { "L" });
        points.push((format!("{x:.0}"), format!("{y:.0}"), format!("{} {}", NAMES[index], words::seconds(*latency))));
    }
    LineView { path, points }
}

/// What a reader who does not see the picture must know.
fn description(candidate: &[f64; 6], baseline: Option<&[f64; 6]>) -> String {
    let of = |figures: &[f64; 6]| {
        format!("P50 {}, P99 {}, slowest {}", words::seconds(figures[0]), words::seconds(figures[3]), words::seconds(figures[5]))
    };
    match baseline {
        Some(baseline) => format!("Candidate: {}. Baseline: {}.", of(candidate), of(baseline)),
        None => format!("Candidate: {}.", of(candidate)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::result::PhaseFigures;

    #[test]
    fn it_draws_the_phase_under_the_fault_and_survives_figures_that_are_no_numbers() {
        let figures = |p50| Figures { requests: 9, p50, p90: 0.2, p95: 0.3, p99: 0.5, p999: f64::NAN, max: f64::INFINITY, success: 1.0 };
        let row = |phase, p50| PhaseFigures { phase, candidate: figures(p50), baseline: Some(figures(0.0)) };
        let load = LoadExhibit { table: vec![row(Phase::Steady, 0.01), row(Phase::Fault, 0.1)], ..LoadExhibit::default() };
        let view = PercentilesView::of(&load, "checkout", "s1").unwrap();
        assert!(view.title.ends_with("during the fault") && view.desc.starts_with("Candidate: P50 100 ms"), "{view:?}");
        assert!(!view.candidate.path.contains("NaN") && !view.candidate.path.contains("inf"), "{view:?}");
        assert!(PercentilesView::of(&LoadExhibit::default(), "checkout", "s1").is_none());
    }
}
