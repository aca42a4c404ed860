//! The geometry of a chart over time: where the panes are, what lies in them, and the paths of the series. Knows coordinates, no words.

use super::axis::Axis;
use shakedown_model::{
    event::Phase,
    result::{LoadExhibit, ScenarioResult, SeriesPoint},
    time::UnixNanos,
};
use std::fmt::Write;

pub(super) const WIDTH: f64 = 880.0;
pub(super) const LEFT: f64 = 62.0;
pub(super) const RIGHT: f64 = WIDTH - 14.0;
pub(super) const LANE: f64 = 20.0;
pub(super) const LANES: usize = 4;
const PLOT_HEIGHT: f64 = 230.0;
const STRIP_GAP: f64 = 26.0;
const STRIP_HEIGHT: f64 = 40.0;
const MARKS_HEIGHT: f64 = 24.0;
/// More points than this are no sharper on a screen.
const POINTS: usize = 120;
/// Paths are written in whole steps of half a pixel, each from the one before: the shortest form that looks the same.
pub(super) const STEPS: f64 = 2.0;
/// From this ratio of the slowest to the fastest on, a linear axis would press everything but the worst to the ground.
const LOG_FROM: f64 = 25.0;

/// A chart's panes and axes.
pub(super) struct Panes {
    /// Top of the plot.
    pub(super) plot_top: f64,
    /// Bottom of the plot.
    pub(super) plot_bottom: f64,
    /// Top of the strip of errors.
    pub(super) strip_top: f64,
    /// Its bottom.
    pub(super) strip_bottom: f64,
    /// Height of everything.
    pub(super) height: f64,
    /// Seconds from the origin → x.
    pub(super) time: Axis,
    /// Seconds of latency → y.
    pub(super) latency: Axis,
    /// Share of failed requests → y.
    pub(super) failed: Axis,
    /// Top of the axis of failed requests, as a share.
    pub(super) failed_most: f64,
    /// Length of one bucket of the candidate, in seconds.
    pub(super) bucket: f64,
    /// Stretches in which no variant has data: from the last bucket before to the first one after.
    holes: Vec<(UnixNanos, UnixNanos)>,
}

/// A load's series on one axis of time.
pub(super) struct Series {
    pub(super) candidate: Vec<SeriesPoint>,
    pub(super) baseline: Vec<SeriesPoint>,
    /// The baseline was recorded at another time and is laid over the candidate by its start.
    pub(super) was_moved: bool,
}

impl Series {
    /// Buckets without requests say nothing and are left out.
    pub(super) fn of(load: &LoadExhibit) -> Series {
        let with_requests = |points: &[SeriesPoint]| points.iter().filter(|point| point.requests > 0).copied().collect::<Vec<_>>();
        let candidate = thin(&with_requests(&load.candidate));
        let mut baseline = thin(&with_requests(&load.baseline));
        let span = |points: &[SeriesPoint]| Some((points.first()?.at, points.last()?.at));
        let was_moved = match (span(&candidate), span(&baseline)) {
            (Some((from, to)), Some((start, end))) => end < from || start > to,
            _ => false,
        };
        if was_moved {
            let (to, from) = (candidate[0].at.0, baseline[0].at.0);
            for point in &mut baseline {
                point.at = UnixNanos(to.saturating_add(point.at.0.saturating_sub(from)));
            }
        }
        Series { candidate, baseline, was_moved }
    }

    fn all(&self) -> impl Iterator<Item = &SeriesPoint> {
        self.candidate.iter().chain(&self.baseline)
    }
}

impl Panes {
    /// Panes for `series`, under `lanes` faults; `limits` must fit in too.
    pub(super) fn of(scenario: &ScenarioResult, series: &Series, origin: UnixNanos, lanes: usize, limits: &[f64]) -> Panes {
        let plot_top = 18.0 + lanes as f64 * LANE + MARKS_HEIGHT;
        let plot_bottom = plot_top + PLOT_HEIGHT;
        let strip_top = plot_bottom + STRIP_GAP;
        let strip_bottom = strip_top + STRIP_HEIGHT;
        let failed_most = round_share(series.all().map(failed_share).fold(0.0, f64::max));
        let bucket = spacing(&series.candidate);
        Panes {
            plot_top,
            plot_bottom,
            strip_top,
            strip_bottom,
            height: strip_bottom + 38.0,
            time: time_axis(scenario, series, origin, bucket),
            latency: latency_axis(series, limits, plot_top, plot_bottom),
            failed: Axis::linear(0.0, failed_most, strip_bottom, strip_top),
            failed_most,
            bucket,
            holes: holes(series, bucket),
        }
    }

