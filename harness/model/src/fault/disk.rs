//! What the files of a directory do wrong.

use super::{Asked, millis, percent};
use crate::units::{Percent, Span};
use serde::{Deserialize, Serialize};

/// Operations on the files of a directory fail, wait or lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// A directory in the service's file system.
    pub path: String,
    /// Which operations.
    pub ops: Vec<DiskOp>,
    /// Of them, how many.
    pub share: Percent,
    /// Only files that this glob matches, below the directory.
    pub pattern: Option<String>,
    /// What happens to them.
    pub effect: DiskEffect,
}

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskOp {
    /// Of data, and of directories' entries.
    Read,
    /// Of data.
    Write,
    /// fsync(2), fdatasync(2).
    Fsync,
    /// Of files and directories, creating among it.
    Open,
    /// Looking up, renaming, removing, attributes.
    Metadata,
}

impl DiskOp {
    /// All, by the words that config uses.
    pub const WORDS: [(&str, DiskOp); 5] = [
        ("read", DiskOp::Read),
        ("write", DiskOp::Write),
        ("fsync", DiskOp::Fsync),
        ("open", DiskOp::Open),
        ("metadata", DiskOp::Metadata),
    ];

    /// As config and helpers write it.
    pub fn word(self) -> &'static str {
        DiskOp::WORDS.iter().find(|(_, op)| *op == self).map_or("", |(word, _)| word)
    }
}

/// What happens to an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskEffect {
    /// It is answered later.
    Delay {
        /// By this.
        delay: Span,
        /// Give or take this, evenly.
        jitter: Span,
    },
    /// It is not done, and answered with this error.
    Error(String),
    /// A read returns less than was asked for.
    Short,
    /// A read returns one bit turned over; the disk keeps the right one.
    Corrupt,
}

/// Errors that a disk can be made to answer with.
pub const DISK_ERRORS: [&str; 16] = [
    "EIO",
    "ENOSPC",
    "EDQUOT",
    "EROFS",
    "EAGAIN",
    "EINTR",
    "EACCES",
    "EPERM",
    "EBUSY",
    "ENOENT",
    "ENOMEM",
    "EMFILE",
    "ENFILE",
    "EFBIG",
    "ESTALE",
    "ETIMEDOUT",
];

impl Disk {
    /// Whether reads may not be served from the page cache: they would not meet the fault, or would spoil the cache.
    pub fn is_past_cache(&self) -> bool {
        matches!(self.effect, DiskEffect::Short | DiskEffect::Corrupt)
    }

    pub(super) fn asked(&self) -> Asked {
        let mut asked = vec![("share_percent", percent(self.share))];
        if let DiskEffect::Delay { delay, jitter } = self.effect {
            asked.extend([("delay_ms", millis(delay)), ("jitter_ms", millis(jitter))]);
        }
        asked
    }
}
