//! A file without a name that leaves others no room on a file system, bounded so that it is never the whole host's.

use std::fs::File;
use std::io::Error;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use shakedown_line::invalid;

use super::check::FillGoal;
use super::stop::Stop;
use super::sys::{self, Room};
use super::wire::{Figures, Fill, FillFigures, Probe};
use super::{Measured, Pressure, scratch};
use crate::wire::Failure;

/// The smallest thing a file system gives, and what the probe asks for.
const LEAST_BYTES: u64 = 4096;
/// Between two looks at whether to stop.
const PIECE_BYTES: u64 = 64 << 20;
const WRITE_BYTES: u64 = 1 << 20;

pub(super) struct Filler {
    path: PathBuf,
    goal: FillGoal,
    most_bytes: u64,
    file: Option<File>,
    held: u64,
    before: Option<Room>,
    /// Where a file system has no fallocate(2), zeros are written.
    writes: bool,
    trouble: Option<String>,
}

impl Filler {
    pub(super) fn new(fill: &Fill, goal: FillGoal) -> Self {
        let Fill { path, most_bytes, .. } = fill.clone();
        Self { path, goal, most_bytes, file: None, held: 0, before: None, writes: false, trouble: None }
    }

    /// Takes what is still lacking. Less than a block is nothing; a file system that is full is as full as it gets.
    fn grow(&mut self, file: &File, stop: &Stop) -> Result<(), Error> {
        let mut piece = PIECE_BYTES;
        while !stop.asked() {
            let lacking = lacking(self.goal, sys::room(file)?, self.held).min(self.most_bytes.saturating_sub(self.held));
            if lacking < LEAST_BYTES {
                return Ok(());
            }
            match self.extend(file, lacking.min(piece)) {
                Ok(()) => {}
                Err(error) if is_full(&error) && piece > LEAST_BYTES => piece = (lacking.min(piece) / 2).max(LEAST_BYTES),
                Err(error) if is_full(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn extend(&mut self, file: &File, bytes: u64) -> Result<(), Error> {
        if !self.writes {
            match sys::allocate(file, self.held, bytes) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => self.writes = true,
                Ok(()) => {
                    self.held += bytes;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        let bytes = bytes.min(WRITE_BYTES);
        file.write_all_at(&vec![0; bytes as usize], self.held)?;
        self.held += bytes;
        Ok(())
    }

    fn keep(&mut self, stop: &Stop) {
        let Some(file) = self.file.take() else { return };
        self.trouble = self.grow(&file, stop).err().map(|error| format!("no more room can be taken: {error}"));
        self.file = Some(file);
    }

    fn probe(&self) -> Probe {
        let written = scratch::file(&self.path).and_then(|file| {
            file.write_all_at(&[0; LEAST_BYTES as usize], 0)?;
            file.sync_data()
        });
        match written {
            Ok(()) => Probe::Written,
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => Probe::NoSpace,
            Err(error) if error.raw_os_error() == Some(libc::EDQUOT) => Probe::NoQuota,
            Err(error) => Probe::Failed(error.to_string()),
        }
    }
}

impl Pressure for Filler {
    fn begin(&mut self, stop: &Arc<Stop>) -> Result<String, Failure> {
        let (file, room) = scratch::file_and_room(&self.path)?;
        bounded(&self.path, lacking(self.goal, room, 0), self.most_bytes)?;
        (self.before, self.file) = (Some(room), Some(file));
        self.keep(stop);
        if let Some(trouble) = self.trouble.take() {
            return Err(invalid(format!("{}: {trouble}", self.path.display()), "choose a file system that can be written to"));
        }
        let how = if self.writes { "written" } else { "allocated" };
        Ok(format!("a file without a name of {} bytes, {how}, of {} at most", self.held, self.most_bytes))
    }

    /// What others free is taken too.
    fn tend(&mut self, stop: &Stop) {
        self.keep(stop);
    }

    fn measure(&mut self) -> Measured {
        let before = self.before.unwrap_or(Room { used: 0, available: 0 });
        let now = self.file.as_ref().and_then(|file| sys::room(file).ok());
        let missing = now.is_none().then(|| "use of the file system: it does not say".to_owned());
        let room = now.unwrap_or(before);
        let figures = FillFigures {
            held_bytes: self.held,
            size_bytes: room.used + room.available,
            available_bytes: room.available,
            used_ppm_before: used_ppm(before),
            used_ppm: used_ppm(room),
            probe: self.probe(),
        };
        Measured { figures: Figures::Fill(figures), missing: missing.into_iter().collect(), trouble: self.trouble.clone() }
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

/// What is to be taken beyond the bytes already held, which are in use in `room`.
fn lacking(goal: FillGoal, room: Room, held: u64) -> u64 {
    match goal {
        FillGoal::Bytes(bytes) => bytes.saturating_sub(held),
        FillGoal::Leave(bytes) => room.available.saturating_sub(bytes),
        FillGoal::Share(ppm) => {
            let size = u128::from(room.used + room.available);
            ((size * u128::from(ppm)).div_ceil(1_000_000) as u64).saturating_sub(room.used)
        }
    }
}

fn used_ppm(room: Room) -> u32 {
    let size = u128::from(room.used + room.available);
    (u128::from(room.used) * 1_000_000).checked_div(size).unwrap_or(0) as u32
}

fn bounded(path: &std::path::Path, lacking: u64, most: u64) -> Result<(), Failure> {
    if lacking <= most {
        return Ok(());
    }
    let message =
        format!("{} takes {lacking} bytes to fill, more than most_bytes, {most}: it may be the disk of the whole host", path.display());
    Err(invalid(message, "give the service a small file system of its own there, such as a tmpfs with a size, or raise most_bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_follows_from_the_room_there_is() {
        let room = Room { used: 300, available: 700 };
        assert_eq!(lacking(FillGoal::Share(950_000), room, 0), 650);
        assert_eq!(lacking(FillGoal::Share(200_000), room, 0), 0, "fuller than asked for already");
        assert_eq!(lacking(FillGoal::Leave(100), room, 0), 600);
        assert_eq!(lacking(FillGoal::Leave(701), room, 0), 0);
        assert_eq!(lacking(FillGoal::Bytes(500), room, 120), 380);
        assert_eq!((used_ppm(room), used_ppm(Room { used: 0, available: 0 })), (300_000, 0));
    }

    #[test]
    fn a_disk_that_may_be_the_hosts_is_not_filled() {
        let error = bounded("/data".as_ref(), 3, 2).unwrap_err();
        assert_eq!(error.message, "/data takes 3 bytes to fill, more than most_bytes, 2: it may be the disk of the whole host");
        assert!(bounded("/data".as_ref(), 2, 2).is_ok());
    }
}