    fn is_hole(&self, before: UnixNanos, after: UnixNanos) -> bool {
        self.holes.iter().any(|(from, to)| before <= *from && *to <= after)
    }

    /// The x of the middle of a bucket.
    pub(super) fn x(&self, point: &SeriesPoint, origin: UnixNanos) -> f64 {
        self.time.place(point.at.seconds_from(origin) + self.bucket / 2.0)
    }

    /// The path of one figure of a series, broken where data is missing. That the other variant has its turn is no gap.
    pub(super) fn path(&self, points: &[SeriesPoint], origin: UnixNanos, y: impl Fn(&SeriesPoint) -> f64) -> String {
        let mut path = String::new();
        let mut previous: Option<(UnixNanos, i64, i64)> = None;
        for point in points {
            let x = (self.x(point, origin) * STEPS).round() as i64;
            let y = (y(point) * STEPS).round() as i64;
            // Writing to a String cannot fail.
            let _ = match previous {
                Some((at, left, above)) if !self.is_hole(at, point.at) => write!(path, "l{} {}", x - left, y - above),
                _ => write!(path, "M{x} {y}"),
            };
            previous = Some((point.at, x, y));
        }
        path
    }
}

fn time_axis(scenario: &ScenarioResult, series: &Series, origin: UnixNanos, bucket: f64) -> Axis {
    let judged = scenario.shown_phases().filter(|phase| phase.name != Phase::Warmup);
    let starts = judged.clone().map(|phase| phase.start).chain(series.all().map(|point| point.at));
    let ends = judged.map(|phase| phase.end).chain(series.all().map(|point| point.at));
    let low = starts.min().map_or(0.0, |start| start.seconds_from(origin));
    let high = ends.max().map_or(1.0, |end| end.seconds_from(origin));
    Axis::linear(low, high.max(low + bucket), LEFT, RIGHT)
}

fn latency_axis(series: &Series, limits: &[f64], top: f64, bottom: f64) -> Axis {
    let finite = |value: &f64| value.is_finite() && *value > 0.0;
    let slowest = series.all().map(|point| point.p99).chain(limits.iter().copied()).filter(finite).fold(0.0, f64::max);
    let fastest = series.all().map(|point| point.p50).filter(finite).fold(f64::INFINITY, f64::min);
    if fastest.is_finite() && slowest / fastest >= LOG_FROM {
        Axis::log(fastest * 0.8, slowest * 1.25, bottom, top)
    } else {
        Axis::linear(0.0, slowest.max(1e-6) * 1.08, bottom, top)
    }
}

/// Neighbours joined until few enough are left. The slowest and the failed of those joined survive.
fn thin(points: &[SeriesPoint]) -> Vec<SeriesPoint> {
    points.chunks(points.len().div_ceil(POINTS).max(1)).filter_map(joined).collect()
}

fn joined(points: &[SeriesPoint]) -> Option<SeriesPoint> {
    let requests: u64 = points.iter().map(|point| point.requests).sum();
    Some(SeriesPoint {
        at: points.first()?.at,
        requests,
        failed: points.iter().map(|point| point.failed).sum(),
        p50: points.iter().map(|point| point.p50 * point.requests as f64).sum::<f64>() / requests.max(1) as f64,
        p99: points.iter().map(|point| point.p99).fold(0.0, f64::max),
    })
}

/// Share of a bucket's requests that failed.
pub(super) fn failed_share(point: &SeriesPoint) -> f64 {
    point.failed as f64 / point.requests.max(1) as f64
}

