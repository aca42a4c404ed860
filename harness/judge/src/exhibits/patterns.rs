//! Templates of log lines that are new under the fault, or lost: those of the candidate beside the baseline's, or beside its own of before the fault.

use crate::{
    log_patterns::{Class, LogPatterns, Pattern, Side, shown},
    stats::likelihood,
    text,
};
use shakedown_model::{
    event::Phase,
    result::{LogDiff, LogPattern, PatternChange},
    stack::Variant,
};

/// Templates that are shown of what is new or more frequent, and as many of what is lost or less frequent.
const SHOWN: usize = 12;

/// `None`: there is nothing to compare.
pub(super) fn difference(logs: &LogPatterns<'_>) -> Option<LogDiff> {
    let ours = Side::of(Variant::Candidate, Phase::Fault);
    let before = Side::of(Variant::Candidate, Phase::Steady);
    let baseline = Side::of(Variant::Baseline, Phase::Fault);
    let (theirs, against) = if logs.has_lines(baseline) { (baseline, "the baseline") } else { (before, "its own steady phase") };
    if !logs.has_lines(ours) || !logs.has_lines(theirs) {
        return None;
    }
    let sizes = logs.sizes(ours, theirs);
    let change =
        |pattern: &Pattern<'_>| change((pattern.count(ours).lines, sizes.0), (pattern.count(theirs).lines, sizes.1), pattern.class, logs);
    let mut changed: Vec<(Told, &Pattern<'_>)> = logs.patterns.iter().filter_map(|pattern| Some((change(pattern)?, pattern))).collect();
    // The most severe first, of those what can least be chance.
    changed.sort_by(|(a, one), (b, other)| other.class.cmp(&one.class).then(b.g2.total_cmp(&a.g2)).then(one.template.cmp(&other.template)));
    let (grown, lost): (Vec<_>, Vec<_>) = changed.iter().partition(|(told, _)| told.change.is_growth());
    let told = |(told, pattern): &&(Told, &Pattern<'_>)| {
        let side = if told.change.is_growth() { ours } else { theirs };
        shown_pattern(pattern, told.change, side, [ours, theirs, before])
    };
    Some(LogDiff {
        against: against.to_owned(),
        requests: logs.requests(ours),
        reference_requests: logs.requests(theirs),
        templates: logs.patterns.len() as u64,
        left_out: (grown.len().saturating_sub(SHOWN) + lost.len().saturating_sub(SHOWN)) as u64,
        unsorted: logs.unsorted,
        patterns: grown.iter().take(SHOWN).chain(lost.iter().take(SHOWN)).map(told).collect(),
    })
}

struct Told {
    change: PatternChange,
    g2: f64,
}

/// `None`: it is as it was, as far as can be told. A new error is told however seldom it is.
fn change(ours: (u64, f64), theirs: (u64, f64), class: Class, logs: &LogPatterns<'_>) -> Option<Told> {
    let g2 = likelihood::g2_of_rates(ours, theirs);
    let is_more = ours.0 as f64 * theirs.1 > theirs.0 as f64 * ours.1;
    let change = match (is_more, ours.0, theirs.0) {
        (true, _, 0) => PatternChange::New,
        (true, ..) => PatternChange::More,
        (false, 0, _) => PatternChange::Lost,
        (false, ..) => PatternChange::Fewer,
    };
    let complains = change == PatternChange::New && class != Class::Other;
    (complains || g2 >= logs.least()).then_some(Told { change, g2 })
}

fn shown_pattern(pattern: &Pattern<'_>, change: PatternChange, side: Side, [ours, theirs, before]: [Side; 3]) -> LogPattern {
    let count = pattern.count(side);
    let example = count.example();
    LogPattern {
        change,
        service: text::clean(pattern.service, 100),
        severity: example.and_then(|line| line.severity.as_ref()).map(|severity| text::clean(severity, 20)),
        template: pattern.template.clone(),
        lines: pattern.count(ours).lines,
        reference: pattern.count(theirs).lines,
        before: pattern.count(before).lines,
        first_seen: count.first.map(|line| line.at),
        example: example.map_or_else(String::new, |line| shown(&line.body)),
        trace_id: example.and_then(|line| line.trace_id).map(|id| id.to_string()),
    }
}
