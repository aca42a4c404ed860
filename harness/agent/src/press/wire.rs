//! What `shakedown-agent press` is told, in one argument, and what it says on stdout: one JSON object a line.
//!
//! Unknown fields in a [`Spec`] are errors; unknown fields in a [`Word`] are ignored, so that an older harness can read
//! it. Units are in the names: `_ppm` millionths, `_us` microseconds, `_ms` milliseconds, `_unix_ns` nanoseconds since
//! 1970 by the wall clock. Nothing in this file does any I/O.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::wire::Failure;

/// Bytes that [`Fill`] may take if nobody says otherwise.
pub const FILL_MOST_BYTES: u64 = 2 << 30;
/// Tasks that [`Pids`] may make if nobody says otherwise.
pub const PIDS_MOST: u32 = 4096;

/// One pressure, and for how long at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// It ends by itself after this long. 1 ms to 24 h.
    pub ttl_ms: u64,
    /// Which resource becomes scarce.
    pub kind: Kind,
}

/// Which resource becomes scarce for the neighbours in this cgroup, mount namespace or file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// Threads that compute.
    Cpu(Cpu),
    /// Memory that is held.
    Memory(Memory),
    /// Memory that grows until the kernel kills somebody else for it.
    Oom(Oom),
    /// Synchronous writes, and reads.
    Io(Io),
    /// A file that leaves no room.
    Fill(Fill),
    /// Tasks that leave no room for others.
    Pids(Pids),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Threads: 1 to 256.
    pub workers: u32,
    /// Of one core, for each thread: 1 to 1000000.
    pub load_ppm: u32,
}

/// Exactly one of `bytes` and `fill_ppm`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// To hold so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// To grow until the cgroup's working set is this share of its limit: 1 to 990000. Needs a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_ppm: Option<u32>,
    /// Whom the kernel shall kill if memory runs out all the same.
    #[serde(default)]
    pub victim: Victim,
}

/// The kernel's first choice when the cgroup's memory runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Victim {
    /// The agent: the pressure ends early, the service lives.
    #[default]
    Agent,
    /// Anybody but the agent.
    Service,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oom {
    /// Stops growing here even if nobody was killed. Absent: the cgroup's limit and as much again, for swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Io {
    /// A directory on the device that shall be busy.
    pub path: PathBuf,
    /// Threads, each with a file of its own of at most 64 MiB: 1 to 64.
    pub workers: u32,
    /// Of one write or read: 4096 to 16777216, a multiple of 4096.
    #[serde(default = "default_block_bytes")]
    pub block_bytes: u32,
    /// Every write is followed by a read, past the page cache where the file system can.
    #[serde(default)]
    pub read: bool,
}

fn default_block_bytes() -> u32 {
    65_536
}

/// Exactly one of `to_ppm`, `leave_bytes` and `bytes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// A directory on the file system.
    pub path: PathBuf,
    /// Until this share is used, as df(1) counts it: 1 to 1000000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ppm: Option<u32>,
    /// Until only so many are available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_bytes: Option<u64>,
    /// So many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Refuses to begin if it would take more: the file system may be the whole host's.
    #[serde(default = "default_fill_most")]
    pub most_bytes: u64,
}

