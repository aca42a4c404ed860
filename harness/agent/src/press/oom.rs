//! Memory that grows until the kernel has to kill somebody for it, and that this is not the agent: see `victim`.
//!
//! It stops growing with the first kill that the kernel counts, and then holds what it has: a service that is started
//! again finds as much room as the one that was killed had, and no more; if its start takes more, it is killed again.

use std::sync::Arc;

use super::held::Held;
use super::memory::limit;
use super::stop::Stop;
use super::sys::{Child, PAGE_BYTES};
use super::victim::Neighbour;
use super::wire::{Figures, Oom, Victim};
use super::{Measured, Pressure};
use crate::wire::Failure;

const STEP_BYTES: u64 = 1 << 20;
/// So near to the limit it grows by pages: the kernel goes on killing until it can give what was asked for in one call,
/// and the first one dead shall be enough.
const NEAR_BYTES: u64 = 4 << 20;
/// Where the limit cannot be seen.
const BLIND_STEP_BYTES: u64 = 64 << 10;

pub(super) struct Flood {
    most_bytes: Option<u64>,
    held: Held,
    before: Vec<Neighbour>,
    trouble: Option<String>,
}

impl Flood {
    pub(super) fn new(oom: &Oom, standby: Option<Arc<Child>>) -> Self {
        Self { most_bytes: oom.most_bytes, held: Held::nothing(Victim::Service, standby), before: Neighbour::all(), trouble: None }
    }

    /// Somebody has been killed: by the kernel's count or, where that cannot be read, because somebody is missing.
    fn killed(&self) -> bool {
        self.held.kills().map_or_else(|| self.before.iter().any(|neighbour| !neighbour.lives()), |kills| kills > 0)
    }

    fn grow(&mut self, most: u64, stop: &Stop) {
        while self.trouble.is_none() && !stop.asked() && !self.killed() {
            if self.held.bytes() >= most {
                self.trouble = Some(format!("holds {most} bytes, its bound, and nobody was killed"));
            } else if let Err(error) = self.held.grow(self.step()) {
                self.trouble = (!self.killed()).then(|| format!("no more memory, and nobody was killed for it: {error}"));
                return;
            }
        }
    }

    fn step(&self) -> u64 {
        match self.held.level().and_then(|level| Some(level.limit?.saturating_sub(level.current))) {
            Some(left) if left > NEAR_BYTES => STEP_BYTES,
            Some(_) => PAGE_BYTES as u64,
            None => BLIND_STEP_BYTES,
        }
    }
}

impl Pressure for Flood {
    /// Nothing is held yet: the words that it is in force must be out before the container may be gone, agent and all.
    fn begin(&mut self, _: &Arc<Stop>) -> Result<String, Failure> {
        if self.most_bytes.is_none() {
            // Once everything else is swapped out there is as much again.
            self.most_bytes = Some(limit(self.held.level())?.saturating_mul(2));
        }
        Ok(format!("{}, growing until the kernel has killed somebody", self.held.means()))
    }

    fn tend(&mut self, stop: &Stop) {
        self.held.stay(stop);
        self.grow(self.most_bytes.unwrap_or(0), stop);
    }

    fn measure(&mut self) -> Measured {
        let (mut figures, missing) = self.held.figures();
        figures.gone = self.before.iter().filter(|neighbour| !neighbour.lives()).map(Neighbour::process).collect();
        Measured { figures: Figures::Oom(figures), missing, trouble: self.trouble.clone() }
    }
}
