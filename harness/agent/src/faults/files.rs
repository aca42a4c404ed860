//! Files: a service's processes run out of file descriptors, so that opening, accepting and connecting fail with EMFILE.
//!
//! The soft limit of each process is lowered by `prlimit(2)` to where so many free descriptor numbers are left below it.
//! What is open stays open. A process that raises its soft limit again, as the Go runtime does when it starts, is met
//! again within 50 ms; a program that is started keeps its parent's limit and is then given one by what it has open itself.
//!
//! The undo gives back the soft limit that the process had, remembered here because nobody else knows it: the hard limit
//! would be more than most had. A process that has another limit by then than the one we set has chosen it, and keeps it.
//!
//! How it can mislead: a service that keeps its connections and opens no files never needs a new descriptor; then
//! `exhausted` is 0. The limit is of numbers, not of a count, so that `dup2` to a high number fails (EBADF) and `poll` of
//! more descriptors than the limit does (EINVAL).

use super::{Fault, Plan, Site, grip};
use crate::kernel::Act;
use crate::wire::{FaultSpec, Files, Powers};

impl Fault for Files {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        (!powers.files).then_some("files")
    }

    fn mechanism(&self, _powers: &Powers) -> String {
        "soft RLIMIT_NOFILE of each process (prlimit)".to_owned()
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        let files = self.clone();
        grip(spec, site, |grip, processes| Act::Limit { grip, processes, files })
    }
}
