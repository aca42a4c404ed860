//! A write that happens twice in one request: what is repeated under a fault should not have been done already.

use super::{FEWEST, SHOWN, advice, name, traced};
use crate::{checks::Check, plays::Plays, stats::likelihood, text, view::Arm};
use indexmap::IndexMap;
use shakedown_model::{
    event::Phase,
    evidence::{SpanKind, SpanRecord},
    result::Finding,
};

/// Added share of requests that is worth a word.
const ADDED: f64 = 0.02;
/// Attributes that hold a statement (OpenTelemetry conventions, new and old).
const STATEMENTS: [&str; 2] = ["db.query.text", "db.statement"];

/// Requests in which something is so, of how many.
type Count = (u64, u64);

pub(super) struct Twice;

impl Check for Twice {
    fn name(&self) -> &'static str {
        "written-twice"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        let (ours, theirs) = (writes(plays.candidates(), Phase::Fault), writes(plays.baselines(), Phase::Fault));
        let calm = writes(plays.candidates(), Phase::Steady);
        let least = likelihood::least(ours.len());
        let share = |(twice, of): Count| twice as f64 / of.max(1) as f64;
        let risen = ours.iter().filter_map(|(operation, ours)| {
            let (theirs, calm) = (*theirs.get(operation)?, *calm.get(operation)?);
            let added = share(*ours) - share(theirs).max(share(calm));
            let enough = ours.1.min(theirs.1).min(calm.1) >= FEWEST;
            (enough && added >= ADDED && likelihood::g2(*ours, theirs) >= least).then_some((operation, *ours, theirs))
        });
        let mut risen: Vec<(&String, Count, Count)> = risen.collect();
        risen.sort_by(|a, b| share(b.1).total_cmp(&share(a.1)));
        let finding = |(operation, ours, theirs): &(&String, Count, Count)| {
            let reason = format!(
                "done more than once, with success, in {} of {} requests that write at all, by the baseline in {} of {}",
                ours.0, ours.1, theirs.0, theirs.1
            );
            Finding {
                observed: Some(share(*ours)),
                baseline: Some(share(*theirs)),
                unit: "fraction".to_owned(),
                samples: ours.1,
                ..advice(plays, Phase::Fault, operation, self.name(), reason)
            }
        };
        risen.iter().take(SHOWN).map(finding).collect()
    }
}

/// By operation: requests that did a write more than once, of those that did it.
fn writes<'p, 'a: 'p>(arms: impl Iterator<Item = &'p Arm<'a>>, phase: Phase) -> IndexMap<String, Count> {
    let mut writes: IndexMap<String, Count> = IndexMap::new();
    traced(arms, phase, |_, spans, _| {
        for (operation, most) in of_trace(spans) {
            let count = writes.entry(operation).or_default();
            *count = (count.0 + u64::from(most > 1), count.1 + 1);
        }
    });
    writes
}

/// How often each write was done with the same words.
fn of_trace(spans: &[&SpanRecord]) -> IndexMap<String, u32> {
    let mut same: IndexMap<(String, &str), u32> = IndexMap::new();
    for span in spans.iter().filter(|span| !span.error) {
        if let Some(words) = write(span) {
            *same.entry((name(span), words)).or_insert(0) += 1;
        }
    }
    let mut most: IndexMap<String, u32> = IndexMap::new();
    for ((operation, _), count) in same {
        let entry = most.entry(operation).or_insert(0);
        *entry = count.max(*entry);
    }
    most
}

/// What makes a span a write that must not happen twice: the statement, or the key by which it is to be recognised; `None`: nothing does.
fn write(span: &SpanRecord) -> Option<&str> {
    let serves = matches!(span.kind, SpanKind::Server | SpanKind::Consumer);
    let key = || span.attributes.iter().find(|(key, _)| key.to_ascii_lowercase().replace(['_', '-'], ".").contains("idempotency.key"));
    let inserts = |statement: &&str| text::clean(statement.trim_start(), 6).to_ascii_lowercase().starts_with("insert");
    let statement = STATEMENTS.iter().find_map(|name| span.attributes.get(name)).filter(inserts);
    statement.or_else(|| if serves { key().map(|(_, value)| value) } else { None })
}
