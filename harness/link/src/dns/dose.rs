//! What a rule really did to queries, counted while it was on. It must not know what was asked of it.

use super::answer::Lie;
use crate::{delays::Delays, wire::micros};
use serde::{Deserialize, Serialize};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What the latest rule did. Only what was answered falsely, cut off, dropped or delayed was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsDose {
    /// Queries that came under it, over UDP and TCP, those that are sent again counted again.
    pub queries: u64,
    /// Those that the rule was for, its share counted in.
    pub matched: u64,
    /// Answers that the name does not exist.
    pub nxdomain: u64,
    /// Answers that the resolver failed.
    pub servfail: u64,
    /// Answers that the resolver does not want to.
    pub refused: u64,
    /// Answers with a wrong address.
    pub misled: u64,
    /// Answers without a record where the rule has no address of the family that was asked for.
    pub empty: u64,
    /// Answers that say that they were cut off.
    pub truncated: u64,
    /// Queries that got no answer.
    pub dropped: u64,
    /// Queries that went on late, to the end of their delay.
    pub delayed: u64,
    /// Mean of the delay really added to them.
    #[serde(rename = "mean_delay_us", with = "micros")]
    pub mean_delay: Duration,
    /// 99th percentile of it.
    #[serde(rename = "p99_delay_us", with = "micros")]
    pub p99_delay: Duration,
    /// Queries that went on at once, because the rule was not for them or they could not be read.
    pub passed: u64,
    /// Of those, messages that are not one query: nothing can be done to them.
    pub malformed: u64,
    /// Queries over UDP that went on and that the resolver did not answer in time.
    pub unanswered: u64,
    /// Queries and TCP connections that were turned away because too many were there already.
    pub overflowed: u64,
    /// Queries that the relay asked itself, and that were led back to it: it must be exempt from what leads queries to it.
    pub looped: u64,
}

/// The counts of one relay.
pub(super) struct Counter(Mutex<Counts>);

struct Counts {
    /// Number of the setting that is counted.
    epoch: u64,
    /// But for its delays.
    dose: DnsDose,
    delays: Delays,
}

impl Counts {
    fn new(epoch: u64) -> Counts {
        Counts { epoch, dose: DnsDose::default(), delays: Delays::new() }
    }

    fn dose(&self) -> DnsDose {
        DnsDose { delayed: self.delays.len(), mean_delay: self.delays.mean(), p99_delay: self.delays.p99(), ..self.dose }
    }
}

impl Counter {
    pub(super) fn new() -> Counter {
        Counter(Mutex::new(Counts::new(0)))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count for the setting `epoch`.
    pub(super) fn begin(&self, epoch: u64) {
        *self.counts() = Counts::new(epoch);
    }

    /// Counts for the setting `epoch`, unless another is counted.
    pub(super) fn count(&self, epoch: u64, act: impl FnOnce(&mut DnsDose)) {
        let mut counts = self.counts();
        if counts.epoch == epoch {
            act(&mut counts.dose);
        }
    }

    /// A query that the setting delayed went on.
    pub(super) fn delayed(&self, epoch: u64, delay: Duration) {
        let mut counts = self.counts();
        if counts.epoch == epoch {
            counts.delays.record(delay);
        }
    }

    /// A forged answer left.
    pub(super) fn lied(&self, epoch: u64, lie: Lie, is_empty: bool) {
        self.count(epoch, |dose| match lie {
            Lie::NxDomain => dose.nxdomain += 1,
            Lie::ServFail => dose.servfail += 1,
            Lie::Refused => dose.refused += 1,
            Lie::Address { .. } if is_empty => dose.empty += 1,
            Lie::Address { .. } => dose.misled += 1,
            Lie::Truncated => dose.truncated += 1,
        });
    }

    pub(super) fn dose(&self) -> DnsDose {
        self.counts().dose()
    }

    /// The counts so far, and from here on counted anew for the same setting.
    pub(super) fn take(&self) -> DnsDose {
        let mut counts = self.counts();
        let dose = counts.dose();
        *counts = Counts::new(counts.epoch);
        dose
    }
}
