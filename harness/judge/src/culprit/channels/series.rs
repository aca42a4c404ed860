//! Metrics of any kind, where there is nothing better: how far a series lies outside of what it was, in its own spread (after the robust scorer of
//! BARO, Pham et al., FSE 2024). It needs no traces and no limits, and says little by itself: many spreads are many only to a service that was calm.

use super::{Channel, Signal, note, resources::Measured, strongest};
use crate::{stats::median_of_sorted, text};
use indexmap::IndexMap;
use shakedown_model::{evidence::MetricPoint, result::EvidenceNote, time::Window, units::trim_float};

/// So many distances of the quartiles are half of a proof.
const HALF: f64 = 10.0;
/// Samples on each side.
const FEWEST: usize = 8;
/// A change of the middle by less than this share is not told.
const WORTH_A_WORD: f64 = 0.2;
/// Series of the culprit that are told.
const NOTES: usize = 2;
/// Series that are read.
const MOST_SERIES: usize = 50_000;

type Series<'a> = IndexMap<(&'a str, &'a str, &'a str), Vec<f64>>;

/// The series of each service that left its usual range furthest.
pub(crate) fn signals((ours, here): (&[MetricPoint], &[Window]), (theirs, there): (&[MetricPoint], &[Window]), name: &str) -> Vec<Signal> {
    let (now, before) = (series(ours, here), series(theirs, there));
    let signals = now.iter().filter_map(|(series, now)| {
        let spreads = spreads(before.get(series)?, now)?;
        let text = format!("{} is {spreads:.0} times its usual spread away from where it was, against {name}", text::clean(series.1, 100));
        Some(Signal {
            channel: Channel::Metrics,
            service: text::clean(series.0, 100),
            operation: String::new(),
            score: spreads / (spreads + HALF),
            notes: vec![note("metric", text)],
        })
    });
    strongest(signals.filter(|signal| signal.score >= 0.5).collect())
}

/// The series of one service that left the range they have in every reference, furthest first.
pub(crate) fn notes(service: &str, (ours, here): Measured<'_>, references: &[Measured<'_>], name: &str) -> Vec<EvidenceNote> {
    let of_service = |points: &mut Series<'_>| points.retain(|(of, ..), _| text::clean(of, 100) == service);
    let mut now = series(ours, here);
    of_service(&mut now);
    let references: Vec<Series<'_>> = references.iter().map(|(points, windows)| series(points, windows)).collect();
    let mut left: Vec<(f64, EvidenceNote)> = now
        .iter()
        .filter_map(|(series, now)| {
            let away = references.iter().map(|before| spreads(before.get(series)?, now));
            // Furthest from where it should be, nearest to where it was: both must be far.
            let least = away.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min).filter(|least| *least >= HALF)?;
            let [from, to] = [references[0].get(series)?, now].map(|values| middle(values));
            if (to - from).abs() < WORTH_A_WORD * from.abs() {
                return None;
            }
            let [from, to] = [from, to].map(|value| trim_float(rounded(value)));
            let labels = if series.2.is_empty() { String::new() } else { format!("{{{}}}", text::clean(series.2, 100)) };
            let each = if counts(series.1) { " from one sample to the next" } else { "" };
            let name =
                format!("{}{labels} {from} -> {to}{each}, {least:.0} times its usual spread, against {name}", text::clean(series.1, 100));
            Some((least, note("metric", name)))
        })
        .collect();
    left.sort_by(|a, b| b.0.total_cmp(&a.0));
    left.into_iter().take(NOTES).map(|(_, note)| note).collect()
}

fn middle(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    median_of_sorted(&values).unwrap_or(0.0)
}

