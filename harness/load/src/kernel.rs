//! The two requests to the system that no safe crate makes. The only file of this room with unsafe code.
#![expect(
    unsafe_code,
    reason = "sched_setattr has no safe wrapper, and tokio cannot check that a descriptor stays open while it is watched"
)]

use std::{io, os::fd::OwnedFd};
use tokio::io::unix::AsyncFd;

/// How a thread is scheduled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// `SCHED_…`.
    pub(crate) policy: libc::c_int,
    pub(crate) nice: i32,
    /// Of the real-time policies; else 0.
    pub(crate) priority: u32,
    /// Nanoseconds; 0: the system's choice.
    pub(crate) slice: u64,
}

/// Puts `descriptor` under the eyes of the current runtime.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and refers to the same file until it is dropped; the `AsyncFd` owns it and lends it only shared.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}

/// Changes how the calling thread, and no other, is scheduled.
pub(crate) fn schedule_this_thread(schedule: Schedule) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: schedule.policy as u32,
        sched_flags: 0,
        sched_nice: schedule.nice,
        sched_priority: schedule.priority,
        sched_runtime: schedule.slice,
        sched_deadline: 0,
        sched_period: 0,
    };
    let (this_thread, no_flags) = (0 as libc::pid_t, 0 as libc::c_uint);
    // SAFETY: the kernel reads `size` bytes from the pointer, which is the whole of a value that outlives the call, and keeps nothing of it.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const attributes, no_flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_schedule_is_refused_and_an_ordinary_one_is_not() {
        let ordinary = Schedule { policy: libc::SCHED_OTHER, nice: 0, priority: 0, slice: 100_000 };
        let impossible = Schedule { priority: 5, ..ordinary };
        // On a thread of its own: the harness of the tests must not go on with it.
        let results = std::thread::spawn(move || [impossible, ordinary].map(|schedule| schedule_this_thread(schedule).is_ok())).join();
        assert_eq!(results.unwrap(), [false, true]);
    }
}
