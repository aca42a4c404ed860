//! Threads that write and wait until it is on the device (fdatasync), and read past the page cache where they can.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use shakedown_line::invalid;

use super::scratch;
use super::stop::Stop;
use super::sys::{self, Pages, Room};
use super::wire::{Figures, Io, IoFigures, Operations};
use super::{Measured, Pressure, refused};
use crate::histogram::Histogram;
use crate::wire::Failure;

const FILE_MAX_BYTES: u64 = 64 << 20;
/// Of what is available, the files together take one part of so many: busy is not full.
const SHARE_OF_ROOM: u64 = 4;
/// Before the next try after an error.
const AFTER_ERROR: Duration = Duration::from_millis(10);

pub(super) struct Churn {
    path: PathBuf,
    workers: u32,
    block_bytes: u32,
    read: bool,
    file_bytes: u64,
    direct: bool,
    tally: Arc<Mutex<Tally>>,
    threads: Vec<JoinHandle<()>>,
}

impl Churn {
    pub(super) fn new(io: &Io) -> Self {
        let (tally, threads) = (Arc::new(Mutex::new(Tally::new())), Vec::new());
        let Io { path, workers, block_bytes, read } = io.clone();
        Self { path, workers, block_bytes, read, file_bytes: 0, direct: false, tally, threads }
    }

    fn open(&mut self, block: u64) -> Result<Worker, Failure> {
        let (file, room) = scratch::file_and_room(&self.path)?;
        let blocks = file_bytes(room, self.workers) / block;
        if blocks == 0 {
            let message = format!("{} has {} bytes available: too few for {} workers", self.path.display(), room.available, self.workers);
            return Err(invalid(message, "a quarter of them must hold a block for each worker: free some, or ask for less"));
        }
        let reader = if self.read { Some(reader(&file).map_err(|error| refused("cannot read", &error))?) } else { None };
        self.direct = reader.as_ref().is_some_and(|reader| reader.direct);
        let buffer = Pages::map(block as usize).map_err(|error| refused("no memory for a block", &error))?;
        Ok(Worker { file, reader, buffer, blocks, tally: self.tally.clone() })
    }
}

fn file_bytes(room: Room, workers: u32) -> u64 {
    FILE_MAX_BYTES.min(room.available / SHARE_OF_ROOM / u64::from(workers))
}

impl Pressure for Churn {
    fn begin(&mut self, stop: &Arc<Stop>) -> Result<String, Failure> {
        let block = u64::from(self.block_bytes);
        let workers: Vec<Worker> = (0..self.workers).map(|_| self.open(block)).collect::<Result<_, _>>()?;
        self.file_bytes = workers.iter().map(|worker| worker.blocks * block).sum();
        for worker in workers {
            let stop = stop.clone();
            let thread = std::thread::Builder::new().spawn(move || worker.run(&stop));
            self.threads.push(thread.map_err(|error| refused("cannot start a thread", &error))?);
        }
        let reads = match (self.read, self.direct) {
            (false, _) => "",
            (true, true) => ", and O_DIRECT reads",
            (true, false) => ", and reads after dropping the file's cache, as O_DIRECT is not to be had",
        };
        Ok(format!("{} threads, each writing blocks of {block} bytes with fdatasync{reads}", self.workers))
    }

    fn tend(&mut self, _: &Stop) {}

    fn measure(&mut self) -> Measured {
        let tally = lock(&self.tally);
        let (writes, reads) = (tally.writes.operations(), tally.reads.operations());
        let trouble = tally.last_error.clone();
        let figures = IoFigures { writes, reads, file_bytes: self.file_bytes, direct: self.direct };
        Measured { figures: Figures::Io(figures), missing: Vec::new(), trouble }
    }
}

impl Drop for Churn {
    /// By now they have been asked to stop.
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

struct Tally {
    writes: Series,
    reads: Series,
    last_error: Option<String>,
}

struct Series {
    latency: Histogram,
    bytes: u64,
    failed: u64,
}

impl Tally {
    fn new() -> Self {
        let series = || Series { latency: Histogram::new(), bytes: 0, failed: 0 };
        Self { writes: series(), reads: series(), last_error: None }
    }
}

impl Series {
    fn operations(&self) -> Operations {
        let micros = |nanos: Option<u64>| nanos.map(|nanos| nanos / 1000);
        let Self { latency, bytes, failed } = self;
        let (mean_us, p99_us) = (micros(latency.mean()), micros(latency.quantile(990)));
        Operations { count: latency.count(), bytes: *bytes, failed: *failed, mean_us, p99_us }
    }
}

/// A thread that panicked while it counted has lost its own count at worst.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same file once more, to read it.
struct Reader {
    file: File,
    direct: bool,
}

fn reader(file: &File) -> std::io::Result<Reader> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&path) {
        Ok(file) => Ok(Reader { file, direct: true }),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(Reader { file: file.try_clone()?, direct: false }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Reader { file: file.try_clone()?, direct: false }),
        Err(error) => Err(error),
    }
}

struct Worker {
    file: File,
    reader: Option<Reader>,
    buffer: Pages,
    blocks: u64,
    tally: Arc<Mutex<Tally>>,
}

impl Worker {
    fn run(mut self, stop: &Stop) {
        self.buffer.touch();
        let (mut block, mut written) = (0, 0);
        while !stop.asked() {
            let mut done = self.count(|worker| worker.write(block), |tally| &mut tally.writes);
            written = written.max(block + 1);
            if self.reader.is_some() && done {
                // Spread over what has been written, so that no device reads ahead of us.
                let at = block.wrapping_mul(7919) % written;
                done = self.count(|worker| worker.read(at), |tally| &mut tally.reads);
            }
            if !done {
                stop.wait(AFTER_ERROR);
            }
            block = (block + 1) % self.blocks;
        }
    }

    /// Does one operation and counts it; returns whether it went well.
    fn count(&mut self, operation: impl FnOnce(&mut Self) -> std::io::Result<()>, of: impl FnOnce(&mut Tally) -> &mut Series) -> bool {
        let begun = Instant::now();
        let result = operation(self);
        let (nanos, bytes) = (begun.elapsed().as_nanos() as u64, self.buffer.len() as u64);
        let mut tally = lock(&self.tally);
        if let Err(error) = &result {
            tally.last_error = Some(format!("an operation failed: {error}"));
        }
        let series = of(&mut tally);
        if result.is_ok() {
            series.latency.record(nanos);
            series.bytes += bytes;
        } else {
            series.failed += 1;
        }
        result.is_ok()
    }

    fn write(&mut self, block: u64) -> std::io::Result<()> {
        let offset = block * self.buffer.len() as u64;
        self.file.write_all_at(self.buffer.bytes(), offset)?;
        self.file.sync_data()
    }

    fn read(&mut self, block: u64) -> std::io::Result<()> {
        let offset = block * self.buffer.len() as u64;
        let Some(reader) = &self.reader else { return Ok(()) };
        if !reader.direct {
            sys::forget_cache(&reader.file);
        }
        reader.file.read_exact_at(self.buffer.bytes(), offset)
    }
}
