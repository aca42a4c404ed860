//! Limits that are used up: how much more of a limit a service uses, as a share of the limit. How many times its own spread that is only says whether
//! it counts, since what hardly moves is many spreads away from itself at any stir.

use super::{Channel, Signal, note, strongest};
use crate::{stats::median_of_sorted, text};
use indexmap::IndexMap;
use shakedown_model::{evidence::MetricPoint, result::EvidenceNote, run::Machine, time::Window};
use std::collections::HashMap;

/// A jump counts where it is so many times the distance of the quartiles, …
const SPREADS: f64 = 6.0;
/// … and so much of the limit.
const LEAST: f64 = 0.1;
/// Samples on each side that a jump needs.
const FEWEST: usize = 8;
/// Series of which limits are read.
const MOST_SERIES: usize = 20_000;

/// A gauge, or a counter that grows by the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Already a share.
    Share,
    /// In per cent.
    Percent,
    /// Seconds of processor time so far.
    CpuSeconds,
    /// Bytes.
    Memory,
}

/// Shares of limits over time, by service and what is limited.
type Used<'a> = IndexMap<(&'a str, &'a str, &'a str), Vec<f64>>;

/// Samples, and the times that count.
pub(crate) type Measured<'m> = (&'m [MetricPoint], &'m [Window]);

/// Jumps from one time to another; `machine` is the limit of those that have none. `calm` are the same two without a fault, where they were measured:
/// what is used more there as well is no jump.
pub(crate) fn signals(
    ours: Measured<'_>,
    theirs: Measured<'_>,
    calm: Option<(Measured<'_>, Measured<'_>)>,
    machine: &Machine,
    name: &str,
) -> Vec<Signal> {
    let used = |(points, windows)| used(points, windows, machine);
    let (now, before) = (used(ours), used(theirs));
    let calm = calm.map(|(ours, theirs)| (used(ours), used(theirs)));
    let signals = now.iter().filter_map(|(series, now)| {
        let before = before.get(series)?;
        let (jump, from, to) = jump(now, before)?;
        let always = calm.as_ref().and_then(|(ours, theirs)| Some(middle(ours.get(series)?)? - middle(theirs.get(series)?)?));
        let jump = jump - always.unwrap_or(0.0).max(0.0);
        if jump < LEAST {
            return None;
        }
        let text = format!("{} {} -> {} of its limit, against {name}", text::clean(series.1, 100), text::share(from), text::share(to));
        let notes: Vec<EvidenceNote> = vec![note("metric", text)];
        let service = text::clean(series.0, 100);
        Some(Signal { channel: Channel::Resources, service, operation: String::new(), score: jump.clamp(0.0, 1.0), notes })
    });
    strongest(signals.collect())
}

fn middle(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    median_of_sorted(&values)
}

/// How far the largest value lies above what was usual: the share, and both ends.
fn jump(now: &[f64], before: &[f64]) -> Option<(f64, f64, f64)> {
    if now.len() < FEWEST || before.len() < FEWEST {
        return None;
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (now, before) = (sorted(now), sorted(before));
    let at = |values: &[f64], share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    let usual = median_of_sorted(&before)?;
    // Not the very largest: one sample is an accident.
    let most = at(&now, 0.9);
    let jump = most - usual;
    let spread = at(&before, 0.75) - at(&before, 0.25);
    let beyond = before.last().is_some_and(|largest| most > *largest);
    (jump >= LEAST && jump > SPREADS * spread && beyond).then_some((jump, usual, most))
}

fn used<'a>(points: &'a [MetricPoint], windows: &[Window], machine: &Machine) -> Used<'a> {
    let limits = memory_limits(points);
    let mut used: Used<'a> = IndexMap::new();
    let mut last: HashMap<(&str, &str, &str), (f64, f64)> = HashMap::new();
    for point in points.iter().filter(|point| windows.iter().any(|window| window.contains(point.at)) && point.value.is_finite()) {
        let Some(reading) = reading(&point.name) else { continue };
        let series = (&*point.service, &*point.name, &*point.labels);
        if used.len() >= MOST_SERIES && !used.contains_key(&series) {
            continue;
        }
        let share = match reading {
            Reading::Share => Some(point.value),
            Reading::Percent => Some(point.value / 100.0),
            Reading::CpuSeconds => {
                let seconds = point.at.0 as f64 / 1e9;
                let (at, value) = last.insert(series, (seconds, point.value)).unwrap_or((f64::NAN, f64::NAN));
                Some((point.value - value) / (seconds - at) / machine.cores.max(1) as f64)
            }
            Reading::Memory => limits.get(&*point.service).copied().or_else(|| of_machine(machine)).map(|limit| point.value / limit),
        };
        // A counter that was reset, or that is seen for the first time, says nothing.
        if let Some(share) = share.filter(|share| share.is_finite() && *share >= 0.0) {
            used.entry(series).or_default().push(share);
        }
    }
    used
}

