//! Other ways to rank services, on the same telemetry: chance; the largest deviation in standard deviations (N-sigma); BARO's robust scorer (Pham et al.,
//! FSE 2024); and anomaly traversal (the baseline of PetShop, Hardt et al. 2024). Written from their descriptions; what they see are, for each service
//! and second, the mean time that it took to serve and the share of errors, and for the last one who calls whom.

use crate::chance::Chance;
use shakedown_model::{
    event::Phase,
    evidence::{Evidence, SpanKind, SpanRecord, VariantEvidence},
    ids::SpanId,
    ids::TraceId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A node is anomalous beyond so many median absolute deviations.
const ANOMALOUS: f64 = 5.0;

pub(crate) const RIVALS: [&str; 4] = ["random", "N-sigma", "BARO's scorer", "anomaly traversal"];

/// Values by second; two for each service.
type Series = BTreeMap<(String, &'static str), Vec<f64>>;

/// Whether N-sigma sees anything beyond three, and the traversal any node that is anomalous.
pub(crate) fn alarmed(evidence: &Evidence) -> [bool; 2] {
    let (before, now) = windows(evidence);
    let beyond = |score: fn(&[f64], &[f64]) -> f64, limit: f64| by_score(&before, &now, score).first().is_some_and(|best| best.0 > limit);
    [beyond(sigmas, 3.0), beyond(deviations, ANOMALOUS)]
}

/// What is compared.
fn windows(evidence: &Evidence) -> (Series, Series) {
    let reference = evidence.baseline.as_ref().map_or((&evidence.candidate, Phase::Steady), |baseline| (&baseline.evidence, Phase::Fault));
    (series(reference.0, reference.1), series(&evidence.candidate, Phase::Fault))
}

/// The rankings of all rivals, best first.
pub(crate) fn rankings(evidence: &Evidence, chance: &mut Chance) -> Vec<Vec<String>> {
    let (before, now) = windows(evidence);
    let services: BTreeSet<String> = before.keys().chain(now.keys()).map(|(service, _)| service.clone()).collect();
    let mut random: Vec<(f64, String)> = services.iter().map(|service| (chance.share(), service.clone())).collect();
    random.sort_by(|a, b| b.0.total_cmp(&a.0));
    let of = |score: fn(&[f64], &[f64]) -> f64| by_score(&before, &now, score);
    let anomalies: BTreeMap<String, f64> = of(deviations).into_iter().map(|(score, service)| (service, score)).collect();
    vec![names(random), names(of(sigmas)), names(of(robust)), names(traversed(&anomalies, &edges(&evidence.candidate.spans)))]
}

fn names(ranked: Vec<(f64, String)>) -> Vec<String> {
    ranked.into_iter().map(|(_, service)| service).collect()
}

/// What services did in a phase, second by second.
fn series(seen: &VariantEvidence, phase: Phase) -> Series {
    let due: Vec<_> = seen.requests.iter().filter(|request| request.phase == phase).map(|request| request.due).collect();
    let (Some(first), Some(last)) = (due.iter().min().copied(), due.iter().max().copied()) else { return Series::new() };
    let seconds = last.since(first).as_secs() as usize + 1;
    let mut sums: BTreeMap<String, Vec<(f64, f64, f64)>> = BTreeMap::new();
    for span in seen.spans.iter().filter(|span| span.kind == SpanKind::Server && first <= span.start && span.start <= last) {
        let sum = &mut sums.entry(span.service.to_string()).or_insert_with(|| vec![(0.0, 0.0, 0.0); seconds])
            [span.start.since(first).as_secs() as usize];
        *sum = (sum.0 + 1.0, sum.1 + span.end.since(span.start).as_secs_f64(), sum.2 + f64::from(u8::from(span.error)));
    }
    let mut series = Series::new();
    for (service, sums) in sums {
        let known = || sums.iter().filter(|sum| sum.0 > 0.0);
        series.insert((service.clone(), "time"), known().map(|sum| sum.1 / sum.0).collect());
        series.insert((service, "errors"), known().map(|sum| sum.2 / sum.0).collect());
    }
    series
}

/// Services by their best series.
fn by_score(before: &Series, now: &Series, score: fn(&[f64], &[f64]) -> f64) -> Vec<(f64, String)> {
    let mut best: BTreeMap<&str, f64> = BTreeMap::new();
    for ((service, kind), now) in now {
        let known = before.get(&(service.clone(), *kind)).map_or(&[][..], Vec::as_slice);
        let entry = best.entry(service).or_insert(0.0);
        *entry = entry.max(if known.is_empty() { 0.0 } else { score(known, now) });
    }
    let mut ranked: Vec<(f64, String)> = best.into_iter().map(|(service, score)| (score, service.to_owned())).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    ranked
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[(share * (sorted.len() - 1) as f64).round() as usize]
}

/// A spread of zero counts as this much: a thousandth, of a second or of all spans.
fn spread(value: f64) -> f64 {
    if value > 0.0 { value } else { 0.001 }
}

fn sigmas(before: &[f64], now: &[f64]) -> f64 {
    let mean = before.iter().sum::<f64>() / before.len() as f64;
    let variance = before.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / before.len() as f64;
    now.iter().map(|value| (value - mean).abs() / spread(variance.sqrt())).fold(0.0, f64::max)
}

fn robust(before: &[f64], now: &[f64]) -> f64 {
    let before = sorted(before);
    let (median, quartiles) = (at(&before, 0.5), at(&before, 0.75) - at(&before, 0.25));
    now.iter().map(|value| (value - median).abs() / spread(quartiles)).fold(0.0, f64::max)
}

/// How far the middle moved, in median absolute deviations.
fn deviations(before: &[f64], now: &[f64]) -> f64 {
    let median = at(&sorted(before), 0.5);
    let distances: Vec<f64> = before.iter().map(|value| (value - median).abs()).collect();
    (at(&sorted(now), 0.5) - median).abs() / spread(1.4826 * at(&sorted(&distances), 0.5))
}

/// Callers and callees.
fn edges(spans: &[SpanRecord]) -> BTreeSet<(String, String)> {
    let services: HashMap<(TraceId, SpanId), &str> = spans.iter().map(|span| ((span.trace_id, span.span_id), &*span.service)).collect();
    let parent = |span: &SpanRecord| services.get(&(span.trace_id, span.parent_id?)).copied();
    let edges = spans.iter().filter_map(|span| Some((parent(span)?, &*span.service)));
    edges.filter(|(from, to)| from != to).map(|(from, to)| (from.to_owned(), to.to_owned())).collect()
}

/// Anomalous services none of whose callees is; then the others.
fn traversed(anomalies: &BTreeMap<String, f64>, edges: &BTreeSet<(String, String)>) -> Vec<(f64, String)> {
    let anomalous = |service: &String| anomalies.get(service).is_some_and(|score| *score > ANOMALOUS);
    let mut ranked: Vec<(bool, f64, String)> = anomalies
        .iter()
        .map(|(service, score)| {
            let leaf = anomalous(service) && !edges.iter().any(|(from, to)| from == service && anomalous(to));
            (leaf, *score, service.clone())
        })
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then_with(|| a.2.cmp(&b.2)));
    ranked.into_iter().map(|(_, score, service)| (score, service)).collect()
}
