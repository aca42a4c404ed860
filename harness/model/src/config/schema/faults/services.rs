//! Parameters of kinds that are done to a service.

use super::OneOrMore;
use crate::{
    fault::DiskOp,
    units::{Bytes, Percent, Shift, Span},
};
use schemars::JsonSchema;

/// A service that does not stay up.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CrashLoopEntry {
    /// From one kill to the next. Default: 3s.
    pub every: Option<Span>,
}

/// Exactly one of `load` and `quota`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CpuEntry {
    /// Others in the service's own cgroup burn this share of a core each.
    pub load: Option<Percent>,
    /// How many others. Default: 1.
    pub workers: Option<u32>,
    /// The service gets no more than this share of one core; `200%` are two.
    pub quota: Option<Percent>,
}

/// Exactly one of `use`, `fill` and `limit`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MemoryEntry {
    /// Another process in the service's own cgroup holds so much.
    #[schemars(rename = "use")]
    pub uses: Option<Bytes>,
    /// Another process in it holds what brings it to this share of its limit.
    pub fill: Option<Percent>,
    /// The service gets no more than this.
    pub limit: Option<Bytes>,
}

/// A busy disk.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IoEntry {
    /// A directory in the service, absolute.
    pub path: String,
    /// How many write there and wait for the disk. Default: 1.
    pub workers: Option<u32>,
}

/// A full disk: exactly one of `to`, `leave` and `bytes`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FillEntry {
    /// A directory in the service, absolute.
    pub path: String,
    /// Up to this share of it.
    pub to: Option<Percent>,
    /// But for this much.
    pub leave: Option<Bytes>,
    /// By this much.
    pub bytes: Option<Bytes>,
}

/// Files that fail, wait or lie: exactly one of `delay`, `error`, `short` and `corrupt`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DiskEntry {
    /// A directory in the service, absolute.
    pub path: String,
    /// Which operations: `read`, `write`, `fsync`, `open`, `metadata`. Default: read, write and fsync; with `short` and `corrupt` read.
    pub ops: Option<OneOrMore<DiskOp>>,
    /// Of these operations, how many. Default: 100%.
    pub share: Option<Percent>,
    /// Only files below the directory that this glob matches. Without a slash it is about file names. Default: all.
    pub pattern: Option<String>,
    /// They are answered so much later.
    pub delay: Option<Span>,
    /// Give or take this. Default: 0s.
    pub jitter: Option<Span>,
    /// They are not done, and answered with this error: `EIO`, `ENOSPC`, …
    pub error: Option<String>,
    /// Reads return fewer bytes than asked for.
    pub short: Option<bool>,
    /// Reads return one bit turned over; what is on the disk stays.
    pub corrupt: Option<bool>,
}

/// Exactly one of `leave` and `limit`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PidsEntry {
    /// Idle processes in the service's own cgroup leave so many of its limit.
    pub leave: Option<u32>,
    /// The service may have no more processes and threads than this.
    pub limit: Option<u32>,
}

/// Fewer file descriptors.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FilesEntry {
    /// How many more each process may open.
    pub leave: u32,
}

/// The wrong time.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ClockEntry {
    /// By how much wall clocks are ahead; below zero: behind.
    pub offset: Shift,
}
