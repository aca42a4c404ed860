//! The unsafe code of the pressures: memory of our own, a child that outlives us, clocks and file systems, each behind a
//! function that cannot be misused. Nothing here knows what it is for. What it shares with the rest of the agent
//! (waiting, signals) is in `netlink::sys`.
//!
//! Sources: mmap(2), madvise(2), memfd_create(2), clock_gettime(2), statvfs(3), fallocate(2), posix_fadvise(2), fork(2).
#![expect(unsafe_code, reason = "one of the files that ARCHITECTURE.md names for it")]

use std::fs::File;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::ptr::{NonNull, null_mut};
use std::time::Duration;

pub(super) const PAGE_BYTES: usize = 4096;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Anonymous memory, aligned to a page; small pages only, so that what is held is what was asked for.
pub(super) struct Pages {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: nobody else knows the mapping, and it may be used from any thread.
unsafe impl Send for Pages {}

impl Pages {
    /// Whole pages, at least one; not there yet as far as the kernel's accounts go.
    pub(super) fn map(length: usize) -> io::Result<Self> {
        let length = length.max(1).next_multiple_of(PAGE_BYTES);
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let address = unsafe { libc::mmap(null_mut(), length, protection, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range is the mapping just made. Failure (no huge pages in this kernel) costs nothing.
        let _ = unsafe { libc::madvise(address, length, libc::MADV_NOHUGEPAGE) };
        NonNull::new(address.cast()).map(|start| Self { start, length }).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Makes every page exist. `OutOfMemory` if the cgroup has no room and nobody can be killed for it; a plain touch
    /// would then fault for ever. Kernels before 5.14 know only the touch.
    pub(super) fn populate(&mut self) -> io::Result<()> {
        // SAFETY: the range is our own mapping.
        match check(unsafe { libc::madvise(self.start.as_ptr().cast(), self.length, libc::MADV_POPULATE_WRITE) }) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            other => other.map(|_| ())?,
        }
        self.touch();
        Ok(())
    }

    /// Writes to every page, so that none is taken for idle.
    pub(super) fn touch(&mut self) {
        for offset in (0..self.length).step_by(PAGE_BYTES) {
            // SAFETY: offset lies within the mapping. Volatile, since nobody reads it.
            unsafe { self.start.as_ptr().add(offset).write_volatile(offset as u8 | 1) };
        }
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is that long, readable, writable, zeroed by the kernel, and borrowed through `self`.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no reference into it is left.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// A file in memory, charged to this process's cgroup and mapped by nobody.
pub(super) fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a string that ends with a zero byte.
    let fd = check(unsafe { libc::memfd_create(c"shakedown-press".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the kernel has just handed us this descriptor and nobody else knows it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Whose time on a core.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    Thread,
    Process,
}

/// Time on a core so far.
pub(super) fn cpu_time(whose: Whose) -> Duration {
    let clock = match whose {
        Whose::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
        Whose::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
    };
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local. The two clocks always exist.
    let _ = unsafe { libc::clock_gettime(clock, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How full a file system is, in bytes, as df(1) counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) used: u64,
    /// To users without privilege.
    pub(super) available: u64,
}

/// Of the file system that a file is on.
pub(super) fn room(file: &File) -> io::Result<Room> {
    // SAFETY: all zero is a valid statvfs.
    let mut found: libc::statvfs = unsafe { zeroed() };
    // SAFETY: the descriptor is open and the pointer is to a local.
    check(unsafe { libc::fstatvfs(file.as_raw_fd(), &raw mut found) })?;
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    Ok(Room { used: used * found.f_frsize, available: found.f_bavail * found.f_frsize })
}

/// Gives a file blocks of its own, without writing them.
pub(super) fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let signed = |value: u64| libc::off_t::try_from(value).map_err(io::Error::other);
    let (offset, length) = (signed(offset)?, signed(length)?);
    // SAFETY: no pointers.
    check(unsafe { libc::fallocate(file.as_raw_fd(), 0, offset, length) }).map(|_| ())
}

/// Drops a file's clean pages from the page cache.
pub(super) fn forget_cache(file: &File) {
    // SAFETY: no pointers. It is advice.
    let _ = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}

/// A child process that does one thing. Waited for when dropped.
pub(super) struct Child(libc::pid_t);

impl Child {
    pub(super) fn id(&self) -> u32 {
        self.0.cast_unsigned()
    }

    /// Whether it has come to its end, whatever that was.
    pub(super) fn ended(&self) -> bool {
        // SAFETY: all zero is a valid siginfo_t.
        let mut found: libc::siginfo_t = unsafe { zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the child is ours and has not been waited for; it may be waited for again. The pointer is to a local.
        let asked = check(unsafe { libc::waitid(libc::P_PID, self.id(), &raw mut found, flags) });
        // SAFETY: the kernel has filled it in, or left the zeros, which stand for nobody.
        asked.is_ok() && unsafe { found.si_pid() } == self.0
    }
}

/// Runs `work` in a copy of this process. Refuses if there are other threads: of these the copy would have only the locks.
pub(super) fn in_child(work: impl FnOnce()) -> io::Result<Child> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with several threads cannot be copied"));
    }
    // SAFETY: there is no other thread, so that the copy is whole. What a panic left half done ends with the copy.
    match check(unsafe { libc::fork() })? {
        0 => {
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
            // SAFETY: no pointers. Without the parent's destructors and buffers, which are the parent's business.
            unsafe { libc::_exit(failed.into()) }
        }
        pid => Ok(Child(pid)),
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: the child is ours and has not been waited for. A null status is allowed.
        while unsafe { libc::waitpid(self.0, null_mut(), 0) } < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {}
    }
}
