//! The unsafe code on processes: system calls that std does not offer, each behind a function that cannot be misused.
//! Nothing here knows what is done to whom, nor what the bytes mean.
//!
//! Sources: ptrace(2), waitpid(2), process_vm_readv(2), prlimit(2), and the `libc` crate for the shapes.
#![expect(unsafe_code, reason = "one of the files that ARCHITECTURE.md names for it")]

use std::ffi::c_void;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::{null_mut, without_provenance_mut};
use std::time::Duration;

use libc::{c_int, c_long};

use crate::netlink::sys::{Interest, read, wait, write};

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// What the C library takes a request for.
#[cfg(target_env = "musl")]
type Request = c_int;
#[cfg(not(target_env = "musl"))]
type Request = libc::c_uint;

/// `ptrace` with arguments that it takes as numbers.
fn ptrace(request: Request, tid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: none of the requests of this file that come here lets the kernel write to our memory.
    let result: c_long =
        unsafe { libc::ptrace(request, tid, without_provenance_mut::<c_void>(address), without_provenance_mut::<c_void>(data)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Becomes the tracer of a thread, which goes on running.
pub(super) fn seize(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SEIZE, tid, 0, 0)
}

/// Asks a seized thread to stop; [`stopped`] says when it has.
pub(super) fn interrupt(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// Lets a stopped thread go on, with a signal or 0, and is its tracer no more.
pub(super) fn release(tid: i32, signal: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_DETACH, tid, 0, usize::try_from(signal).unwrap_or(0))
}

/// Lets a stopped thread execute one instruction; [`stopped`] says when it has.
pub(super) fn step(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SINGLESTEP, tid, 0, 0)
}

/// Writes eight bytes to the memory of a stopped thread's process, into a copy of its own where the page was shared.
pub(super) fn poke(tid: i32, address: u64, word: [u8; 8]) -> io::Result<()> {
    ptrace(libc::PTRACE_POKEDATA, tid, address as usize, usize::from_ne_bytes(word))
}

/// What has become of a traced thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs, or sleeps in the kernel.
    Goes,
    /// It has stopped and waits for its tracer, with a signal that it was about to get, or 0.
    Stopped {
        signal: i32,
    },
    Ended,
}

/// Looks at a traced thread without waiting.
pub(super) fn fate(tid: i32) -> io::Result<Fate> {
    let mut status = 0;
    // SAFETY: the pointer is to a local.
    let result = unsafe { libc::waitpid(tid, &raw mut status, libc::WNOHANG | libc::__WALL) };
    Ok(match check(result)? {
        0 => Fate::Goes,
        _ if !libc::WIFSTOPPED(status) => Fate::Ended,
        // Stops of the tracer's own making and group stops carry an event; a single step ends in a plain SIGTRAP.
        _ if status >> 16 != 0 || libc::WSTOPSIG(status) == libc::SIGTRAP => Fate::Stopped { signal: 0 },
        _ => Fate::Stopped { signal: libc::WSTOPSIG(status) },
    })
}

/// Where in the registers of `PTRACE_GETREGSET` the program counter and the stack pointer are.
#[cfg(target_arch = "x86_64")]
const PLACES: (usize, usize) = (16, 19);
#[cfg(not(target_arch = "x86_64"))]
const PLACES: (usize, usize) = (32, 31); // aarch64: pc, sp

/// The program counter and the stack pointer of a stopped thread.
pub(super) fn place(tid: i32) -> io::Result<(u64, u64)> {
    const NT_PRSTATUS: usize = 1;
    let mut registers = [0_u64; 64];
    let mut room = libc::iovec { iov_base: registers.as_mut_ptr().cast(), iov_len: size_of::<[u64; 64]>() };
    // SAFETY: `room` describes `registers`; the kernel writes no more than it says.
    let result: c_long = unsafe { libc::ptrace(libc::PTRACE_GETREGSET, tid, without_provenance_mut::<c_void>(NT_PRSTATUS), &raw mut room) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok((registers[PLACES.0], registers[PLACES.1])) }
}

/// Reads a process's memory; returns how much there was.
pub(super) fn read_memory(pid: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let ours = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let theirs = libc::iovec { iov_base: without_provenance_mut(address as usize), iov_len: buffer.len() };
    // SAFETY: `ours` describes `buffer`; `theirs` is not ours to be careful with, the kernel checks it.
    let read = unsafe { libc::process_vm_readv(pid, &raw const ours, 1, &raw const theirs, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Sets a process's soft and hard limit on descriptors.
pub(super) fn set_files_limit(pid: i32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a local; the old limit is not asked for.
    check(unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, null_mut()) })?;
    Ok(())
}

/// The same, by a child that has become the user and the group of the process, who may do so without `CAP_SYS_RESOURCE`.
pub(super) fn set_files_limit_as(user: u32, group: u32, pid: i32, soft: u64, hard: u64) -> io::Result<()> {
    let errand = move || {
        // SAFETY: no pointers. The system calls themselves, since the library's functions would look for other threads.
        let became = unsafe {
            libc::syscall(libc::SYS_setresgid, group, group, group) == 0 && libc::syscall(libc::SYS_setresuid, user, user, user) == 0
        };
        let result = if became { set_files_limit(pid, soft, hard) } else { Err(io::Error::last_os_error()) };
        result.map_or_else(|error| i64::from(error.raw_os_error().unwrap_or(libc::EINVAL)), |()| 0)
    };
    match child(errand)?.answer()? {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno as i32)),
    }
}

