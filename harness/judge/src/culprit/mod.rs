//! Who is to blame: candidate and reference side by side, one flow. Cohorts of traced requests; the account of the time that slow requests take
//! longer; what else speaks against a service; the ranking; the path that the trouble took; evidence that can be looked up.
//!
//! The fault is known, and so is how the baseline took it: whatever both did is no reason to blame anybody. Where nothing differs nobody is blamed.

mod account;
mod attribution;
mod bootstrap;
mod channels;
mod cohort;
mod exemplars;
mod keys;
mod path;
mod patience;
mod patterns;
mod rank;
mod tail;

use crate::{
    critical_path,
    log_patterns::{LogPatterns, Side},
    plays::Plays,
    text,
    trace::{TraceIndex, Tree},
    view::Arm,
};
use account::{Account, Doubt, Sides};
use attribution::End;
use channels::{
    Signal, errors,
    logs::{self, Written},
    network::Network,
    patterns as lost,
    resources::{self, Measured},
    series,
};
use cohort::Cohort;
pub(crate) use cohort::window;
use indexmap::IndexMap;
pub(crate) use keys::operation;
use keys::{KeyId, Keys};
use shakedown_model::{
    event::Phase,
    evidence::MetricPoint,
    fault::Target,
    result::{Blame, Culprit, EvidenceNote, Finding},
    run::Changes,
    stack::Variant,
    time::Window,
    verdict::Verdict,
};

/// What counts as slower where a finding has failed already, …
const AFTER_PROOF: Doubt = Doubt { chance: 0.05, growth: 0.05, share: 0.0 };
/// … and where nobody asked.
const UNASKED: Doubt = Doubt { chance: 0.000_5, growth: 0.15, share: 0.2 };
/// Changed files that are named of one service.
const FILES: usize = 5;
const BASELINE: &str = "the baseline";
const STEADY: &str = "its own steady phase";

/// The blamed of one scenario, most likely first, and how sure that is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) culprits: Vec<Culprit>,
    pub(crate) blame: Option<Blame>,
}

/// Of a run that others recorded it is asked in any case: nothing fails there, since nothing is proven.
pub(crate) fn of_scenario<'a>(plays: &Plays<'a>, logs: &LogPatterns<'a>, findings: &[Finding]) -> Answer {
    if plays.evidence.run.imported.is_some() { unasked(plays, logs) } else { after_findings(plays, logs, findings) }
}

/// Where something failed, or is proven to be slower.
fn after_findings<'a>(plays: &Plays<'a>, logs: &LogPatterns<'a>, findings: &[Finding]) -> Answer {
    let Some(phase) = worth_explaining(findings) else { return Answer::default() };
    let question = Question { loads: suspects(plays, findings), phase, doubt: AFTER_PROOF };
    let mut answers = [BASELINE, STEADY].into_iter().filter_map(|reference| answer(plays, logs, &question, reference));
    answers.next().unwrap_or_default()
}

/// Whether or not something failed: against the baseline where there is one, else against the time before the fault.
pub(crate) fn unasked<'a>(plays: &Plays<'a>, logs: &LogPatterns<'a>) -> Answer {
    let loads = plays.evidence.experiment.loads.keys().cloned().collect();
    let question = Question { loads, phase: Phase::Fault, doubt: UNASKED };
    let reference = if plays.baselines().next().is_some() { BASELINE } else { STEADY };
    let traced = plays.baselines().chain(plays.candidates()).any(|arm| !arm.requests.is_empty());
    let answer = if traced { answer(plays, logs, &question, reference) } else { of_metrics(plays, logs, reference) };
    answer.unwrap_or_default()
}

/// Without any request there are only metrics and logs.
fn of_metrics<'a>(plays: &Plays<'a>, logs: &LogPatterns<'a>, name: &'static str) -> Option<Answer> {
    let (mut signals, mut services) = (Vec::new(), IndexMap::new());
    if let Some((ours, theirs)) = metrics(plays, Phase::Fault, name) {
        signals.extend(resources::signals(ours.measured(), theirs.measured(), None, &plays.evidence.run.machine, name));
        signals.extend(series::signals(ours.measured(), theirs.measured(), name));
        services.extend(ours.points.iter().map(|point| (text::clean(&point.service, 100), 0)));
    }
    let side = |(variant, phase)| Written { side: Side::of(variant, phase), cohort: None };
    let (ours, theirs) = sides(Phase::Fault, name);
    signals.extend(logs::signals(logs, (side(ours), side(theirs)), None, &Keys::default(), name));
    services.extend(logs.patterns.iter().map(|pattern| (text::clean(pattern.service, 100), 0)));
    let ranking = rank::rank(signals, None, &services, &Keys::default())?;
    Some(answered(ranking, Blame { against: name.to_owned(), ..Blame::default() }))
}

