//! What is taken from a service: time on a core, memory, tasks, files, disk, the right time.

use super::{Asked, percent};
use crate::units::{Bytes, Percent, Shift};
use serde::{Deserialize, Serialize};

/// Less time on a core.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cpu {
    /// Others in the service's own cgroup burn it.
    Load {
        /// How many of them.
        workers: u32,
        /// Of a core, each.
        load: Percent,
    },
    /// The service may use no more than this of one core.
    Quota(Percent),
}

/// Less memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// Another process in the service's own cgroup holds so much.
    Use(Bytes),
    /// Another process in it holds as much as brings the cgroup to this share of its limit.
    Fill(Percent),
    /// The service may use no more than this.
    Limit(Bytes),
}

/// A busy disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Io {
    /// A directory in the service's file system.
    pub path: String,
    /// How many write there and wait for the disk.
    pub workers: u32,
}

/// A full disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fill {
    /// A directory in the service's file system.
    pub path: String,
    /// How full.
    pub amount: FillAmount,
}

/// How full a disk is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillAmount {
    /// Up to this share of it.
    To(Percent),
    /// But for this much.
    Leave(Bytes),
    /// By this much.
    Bytes(Bytes),
}

/// Fewer tasks (processes and threads).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pids {
    /// Idle tasks in the service's own cgroup leave so many of its limit.
    Leave(u32),
    /// The service may have no more than so many.
    Limit(u32),
}

/// Fewer file descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptors {
    /// How many more each process may open.
    pub leave: u32,
}

/// The wrong time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// By how much wall clocks are ahead.
    pub offset: Shift,
}

impl Cpu {
    pub(super) fn asked(&self) -> Asked {
        match self {
            Cpu::Load { workers, load } => vec![("workers", f64::from(*workers)), ("load_percent", percent(*load))],
            Cpu::Quota(quota) => vec![("quota_percent", percent(*quota))],
        }
    }
}

impl Memory {
    pub(super) fn asked(&self) -> Asked {
        vec![match self {
            Memory::Use(bytes) => ("use_bytes", bytes.0 as f64),
            Memory::Fill(share) => ("fill_percent", percent(*share)),
            Memory::Limit(bytes) => ("limit_bytes", bytes.0 as f64),
        }]
    }
}

impl Fill {
    pub(super) fn asked(&self) -> Asked {
        vec![match self.amount {
            FillAmount::To(share) => ("to_percent", percent(share)),
            FillAmount::Leave(bytes) => ("leave_bytes", bytes.0 as f64),
            FillAmount::Bytes(bytes) => ("fill_bytes", bytes.0 as f64),
        }]
    }
}

impl Pids {
    pub(super) fn asked(self) -> Asked {
        vec![match self {
            Pids::Leave(tasks) => ("leave_tasks", f64::from(tasks)),
            Pids::Limit(tasks) => ("limit_tasks", f64::from(tasks)),
        }]
    }
}
