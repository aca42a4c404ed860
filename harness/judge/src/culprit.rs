//! Who is to blame: what of the slowest requests' time grew, and where failures began.
//!
//! A first answer by arithmetic on critical paths: the shares add up, and where nothing clear comes out nobody is blamed.

use crate::{
    critical_path,
    plays::Plays,
    text,
    trace::{TraceIndex, Tree},
    view::{Arm, charged},
};
use shakedown_model::{
    event::Phase,
    evidence::Request,
    result::{Culprit, EvidenceNote, Finding},
    units::trim_float,
    verdict::Verdict,
};
use std::collections::BTreeMap;

/// Share of the traced requests that counts as the slow ones, …
const TAIL: f64 = 0.05;
/// … and how many they are at least.
const TAIL_AT_LEAST: usize = 20;
/// Fewer traces than this blame nobody.
const MIN_TRACES: usize = 5;
/// Growth of the slow requests' mean that is worth an explanation: this share, …
const GROWTH_SHARE: f64 = 0.05;
/// … and this many seconds.
const GROWTH_SECONDS: f64 = 0.000_5;
/// Added share of failed requests that is worth one.
const ADDED_FAILURES: f64 = 0.01;
/// The first of the blamed must score this, …
const CLEAR: f64 = 0.2;
/// … the others this.
const WORTH_NAMING: f64 = 0.05;
const NAMED_AT_MOST: usize = 5;
/// What the time before and after all spans of a trace is called.
const OUTSIDE: &str = "(outside any span)";

/// Service and operation.
type Key = (String, String);

/// The blamed of one scenario, most likely first.
pub(crate) fn culprits(plays: &Plays<'_>, findings: &[Finding]) -> Vec<Culprit> {
    let Some(phase) = worth_explaining(findings) else { return Vec::new() };
    let mut blamed: BTreeMap<Key, Blame> = BTreeMap::new();
    for load in suspects(plays, findings) {
        let Some(subject) = Cohort::of(plays, plays.candidates(), &load, phase) else { continue };
        let references = references(plays, &load, phase);
        if let Some((reference, name)) = references.iter().find(|(reference, _)| subject.grew_over(reference)) {
            blame_growth(&mut blamed, &subject, reference, name);
        }
        if let Some((_, name)) = references.iter().find(|(reference, _)| subject.failed - reference.failed >= ADDED_FAILURES) {
            blame_failures(&mut blamed, &subject, name);
        }
    }
    ranked(blamed)
}

/// The phase in which something broke or got slower; `None`: nothing did.
fn worth_explaining(findings: &[Finding]) -> Option<Phase> {
    let changed = |finding: &&Finding| {
        finding.verdict == Verdict::Fail || (finding.check == "p99-vs-baseline" && finding.ci.is_some_and(|[low, _]| low > 0.0))
    };
    let phases: Vec<Phase> = findings.iter().filter(changed).map(|finding| finding.phase.unwrap_or(Phase::Fault)).collect();
    let only_steady = !phases.is_empty() && phases.iter().all(|phase| *phase == Phase::Steady);
    (!phases.is_empty()).then_some(if only_steady { Phase::Steady } else { Phase::Fault })
}

/// Loads with a failed finding; all of them where what failed was no load.
fn suspects(plays: &Plays<'_>, findings: &[Finding]) -> Vec<String> {
    let all: Vec<String> = plays.evidence.experiment.loads.keys().cloned().collect();
    let failed: Vec<String> = all
        .iter()
        .filter(|load| findings.iter().any(|finding| finding.verdict == Verdict::Fail && finding.subject == **load))
        .cloned()
        .collect();
    if failed.is_empty() { all } else { failed }
}

/// What the slow requests are compared with, best first.
fn references(plays: &Plays<'_>, load: &str, phase: Phase) -> Vec<(Cohort, &'static str)> {
    let baseline = Cohort::of(plays, plays.baselines(), load, phase).map(|cohort| (cohort, "the baseline"));
    let own = if phase == Phase::Fault { Cohort::of(plays, plays.candidates(), load, Phase::Steady) } else { None };
    baseline.into_iter().chain(own.map(|cohort| (cohort, "its own steady phase"))).collect()
}