fn default_fill_most() -> u64 {
    FILL_MOST_BYTES
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pids {
    /// Tasks that the cgroup may still make.
    pub leave: u32,
    /// Stops at so many tasks: 1 to 32768.
    #[serde(default = "default_pids_most")]
    pub most: u32,
}

fn default_pids_most() -> u32 {
    PIDS_MOST
}

/// A line from the agent: first `ready` or `failed`, then a `dose` about every second; the last has `ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The pressure is in force.
    Ready(Ready),
    /// What it has done so far.
    Dose(Dose),
    /// It could not begin, or broke off. Nothing of it is left.
    Failed(Failure),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The agent's own, in its own pid namespace.
    pub pid: u32,
    /// How it is done, for the report.
    pub mechanism: String,
    pub at_unix_ns: u64,
    pub expires_at_unix_ns: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dose {
    pub at_unix_ns: u64,
    /// Since `ready`.
    pub elapsed_ms: u64,
    /// In the last dose: why it is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    pub figures: Figures,
    /// One sentence for each figure that cannot be known here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The pressure is less than was asked for, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Why a pressure ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Whoever held stdin is done, or dead.
    EndOfInput,
    /// SIGTERM, SIGINT, SIGHUP or SIGQUIT.
    Signal,
    /// Its time was over.
    Expired,
    /// Nobody reads stdout any more.
    ReaderGone,
}

/// What was measured, by kind of pressure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figures {
    Cpu(CpuFigures),
    Memory(MemoryFigures),
    Oom(MemoryFigures),
    Io(IoFigures),
    Fill(FillFigures),
    Pids(PidsFigures),
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuFigures {
    /// Time on a core, by the clock of the process.
    pub cpu_us: u64,
    /// Of one core, for each worker: to be compared with `load_ppm`.
    pub achieved_ppm: u64,
    /// Periods in which the cgroup used up its quota, since the beginning.
    pub throttled_periods: Option<u64>,
    /// For how long its tasks had to wait because of that.
    pub throttled_us: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryFigures {
    /// By the agent, in pages that it touches again and again.
    pub held_bytes: u64,
    /// Of the cgroup with the least room: all that is charged to it.
    pub usage_bytes: Option<u64>,
    /// Of that, what cannot be had back by dropping clean cache: usage without inactive file pages.
    pub working_bytes: Option<u64>,
    pub limit_bytes: Option<u64>,
    /// Since the beginning, by the kernel's own count for the agent's cgroup.
    pub oom_kills: Option<u64>,
    /// Processes of this cgroup that were there at the beginning and are no more. Kind `oom` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Process>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IoFigures {
    /// Each with its fdatasync(2).
    pub writes: Operations,
    pub reads: Operations,
    /// Of all files together.
    pub file_bytes: u64,
    /// Whether reads go past the page cache.
    pub direct: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Operations {
    pub count: u64,
    pub bytes: u64,
    pub failed: u64,
    pub mean_us: Option<u64>,
    /// To within 1 %.
    pub p99_us: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillFigures {
    /// In the agent's file.
    pub held_bytes: u64,
    /// Of the file system, what users can have at all.
    pub size_bytes: u64,
    /// What they can still have.
    pub available_bytes: u64,
    pub used_ppm_before: u32,
    pub used_ppm: u32,
    pub probe: Probe,
}

/// What became of 4 KiB that the agent tried to write into another file, just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    Written,
    /// ENOSPC
    NoSpace,
    /// EDQUOT
    NoQuota,
    /// Something else.
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PidsFigures {
    /// Made and held by the agent; its own two are not among them.
    pub held_tasks: u32,
    /// Of the cgroup with the least room.
    pub current_tasks: Option<u64>,
    pub limit_tasks: Option<u64>,
    /// Tasks that the agent could not make.
    pub refused: u64,
    /// Times that the kernel refused anybody in the cgroup a task, since the beginning (`pids.events`).
    pub refused_in_cgroup: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_said_in_these_words() {
        let fill = |to_ppm, leave_bytes, bytes| Fill { path: "/data".into(), to_ppm, leave_bytes, bytes, most_bytes: FILL_MOST_BYTES };
        let cases = [
            (r#"{"cpu":{"workers":2,"load_ppm":800000}}"#, Kind::Cpu(Cpu { workers: 2, load_ppm: 800_000 })),
            (r#"{"memory":{"bytes":9}}"#, Kind::Memory(Memory { bytes: Some(9), ..Memory::default() })),
            (
                r#"{"memory":{"fill_ppm":900000,"victim":"service"}}"#,
                Kind::Memory(Memory { bytes: None, fill_ppm: Some(900_000), victim: Victim::Service }),
            ),
            (r#"{"oom":{}}"#, Kind::Oom(Oom { most_bytes: None })),
            (r#"{"io":{"path":"/data","workers":2}}"#, Kind::Io(Io { path: "/data".into(), workers: 2, block_bytes: 65_536, read: false })),
            (r#"{"fill":{"path":"/data","to_ppm":950000}}"#, Kind::Fill(fill(Some(950_000), None, None))),
            (r#"{"fill":{"path":"/data","leave_bytes":0}}"#, Kind::Fill(fill(None, Some(0), None))),
            (r#"{"fill":{"path":"/data","bytes":7}}"#, Kind::Fill(fill(None, None, Some(7)))),
            (r#"{"pids":{"leave":2}}"#, Kind::Pids(Pids { leave: 2, most: PIDS_MOST })),
        ];
        for (words, kind) in cases {
            assert_eq!(serde_json::from_str::<Kind>(words).unwrap(), kind, "{words}");
            let said = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<Kind>(&said).unwrap(), kind, "{said}");
        }
    }

    #[test]
    fn a_typing_mistake_is_no_pressure() {
        for words in [
            r#"{"ttl_ms":1,"kind":{"cpu":{"workers":2,"load_ppm":8,"nice":1}}}"#,
            r#"{"ttl_ms":1,"kind":{"oom":{"bytes":1}}}"#,
            r#"{"ttl_ms":1,"kind":{"pids":{"leave":1}},"kinds":1}"#,
            r#"{"kind":{"oom":{}}}"#,
        ] {
            assert!(serde_json::from_str::<Spec>(words).is_err(), "{words}");
        }
    }
}