/// How far a clock is off when read through the vDSO, in microseconds. `function` is where its `clock_gettime` is.
pub(super) fn skew(function: u64, clock: c_int) -> i64 {
    // SAFETY: all zero is a valid timespec.
    let (mut told, mut right): (libc::timespec, libc::timespec) = unsafe { (zeroed(), zeroed()) };
    call(function, clock as u64, (&raw mut told).expose_provenance() as u64);
    // SAFETY: the pointer is to a local.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut right) };
    let micros = |time: libc::timespec| time.tv_sec * 1_000_000 + time.tv_nsec / 1_000;
    micros(told) - micros(right)
}

/// Calls a function of this process's vDSO, which it must be; each of them takes two words at most.
pub(super) fn call(function: u64, first: u64, second: u64) -> i64 {
    // SAFETY: the callers found the function in the image that the kernel gave us, which a forked child has at the same
    // place, and hand it what it takes.
    let function: extern "C" fn(u64, u64) -> i64 = unsafe { std::mem::transmute(without_provenance_mut::<c_void>(function as usize)) };
    function(first, second)
}

#[cfg(test)]
pub(super) fn skew_of_day(function: u64) -> i64 {
    // SAFETY: all zero is a valid timeval.
    let (mut told, mut right): (libc::timeval, libc::timeval) = unsafe { (zeroed(), zeroed()) };
    call(function, (&raw mut told).expose_provenance() as u64, 0);
    // SAFETY: the pointer is to a local.
    unsafe { libc::syscall(libc::SYS_gettimeofday, &raw mut right, 0) };
    let micros = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
    micros(told) - micros(right)
}

#[cfg(test)]
pub(super) fn skew_of_time(function: u64) -> i64 {
    let mut told = 0_i64;
    let returned = call(function, (&raw mut told).expose_provenance() as u64, 0);
    // SAFETY: no pointers that are not null.
    let right = unsafe { libc::syscall(libc::SYS_time, 0) };
    if returned == told { (told - right) * 1_000_000 } else { i64::MAX }
}

/// How many descriptors this process can still open, as far as a thousand.
pub(super) fn openable() -> i64 {
    // SAFETY: no pointers. What is opened is closed when the child that does this ends.
    (0..1_000).take_while(|_| unsafe { libc::dup(0) } >= 0).fold(0, |count, _| count + 1)
}

/// Longer than a child takes for anything.
const CHILD_PATIENCE: Duration = Duration::from_secs(2);

/// A forked child that waits, does one errand, tells its result and ends. Dropped, it is killed.
pub(super) struct Child {
    pid: i32,
    pipe: OwnedFd,
}

/// Forks a child for an errand, which must neither allocate nor lock nor panic: other threads are not there with it.
pub(super) fn child(errand: impl FnOnce() -> i64) -> io::Result<Child> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two descriptors.
    check(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) })?;
    // SAFETY: the kernel has just handed us these descriptors and nobody else knows them.
    let [ours, theirs] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    // SAFETY: the child calls only what is safe in a fork: read, the errand, write and _exit.
    match check(unsafe { libc::fork() })? {
        0 => {
            let mut word = [0_u8; 8];
            // SAFETY: pointers and lengths describe `word`; _exit does not return.
            unsafe {
                libc::close(ours.as_raw_fd());
                libc::write(theirs.as_raw_fd(), word.as_ptr().cast(), 1);
                if libc::read(theirs.as_raw_fd(), word.as_mut_ptr().cast(), 1) == 1 {
                    word = errand().to_ne_bytes();
                    libc::write(theirs.as_raw_fd(), word.as_ptr().cast(), word.len());
                }
                libc::_exit(0)
            }
        }
        pid => {
            drop(theirs);
            let child = Child { pid, pipe: ours };
            child.hear(&mut [0])?;
            Ok(child)
        }
    }
}

impl Child {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Lets it go, and waits for its result.
    pub(super) fn answer(&self) -> io::Result<i64> {
        write(self.pipe.as_fd(), b"!")?;
        let mut word = [0; 8];
        self.hear(&mut word)?;
        Ok(i64::from_ne_bytes(word))
    }

    /// Waits for what it says.
    fn hear(&self, words: &mut [u8]) -> io::Result<()> {
        let ready = wait(&[(self.pipe.as_fd(), Interest::Read)], Some(CHILD_PATIENCE))?;
        if ready != [true] {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if read(self.pipe.as_fd(), words)? == words.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: it is our child and not waited for yet, so that nobody else has its number.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, null_mut(), libc::__WALL);
        }
    }
}
