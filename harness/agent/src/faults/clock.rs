//! Clock: the wall clock of a service's processes is wrong; their monotonic clocks are right.
//!
//! Programs read the time by calling code that the kernel lends to each process, the vDSO, without a system call. In each
//! process the first bytes of that code's `clock_gettime`, `gettimeofday` and `time` are turned into a jump to a few
//! instructions of ours, which make the system call and add the offset: see `process::shim`. The page is the process's own
//! copy from then on; no other process, and not the machine's clock, is affected. A child inherits it; a program that is
//! started gets a fresh vDSO and is met within some 50 ms.
//!
//! How it can mislead: timers that the kernel runs against the wall clock keep the true time. A wait until an hour of the
//! wall clock (`TIMER_ABSTIME` of `CLOCK_REALTIME`, as `pthread_cond_timedwait` is by default) ends at once where the
//! offset is negative, and is longer by the offset where it is positive; on a machine with a wrong clock it would be
//! right. Files get true times. A program that makes the system call itself is not met. While the fault is in force each
//! reading of a clock is a system call, some 0.1 us instead of 0.03. The threads of a process stand still for a moment
//! while its code is changed, and a blocking `epoll_wait` or `semop` may return EINTR then, as after SIGSTOP.

use super::{Fault, Plan, Site, grip};
use crate::kernel::Act;
use crate::wire::{Clock, FaultSpec, Powers};

impl Fault for Clock {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        (!powers.clock).then_some("clock")
    }

    fn mechanism(&self, _powers: &Powers) -> String {
        "vDSO of each process (ptrace)".to_owned()
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        let clock = self.clone();
        grip(spec, site, |grip, processes| Act::Skew { grip, processes, clock })
    }
}
