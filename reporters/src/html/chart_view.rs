//! What the template of a chart places: labels, paths, hover texts and the table that says the same without a picture.

use super::chart::{LANE, LANES, LEFT, Panes, RIGHT, STEPS, Series, WIDTH, failed_share};
use crate::{
    digest,
    plain::{cut, one_line},
    words,
};
use serde::Serialize;
use shakedown_model::{
    event::Phase,
    result::{LoadExhibit, ScenarioResult, SeriesPoint},
    time::UnixNanos,
};
use std::fmt::Write;

/// Distance at which two numbered marks do not touch.
const MARK_ROOM: f64 = 19.0;
const MARKS: usize = 24;

#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each answers one question of the template")]
pub(super) struct ChartView {
    id: String,
    /// The list of marks is the same for all charts of a scenario: the first prints it.
    is_first: bool,
    load: String,
    title: String,
    desc: String,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    plot_top: f64,
    plot_bottom: f64,
    strip_top: f64,
    strip_bottom: f64,
    is_log: bool,
    was_moved: bool,
    has_baseline: bool,
    bands: Vec<BandView>,
    lanes: Vec<LaneView>,
    more_lanes: usize,
    y_ticks: Vec<TickView>,
    x_ticks: Vec<TickView>,
    failed_most: String,
    no_failures: bool,
    candidate_p99: String,
    candidate_p50: String,
    baseline_p99: String,
    baseline_p50: String,
    baseline_failed: String,
    /// Shares of failed requests, as one path.
    bars: String,
    limits: Vec<LimitView>,
    marks: Vec<MarkView>,
    /// Seconds at the left and at the right end, and length of a bucket.
    from: String,
    to: String,
    bucket: String,
    /// Second at which each row begins.
    times: String,
    rows: Vec<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct BandView {
    name: &'static str,
    x: String,
    width: String,
    middle: String,
    is_fault: bool,
    is_wide: bool,
}

#[derive(Debug, Serialize)]
struct LaneView {
    label: String,
    x: String,
    width: String,
    y: f64,
    label_x: String,
    anchor: &'static str,
    nothing: bool,
}

#[derive(Debug, Serialize)]
struct TickView {
    at: String,
    label: String,
}

#[derive(Debug, Serialize)]
struct LimitView {
    from: String,
    to: String,
    y: String,
    /// Where the label stands: above the line, or below it where there is no room above.
    dy: &'static str,
    label: String,
}

#[derive(Debug, Serialize)]
struct MarkView {
    number: usize,
    x: String,
    label_x: String,
    offset: String,
    /// In seconds.
    at: String,
    text: String,
}

impl ChartView {
    /// `None` where there is nothing to draw.
    pub(super) fn of(scenario: &ScenarioResult, load: &LoadExhibit, origin: UnixNanos, id: &str) -> Option<ChartView> {
        let series = Series::of(load);
        if series.candidate.is_empty() && series.baseline.is_empty() {
            return None;
        }
        let faults = digest::faults(scenario);
        let lane_count = faults.len().min(LANES);
        let wanted = limits(scenario, load);
        let values: Vec<f64> = wanted.iter().map(|limit| limit.1).collect();
        let panes = Panes::of(scenario, &series, origin, lane_count, &values);
        let name = one_line(&load.load, 80);
        let line = |points: &[SeriesPoint], figure: fn(&SeriesPoint) -> f64| {
            panes.path(points, origin, |point| panes.latency.place(figure(point)))
        };
        Some(ChartView {
            id: id.to_owned(),
            is_first: scenario.exhibits.loads.first().is_some_and(|first| first.load == load.load),
            title: format!("Latency and errors of {name} over time"),
            desc: description(load),
            width: WIDTH,
            height: panes.height,
            left: LEFT,
            right: RIGHT,
            plot_top: panes.plot_top,
            plot_bottom: panes.plot_bottom,
            strip_top: panes.strip_top,
            strip_bottom: panes.strip_bottom,
            is_log: panes.latency.is_log,
            was_moved: series.was_moved,
            has_baseline: !series.baseline.is_empty(),
            bands: bands(scenario, &panes, origin),
            lanes: lanes(scenario, &panes, origin),
            more_lanes: faults.len() - lane_count,
            y_ticks: panes
                .latency
                .ticks(5)
                .into_iter()
                .map(|tick| TickView { at: round(panes.latency.place(tick)), label: tick_seconds(tick) })
                .collect(),
            x_ticks: panes
                .time
                .ticks(9)
                .into_iter()
                .map(|tick| TickView { at: round(panes.time.place(tick)), label: tick_time(tick) })
                .collect(),
            failed_most: words::share(panes.failed_most),
            no_failures: series.candidate.iter().chain(&series.baseline).all(|point| point.failed == 0),
            candidate_p99: line(&series.candidate, |point| point.p99),
            candidate_p50: line(&series.candidate, |point| point.p50),
            baseline_p99: line(&series.baseline, |point| point.p99),
            baseline_p50: line(&series.baseline, |point| point.p50),
            baseline_failed: panes.path(&series.baseline, origin, |point| panes.failed.place(failed_share(point))),
            bars: bars(&series, &panes, origin),
            limits: wanted.iter().filter_map(|(phase, limit, label)| limit_view(scenario, &panes, origin, *phase, *limit, label)).collect(),
            marks: marks(scenario, &panes, origin),
            from: format!("{:.2}", panes.time.ends().0),
            to: format!("{:.2}", panes.time.ends().1),
            bucket: format!("{:.2}", panes.bucket),
            times: times(&series, origin),
            rows: rows(&series, &panes, origin),
            load: name,
        })
    }
}

fn round(coordinate: f64) -> String {
    format!("{coordinate:.1}")
}

/// What a reader who does not see the picture must know.
fn description(load: &LoadExhibit) -> String {
    let sentences = load.table.iter().filter(|row| row.candidate.requests > 0 && row.phase != Phase::Warmup).map(|row| {
        let figures = &row.candidate;
        let when = match row.phase {
            Phase::Warmup | Phase::Steady => "Before the fault",
            Phase::Fault => "During the fault",
            Phase::Recovery => "After it",
        };
        let against = row.baseline.map(|baseline| format!(" against {} of the baseline", words::seconds(baseline.p99))).unwrap_or_default();
        format!("{when}, P99 was {}{against}, and {} succeeded.", words::seconds(figures.p99), words::share(figures.success))
    });
    sentences.collect::<Vec<_>>().join(" ")
}

fn bands(scenario: &ScenarioResult, panes: &Panes, origin: UnixNanos) -> Vec<BandView> {
    let bands = scenario.shown_phases().map(|phase| {
        let from = panes.time.place(phase.start.seconds_from(origin));
        let to = panes.time.place(phase.end.seconds_from(origin));
        BandView {
            name: phase.name.word(),
            x: round(from),
            width: round(to - from),
            middle: round(f64::midpoint(from, to)),
            is_fault: phase.name == Phase::Fault,
            is_wide: to - from > 58.0,
        }
    });
    // The warm-up has no band where no load was recorded in it.
    bands.filter(|band| band.width != "0.0").collect()
}

fn lanes(scenario: &ScenarioResult, panes: &Panes, origin: UnixNanos) -> Vec<LaneView> {
    let end = scenario.shown_phases().last().map(|phase| phase.end);
    let faults = digest::faults(scenario).into_iter().take(LANES).enumerate();
    faults
        .filter_map(|(index, fault)| {
            let from = panes.time.place(fault.applied_at?.seconds_from(origin));
            let to = panes.time.place(fault.reverted_at.or(end)?.seconds_from(origin));
            let label = cut(&format!("{} {}", one_line(&fault.kind, 20), words::target(&fault.target)), 44);
            // The label stands inside its bar, or beside it where the bar is too short.
            let room = label.chars().count() as f64 * 6.6 + 12.0;
            let (label_x, anchor) = match to - from {
                width if width >= room => (from + 6.0, "start"),
                _ if to + room <= RIGHT => (to + 6.0, "start"),
                _ => (from - 6.0, "end"),
            };
            Some(LaneView {
                label,
                x: round(from),
                width: round((to - from).max(2.0)),
                y: 18.0 + index as f64 * LANE,
                label_x: round(label_x),
                anchor,
                nothing: fault.touched == 0,
            })
        })
        .collect()
}

fn bars(series: &Series, panes: &Panes, origin: UnixNanos) -> String {
    let half_pixels = |pixels: f64| (pixels * STEPS).round() as i64;
    let bottom = half_pixels(panes.strip_bottom);
    let mut path = String::new();
    for point in series.candidate.iter().filter(|point| point.failed > 0) {
        let from = panes.time.place(point.at.seconds_from(origin));
        let to = panes.time.place(point.at.seconds_from(origin) + panes.bucket);
        let (x, width) = (half_pixels(from), half_pixels((to - from - 0.5).max(1.0)));
        let top = half_pixels(panes.failed.place(failed_share(point))).min(bottom - 2);
        // Writing to a String cannot fail.
        let _ = write!(path, "M{x} {bottom}V{top}h{width}V{bottom}z");
    }
    path
}

/// Absolute limits of this load's latency: phase, seconds, label.
fn limits(scenario: &ScenarioResult, load: &LoadExhibit) -> Vec<(Phase, f64, String)> {
    let findings = scenario.findings.iter().filter(|finding| finding.subject == load.load && finding.unit == "s");
    findings
        .filter(|finding| matches!(finding.check.as_str(), "p50" | "p90" | "p95" | "p99" | "p999"))
        .filter_map(|finding| {
            let (phase, limit) = (finding.phase?, finding.limit.filter(|limit| *limit > 0.0)?);
            Some((phase, limit, format!("{} limit {}", finding.check, words::seconds(limit))))
        })
        .collect()
}

fn limit_view(scenario: &ScenarioResult, panes: &Panes, origin: UnixNanos, phase: Phase, limit: f64, label: &str) -> Option<LimitView> {
    let window = scenario.shown_phases().find(|window| window.name == phase)?;
    let y = panes.latency.place(limit);
    Some(LimitView {
        from: round(panes.time.place(window.start.seconds_from(origin))),
        to: round(panes.time.place(window.end.seconds_from(origin))),
        y: round(y),
        dy: if y - panes.plot_top < 18.0 { "14" } else { "-5" },
        label: label.to_owned(),
    })
}

/// Marks as numbers, moved apart where they would touch.
fn marks(scenario: &ScenarioResult, panes: &Panes, origin: UnixNanos) -> Vec<MarkView> {
    let mut views: Vec<MarkView> = Vec::new();
    let mut free = f64::NEG_INFINITY;
    for (index, mark) in scenario.exhibits.marks.iter().take(MARKS).enumerate() {
        let x = panes.time.place(mark.at.seconds_from(origin));
        let label_x = x.max(free);
        free = label_x + MARK_ROOM;
        views.push(MarkView {
            number: index + 1,
            x: round(x),
            label_x: round(label_x),
            offset: words::offset(mark.at, origin),
            at: format!("{:.2}", mark.at.seconds_from(origin)),
            text: one_line(&mark.text, 200).replace("->", "→"),
        });
    }
    views
}

/// Where each row of the table begins: the page's script finds the row under the pointer by it.
fn times(series: &Series, origin: UnixNanos) -> String {
    let times = shown(series).iter().map(|point| format!("{:.2}", point.at.seconds_from(origin)));
    times.collect::<Vec<_>>().join(" ")
}

/// The candidate's buckets; where it has none, the baseline's.
fn shown(series: &Series) -> &[SeriesPoint] {
    if series.candidate.is_empty() { &series.baseline } else { &series.candidate }
}

fn nearest(points: &[SeriesPoint], at: UnixNanos, bucket: f64) -> Option<&SeriesPoint> {
    let index = points.partition_point(|point| point.at < at);
    let around = [index.checked_sub(1), Some(index)].into_iter().flatten().filter_map(|index| points.get(index));
    around
        .min_by(|a, b| a.at.seconds_from(at).abs().total_cmp(&b.at.seconds_from(at).abs()))
        .filter(|point| point.at.seconds_from(at).abs() <= bucket * 1.5)
}

/// Time, then requests, failed, P50 and P99 of the candidate and of the baseline.
fn rows(series: &Series, panes: &Panes, origin: UnixNanos) -> Vec<Vec<String>> {
    let rows = shown(series).iter().map(|point| {
        let mut row = vec![words::offset(point.at, origin)];
        row.extend(cells((!series.candidate.is_empty()).then_some(point)));
        row.extend(cells(nearest(&series.baseline, point.at, panes.bucket)));
        row
    });
    rows.collect()
}

fn cells(point: Option<&SeriesPoint>) -> [String; 4] {
    point.map_or_else(
        || std::array::from_fn(|_| words::NOTHING.to_owned()),
        |point| [words::count(point.requests), words::count(point.failed), words::seconds(point.p50), words::seconds(point.p99)],
    )
}

/// A tick needs no more digits than it has.
fn tick_seconds(seconds: f64) -> String {
    let (number, unit) = if seconds >= 1.0 {
        (seconds, "s")
    } else if seconds >= 0.001 {
        (seconds * 1e3, "ms")
    } else {
        (seconds * 1e6, "µs")
    };
    let text = format!("{number:.2}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "0" | "" => "0".to_owned(),
        text => format!("{text} {unit}"),
    }
}

fn tick_time(seconds: f64) -> String {
    match seconds {
        _ if seconds.abs() < 1e-9 => "0 s".to_owned(),
        _ if seconds < 0.0 => format!("−{} s", shakedown_model::units::trim_float(-seconds)),
        _ => format!("{} s", shakedown_model::units::trim_float(seconds)),
    }
}
