//! The recorder's handle: takes what sources and the load generator saw, and queues it for the driver.
//!
//! Never blocks. Telemetry is bounded in the queue and over the run, and what does not fit is refused and counted; requests of the load
//! generator always get in. Knows no file and no protocol.

use crate::{
    admit::{Admission, Line, Signal},
    driver::RecorderDriver,
    losses::{Ledger, Losses},
};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use shakedown_model::{evidence::Request, time::UnixNanos};
use std::{
    borrow::Cow,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};
use tokio::sync::{Notify, mpsc};

/// How much telemetry a recorder takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// About how many bytes may wait for the disk.
    pub queued: usize,
    /// Spans, log records and data points of a whole run, each counted by itself.
    pub items: u64,
    /// About how many bytes a whole run may bring, of each of the three.
    pub bytes: u64,
}

impl Default for Limits {
    /// What a run of an hour at thousands of spans a second stays below, and what a machine of 8 GiB can judge.
    fn default() -> Self {
        Self { queued: 32 << 20, items: 20_000_000, bytes: 4 << 30 }
    }
}

/// What became of one export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Items taken.
    pub kept: u64,
    /// Items refused; sending them again would not help.
    pub refused: u64,
    /// Why, or what else the sender should know.
    pub message: Option<String>,
}

/// Too much waits for the disk: sending it again a little later helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recorder is behind: send it again in a second")]
pub struct Overloaded;

/// One thing to write.
#[derive(Debug)]
pub(crate) enum Item {
    Traces(ExportTraceServiceRequest),
    /// The same as JSON already.
    TracesLine(Vec<u8>),
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Request(Request),
}

/// What handle and driver both look at.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) ledger: Ledger,
    /// Weight of the telemetry that waits.
    pub(crate) queued: AtomicUsize,
    /// Rung when the driver should not wait for its next tick.
    pub(crate) nudge: Notify,
}

/// What one kind of telemetry has used up of the run's limits.
#[derive(Debug, Default)]
struct Used {
    items: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    sender: mpsc::UnboundedSender<(Item, usize)>,
    shared: Arc<Shared>,
    limits: Limits,
    traces: Used,
    logs: Used,
    metrics: Used,
}

/// Takes what was seen of one variant. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

impl Recorder {
    /// Makes `evidence/` below `directory` and its files. What the recorder takes is written by the driver, which somebody has to run.
    pub fn open(directory: &Path) -> io::Result<(Recorder, RecorderDriver)> {
        Self::open_with(directory, Limits::default())
    }

    /// The same with other limits.
    pub fn open_with(directory: &Path, limits: Limits) -> io::Result<(Recorder, RecorderDriver)> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let driver = RecorderDriver::open(directory, receiver, Arc::clone(&shared))?;
        let (traces, logs, metrics) = (Used::default(), Used::default(), Used::default());
        Ok((Recorder { inner: Arc::new(Inner { sender, shared, limits, traces, logs, metrics }) }, driver))
    }

    /// Spans.
    pub fn traces(&self, request: ExportTraceServiceRequest) -> Result<Accepted, Overloaded> {
        self.telemetry(request, &self.inner.traces, Item::Traces)
    }

    /// Spans, admitted and written already.
    pub(crate) fn traces_line(&self, line: Line) -> Result<Accepted, Overloaded> {
        let Line { json, admission } = line;
        self.book::<ExportTraceServiceRequest>(admission, &self.inner.traces, || Item::TracesLine(json))
    }

    /// Log records.
    pub fn logs(&self, request: ExportLogsServiceRequest) -> Result<Accepted, Overloaded> {
        self.telemetry(request, &self.inner.logs, Item::Logs)
    }

    /// Data points.
    pub fn metrics(&self, request: ExportMetricsServiceRequest) -> Result<Accepted, Overloaded> {
        self.telemetry(request, &self.inner.metrics, Item::Metrics)
    }

    /// One request of the load generator. Always taken while the driver runs; afterwards it is counted as lost.
    pub fn request(&self, request: Request) {
        if self.inner.sender.send((Item::Request(request), 0)).is_err() {
            self.lost("requests that ended after the recording", 1);
        }
    }

    /// Counts something that a source could not hand in.
    pub fn lost(&self, what: impl Into<Cow<'static, str>>, count: u64) {
        self.inner.shared.ledger.add(what, count);
    }

    /// What did not get in so far.
    pub fn losses(&self) -> Losses {
        self.inner.shared.ledger.snapshot()
    }

    fn telemetry<S: Signal>(&self, mut request: S, used: &Used, item: fn(S) -> Item) -> Result<Accepted, Overloaded> {
        let admission = request.admit(now());
        self.book::<S>(admission, used, || item(request))
    }

    /// Takes what was admitted, where there is room.
    fn book<S: Signal>(&self, admission: Admission, used: &Used, item: impl FnOnce() -> Item) -> Result<Accepted, Overloaded> {
        let shared = &self.inner.shared;
        if let Some(why) = admission.why {
            self.lost(format!("{} refused: {why}", S::ITEMS), admission.refused);
        }
        self.lost(format!("texts, lists and values cut in {}", S::ITEMS), admission.cut);
        let (kept, refused) = (admission.kept, admission.refused);
        let mut accepted = Accepted { kept, refused, message: admission.why.map(str::to_owned) };
        if kept == 0 {
            return Ok(accepted);
        }
        if !self.within_run(used, kept, admission.weight) {
            self.lost(format!("{} over the limit of the run", S::ITEMS), kept);
            let message = format!("this run takes no more {}: its limit is reached", S::ITEMS);
            accepted = Accepted { kept: 0, refused: kept + refused, message: Some(message) };
            return Ok(accepted);
        }
        // One request is let in over the limit, or one that is larger than the limit could never get in.
        if shared.queued.fetch_add(admission.weight, Ordering::AcqRel) >= self.inner.limits.queued {
            shared.queued.fetch_sub(admission.weight, Ordering::AcqRel);
            used.give_back(kept, admission.weight);
            self.lost(format!("{} turned away because the recorder was behind (their sender may have tried again)", S::ITEMS), kept);
            return Err(Overloaded);
        }
        if self.inner.sender.send((item(), admission.weight)).is_err() {
            self.lost(format!("{} that came after the recording", S::ITEMS), kept);
            return Err(Overloaded);
        }
        if shared.queued.load(Ordering::Acquire) > self.inner.limits.queued / 4 {
            shared.nudge.notify_one();
        }
        Ok(accepted)
    }

    fn within_run(&self, used: &Used, items: u64, bytes: usize) -> bool {
        let Limits { items: most_items, bytes: most_bytes, .. } = self.inner.limits;
        let fits = used.items.fetch_add(items, Ordering::AcqRel) + items <= most_items
            && used.bytes.fetch_add(bytes as u64, Ordering::AcqRel) + bytes as u64 <= most_bytes;
        if !fits {
            // Nothing more gets in from here on: the rest of the run would otherwise be a sample of the small requests.
            used.items.store(most_items, Ordering::Release);
        }
        fits
    }
}

impl Used {
    fn give_back(&self, items: u64, bytes: usize) {
        self.items.fetch_sub(items, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes as u64, Ordering::AcqRel);
    }
}

/// The time of arrival, for what came without one.
fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixNanos(since.as_nanos() as u64)
}