/// The next round share above: the top of the strip.
fn round_share(share: f64) -> f64 {
    [0.01, 0.02, 0.05, 0.1, 0.25, 0.5].into_iter().find(|round| *round >= share).unwrap_or(1.0)
}

fn holes(series: &Series, bucket: f64) -> Vec<(UnixNanos, UnixNanos)> {
    let mut times: Vec<UnixNanos> = series.all().map(|point| point.at).collect();
    times.sort_unstable();
    let pairs = times.windows(2).map(|pair| (pair[0], pair[1]));
    pairs.filter(|(from, to)| to.seconds_from(*from) > (bucket * 4.0).max(1.0)).collect()
}

/// Median distance of buckets, in seconds.
fn spacing(points: &[SeriesPoint]) -> f64 {
    let mut distances: Vec<f64> = points.windows(2).map(|pair| pair[1].at.seconds_from(pair[0].at)).collect();
    distances.sort_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied().filter(|distance| *distance > 0.0).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(second: f64, requests: u64) -> SeriesPoint {
        SeriesPoint { at: UnixNanos((second * 1e9) as u64), requests, failed: 0, p50: 0.01, p99: 0.02 }
    }

    #[test]
    fn a_recorded_baseline_is_laid_over_the_candidate_by_its_start() {
        let load = LoadExhibit {
            candidate: vec![point(1000.0, 1), point(1001.0, 1)],
            baseline: vec![point(10.0, 1), point(11.0, 1)],
            ..LoadExhibit::default()
        };
        let series = Series::of(&load);
        assert!(series.was_moved);
        assert_eq!(series.baseline[1].at, series.candidate[1].at);
    }

    #[test]
    fn an_interleaved_baseline_stays_where_it_is() {
        let load = LoadExhibit {
            candidate: vec![point(1.0, 1), point(3.0, 1)],
            baseline: vec![point(2.0, 1), point(4.0, 0)],
            ..LoadExhibit::default()
        };
        let series = Series::of(&load);
        assert!(!series.was_moved);
        assert_eq!(series.baseline.len(), 1, "a bucket without requests says nothing");
    }

    #[test]
    fn a_line_goes_on_while_the_other_variant_has_its_turn_and_breaks_where_nobody_has_data() {
        let load = LoadExhibit {
            candidate: [0.0, 0.5, 6.0, 6.5, 30.0].map(|second| point(100.0 + second, 1)).to_vec(),
            baseline: [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 5.5].map(|second| point(100.0 + second, 1)).to_vec(),
            ..LoadExhibit::default()
        };
        let series = Series::of(&load);
        let scenario: ScenarioResult = serde_json::from_str(
            r#"{"name":"s","why":null,"verdict":"pass","headline":"","phases":[],"faults":[],"findings":[],"culprits":[],"source":{"file":"","line":0},
                "exhibits":{"loads":[],"traces":[],"logs":[],"logs_left_out":0,"marks":[],"generator":null}}"#,
        )
        .unwrap();
        let panes = Panes::of(&scenario, &series, UnixNanos(0), 0, &[]);
        let path = panes.path(&series.candidate, UnixNanos(0), |_| 0.0);
        assert_eq!((path.matches('M').count(), path.matches('l').count()), (2, 3), "{path}");
    }

    #[test]
    fn many_points_become_few_and_the_slowest_survives() {
        let mut many: Vec<SeriesPoint> = (0..1_000).map(|index| point(f64::from(index), 2)).collect();
        many[777].p99 = 5.0;
        many[778].failed = 1;
        let few = thin(&many);
        assert!(few.len() <= POINTS, "{}", few.len());
        assert_eq!(few.iter().map(|point| point.requests).sum::<u64>(), 2_000);
        assert!(few.iter().any(|point| point.p99 > 4.9 && point.failed == 1));
        assert_eq!(thin(&many[..90]), many[..90], "what is small stays as it is");
    }

    #[test]
    fn the_strip_of_errors_ends_at_a_round_share() {
        let tops = [0.0, 0.03, 0.7].map(|share| round_share(share).to_string());
        assert_eq!(tops, ["0.01", "0.05", "1"]);
    }
}
