//! Writes what a recorder took: four zstd files and the count of what was lost.
//!
//! Compression and disk run on the blocking pool, a batch at a time, so that no task of the run waits for them.

use crate::{
    directory::{EVIDENCE, write_atomically},
    frames::FrameFile,
    losses::{Losses, merge},
    recorder::{Item, Shared},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, error::TryRecvError},
    task::JoinError,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Names of the files in `evidence/`.
pub(crate) const TRACES: &str = "traces.jsonl.zst";
pub(crate) const LOGS: &str = "logs.jsonl.zst";
pub(crate) const METRICS: &str = "metrics.jsonl.zst";
pub(crate) const REQUESTS: &str = "requests.jsonl.zst";
pub(crate) const LOSSES: &str = "losses.json";

/// Between two looks into the queue: few wake-ups, and a reader of a crashed run misses little.
const TICK: Duration = Duration::from_millis(100);
/// A frame is ended at least this often.
const FRAME: Duration = Duration::from_secs(1);

/// Why the evidence of a run is not complete.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The disk said no.
    #[error("{path}: {source}; free some space or choose another directory with --out")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The writer itself broke.
    #[error("the writer of the evidence panicked: {0}")]
    Panicked(#[from] JoinError),
}

/// The half of a recorder that writes. Run it until the sources have ended.
pub struct RecorderDriver {
    receiver: UnboundedReceiver<(Item, usize)>,
    shared: Arc<Shared>,
    files: Files,
}

/// The files of `evidence/`, open for writing.
pub(crate) struct Files {
    traces: FrameFile,
    logs: FrameFile,
    metrics: FrameFile,
    requests: FrameFile,
    losses: PathBuf,
    /// Of the recorders that wrote here before.
    earlier_losses: Losses,
    written_losses: Losses,
}

impl RecorderDriver {
    pub(crate) fn open(directory: &Path, receiver: UnboundedReceiver<(Item, usize)>, shared: Arc<Shared>) -> io::Result<Self> {
        Ok(Self { receiver, shared, files: Files::open(directory)? })
    }

    /// Writes until `stop`, or until every handle is gone; then what is queued, and the losses. Not cancel-safe: dropping it loses the
    /// frame that is open.
    pub async fn run(mut self, stop: CancellationToken) -> Result<Losses, RecordError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut frame_began = Instant::now();
        loop {
            let mut last = false;
            tokio::select! {
                () = stop.cancelled() => {
                    self.receiver.close();
                    last = true;
                }
                _ = ticks.tick() => {}
                () = self.shared.nudge.notified() => {}
            }
            let batch = self.take(&mut last);
            let end_frame = last || frame_began.elapsed() >= FRAME;
            if end_frame {
                frame_began = Instant::now();
            }
            self = self.write(batch, end_frame).await?;
            if last {
                return Ok(self.files.written_losses);
            }
        }
    }

    /// Everything that waits. Sets `last` where nothing more can come.
    fn take(&mut self, last: &mut bool) -> Vec<(Item, usize)> {
        let mut batch = Vec::with_capacity(self.receiver.len());
        loop {
            match self.receiver.try_recv() {
                Ok(item) => batch.push(item),
                Err(TryRecvError::Empty) => return batch,
                Err(TryRecvError::Disconnected) => {
                    *last = true;
                    return batch;
                }
            }
        }
    }

    async fn write(mut self, batch: Vec<(Item, usize)>, end_frame: bool) -> Result<Self, RecordError> {
        if batch.is_empty() && !end_frame {
            return Ok(self);
        }
        tokio::task::spawn_blocking(move || {
            for (item, weight) in batch {
                let written = self.files.write(item);
                self.shared.queued.fetch_sub(weight, Ordering::AcqRel);
                written?;
            }
            if end_frame {
                self.files.end_frame(self.shared.ledger.snapshot())?;
            }
            Ok(self)
        })
        .await?
    }
}

impl Files {
    /// Makes them below `directory`, or goes on behind what is there.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let evidence = directory.join(EVIDENCE);
        fs::create_dir_all(&evidence)?;
        let file = |name| FrameFile::open(evidence.join(name));
        let losses = evidence.join(LOSSES);
        let earlier_losses = if losses.exists() { serde_json::from_slice(&fs::read(&losses)?)? } else { Losses::new() };
        Ok(Files {
            traces: file(TRACES)?,
            logs: file(LOGS)?,
            metrics: file(METRICS)?,
            requests: file(REQUESTS)?,
            losses,
            earlier_losses,
            written_losses: Losses::new(),
        })
    }

    pub(crate) fn write(&mut self, item: Item) -> Result<(), RecordError> {
        match item {
            Item::Traces(request) => naming(&mut self.traces, |file| file.line(&request)),
            Item::TracesLine(line) => naming(&mut self.traces, |file| file.raw_line(&line)),
            Item::Logs(request) => naming(&mut self.logs, |file| file.line(&request)),
            Item::Metrics(request) => naming(&mut self.metrics, |file| file.line(&request)),
            Item::Request(request) => naming(&mut self.requests, |file| file.line(&request)),
        }
    }

    /// Ends every frame, and writes the losses where there are new ones.
    pub(crate) fn end_frame(&mut self, losses: Losses) -> Result<(), RecordError> {
        for file in [&mut self.traces, &mut self.logs, &mut self.metrics, &mut self.requests] {
            naming(file, FrameFile::finish_frame)?;
        }
        if losses != self.written_losses {
            let mut all = self.earlier_losses.clone();
            merge(&mut all, losses.clone());
            let written = serde_json::to_vec_pretty(&all).map_err(io::Error::from).and_then(|json| write_atomically(&self.losses, &json));
            written.map_err(|source| RecordError::Write { path: self.losses.clone(), source })?;
            self.written_losses = losses;
        }
        Ok(())
    }
}

fn naming(file: &mut FrameFile, write: impl FnOnce(&mut FrameFile) -> io::Result<()>) -> Result<(), RecordError> {
    write(file).map_err(|source| RecordError::Write { path: file.path().to_owned(), source })
}
