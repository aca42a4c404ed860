//! A pool of connections that runs out under the fault, by the metrics that pools report.

use super::{SHOWN, advice};
use crate::{checks::Check, plays::Plays, text, view::Arm};
use indexmap::IndexMap;
use shakedown_model::{event::Phase, evidence::MetricPoint, result::Finding, time::Window, units::trim_float};

/// Samples of the steady phase that must all be zero.
const FEWEST: usize = 3;

pub(super) struct Pool;

impl Check for Pool {
    fn name(&self) -> &'static str {
        "pool-exhausted"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        let windows = |phase: Phase| plays.candidates().filter_map(|arm: &Arm<'_>| arm.judged(phase)).collect::<Vec<Window>>();
        let metrics = &plays.evidence.candidate.metrics;
        let (calm, fault) = (series(metrics, &windows(Phase::Steady)), series(metrics, &windows(Phase::Fault)));
        let mut found: Vec<(f64, Finding)> = fault
            .iter()
            .filter_map(|((service, name, labels), values)| {
                let calm = calm.get(&(*service, *name, *labels)).filter(|calm| calm.len() >= FEWEST)?;
                let grown = rise(name, values);
                if rise(name, calm) > 0.0 || grown <= 0.0 {
                    return None;
                }
                let subject = text::clean(service, 100);
                let name = text::clean(&if labels.is_empty() { (*name).to_owned() } else { format!("{name}{{{labels}}}") }, 200);
                let reason = format!(
                    "connections ran out: {name} went up to {} while the fault was on; before it, it stayed at 0",
                    trim_float(grown)
                );
                let finding = advice(plays, Phase::Fault, &subject, self.name(), reason);
                Some((grown, Finding { observed: Some(grown), unit: "count".to_owned(), samples: values.len() as u64, ..finding }))
            })
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().take(SHOWN).map(|(_, finding)| finding).collect()
    }
}

type Series<'a> = IndexMap<(&'a str, &'a str, &'a str), Vec<f64>>;

fn series<'a>(metrics: &'a [MetricPoint], windows: &[Window]) -> Series<'a> {
    let mut series: Series<'a> = IndexMap::new();
    for point in metrics.iter().filter(|point| tells(&point.name, &point.labels) && windows.iter().any(|window| window.contains(point.at)))
    {
        series.entry((&point.service, &point.name, &point.labels)).or_default().push(point.value);
    }
    series
}

/// Whether a metric counts who waits for a connection of a pool, or gave up on one: as HikariCP, the OpenTelemetry conventions and the like call it.
fn tells(name: &str, labels: &str) -> bool {
    let (name, labels) = (name.to_ascii_lowercase().replace('.', "_"), labels.to_ascii_lowercase());
    let pool = name.contains("pool") || name.contains("connection") && (name.contains("db_") || name.contains("hikari"));
    let waits = |text: &str| ["timeout", "pending", "waiting"].iter().any(|word| text.contains(word));
    let is_time = name.contains("seconds") || name.contains("_ms") || name.contains("duration") || name.contains("_time");
    pool && !is_time && (waits(&name) || waits(&labels))
}

/// Of a counter what was added, of a gauge its largest value.
fn rise(name: &str, values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(0.0, f64::max);
    if name.ends_with("_total") { most - values.iter().copied().fold(f64::INFINITY, f64::min) } else { most }
}
