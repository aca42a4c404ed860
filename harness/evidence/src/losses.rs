//! What did not get into the evidence, and how much of it: a loss is counted, never silent.
//!
//! Knows nothing of what the numbers mean for a verdict.

use indexmap::IndexMap;
use std::{
    borrow::Cow,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Counts by what was lost, in the order in which it was first lost.
pub type Losses = IndexMap<String, u64>;

/// Different kinds that are kept apart; the rest is counted together, so that no stream of names can fill the memory.
const KINDS: usize = 256;

/// The running count of one recorder.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    counts: Mutex<Losses>,
}

impl Ledger {
    /// Adds `count` under `what`.
    pub(crate) fn add(&self, what: impl Into<Cow<'static, str>>, count: u64) {
        if count == 0 {
            return;
        }
        let mut counts = self.lock();
        let what = what.into();
        if let Some(sum) = counts.get_mut(what.as_ref()) {
            *sum = sum.saturating_add(count);
        } else if counts.len() < KINDS {
            counts.insert(what.into_owned(), count);
        } else {
            *counts.entry("other losses".to_owned()).or_default() += count;
        }
    }

    /// As it stands now.
    pub(crate) fn snapshot(&self) -> Losses {
        self.lock().clone()
    }

    /// A count is whole after every step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Losses> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds `more` to `sum`.
pub(crate) fn merge(sum: &mut Losses, more: Losses) {
    for (what, count) in more {
        let entry = sum.entry(what).or_default();
        *entry = entry.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_add_up_by_kind_and_nothing_lost_leaves_no_line() {
        let ledger = Ledger::default();
        ledger.add("spans refused", 2);
        ledger.add("spans refused", 3);
        ledger.add("log lines", 0);
        assert_eq!(ledger.snapshot(), Losses::from([("spans refused".to_owned(), 5)]));
    }

    #[test]
    fn an_endless_stream_of_names_ends_in_one_line() {
        let ledger = Ledger::default();
        for index in 0..10_000 {
            ledger.add(format!("kind {index}"), 1);
        }
        let counts = ledger.snapshot();
        assert_eq!(counts.len(), KINDS + 1);
        assert_eq!(counts.values().sum::<u64>(), 10_000);
    }
}
