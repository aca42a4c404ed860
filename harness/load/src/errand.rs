//! One request from its due time to its record.

use crate::{
    clock::Anchor,
    exchange::{Progress, exchange},
    failure::Failure,
    pool::Pool,
    recipe::Recipe,
    tally::Tally,
};
use shakedown_model::{event::Phase, evidence::Request, experiment::Load, ids::TraceId, stack::Variant};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// A deadline that nobody waits for.
const NEVER: Duration = Duration::from_hours(365 * 24);

/// Where every errand of a drive writes.
pub(crate) struct Ledger {
    pub(crate) anchor: Anchor,
    pub(crate) scenario: String,
    pub(crate) tally: Tally,
    /// Where nobody listens any more, records go nowhere; the drive goes on until it is stopped.
    pub(crate) records: mpsc::UnboundedSender<(Variant, Request)>,
}

/// A load with its compiled texts.
pub(crate) struct Order {
    pub(crate) load: Load,
    pub(crate) recipe: Recipe,
}

/// A request that is due.
pub(crate) struct Errand {
    pub(crate) order: Arc<Order>,
    pub(crate) seq: u64,
    pub(crate) due: Instant,
    pub(crate) variant: Variant,
    pub(crate) block: u32,
    pub(crate) phase: Phase,
}

impl Errand {
    fn deadline(&self) -> Instant {
        self.due.checked_add(self.order.load.timeout.0).unwrap_or(self.due + NEVER)
    }

    /// Sends it, waits for the answer until the deadline, writes the record. `held` (its place among the open requests) is given back then.
    pub(crate) async fn run(self, pool: Arc<Pool>, ledger: Arc<Ledger>, held: impl Send) {
        let trace = self.order.recipe.trace(self.seq);
        let request = match self.order.recipe.cook(self.seq, self.phase, self.variant, &trace) {
            Ok(request) => request,
            Err(reason) => return self.record(&ledger, &Progress::default(), Some(&Failure::Template(reason)), trace.trace_id),
        };
        ledger.tally.sent(self.due.elapsed());
        let (deadline, mut progress) = (self.deadline(), Progress::default());
        let outcome = tokio::time::timeout_at(deadline.into(), exchange(&pool, request, &mut progress)).await;
        let (connection, failure) = match outcome {
            Ok(Ok(connection)) => (Some(connection), None),
            Ok(Err(failure)) => (None, Some(failure)),
            Err(_) => (None, Some(Failure::Timeout)),
        };
        self.record(&ledger, &progress, failure.as_ref(), trace.trace_id);
        drop(held);
        if let Some(connection) = connection {
            pool.keep(connection, deadline).await;
        }
    }

    /// Writes the record of a request that was not even tried.
    pub(crate) fn shed(self, ledger: &Ledger) {
        let trace = self.order.recipe.trace(self.seq);
        self.record(ledger, &Progress::default(), Some(&Failure::Shed), trace.trace_id);
    }

    fn record(self, ledger: &Ledger, progress: &Progress, failure: Option<&Failure>, trace_id: TraceId) {
        if failure.is_some_and(Failure::is_own) {
            ledger.tally.shed();
        }
        let ok = failure.is_none() && is_success(&self.order.load, progress.status);
        let request = Request {
            load: self.order.load.name.clone(),
            scenario: ledger.scenario.clone(),
            phase: self.phase,
            block: self.block,
            due: ledger.anchor.unix(self.due),
            sent: progress.sent.map(|sent| ledger.anchor.unix(sent)),
            done: ledger.anchor.unix(Instant::now()),
            status: progress.status,
            error: failure.map(ToString::to_string),
            ok,
            bytes: progress.bytes,
            trace_id,
        };
        let _ = ledger.records.send((self.variant, request));
    }
}

fn is_success(load: &Load, status: u16) -> bool {
    if load.success_status.is_empty() { (200..400).contains(&status) } else { load.success_status.contains(&status) }
}
