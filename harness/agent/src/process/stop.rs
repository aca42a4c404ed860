//! Standing still: all threads of a process are stopped, moved out of the way of a change, and let go again.
//!
//! Seized and interrupted (ptrace(2)), not sent SIGSTOP: nobody but the threads notices. A thread that does not stop in
//! time, because its cgroup is frozen or it is deep in the kernel, is remembered and let go of as soon as it does: until
//! then its process is not tried again. If the agent dies the kernel lets all of them go.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::sys::{self, Fate};
use crate::netlink::sys::wait;

/// How long a process may be held, and waited for.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a look at a thread that has not stopped yet is put off.
const PAUSE: Duration = Duration::from_micros(20);
/// How far up a thread's stack return addresses are looked for: those of signal handlers lie at its top.
const STACK_BYTES: usize = 16 * 1024;

/// Why nothing was done to a process.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it has ended")]
    Gone,
    /// Try again soon.
    #[error("one of its threads was in the way, or did not stop in time")]
    Busy,
    #[error("{0}")]
    Refused(String),
}

impl Trouble {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ESRCH | libc::ENOENT) => Self::Gone,
            Some(libc::EPERM | libc::EACCES) => Self::Refused(format!(
                "{error}: it is traced by a debugger, or CAP_SYS_PTRACE is missing, which processes of another user and under Yama all \
                 but the agent's own children need"
            )),
            _ => Self::Refused(error.to_string()),
        }
    }
}

/// Stops processes, one at a time.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    /// Process and thread of those that we are the tracer of and could not let go.
    late: Vec<(i32, i32)>,
}

impl Tracer {
    /// Does something while all threads of a process stand still.
    pub(super) fn hold<T>(&mut self, pid: i32, work: impl FnOnce(&mut Stopped) -> Result<T, Trouble>) -> Result<T, Trouble> {
        self.release_late();
        if self.late.iter().any(|(process, _)| *process == pid) {
            return Err(Trouble::Busy);
        }
        let mut stopped = Stopped { pid, threads: BTreeMap::new(), running: Vec::new(), until: Instant::now() + PATIENCE };
        let result = stopped.stop_all().and_then(|()| work(&mut stopped));
        self.late.extend(stopped.release().into_iter().map(|tid| (pid, tid)));
        result
    }

    /// Lets those go that have stopped since; returns whether any has not.
    pub(super) fn release_late(&mut self) -> bool {
        self.late.retain(|(_, tid)| match sys::fate(*tid) {
            Ok(Fate::Goes) => true,
            Ok(Fate::Stopped { signal }) => sys::release(*tid, signal).is_err(),
            Ok(Fate::Ended) | Err(_) => false,
        });
        !self.late.is_empty()
    }
}

/// A process whose threads stand still.
pub(super) struct Stopped {
    pid: i32,
    /// Each with the signal that it was about to get, or 0.
    threads: BTreeMap<i32, i32>,
    /// Those that we are the tracer of and that have not stopped yet.
    running: Vec<i32>,
    until: Instant,
}

impl Stopped {
    /// Until no thread is found that runs: one that stands still starts none.
    fn stop_all(&mut self) -> Result<(), Trouble> {
        loop {
            let running: Vec<i32> = threads(self.pid)?.into_iter().filter(|tid| !self.threads.contains_key(tid)).collect();
            if running.is_empty() {
                return if self.threads.is_empty() { Err(Trouble::Gone) } else { Ok(()) };
            }
            running.iter().try_for_each(|tid| self.seize(*tid))?;
            running.into_iter().try_for_each(|tid| self.await_stop(tid))?;
        }
    }

    fn seize(&mut self, tid: i32) -> Result<(), Trouble> {
        match sys::seize(tid) {
            Ok(()) => self.running.push(tid),
            Err(_) if !lives(self.pid, tid) => return Ok(()),
            Err(error) => return Err(Trouble::of(&error)),
        }
        // It fails if the thread has just ended: then that is what its fate will be.
        let _ = sys::interrupt(tid);
        Ok(())
    }

