//! Memory that the agent holds, charged to its cgroup, and what the cgroup says of it.
//!
//! The kernel's choice of a victim begins with what each process has mapped, our own program and all: even with the
//! worst `oom_score_adj` for everybody else, an agent that has most of the cgroup's memory mapped is killed first (seen on
//! Linux 6.18). So the memory of an agent that shall survive is a file in memory, which counts for the cgroup and for no
//! process. An agent that shall be the victim has its memory mapped.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cgroup::{Cgroups, Level};
use super::stop::Stop;
use super::sys::{self, Child, Pages};
use super::wire::{MemoryFigures, Victim};

/// Between two touches of everything that is held.
const TOUCH_EVERY: Duration = Duration::from_secs(1);
const TOUCH_BYTES: usize = 1 << 20;

pub(super) struct Held {
    victim: Victim,
    mapped: Vec<Pages>,
    /// Made with the first growth of an agent that shall survive.
    file: Option<File>,
    bytes: u64,
    cgroups: Cgroups,
    kills_before: Option<u64>,
    /// Ours, who may be killed in our stead: that is nobody's loss.
    standby: Option<Arc<Child>>,
    touched: Instant,
}

impl Held {
    pub(super) fn nothing(victim: Victim, standby: Option<Arc<Child>>) -> Self {
        let cgroups = Cgroups::find();
        let kills_before = oom_kills(&cgroups);
        Self { victim, mapped: Vec::new(), file: None, bytes: 0, cgroups, kills_before, standby, touched: Instant::now() }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// For the report.
    pub(super) fn means(&self) -> &'static str {
        match self.victim {
            Victim::Agent => "anonymous memory, written to once a second",
            Victim::Service => "a file in memory, read once a second",
        }
    }

    pub(super) fn level(&self) -> Option<Level> {
        self.cgroups.memory.as_ref()?.memory()
    }

    /// Of others, since the beginning.
    pub(super) fn kills(&self) -> Option<u64> {
        let kills = oom_kills(&self.cgroups)?.saturating_sub(self.kills_before?);
        Some(kills.saturating_sub(self.standby.as_ref().is_some_and(|standby| standby.ended()).into()))
    }

    /// Holds so many more, rounded up to pages.
    pub(super) fn grow(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.next_multiple_of(sys::PAGE_BYTES as u64);
        match self.victim {
            Victim::Agent => self.map(bytes)?,
            Victim::Service => match self.extend(bytes) {
                // Before Linux 4.19 the kernel kills for a page fault only: have one.
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => self.map(bytes)?,
                other => other?,
            },
        }
        self.bytes += bytes;
        Ok(())
    }

    fn map(&mut self, bytes: u64) -> io::Result<()> {
        let mut pages = Pages::map(bytes as usize)?;
        pages.populate()?;
        self.mapped.push(pages);
        Ok(())
    }

    fn extend(&mut self, bytes: u64) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => sys::memory_file()?,
        };
        let end = file.metadata().map(|metadata| metadata.len());
        let result = end.and_then(|end| sys::allocate(&file, end, bytes));
        self.file = Some(file);
        result
    }

    /// Touches everything now and then, so that the kernel does not swap it out first.
    pub(super) fn stay(&mut self, stop: &Stop) {
        if self.touched.elapsed() < TOUCH_EVERY {
            return;
        }
        self.mapped.iter_mut().take_while(|_| !stop.asked()).for_each(Pages::touch);
        let mut buffer = vec![0; TOUCH_BYTES];
        let mut offset = 0;
        while let Some(length @ 1..) = self.file.as_ref().and_then(|file| file.read_at(&mut buffer, offset).ok()).filter(|_| !stop.asked())
        {
            offset += length as u64;
        }
        self.touched = Instant::now();
    }

    /// With one sentence for each figure that is missing.
    pub(super) fn figures(&self) -> (MemoryFigures, Vec<String>) {
        let (level, oom_kills) = (self.level(), self.kills());
        let mut missing = Vec::new();
        if level.is_none() {
            missing.push("usage and limit: no cgroup of the memory controller can be read here".to_owned());
        }
        if oom_kills.is_none() {
            missing.push("oom_kills: the cgroup of this process does not show them here".to_owned());
        }
        let figures = MemoryFigures {
            held_bytes: self.bytes,
            usage_bytes: level.map(|level| level.current),
            working_bytes: level.map(|level| level.working),
            limit_bytes: level.and_then(|level| level.limit),
            oom_kills,
            gone: Vec::new(),
        };
        (figures, missing)
    }
}

fn oom_kills(cgroups: &Cgroups) -> Option<u64> {
    cgroups.memory.as_ref()?.oom_kills()
}