/// Exclusive seconds on the critical paths of all traces, by service and operation, and how many traces there are.
pub(crate) fn time_spent(traces: &TraceIndex<'_>) -> (usize, Vec<(String, String, f64)>) {
    let (mut keys, mut ids, mut sums, mut count) = (Keys::default(), Vec::new(), Vec::new(), 0);
    for spans in traces.values() {
        let tree = Tree::of(spans);
        count += 1;
        keys.of_trace(&tree, &mut ids);
        sums.resize(keys.len(), 0.0);
        for (index, seconds) in tree.main_root().map_or_else(Vec::new, |root| critical_path::exclusive(&tree, root)) {
            sums[keys.plain(ids[index])] += seconds;
        }
    }
    let name = |key: usize| (keys.get(key).service.clone(), keys.get(key).operation.clone());
    let named = sums.iter().enumerate().filter(|(_, seconds)| **seconds > 0.0).map(|(key, seconds)| {
        let (service, operation) = name(key);
        (service, operation, *seconds)
    });
    (count, named.collect())
}

/// What is to be explained.
struct Question {
    loads: Vec<String>,
    phase: Phase,
    doubt: Doubt,
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

/// `None`: against this reference nobody is blamed.
fn answer<'a>(plays: &Plays<'a>, logs: &LogPatterns<'a>, question: &Question, name: &'static str) -> Option<Answer> {
    let (loads, phase, mut keys) = (&question.loads, question.phase, Keys::default());
    let subject = Cohort::of(plays, plays.candidates(), loads, phase, &mut keys)?;
    let reference = match name {
        BASELINE => Cohort::of(plays, plays.baselines(), loads, phase, &mut keys)?,
        _ if phase == Phase::Steady => return None,
        _ => Cohort::of(plays, plays.candidates(), loads, Phase::Steady, &mut keys)?,
    };
    let calm = if name == BASELINE && phase == Phase::Fault {
        let ours = Cohort::of(plays, plays.candidates(), loads, Phase::Steady, &mut keys);
        ours.zip(Cohort::of(plays, plays.baselines(), loads, Phase::Steady, &mut keys))
    } else {
        None
    };
    let sides = Sides { subject: &subject, reference: &reference, calm: calm.as_ref().map(|(ours, theirs)| (ours, theirs)), name };
    let injected = injected(plays);
    let usual = reference.median();
    let network = Network::of(&subject, &reference, &keys, &injected, usual);
    let risen = errors::risen(&subject, &reference, &keys);
    let ends = |keys: &Keys<'_>, call: KeyId| {
        // Whoever calls again because the answer is an error now, or does not come, does not do so by itself.
        let seen = subject.operation(call);
        let gives_up = risen.contains_key(&call) && 2 * seen.outlasted > seen.errors;
        let fails_below = gives_up || keys.answer(call).is_some_and(|answer| risen.contains_key(&answer));
        (if fails_below { End::Callee } else { End::Caller }, network.end(keys.get(call)))
    };
    let account = Account::of(&sides, &mut keys, question.doubt, ends, plays.evidence.run.seed);
    let mut signals = account.as_ref().map_or_else(Vec::new, |account| account.signals(&sides, &keys, question.doubt));
    signals.extend(errors::signals(&subject, &reference, &risen, &mut keys, name));
    signals.extend(network.signals(&keys, usual, name));
    signals.extend(lost::signals(&subject, &reference, sides.calm, &risen, &mut keys, name));
    let written = |(variant, phase), cohort| Written { side: Side::of(variant, phase), cohort: Some(cohort) };
    let (ours, theirs) = self::sides(phase, name);
    let calm_lines =
        sides.calm.map(|(subject, reference)| (written((ours.0, Phase::Steady), subject), written((theirs.0, Phase::Steady), reference)));
    signals.extend(logs::signals(logs, (written(ours, &subject), written(theirs, &reference)), calm_lines, &keys, name));
    signals.extend(of_resources(plays, phase, name));
    let graph = path::Graph::of(&sides, &keys);
    logs::hush(&mut signals, &keys);
    let mut ranking = rank::rank(signals, account.as_ref(), graph.depths(), &keys)?;
    let way = graph.way(&injected, &ranking.culprits[0].service);
    let exemplars = exemplars::of(&sides, &mut keys, &ranking.culprits[0]);
    let measured = of_metrics_of(&ranking.culprits[0].service, plays, phase, name);
    ranking.culprits[0].evidence.extend(measured.into_iter().chain(way.note()).chain(exemplars.notes()));
    for culprit in &mut ranking.culprits {
        culprit.evidence.extend(plays.evidence.run.changes.as_ref().and_then(|changes| changed(changes, &culprit.service)));
    }
    let blame = Blame {
        against: name.to_owned(),
        regression: account.map(|account| account.regression),
        path: way.path,
        off_path: way.off_path,
        pairs: exemplars.pairs,
        differences: exemplars.differences,
        ..Blame::default()
    };
    Some(answered(ranking, blame))
}

