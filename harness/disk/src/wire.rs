//! What `shakedown-disk disk` is told in its argument, and what is said on stdin and stdout of `shakedown-disk control`, in the manner of
//! [`shakedown_line`], at most [`MAX_LINE_BYTES`] a line.
//!
//! The codes of a [`Failure`] are `malformed`, `invalid`, `name_taken`, `unknown_fault`, `unknown_mount` and `unsupported`. Nothing in this
//! file does any I/O.

use serde::{Deserialize, Serialize};
pub use shakedown_line::{Applied, Beat, Failure};

/// Longest line in either direction, in bytes, without its newline.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// What the wrapper does before the service's program begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// At least one; none inside another.
    pub mounts: Vec<Mount>,
    /// Capabilities that the container has for our sake: `sys_admin`, `dac_override`, … The program begins without them.
    #[serde(default)]
    pub drop: Vec<String>,
}

/// A directory through which faults shall be possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Absolute.
    pub path: String,
    /// For how long the kernel may trust names and attributes. 0 where others write there too, past this mount.
    #[serde(default = "default_cache_ms")]
    pub cache_ms: u64,
    /// Every read(2) reaches us and none is served from the page cache. Short reads are only possible so. Before Linux 6.6 files there
    /// can then not be mapped shared.
    #[serde(default)]
    pub direct: bool,
}

fn default_cache_ms() -> u64 {
    1_000
}

/// A line to the file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What is mounted? Answered with [`Answer::Facts`].
    Facts { id: u64 },
    /// Begin a fault. Answered with [`Answer::Applied`] once operations are affected.
    Apply { id: u64, fault: FaultSpec },
    /// What has a fault done so far? Answered with [`Answer::Dose`].
    Dose { id: u64, name: String },
    /// Take a fault back. Idempotent. Answered with [`Answer::Reverted`].
    Revert { id: u64, name: String },
    /// Are you there? Answered with [`Answer::Beat`].
    Beat { id: u64 },
}

/// One fault: what to do to which operations, and for how long at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Names the fault in later requests: 1 to 64 of `A-Z a-z 0-9 _ - .`, unique among the faults in force.
    pub name: String,
    /// It is taken back unasked after this long. 1 ms to 24 h.
    pub ttl_ms: u64,
    /// The directory, as it was mounted.
    pub path: String,
    /// At least one.
    pub ops: Vec<Op>,
    /// Of a million operations, how many are hurt: 1 to 1000000.
    #[serde(default = "default_share_ppm")]
    pub share_ppm: u32,
    /// Starts the pseudo random numbers. The same seed and the same operations give the same choice.
    #[serde(default)]
    pub seed: u64,
    /// Only files below the directory that this glob matches; without a slash it is about the last part of their paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    pub effect: Effect,
}

fn default_share_ppm() -> u32 {
    1_000_000
}

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Of data, and of directories' entries.
    Read,
    /// Of data, and fallocate(2).
    Write,
    /// fsync(2), fdatasync(2), on files and directories.
    Fsync,
    /// Of files and directories, creating a file among it.
    Open,
    /// Everything else that has a path: looking up, renaming, removing, attributes, truncation.
    Metadata,
}

/// What happens to an operation that is struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// It is done, and answered later.
    Delay(Delay),
    /// It is not done, and answered with this error: `EIO`, `ENOSPC`, …
    Errno(String),
    /// It returns fewer bytes than asked for. `read` on a direct mount only.
    Short {},
    /// One bit of what it returns is turned over; what is on the disk stays. `read` only.
    Corrupt {},
}

/// How much later: `delay_us` give or take `jitter_us`, evenly spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// 1 us to 60 s.
    pub delay_us: u64,
    /// Not above `delay_us`.
    #[serde(default)]
    pub jitter_us: u64,
}

/// A line from the file system.
pub type Line = shakedown_line::Line<Answer, Event>;

/// A fault that ended by itself.
pub type Event = shakedown_line::Event<Reverted>;

/// A fault that is no longer in force.
pub type Reverted = shakedown_line::Reverted<Dose>;

/// A request that went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Facts(Facts),
    Applied(Applied),
    Dose(Dose),
    Reverted(Reverted),
    Beat(Beat),
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The server's process id, in its own pid namespace.
    pub pid: u32,
    pub mounts: Vec<Mount>,
}

/// What a fault really did, counted where it was done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dose {
    /// Operations of its kinds, on its files, since it is in force: what the share is a share of.
    pub seen: PerOp,
    /// Operations among them that it chose.
    pub struck: PerOp,
    /// Bytes that the chosen reads and writes were about.
    pub bytes: u64,
    /// Answered with an error instead of being done.
    pub errors: u64,
    /// Answered later, for as long as it should be.
    pub delayed: u64,
    /// Waiting for their answer right now.
    pub held: u64,
    /// Answered sooner, because the fault ended while they waited. Not in the figures below.
    pub released_early: u64,
    /// Mean of the time from the end of an operation to its answer.
    pub mean_delay_us: Option<u64>,
    /// 99th percentile of the same, to within 1 %.
    pub p99_delay_us: Option<u64>,
    /// Reads that returned fewer bytes than there were.
    pub short: u64,
    /// Reads in which a bit was turned over.
    pub corrupted: u64,
}

/// A number for each kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PerOp {
    pub read: u64,
    pub write: u64,
    pub fsync: u64,
    pub open: u64,
    pub metadata: u64,
}

impl PerOp {
    pub(crate) fn of(&mut self, op: Op) -> &mut u64 {
        match op {
            Op::Read => &mut self.read,
            Op::Write => &mut self.write,
            Op::Fsync => &mut self.fsync,
            Op::Open => &mut self.open,
            Op::Metadata => &mut self.metadata,
        }
    }

    /// Of all kinds together.
    pub fn total(&self) -> u64 {
        self.read + self.write + self.fsync + self.open + self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_said_in_these_words() {
        let said = r#"{"op":"apply","id":1,"fault":{"name":"slow","ttl_ms":9,"path":"/data","ops":["read","fsync"],"effect":{"delay":{"delay_us":5}}}}"#;
        let Request::Apply { fault, .. } = serde_json::from_str(said).unwrap() else { panic!("not an apply") };
        assert_eq!((fault.share_ppm, fault.seed, fault.pattern.clone()), (1_000_000, 0, None));
        assert_eq!(fault.effect, Effect::Delay(Delay { delay_us: 5, jitter_us: 0 }));
        for (words, effect) in [
            (r#"{"errno":"EIO"}"#, Effect::Errno("EIO".to_owned())),
            (r#"{"short":{}}"#, Effect::Short {}),
            (r#"{"corrupt":{}}"#, Effect::Corrupt {}),
        ] {
            assert_eq!(serde_json::from_str::<Effect>(words).unwrap(), effect);
            assert_eq!(serde_json::to_string(&effect).unwrap(), words);
        }
    }

    #[test]
    fn a_typing_mistake_is_an_error_and_not_another_fault() {
        for words in [r#"{"delay":{"delay_us":5,"jiter_us":1}}"#, r#"{"short":{},"corrupt":{}}"#, r#"{"eio":{}}"#] {
            assert!(serde_json::from_str::<Effect>(words).is_err(), "{words}");
        }
        assert!(serde_json::from_str::<Mount>(r#"{"path":"/data","directly":true}"#).is_err());
    }
}