/// Means over the slowest traced requests of one variant in one phase, and where failures began.
struct Cohort {
    traces: usize,
    mean: f64,
    /// Exclusive seconds on the critical path per request, and the trace in which they were most.
    own: BTreeMap<Key, (f64, String)>,
    /// Spans per request.
    calls: BTreeMap<Key, f64>,
    /// Share of all requests that failed.
    failed: f64,
    failed_traces: u64,
    /// In how many failed traces an operation was the first to fail, and one of them.
    origins: BTreeMap<Key, (u64, String)>,
}

impl Cohort {
    /// Of all plays of one variant, whose traces lie in one index.
    fn of<'a>(plays: &Plays<'_>, arms: impl Iterator<Item = &'a Arm<'a>>, load: &str, phase: Phase) -> Option<Cohort> {
        let mut requests: Vec<&Request> = Vec::new();
        let mut traces = None;
        for arm in arms {
            traces = Some(arm.traces);
            requests.extend(arm.judged(phase).map_or(&[][..], |window| arm.due_in(load, window)));
        }
        let traces = traces?;
        let mut traced: Vec<&Request> = requests.iter().filter(|request| traces.contains_key(&request.trace_id)).copied().collect();
        let charge = |request: &Request| charged(request, plays.load(load));
        traced.sort_by(|a, b| charge(b).total_cmp(&charge(a)).then(a.due.cmp(&b.due)));
        if traced.len() < MIN_TRACES {
            return None;
        }
        let count = ((TAIL * traced.len() as f64).ceil() as usize).max(TAIL_AT_LEAST).min(traced.len());
        let failures = requests.iter().filter(|request| !request.ok).count();
        let mut cohort = Cohort {
            traces: count,
            mean: 0.0,
            own: BTreeMap::new(),
            calls: BTreeMap::new(),
            failed: failures as f64 / requests.len() as f64,
            failed_traces: 0,
            origins: BTreeMap::new(),
        };
        let mut most: BTreeMap<Key, f64> = BTreeMap::new();
        for request in &traced[..count] {
            cohort.add_slow(traces, request, &mut most);
        }
        for request in traced.iter().filter(|request| !request.ok) {
            cohort.add_failed(traces, request);
        }
        Some(cohort)
    }

    fn add_slow(&mut self, traces: &TraceIndex<'_>, request: &Request, most: &mut BTreeMap<Key, f64>) {
        let spans = &traces[&request.trace_id];
        let tree = Tree::of(spans);
        let Some(root) = tree.main_root() else { return };
        let weight = 1.0 / self.traces as f64;
        let length = tree.span(root).end.since(tree.span(root).start).as_secs_f64();
        let outside = (request.latency() - length).max(0.0);
        self.mean += weight * (length + outside);
        let mut own: BTreeMap<Key, f64> = BTreeMap::from([((tree.span(root).service.to_string(), OUTSIDE.to_owned()), outside)]);
        for (index, seconds) in critical_path::exclusive(&tree, root) {
            *own.entry(key(&tree, index)).or_default() += seconds;
        }
        for (key, seconds) in own {
            let entry = self.own.entry(key.clone()).or_default();
            entry.0 += weight * seconds;
            let largest = most.entry(key).or_default();
            if seconds > *largest {
                *largest = seconds;
                entry.1 = request.trace_id.to_string();
            }
        }
        for index in 0..spans.len() {
            *self.calls.entry(key(&tree, index)).or_default() += weight;
        }
    }

    fn add_failed(&mut self, traces: &TraceIndex<'_>, request: &Request) {
        let spans = &traces[&request.trace_id];
        let tree = Tree::of(spans);
        self.failed_traces += 1;
        let mut first: Vec<Key> = (0..spans.len())
            .filter(|index| tree.span(*index).error && !tree.children(*index).iter().any(|child| tree.span(*child).error))
            .map(|index| key(&tree, index))
            .collect();
        first.sort();
        first.dedup();
        for key in first {
            let entry = self.origins.entry(key).or_insert_with(|| (0, request.trace_id.to_string()));
            entry.0 += 1;
        }
    }

    fn grew_over(&self, reference: &Cohort) -> bool {
        self.mean - reference.mean > GROWTH_SECONDS.max(GROWTH_SHARE * reference.mean)
    }
}

fn key(tree: &Tree<'_, '_>, index: usize) -> Key {
    let span = tree.span(index);
    (text::clean(&span.service, 100), operation(&span.name))
}

