//! The unsafe code of this crate: a process that goes on apart from the one that calls. Nothing here knows what it is for.
//!
//! Sources: fork(2), setsid(2), signal(2).
#![expect(unsafe_code, reason = "the file that ARCHITECTURE.md names for it")]

use std::io;

/// Where one goes on after [`detach`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// In the process that called.
    Caller,
    /// In the new process: it leads a session of its own, and the caller is not its parent.
    Apart,
}

/// Forks twice, so that nobody but the first process of the pid namespace finds a child that it did not make. Waits until the child in
/// between has ended. Call it before there are threads.
pub(crate) fn detach() -> io::Result<Side> {
    // SAFETY: there is one thread, so that the child may go on as if nothing had happened.
    match check(unsafe { libc::fork() })? {
        0 => Ok(between()),
        child => {
            let mut status = 0;
            // SAFETY: `status` is ours, the child is ours and has not been waited for.
            check(unsafe { libc::waitpid(child, &raw mut status, 0) })?;
            let went_well = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
            went_well.then_some(Side::Caller).ok_or_else(|| io::Error::other("a process that goes on by itself could not be made"))
        }
    }
}

/// In the first child: ends it, and returns in the second.
fn between() -> Side {
    // SAFETY: as in `detach`.
    let child = unsafe {
        libc::setsid();
        libc::fork()
    };
    match child {
        0 => Side::Apart,
        // SAFETY: ends this process at once; what the caller would do at its end is the caller's.
        other => unsafe { libc::_exit(i32::from(other < 0)) },
    }
}

/// Ends this process without doing what its parent will do at its own end.
pub(crate) fn leave() -> ! {
    // SAFETY: takes nothing and does not return.
    unsafe { libc::_exit(1) }
}

/// Who asks every process to end means the program, not the file system that it still writes to; the end of pid 1 ends both.
pub(crate) fn ignore_endings() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: no handler of ours runs; the signal is one that can be ignored.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