fn of_machine(machine: &Machine) -> Option<f64> {
    (machine.memory_mib > 0).then_some(machine.memory_mib as f64 * 1024.0 * 1024.0)
}

/// What a metric measures, by the names that exporters give (cAdvisor, Prometheus clients, OpenTelemetry); `None`: nothing that has a limit.
fn reading(name: &str) -> Option<Reading> {
    let name = name.to_ascii_lowercase().replace('.', "_");
    let resource = ["cpu", "memory", "mem_", "disk", "filesystem", "pool", "thread", "heap"].iter().any(|word| name.contains(word));
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&["cpu_seconds_total", "cpu_usage_seconds_total", "cpu_time_seconds_total"]) {
        Some(Reading::CpuSeconds)
    } else if ends(&["memory_working_set_bytes", "resident_memory_bytes", "container_memory_usage", "container_memory_usage_bytes"]) {
        Some(Reading::Memory)
    } else if resource && ends(&["_percent", "_pct", "_percentage", "usagerate(%)", "usage_rate", "usagerate"]) {
        Some(Reading::Percent)
    } else if resource && ends(&["utilization", "utilisation", "usage_ratio", "used_ratio"]) {
        Some(Reading::Share)
    } else {
        None
    }
}

/// Bytes of memory that a service may use, where its exporter says so; the last word counts.
fn memory_limits(points: &[MetricPoint]) -> HashMap<&str, f64> {
    let is_limit = |point: &&MetricPoint| &*point.name == "container_spec_memory_limit_bytes" && point.value > 0.0;
    points.iter().filter(is_limit).map(|point| (&*point.service, point.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::time::UnixNanos;

    fn series(service: &str, name: &str, from: u64, values: impl Iterator<Item = f64>) -> Vec<MetricPoint> {
        let point = |(second, value): (usize, f64)| MetricPoint {
            at: UnixNanos((from + second as u64) * 1_000_000_000),
            service: service.into(),
            name: name.into(),
            labels: "".into(),
            value,
        };
        values.enumerate().map(point).collect()
    }

    fn window(from: u64, to: u64) -> [Window; 1] {
        [Window { start: UnixNanos(from * 1_000_000_000), end: UnixNanos(to * 1_000_000_000) }]
    }

    #[test]
    fn a_jump_is_a_share_of_the_limit_and_not_a_number_of_spreads() {
        let machine = Machine { cores: 2, ..Machine::default() };
        let calm = |second: usize| 10.0 + (second % 3) as f64 / 100.0;
        let mut points = series("busy", "cpu_usage_percent", 0, (0..20).map(calm));
        points.extend(series("busy", "cpu_usage_percent", 20, (0..20).map(|_| 90.0)));
        points.extend(series("idle", "cpu_usage_percent", 0, (0..20).map(|_| 0.1)));
        points.extend(series("idle", "cpu_usage_percent", 20, (0..20).map(|_| 3.0)));
        let (fault, calm) = (window(20, 40), window(0, 20));
        let found = signals((&points, &fault), (&points, &calm), None, &machine, "before");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].service, "busy");
        assert!((found[0].score - 0.8).abs() < 0.01, "{}", found[0].score);
        assert!(signals((&points, &calm), (&points, &calm), None, &machine, "itself").is_empty());
    }

    #[test]
    fn what_is_used_more_in_the_calm_as_well_is_no_jump() {
        let machine = Machine { cores: 2, ..Machine::default() };
        let stir = |second: usize| (second % 3) as f64 / 100.0;
        let ours = series("a", "cpu_usage_percent", 0, (0..40).map(|second| 60.0 + stir(second)));
        let theirs = series("a", "cpu_usage_percent", 0, (0..40).map(|second| 20.0 + stir(second)));
        let (fault, calm) = (window(20, 40), window(0, 20));
        let found = |in_calm| signals((&ours, &fault), (&theirs, &fault), in_calm, &machine, "the baseline");
        assert_eq!(found(None).len(), 1);
        assert!(found(Some(((&ours, &calm), (&theirs, &calm)))).is_empty());
    }

    #[test]
    fn counters_are_read_by_the_second_and_a_reset_says_nothing() {
        let machine = Machine { cores: 2, ..Machine::default() };
        let mut points = series("a", "process_cpu_seconds_total", 0, (0..20).map(|second| f64::from(second) * 0.1));
        points.extend(series("a", "process_cpu_seconds_total", 20, (0..20).map(|second| f64::from(second) * 1.8)));
        let used = used(&points, &window(0, 40), &machine);
        let shares = &used[&("a", "process_cpu_seconds_total", "")];
        assert_eq!(shares.len(), 38, "the first one and the reset are missing");
        assert!(shares.iter().all(|share| (0.049..0.91).contains(share)), "{shares:?}");
    }

    #[test]
    fn what_has_no_limit_is_not_read() {
        for name in ["http_requests_total", "go_goroutines", "success_ratio", "cpu_temperature"] {
            assert_eq!(reading(name), None, "{name}");
        }
        assert_eq!(reading("system.cpu.utilization"), Some(Reading::Share));
    }
}