/// A span name without what differs from request to request: numbers and long ids in paths.
fn operation(name: &str) -> String {
    let is_id = |segment: &str| {
        let digits = segment.chars().filter(char::is_ascii_digit).count();
        !segment.is_empty()
            && (digits == segment.len()
                || (segment.len() >= 16 && digits > 0 && segment.chars().all(|c| c.is_ascii_hexdigit() || c == '-')))
    };
    let segments: Vec<&str> = name.split('/').map(|segment| if is_id(segment) { "{id}" } else { segment }).collect();
    text::clean(&segments.join("/"), 200)
}

#[derive(Default)]
struct Blame {
    score: f64,
    share: Option<f64>,
    notes: Vec<EvidenceNote>,
}

fn blame_growth(blamed: &mut BTreeMap<Key, Blame>, subject: &Cohort, reference: &Cohort, name: &str) {
    let before = |key: &Key| reference.own.get(key).map_or(0.0, |(seconds, _)| *seconds);
    let grown: Vec<(&Key, f64, &str)> = subject
        .own
        .iter()
        .map(|(key, (seconds, trace))| (key, seconds - before(key), trace.as_str()))
        .filter(|(_, delta, _)| *delta > 0.0)
        .collect();
    let total: f64 = grown.iter().map(|(_, delta, _)| delta).sum();
    for (key, delta, trace) in grown {
        let share = delta / total;
        if share < WORTH_NAMING {
            continue;
        }
        let blame = blamed.entry(key.clone()).or_default();
        if blame.share.is_some_and(|known| known >= share) {
            continue;
        }
        blame.share = Some(share);
        blame.score = blame.score.max(share);
        let (old, new) = (before(key), before(key) + delta);
        blame.notes.push(EvidenceNote {
            kind: "trace".to_owned(),
            text: format!(
                "exclusive time on the critical path {} -> {} in the slowest {} traces, against {name}",
                text::seconds(old),
                text::seconds(new),
                subject.traces
            ),
            reference: (!trace.is_empty()).then(|| trace.to_owned()),
        });
        let calls = |cohort: &Cohort| cohort.calls.get(key).copied().unwrap_or(0.0);
        let (old, new) = (calls(reference), calls(subject));
        if new > 1.5 * old && new > 0.5 {
            let round = |value: f64| trim_float((value * 10.0).round() / 10.0);
            blame.notes.push(EvidenceNote {
                kind: "count".to_owned(),
                text: format!("calls per request {} -> {}, against {name}", round(old), round(new)),
                reference: None,
            });
        }
    }
}

fn blame_failures(blamed: &mut BTreeMap<Key, Blame>, subject: &Cohort, name: &str) {
    if subject.failed_traces < MIN_TRACES as u64 {
        return;
    }
    for (key, (times, trace)) in &subject.origins {
        let share = *times as f64 / subject.failed_traces as f64;
        if share < WORTH_NAMING {
            continue;
        }
        let blame = blamed.entry(key.clone()).or_default();
        blame.score = blame.score.max(share);
        blame.notes.push(EvidenceNote {
            kind: "error".to_owned(),
            text: format!("failed first in {times} of {} failed traces; more requests failed than against {name}", subject.failed_traces),
            reference: Some(trace.clone()),
        });
    }
}

fn ranked(blamed: BTreeMap<Key, Blame>) -> Vec<Culprit> {
    let mut ranked: Vec<Culprit> = blamed
        .into_iter()
        .map(|((service, operation), blame)| Culprit {
            service,
            operation,
            score: blame.score.min(1.0),
            share: blame.share,
            evidence: blame.notes,
        })
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| (&a.service, &a.operation).cmp(&(&b.service, &b.operation))));
    ranked.truncate(NAMED_AT_MOST);
    if ranked.first().is_some_and(|first| first.score < CLEAR) { Vec::new() } else { ranked }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_lose_what_differs_from_request_to_request() {
        assert_eq!(operation("GET /orders/4711/items"), "GET /orders/{id}/items");
        assert_eq!(operation("GET /carts/0af76519-16cd-43dd-8448-eb211c80319c"), "GET /carts/{id}");
        assert_eq!(operation("SELECT orders"), "SELECT orders");
    }
}
