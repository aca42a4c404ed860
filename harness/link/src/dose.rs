//! What a behaviour really did, counted while it was on. It must not know what was asked.

use crate::{delays::Delays, dns::DnsDose, postgres::PostgresDose, redis::RedisDose, wire::micros};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// What the latest behaviour other than [`Pass`](crate::Behaviour::Pass) did. Read from the wire, what is missing is zero and what is not known is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkDose {
    /// Connections that it met.
    pub connections_touched: u64,
    /// Connections that its toxicity did not draw. Where all were spared nothing could happen.
    pub connections_spared: u64,
    /// Reads from a socket that it paced, delayed, held back or threw away.
    pub chunks: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Mean of the delay really added, over chunks and closings that were delayed to their end.
    #[serde(rename = "mean_delay_us", with = "micros")]
    pub mean_delay: Duration,
    /// 99th percentile of it.
    #[serde(rename = "p99_delay_us", with = "micros")]
    pub p99_delay: Duration,
    /// Connections that were reset.
    pub resets: u64,
    /// Slices that were cut and went on. Where there are no more of them than chunks, nothing was cut.
    pub slices: u64,
    /// Closings of a direction that were held back, or connections that were closed before their time.
    pub closings: u64,
    /// How long bytes had to wait for the line because other bytes were on it, both directions together.
    #[serde(rename = "saturated_us", with = "micros")]
    pub saturated: Duration,
    /// What a direction carried meanwhile; zero where the line was never short.
    pub bytes_per_second: u64,
    /// How long nobody listened.
    #[serde(rename = "refused_us", with = "micros")]
    pub refused: Duration,
    /// What an HTTP fault did.
    pub http: HttpDose,
    /// What a rule of a DNS relay did. A link has none.
    pub dns: DnsDose,
    /// What a PostgreSQL fault did.
    pub postgres: PostgresDose,
    /// What a Redis fault did.
    pub redis: RedisDose,
}

/// What [`Http`](crate::Behaviour::Http) did. Only what was aborted, delayed or patched was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpDose {
    /// Requests whose heads came whole under it.
    pub requests: u64,
    /// Those that the rule was for, its share counted in.
    pub matched: u64,
    /// Those that the callee never heard of: the link answers them itself, an answer that is still owed when the setting ends too.
    pub aborted: u64,
    /// Those that went on late, to the end of their delay; the delays really added are the dose's mean and 99th percentile.
    pub delayed: u64,
    /// Those whose answers went on changed.
    pub patched: u64,
    /// Connections whose bytes, some or all, passed because they are neither HTTP/1.x nor HTTP/2.
    pub opaque: u64,
}

/// The counts of one link.
pub(crate) struct Counter(Mutex<Counts>);

struct Counts {
    /// Number of the setting that is counted.
    epoch: u64,
    connections: HashSet<u64>,
    spared: HashSet<u64>,
    chunks: u64,
    bytes: u64,
    resets: u64,
    slices: u64,
    closings: u64,
    saturated: Duration,
    saturated_bytes: u64,
    refused: Duration,
    /// Since when nobody listens.
    refuses: Option<Instant>,
    delays: Delays,
    /// These three but for their connections.
    http: HttpDose,
    postgres: PostgresDose,
    redis: RedisDose,
    opaque: HashSet<u64>,
}

impl Counts {
    fn new(epoch: u64) -> Counts {
        Counts {
            epoch,
            connections: HashSet::new(),
            spared: HashSet::new(),
            chunks: 0,
            bytes: 0,
            resets: 0,
            slices: 0,
            closings: 0,
            saturated: Duration::ZERO,
            saturated_bytes: 0,
            refused: Duration::ZERO,
            refuses: None,
            delays: Delays::new(),
            http: HttpDose::default(),
            postgres: PostgresDose::default(),
            redis: RedisDose::default(),
            opaque: HashSet::new(),
        }
    }

    fn dose(&self) -> LinkDose {
        // Of the protocol that was asked for; of the others nothing was, and nobody looks.
        let opaque = self.opaque.len() as u64;
        LinkDose {
            connections_touched: self.connections.len() as u64,
            connections_spared: self.spared.len() as u64,
            chunks: self.chunks,
            bytes: self.bytes,
            mean_delay: self.delays.mean(),
            p99_delay: self.delays.p99(),
            resets: self.resets,
            slices: self.slices,
            closings: self.closings,
            saturated: self.saturated,
            bytes_per_second: self.saturated_rate(),
            refused: self.refused + self.refuses.map_or(Duration::ZERO, |since| since.elapsed()),
            http: HttpDose { opaque, ..self.http },
            postgres: PostgresDose { opaque, ..self.postgres },
            redis: RedisDose { opaque, ..self.redis },
            dns: DnsDose::default(),
        }
    }

    fn saturated_rate(&self) -> u64 {
        if self.saturated.is_zero() { 0 } else { (self.saturated_bytes as f64 / self.saturated.as_secs_f64()) as u64 }
    }
}

