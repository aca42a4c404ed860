//! Latency and failures over time and by phase.

use crate::{
    plays::Plays,
    stats::quantile,
    view::{Arm, View},
};
use shakedown_model::{
    event::Phase,
    evidence::Request,
    result::{Figures, LoadExhibit, PhaseFigures, SeriesPoint},
    time::UnixNanos,
};
use std::{collections::BTreeMap, time::Duration};

/// Buckets are at least this long, …
const BUCKET: Duration = Duration::from_millis(250);
/// … and there are at most this many.
const POINTS: u64 = 300;

/// Series of one play, tables of all.
pub(super) fn loads(plays: &Plays<'_>, view: &View<'_>) -> Vec<LoadExhibit> {
    let origin = view.candidate.whole().map(|whole| whole.start);
    let theirs = view.baseline.as_ref().and_then(Arm::whole).map(|whole| whole.start);
    let loads = view.evidence.experiment.loads.keys();
    loads
        .map(|load| LoadExhibit {
            load: load.clone(),
            candidate: series(&view.candidate, load, origin),
            baseline: view.baseline.as_ref().map_or_else(Vec::new, |arm| series(arm, load, theirs)),
            table: table(plays, load),
        })
        .filter(|exhibit| !exhibit.candidate.is_empty() || !exhibit.baseline.is_empty())
        .collect()
}

fn series(arm: &Arm<'_>, load: &str, origin: Option<UnixNanos>) -> Vec<SeriesPoint> {
    let requests = arm.of_load(load);
    let (Some(first), Some(last)) = (requests.first(), requests.last()) else { return Vec::new() };
    let origin = origin.map_or(first.due, |origin| origin.min(first.due));
    let span = last.due.since(origin).as_nanos() as u64 + 1;
    let length = (BUCKET.as_nanos() as u64).max(span.div_ceil(POINTS));
    let mut buckets: BTreeMap<u64, Vec<&Request>> = BTreeMap::new();
    for request in requests {
        buckets.entry((request.due.0 - origin.0) / length).or_default().push(request);
    }
    buckets.into_iter().map(|(number, requests)| point(UnixNanos(origin.0 + number * length), &requests)).collect()
}

fn point(at: UnixNanos, requests: &[&Request]) -> SeriesPoint {
    let figures = figures(requests);
    SeriesPoint {
        at,
        requests: figures.requests,
        failed: requests.iter().filter(|request| !request.ok).count() as u64,
        p50: figures.p50,
        p99: if figures.requests < 100 { figures.max } else { figures.p99 },
    }
}

fn figures(requests: &[&Request]) -> Figures {
    let good = requests.iter().filter(|request| request.ok).count() as u64;
    quantile::figures(requests.iter().map(|request| request.latency()).collect(), good)
}

fn table(plays: &Plays<'_>, load: &str) -> Vec<PhaseFigures> {
    [Phase::Warmup, Phase::Steady, Phase::Fault, Phase::Recovery]
        .into_iter()
        .filter_map(|phase| {
            let baseline = pooled(plays.baselines(), load, phase);
            Some(PhaseFigures { phase, candidate: pooled(plays.candidates(), load, phase)?, baseline })
        })
        .collect()
}

/// Figures of all plays of one variant; `None`: none reached the phase.
fn pooled<'a>(arms: impl Iterator<Item = &'a Arm<'a>>, load: &str, phase: Phase) -> Option<Figures> {
    let mut requests: Option<Vec<&Request>> = None;
    for arm in arms {
        if let Some(window) = arm.phase(phase) {
            requests.get_or_insert_default().extend(arm.due_in(load, window));
        }
    }
    requests.map(|requests| figures(&requests))
}