/// To three digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// How far nine tenths of the values stay away from the usual middle, at least a tenth of them; `None`: it never moved, or hardly anything was seen.
fn spreads(before: &[f64], now: &[f64]) -> Option<f64> {
    if before.len().min(now.len()) < FEWEST {
        return None;
    }
    let sorted = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values
    };
    let at = |values: &[f64], share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    let before = sorted(before.to_vec());
    let middle = median_of_sorted(&before)?;
    let away = at(&sorted(now.iter().map(|value| (value - middle).abs()).collect()), 0.9);
    // What never moved is measured by a hundredth of its size.
    let spread = (at(&before, 0.75) - at(&before, 0.25)).max(0.01 * middle.abs());
    let spreads = away / spread;
    spreads.is_finite().then_some(spreads)
}

/// Values by service, name and labels; of counters what was added from one sample to the next.
fn series<'a>(points: &'a [MetricPoint], windows: &[Window]) -> Series<'a> {
    let (mut series, mut last): (Series<'a>, IndexMap<_, f64>) = (IndexMap::new(), IndexMap::new());
    for point in points.iter().filter(|point| point.value.is_finite() && windows.iter().any(|window| window.contains(point.at))) {
        let key = (&*point.service, &*point.name, &*point.labels);
        if series.len() >= MOST_SERIES && !series.contains_key(&key) {
            continue;
        }
        let counts = counts(&point.name);
        let value = if counts { last.insert(key, point.value).map(|before| point.value - before) } else { Some(point.value) };
        // A counter that was set back says nothing.
        if let Some(value) = value.filter(|value| !counts || *value >= 0.0) {
            series.entry(key).or_default().push(value);
        }
    }
    series
}

/// Whether a metric only grows, by its name.
fn counts(name: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"].iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::time::UnixNanos;

    fn points(service: &str, name: &str, value: impl Fn(u64) -> f64) -> Vec<MetricPoint> {
        let point = |second| MetricPoint {
            at: UnixNanos(second * 1_000_000_000),
            service: service.into(),
            name: name.into(),
            labels: "".into(),
            value: value(second),
        };
        (0..60).map(point).collect()
    }

    fn window(from: u64, to: u64) -> [Window; 1] {
        [Window { start: UnixNanos(from * 1_000_000_000), end: UnixNanos(to * 1_000_000_000) }]
    }

    #[test]
    fn what_leaves_its_usual_range_speaks_and_what_stays_in_it_does_not() {
        let noise = |second: u64| (second * 7 % 11) as f64;
        let mut all = points("calm", "latency_ms", |second| 100.0 + noise(second));
        all.extend(points("sick", "latency_ms", |second| 100.0 + noise(second) + if second >= 30 { 900.0 } else { 0.0 }));
        all.extend(points("calm", "requests_total", |second| (second * 50) as f64));
        let found = signals((&all, &window(30, 60)), (&all, &window(0, 30)), "before");
        assert_eq!(found.iter().map(|signal| signal.service.as_str()).collect::<Vec<_>>(), ["sick"]);
        assert!(found[0].score > 0.8, "{}", found[0].score);
        assert!(signals((&all, &window(0, 30)), (&all, &window(0, 30)), "itself").is_empty());
    }

    #[test]
    fn of_the_culprit_a_series_is_told_that_is_neither_as_it_was_nor_as_the_baselines() {
        let noise = |second: u64| (second * 7 % 11) as f64;
        let grows = |second: u64| 100.0 + noise(second) + if second >= 30 { 900.0 } else { 0.0 };
        let ours: Vec<MetricPoint> =
            [points("orders", "queue", grows), points("orders", "always_more", |second| 900.0 + noise(second))].concat();
        let theirs: Vec<MetricPoint> =
            [points("orders", "queue", |second| 100.0 + noise(second)), points("orders", "always_more", noise)].concat();
        let (calm, fault) = (window(0, 30), window(30, 60));
        let told = |service: &str| notes(service, (&ours, &fault), &[(&theirs, &fault), (&ours, &calm)], "the baseline");
        let [queue] = &told("orders")[..] else { panic!("{:?}", told("orders")) };
        assert!(queue.text.starts_with("queue 105 -> 1010,") || queue.text.starts_with("queue 105 -> 1000,"), "{}", queue.text);
        assert!(told("payment").is_empty());
    }
}