/// Variant and phase of what is explained and of what it is compared with.
fn sides(phase: Phase, name: &str) -> ((Variant, Phase), (Variant, Phase)) {
    let theirs = if name == BASELINE { (Variant::Baseline, phase) } else { (Variant::Candidate, Phase::Steady) };
    ((Variant::Candidate, phase), theirs)
}

/// What the commit changes of the files that a service is made from; `None`: which those are is not known.
fn changed(changes: &Changes, service: &str) -> Option<EvidenceNote> {
    let of_service = changes.services.iter().find(|(name, _)| text::clean(name, 100) == service)?.1;
    let files: Vec<String> = of_service.named.iter().take(FILES).map(|file| text::clean(file, 200)).collect();
    let more = of_service.files.saturating_sub(files.len() as u64);
    let text = match (files.first(), more) {
        (None, _) => format!("the change touches none of its files ({} elsewhere)", text::count(changes.files, "file")),
        (_, 0) => format!("the change touches {}", files.join(", ")),
        (..) => format!("the change touches {} and {more} more of its files", files.join(", ")),
    };
    Some(EvidenceNote { kind: "change".to_owned(), text, reference: files.into_iter().next() })
}

/// What faults were done to, each once.
fn injected(plays: &Plays<'_>) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for fault in plays.candidates().flat_map(|arm| &arm.faults).filter(|fault| fault.applied_at.is_some()) {
        if let Ok(target) = fault.target.parse::<Target>()
            && !targets.contains(&target)
        {
            targets.push(target);
        }
    }
    targets
}

fn windows<'p, 'a: 'p>(arms: impl Iterator<Item = &'p Arm<'a>>, phase: Phase) -> Vec<Window> {
    arms.filter_map(|arm| cohort::window(arm, phase)).collect()
}

/// Metrics, and the times that count.
struct Metrics<'a> {
    points: &'a [MetricPoint],
    windows: Vec<Window>,
}

impl Metrics<'_> {
    fn measured(&self) -> Measured<'_> {
        (self.points, &self.windows)
    }
}

/// Of the candidate, and of what it is compared with; `None`: the baseline has none.
fn metrics<'a>(plays: &Plays<'a>, phase: Phase, name: &str) -> Option<(Metrics<'a>, Metrics<'a>)> {
    let ours = plays.evidence.candidate.metrics.as_slice();
    let theirs = match &plays.evidence.baseline {
        _ if name != BASELINE => Metrics { points: ours, windows: windows(plays.candidates(), Phase::Steady) },
        Some(baseline) if !baseline.evidence.metrics.is_empty() => {
            Metrics { points: &baseline.evidence.metrics, windows: windows(plays.baselines(), phase) }
        }
        _ => return None,
    };
    Some((Metrics { points: ours, windows: windows(plays.candidates(), phase) }, theirs))
}

fn of_resources(plays: &Plays<'_>, phase: Phase, name: &str) -> Vec<Signal> {
    let Some((ours, theirs)) = metrics(plays, phase, name) else { return Vec::new() };
    let calm = if name == BASELINE && phase == Phase::Fault { metrics(plays, Phase::Steady, name) } else { None };
    let calm = calm.as_ref().map(|(ours, theirs)| (ours.measured(), theirs.measured()));
    resources::signals(ours.measured(), theirs.measured(), calm, &plays.evidence.run.machine, name)
}

/// What else of a service is measured and is neither as in the reference nor as it was before the fault.
fn of_metrics_of(service: &str, plays: &Plays<'_>, phase: Phase, name: &str) -> Vec<EvidenceNote> {
    let Some((ours, theirs)) = metrics(plays, phase, name) else { return Vec::new() };
    let before = if name == BASELINE && phase == Phase::Fault { metrics(plays, phase, STEADY) } else { None };
    let references: Vec<Measured<'_>> =
        [Some(&theirs), before.as_ref().map(|(_, before)| before)].into_iter().flatten().map(Metrics::measured).collect();
    series::notes(service, ours.measured(), &references, name)
}

/// The ranking with everything else that is known.
fn answered(ranking: rank::Ranking, blame: Blame) -> Answer {
    let rank::Ranking { culprits, runner_up, margin, ambiguous, ruled_out } = ranking;
    Answer { culprits, blame: Some(Blame { runner_up, margin, ambiguous, ruled_out, ..blame }) }
}
