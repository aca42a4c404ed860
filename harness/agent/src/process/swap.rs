//! The change of one process's vDSO while it stands still: the shim first, then the jumps to it; backwards the other way
//! round, so that whoever is killed in between leaves nothing that leads nowhere.

use std::fs;
use std::ops::Range;

use super::stop::{Stopped, Trouble};
use super::vdso::{Edit, Vdso};
use super::{Process, shim::Mark, sys};

/// A process that stands still.
pub(super) struct Patient<'a> {
    pub(super) base: u64,
    pub(super) vdso: &'a Vdso,
    pub(super) stopped: &'a mut Stopped,
}

impl Patient<'_> {
    /// Puts a shim in place, or another offset into the one that is.
    pub(super) fn shim(&mut self, mark: Mark) -> Result<(), Trouble> {
        let image = self.stopped.read(self.base, self.vdso.len())?;
        let ways = self.ways(self.vdso.ways_of_shim(&image));
        self.stopped.clear(&ways)?;
        self.write(&self.vdso.put_shim(mark))?;
        self.vdso.put_jumps().iter().try_for_each(|jump| self.write(jump))
    }

    /// Gives the functions back; true if the shim has to stay for a while, because a thread may still be in it. Behind the
    /// image it is in nobody's way; within a function it is, and must go at once.
    pub(super) fn unshim(&mut self) -> Result<bool, Trouble> {
        let room = self.vdso.room();
        let with_it = if self.vdso.room_is_empty() { Vec::new() } else { vec![room.clone()] };
        let (ways, room) = (self.ways(with_it), self.there(room));
        self.stopped.clear(&ways)?;
        self.vdso.restore_entries().iter().try_for_each(|entry| self.write(entry))?;
        if self.stopped.is_clear(&[room])? {
            self.write(&self.vdso.restore_room())?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Removes a shim that nothing leads to any more.
    pub(super) fn remove_shim(&mut self) -> Result<(), Trouble> {
        let room = self.there(self.vdso.room());
        if self.stopped.is_clear(&[room])? { self.write(&self.vdso.restore_room()) } else { Err(Trouble::Busy) }
    }

    /// The beginnings that change, and more.
    fn ways(&self, more: Vec<Range<usize>>) -> Vec<Range<u64>> {
        self.vdso.insides().chain(more).map(|way| self.there(way)).collect()
    }

    fn there(&self, way: Range<usize>) -> Range<u64> {
        self.base + way.start as u64..self.base + way.end as u64
    }

    fn write(&self, (at, bytes): &Edit) -> Result<(), Trouble> {
        self.stopped.write(self.base + *at as u64, bytes)
    }
}

/// The agent's own vDSO, which is everybody's original.
pub(super) fn own_vdso() -> Result<Vdso, String> {
    if !cfg!(target_arch = "x86_64") {
        return Err(format!("no instructions for {} have been tried by anybody", std::env::consts::ARCH));
    }
    let span = span("self").map_err(|trouble| trouble.to_string())?;
    let mut image = vec![0; (span.end - span.start) as usize];
    let read = sys::read_memory(std::process::id().cast_signed(), span.start, &mut image).map_err(|error| error.to_string())?;
    if read < image.len() {
        return Err("the agent's own vDSO cannot be read".to_owned());
    }
    Vdso::parse(image)
}

/// Where the agent has its vDSO.
pub(super) fn own_base() -> Result<u64, String> {
    span("self").map(|span| span.start).map_err(|trouble| trouble.to_string())
}

/// Where a process has its vDSO.
pub(super) fn base(process: Process) -> Result<u64, Trouble> {
    span(&process.pid.to_string()).map(|span| span.start)
}

/// Reads a process's memory while it runs.
pub(super) fn read(process: Process, address: u64, length: usize) -> Result<Vec<u8>, Trouble> {
    let mut bytes = vec![0; length];
    let read = sys::read_memory(process.pid, address, &mut bytes).map_err(|error| Trouble::of(&error))?;
    bytes.truncate(read);
    Ok(bytes)
}

/// `/proc/PID/maps` is readable by whoever may trace, unlike `auxv` and `mem`, which are their owner's.
fn span(pid: &str) -> Result<Range<u64>, Trouble> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|error| Trouble::of(&error))?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    let ends = line.and_then(|line| line.split_once(' ')?.0.split_once('-'));
    let number = |text| u64::from_str_radix(text, 16).ok();
    let span = ends.and_then(|(start, end)| Some(number(start)?..number(end)?));
    span.ok_or_else(|| Trouble::Refused("it has no vDSO".to_owned()))
}
