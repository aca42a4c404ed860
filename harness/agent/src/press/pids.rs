//! Tasks that do nothing and leave the cgroup no room for others.
//!
//! They are threads of this process: the pids controller counts tasks, not processes, and a thread cannot outlive us.

use std::io::ErrorKind;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::cgroup::{Cgroups, Level};
use super::stop::Stop;
use super::wire::{Figures, Pids, PidsFigures};
use super::{Measured, Pressure};
use crate::wire::Failure;

/// Enough for a thread that only waits.
const STACK_BYTES: usize = 16 * 1024;

pub(super) struct Crowd {
    leave: u32,
    most: u32,
    cgroups: Cgroups,
    held: u32,
    refused: u64,
    refused_before: Option<u64>,
    way_out: Arc<WayOut>,
    /// The limit was found by running into it, since it cannot be read: that is done once.
    settled: bool,
    trouble: Option<String>,
}

/// How many of the crowd may go.
#[derive(Default)]
struct WayOut {
    open: Mutex<u32>,
    changed: Condvar,
}

impl WayOut {
    fn wait(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.changed.wait_while(open, |open| *open == 0).unwrap_or_else(PoisonError::into_inner);
        *open -= 1;
    }

    fn let_go(&self, count: u32) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) += count;
        self.changed.notify_all();
    }
}

impl Crowd {
    pub(super) fn new(pids: &Pids) -> Self {
        let cgroups = Cgroups::find();
        let refused_before = refused_tasks(&cgroups);
        let Pids { leave, most } = *pids;
        Self { leave, most, cgroups, held: 0, refused: 0, refused_before, way_out: Arc::default(), settled: false, trouble: None }
    }

    fn level(&self) -> Option<Level> {
        self.cgroups.pids.as_ref()?.tasks()
    }

    /// How many more are wanted, as far as can be seen.
    fn lacking(&self) -> u64 {
        let free = self.level().and_then(|level| Some(level.limit?.saturating_sub(level.current)));
        free.map_or(if self.settled { 0 } else { u64::MAX }, |free| free.saturating_sub(u64::from(self.leave)))
    }

    fn grow(&mut self, stop: &Stop) {
        while !stop.asked() && self.lacking() > 0 {
            if self.held >= self.most {
                self.trouble = Some(format!("{} tasks, its bound, and others can still make more than {}", self.held, self.leave));
                return;
            }
            let way_out = self.way_out.clone();
            match std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || way_out.wait()) {
                Ok(_) => self.held += 1,
                Err(error) => return self.give_way(&error),
            }
        }
    }

    /// A task was refused. Where the limit cannot be read this is how it is found, and the room to leave is given back.
    fn give_way(&mut self, error: &std::io::Error) {
        self.refused += 1;
        if error.kind() != ErrorKind::WouldBlock {
            self.trouble = Some(format!("no more tasks, but not for want of room: {error}"));
        }
        if self.level().is_none_or(|level| level.limit.is_none()) && !self.settled {
            let leaving = self.leave.min(self.held);
            self.way_out.let_go(leaving);
            self.held -= leaving;
        }
        self.settled = true;
    }
}

fn refused_tasks(cgroups: &Cgroups) -> Option<u64> {
    cgroups.pids.as_ref()?.refused_tasks()
}

impl Pressure for Crowd {
    fn begin(&mut self, stop: &Arc<Stop>) -> Result<String, Failure> {
        self.grow(stop);
        Ok(format!("{} idle threads, {} at most", self.held, self.most))
    }

    /// Room that others give back is taken.
    fn tend(&mut self, stop: &Stop) {
        self.grow(stop);
    }

    fn measure(&mut self) -> Measured {
        let (level, refused_now) = (self.level(), refused_tasks(&self.cgroups));
        let mut missing = Vec::new();
        if level.is_none() {
            missing.push("current_tasks and limit_tasks: no cgroup of the pids controller can be read here".to_owned());
        }
        if refused_now.is_none() {
            missing.push("refused_in_cgroup: this kernel does not count it here".to_owned());
        }
        let figures = PidsFigures {
            held_tasks: self.held,
            current_tasks: level.map(|level| level.current),
            limit_tasks: level.and_then(|level| level.limit),
            refused: self.refused,
            refused_in_cgroup: refused_now.zip(self.refused_before).map(|(now, before)| now.saturating_sub(before)),
        };
        Measured { figures: Figures::Pids(figures), missing, trouble: self.trouble.clone() }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.way_out.let_go(self.held);
    }
}
