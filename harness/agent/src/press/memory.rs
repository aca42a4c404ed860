//! Memory that is held: so many bytes, or as many as bring the cgroup's working set to a share of its limit.
//!
//! It grows in steps that become smaller as the limit comes nearer, and stops short of it: running out of memory is
//! `oom`'s business.

use std::sync::Arc;

use shakedown_line::invalid;

use super::cgroup::Level;
use super::check::MemoryGoal;
use super::held::Held;
use super::stop::Stop;
use super::sys::{self, Child};
use super::wire::{Figures, Victim};
use super::{Measured, Pressure, unsupported};
use crate::wire::Failure;

const STEP_BYTES: u64 = 4 << 20;
const PAGE_BYTES: u64 = sys::PAGE_BYTES as u64;

pub(super) struct Hog {
    goal: MemoryGoal,
    held: Held,
    trouble: Option<String>,
}

impl Hog {
    pub(super) fn new(goal: MemoryGoal, victim: Victim, standby: Option<Arc<Child>>) -> Self {
        Self { goal, held: Held::nothing(victim, standby), trouble: None }
    }

    fn lacking(&self) -> u64 {
        match self.goal {
            MemoryGoal::Bytes(bytes) => bytes.saturating_sub(self.held.bytes()),
            MemoryGoal::Share(ppm) => self.held.level().map_or(0, |level| below_share(level, ppm)),
        }
    }

    fn grow(&mut self, stop: &Stop) {
        while self.trouble.is_none() && !stop.asked() {
            let lacking = self.lacking();
            if lacking == 0 {
                return;
            }
            self.trouble = self.held.grow(lacking.min(STEP_BYTES)).err().map(|error| format!("no more memory: {error}"));
        }
    }
}

impl Pressure for Hog {
    fn begin(&mut self, stop: &Arc<Stop>) -> Result<String, Failure> {
        match self.goal {
            MemoryGoal::Bytes(bytes) => fits(bytes, self.held.level())?,
            MemoryGoal::Share(_) => limit(self.held.level()).map(|_| ())?,
        }
        self.grow(stop);
        Ok(format!("{} bytes of {}", self.held.bytes(), self.held.means()))
    }

    fn tend(&mut self, stop: &Stop) {
        self.held.stay(stop);
        self.grow(stop);
    }

    fn measure(&mut self) -> Measured {
        let (figures, missing) = self.held.figures();
        Measured { figures: Figures::Memory(figures), missing, trouble: self.trouble.clone() }
    }
}

/// How far the working set is below a share of the limit. Half of what is left to the limit itself at most, so that a
/// neighbour who grows at the same time is not run over. In whole pages.
fn below_share(level: Level, ppm: u32) -> u64 {
    let Some(limit) = level.limit else { return 0 };
    let goal = (u128::from(limit) * u128::from(ppm) / 1_000_000) as u64;
    let lacking = goal.saturating_sub(level.working).min(limit.saturating_sub(level.working) / 2);
    lacking / PAGE_BYTES * PAGE_BYTES
}

/// The cgroup's limit, without which some pressures would be on the whole machine.
pub(super) fn limit(level: Option<Level>) -> Result<u64, Failure> {
    let Some(level) = level else {
        let message = "no cgroup of the memory controller can be read here, so that its limit is unknown";
        return Err(unsupported(message.to_owned(), "say how many bytes instead"));
    };
    let missing = || unsupported("this cgroup has no memory limit".to_owned(), "set one first, or say how many bytes instead");
    level.limit.ok_or_else(missing)
}

fn fits(bytes: u64, level: Option<Level>) -> Result<(), Failure> {
    if let Some((working, limit)) = level.and_then(|level| Some((level.working, level.limit?))) {
        if bytes < limit.saturating_sub(working) {
            return Ok(());
        }
        let message = format!("{bytes} bytes do not fit below the cgroup's limit of {limit}, of which {working} are in use");
        return Err(invalid(message, "hold less; to have the kernel kill the service, use oom"));
    }
    // Nothing but the machine itself bounds us.
    match available() {
        Some(available) if bytes > available / 2 => {
            let message = format!("{bytes} bytes are more than half of what the machine has available, and no limit of a cgroup is known");
            Err(invalid(message, "hold less, or give the service a memory limit"))
        }
        _ => Ok(()),
    }
}

/// `MemAvailable` of the machine.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_what_cannot_be_dropped_and_is_approached_by_halves() {
        let level = |working, limit| Level { current: 900, working, limit };
        assert_eq!(below_share(level(1 << 20, Some(10 << 20)), 500_000), 4 << 20);
        assert_eq!(below_share(level((1 << 20) + 1, Some(10 << 20)), 500_000), (4 << 20) - 4096, "whole pages");
        assert_eq!(below_share(level(2 << 20, Some(10 << 20)), 990_000), 4 << 20, "half of the way to the limit");
        assert_eq!(below_share(level(6 << 20, Some(10 << 20)), 500_000), 0);
        assert_eq!(below_share(level(1 << 20, None), 500_000), 0);
    }

    #[test]
    fn bytes_that_would_not_fit_are_refused() {
        let level = |limit| Some(Level { current: 60, working: 40, limit });
        assert!(fits(59, level(Some(100))).is_ok());
        let message = fits(60, level(Some(100))).unwrap_err().message;
        assert_eq!(message, "60 bytes do not fit below the cgroup's limit of 100, of which 40 are in use");
        assert!(fits(1, level(None)).is_ok());
        assert!(fits(u64::MAX, None).unwrap_err().message.contains("half of what the machine has"));
    }

    #[test]
    fn without_a_limit_there_is_no_share() {
        assert_eq!(limit(Some(Level { current: 1, working: 1, limit: None })).unwrap_err().message, "this cgroup has no memory limit");
        assert_eq!(limit(None).unwrap_err().code, "unsupported");
    }
}