    /// Notes a thread that was running as stopped once it is.
    fn await_stop(&mut self, tid: i32) -> Result<(), Trouble> {
        loop {
            match sys::fate(tid) {
                Ok(Fate::Goes) if Instant::now() < self.until => drop(wait(&[], Some(PAUSE))),
                Ok(Fate::Goes) => return Err(Trouble::Busy),
                fate => {
                    self.running.retain(|running| *running != tid);
                    if let Ok(Fate::Stopped { signal }) = fate {
                        self.threads.insert(tid, signal);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Sees to it that no thread is inside any of these addresses, nor on its way back there.
    pub(super) fn clear(&mut self, ways: &[Range<u64>]) -> Result<(), Trouble> {
        let tids: Vec<i32> = self.threads.keys().copied().collect();
        tids.into_iter().try_for_each(|tid| self.clear_thread(tid, ways))
    }

    /// Whether that is so already.
    pub(super) fn is_clear(&self, ways: &[Range<u64>]) -> Result<bool, Trouble> {
        let within = |address: u64| ways.iter().any(|way| way.contains(&address));
        for tid in self.threads.keys() {
            let (counter, stack) = sys::place(*tid).map_err(|error| Trouble::of(&error))?;
            if within(counter) || on_stack(*tid, stack, within) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn clear_thread(&mut self, tid: i32, ways: &[Range<u64>]) -> Result<(), Trouble> {
        let within = |address: u64| ways.iter().any(|way| way.contains(&address));
        while let Some(signal) = self.threads.get(&tid) {
            let (counter, stack) = sys::place(tid).map_err(|error| Trouble::of(&error))?;
            if !within(counter) {
                return if on_stack(tid, stack, within) { Err(Trouble::Busy) } else { Ok(()) };
            }
            // A handler that runs from in there will come back; a signal must not be lost either.
            if *signal != 0 || Instant::now() > self.until {
                return Err(Trouble::Busy);
            }
            sys::step(tid).map_err(|error| Trouble::of(&error))?;
            self.threads.remove(&tid);
            self.running.push(tid);
            self.await_stop(tid)?;
        }
        Ok(())
    }

    /// Reads the process's memory.
    pub(super) fn read(&self, address: u64, length: usize) -> Result<Vec<u8>, Trouble> {
        let mut bytes = vec![0; length];
        let read = sys::read_memory(self.pid, address, &mut bytes).map_err(|error| Trouble::of(&error))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes to the process's memory, the last word filled up with what is there.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Trouble> {
        let tid = *self.threads.keys().next().ok_or(Trouble::Gone)?;
        let mut padded = self.read(address, bytes.len().next_multiple_of(8))?;
        padded.get_mut(..bytes.len()).ok_or(Trouble::Gone)?.copy_from_slice(bytes);
        let words = padded.chunks_exact(8).zip((address..).step_by(8));
        words
            .into_iter()
            .try_for_each(|(word, at)| word.try_into().map_or(Ok(()), |word| sys::poke(tid, at, word)))
            .map_err(|error| Trouble::of(&error))
    }

    /// Lets all go; returns those that cannot be yet.
    fn release(self) -> Vec<i32> {
        let Self { threads, running: mut late, .. } = self;
        // Killed while it stood still: its end is ours to take notice of, before its parent may.
        let stays = |(tid, signal): &(i32, i32)| sys::release(*tid, *signal).is_err() && sys::fate(*tid).is_ok_and(|it| it != Fate::Ended);
        late.extend(threads.into_iter().filter(stays).map(|(tid, _)| tid));
        late
    }
}

/// Whether any word at the top of a thread's stack is an address that is looked for: too cautious, where it is a number.
fn on_stack(tid: i32, stack: u64, within: impl Fn(u64) -> bool) -> bool {
    let mut bytes = vec![0; STACK_BYTES];
    let from = stack.next_multiple_of(8);
    let read = sys::read_memory(tid, from, &mut bytes).unwrap_or(0);
    bytes[..read].chunks_exact(8).filter_map(|word| word.try_into().ok()).any(|word| within(u64::from_ne_bytes(word)))
}

/// The threads of a process that have not ended.
fn threads(pid: i32) -> Result<Vec<i32>, Trouble> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| Trouble::of(&error))?;
    let tids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(tids.filter(|tid| lives(pid, *tid)).collect())
}

fn lives(pid: i32, tid: i32) -> bool {
    super::stat(&format!("/proc/{pid}/task/{tid}/stat")).is_some_and(|stat| stat.lives)
}