impl Counter {
    pub(crate) fn new() -> Counter {
        Counter(Mutex::new(Counts::new(0)))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count for the setting `epoch`.
    pub(crate) fn begin(&self, epoch: u64) {
        *self.counts() = Counts::new(epoch);
    }

    fn count(&self, epoch: u64, act: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts();
        if counts.epoch == epoch {
            act(&mut counts);
        }
    }

    /// The setting met this connection.
    pub(crate) fn connection(&self, epoch: u64, connection: u64) {
        self.count(epoch, |counts| {
            counts.connections.insert(connection);
        });
    }

    /// The setting is not on this connection.
    pub(crate) fn spared(&self, epoch: u64, connection: u64) {
        self.count(epoch, |counts| {
            counts.spared.insert(connection);
        });
    }

    /// The setting met `bytes` of this connection in one piece.
    pub(crate) fn chunk(&self, epoch: u64, connection: u64, bytes: usize) {
        self.count(epoch, |counts| {
            counts.connections.insert(connection);
            counts.chunks += 1;
            counts.bytes += bytes as u64;
        });
    }

    /// A piece that the setting delayed went on.
    pub(crate) fn delayed(&self, epoch: u64, delay: Duration) {
        self.count(epoch, |counts| counts.delays.record(delay));
    }

    /// The setting reset this connection.
    pub(crate) fn reset(&self, epoch: u64, connection: u64) {
        self.count(epoch, |counts| {
            counts.connections.insert(connection);
            counts.resets += 1;
        });
    }

    /// The setting let a slice go on.
    pub(crate) fn slice(&self, epoch: u64) {
        self.count(epoch, |counts| counts.slices += 1);
    }

    /// The setting held back a closing of this connection, or closed it.
    pub(crate) fn closing(&self, epoch: u64, connection: u64) {
        self.count(epoch, |counts| {
            counts.connections.insert(connection);
            counts.closings += 1;
        });
    }

    /// While bytes waited for it, the line carried `bytes` in `time`.
    pub(crate) fn saturated(&self, epoch: u64, bytes: usize, time: Duration) {
        self.count(epoch, |counts| {
            counts.saturated += time;
            counts.saturated_bytes += bytes as u64;
        });
    }

    /// From here on nobody listens.
    pub(crate) fn refuses(&self, epoch: u64) {
        self.count(epoch, |counts| counts.refuses = Some(Instant::now()));
    }

    /// Somebody listens again.
    pub(crate) fn listens(&self) {
        let mut counts = self.counts();
        let since = counts.refuses.take();
        counts.refused += since.map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// The setting met a request, and its rule may be for it.
    pub(crate) fn request(&self, epoch: u64, connection: u64, is_chosen: bool) {
        self.count(epoch, |counts| {
            counts.http.requests += 1;
            if is_chosen {
                counts.http.matched += 1;
                counts.connections.insert(connection);
            }
        });
    }

    /// The setting took a request away, and the link owes its answer.
    pub(crate) fn aborted(&self, epoch: u64) {
        self.count(epoch, |counts| counts.http.aborted += 1);
    }

    /// A request that the setting delayed went on.
    pub(crate) fn delayed_request(&self, epoch: u64) {
        self.count(epoch, |counts| counts.http.delayed += 1);
    }

    /// The setting changed an answer.
    pub(crate) fn patched(&self, epoch: u64) {
        self.count(epoch, |counts| counts.http.patched += 1);
    }

    /// A PostgreSQL fault did something.
    pub(crate) fn postgres(&self, epoch: u64, act: impl FnOnce(&mut PostgresDose)) {
        self.count(epoch, |counts| act(&mut counts.postgres));
    }

    /// A Redis fault did something.
    pub(crate) fn redis(&self, epoch: u64, act: impl FnOnce(&mut RedisDose)) {
        self.count(epoch, |counts| act(&mut counts.redis));
    }

    /// The rule met something on this connection.
    pub(crate) fn touched(&self, epoch: u64, connection: u64, is_met: bool) {
        if is_met {
            self.connection(epoch, connection);
        }
    }

    /// Bytes of this connection are not of the protocol that the rule is for.
    pub(crate) fn opaque(&self, epoch: u64, connection: u64) {
        self.count(epoch, |counts| {
            counts.opaque.insert(connection);
        });
    }

    pub(crate) fn dose(&self) -> LinkDose {
        self.counts().dose()
    }

    /// The counts so far, and from here on counted anew for the same setting.
    pub(crate) fn take(&self) -> LinkDose {
        let mut counts = self.counts();
        let dose = counts.dose();
        let refuses = counts.refuses.map(|_| Instant::now());
        *counts = Counts { refuses, ..Counts::new(counts.epoch) };
        dose
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_setting_that_is_counted_counts() {
        let counter = Counter::new();
        counter.begin(2);
        counter.chunk(1, 7, 100);
        counter.chunk(2, 7, 10);
        counter.chunk(2, 7, 5);
        counter.reset(2, 8);
        let dose = counter.dose();
        assert_eq!((dose.connections_touched, dose.chunks, dose.bytes, dose.resets), (2, 2, 15, 1));
        assert_eq!((dose.mean_delay, dose.p99_delay), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn the_rate_is_what_the_line_carried_while_bytes_waited_for_it() {
        let counter = Counter::new();
        counter.begin(1);
        assert_eq!(counter.dose().bytes_per_second, 0);
        counter.saturated(1, 500, Duration::from_secs(1));
        counter.saturated(1, 2_500, Duration::from_secs(2));
        counter.saturated(9, 2_500, Duration::from_secs(2));
        let dose = counter.dose();
        assert_eq!((dose.bytes_per_second, dose.saturated), (1_000, Duration::from_secs(3)));
    }

    #[test]
    fn taking_the_dose_starts_the_counts_anew() {
        let counter = Counter::new();
        counter.begin(1);
        for millis in 1..=100 {
            counter.delayed(1, Duration::from_millis(millis));
        }
        let dose = counter.take();
        assert_eq!(dose.mean_delay, Duration::from_micros(50_500));
        assert!(dose.p99_delay >= Duration::from_millis(99) && dose.p99_delay < Duration::from_millis(100), "{:?}", dose.p99_delay);
        assert_eq!(counter.dose(), LinkDose::default());
        counter.chunk(1, 1, 1);
        assert_eq!(counter.dose().chunks, 1);
    }
}
