//! The wish that a pressure end: asked once, seen by every thread, whether it looks now and then or waits.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use super::wire::Ended;
use crate::netlink::sys::{self, Interest};

pub(super) struct Stop {
    why: OnceLock<Ended>,
    /// Raised once and never read, so that everybody who waits wakes up.
    event: OwnedFd,
}

impl Stop {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { why: OnceLock::new(), event: sys::event()? })
    }

    /// Asks for the end. The first reason stands.
    pub(super) fn ask(&self, why: Ended) {
        if self.why.set(why).is_ok() {
            let _ = sys::raise(self.event.as_fd());
        }
    }

    pub(super) fn why(&self) -> Option<Ended> {
        self.why.get().copied()
    }

    pub(super) fn asked(&self) -> bool {
        self.why.get().is_some()
    }

    /// Waits so long, or until asked; returns whether asked.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let _ = sys::wait(&[(self.event.as_fd(), Interest::Read)], Some(time));
        self.asked()
    }
}
