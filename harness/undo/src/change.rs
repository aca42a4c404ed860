//! What takes one change back, as the journal writes it. An undo names what is ours and removes it; it never writes back a remembered
//! value, because two changes that overlap would restore each other.

use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

/// What takes one change to the world back.
///
/// Every variant carries the run: whoever reverts checks that what it finds under the name really belongs to that run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// A container that was created is removed, running or not, with its anonymous volumes.
    RemoveContainer {
        /// Name of the container.
        name: String,
        /// Id of the run.
        run: String,
    },
    /// A network that was created is removed.
    RemoveNetwork {
        /// Name of the network.
        name: String,
        /// Id of the run.
        run: String,
    },
    /// A volume that was created is removed.
    RemoveVolume {
        /// Name of the volume.
        name: String,
        /// Id of the run.
        run: String,
    },
    /// An image that was built for this run only is removed.
    RemoveImage {
        /// Name and tag of the image.
        reference: String,
        /// Id of the run.
        run: String,
    },
    /// A container that was paused goes on.
    ResumeContainer {
        /// Name of the container.
        name: String,
        /// Id of the run.
        run: String,
    },
    /// A container whose main process was stopped (SIGSTOP) goes on.
    ContinueContainer {
        /// Name of the container.
        name: String,
        /// Id of the run.
        run: String,
    },
    /// A container gets back what it may use: what was declared when it was created, which stands on it as a label.
    RestoreLimits {
        /// Name of the container.
        name: String,
        /// Id of the run.
        run: String,
    },
    /// A process group that was started is killed.
    KillProcessGroup {
        /// The group.
        group: ProcessGroup,
        /// Id of the run.
        run: String,
    },
    /// A process group that was stopped goes on.
    ContinueProcessGroup {
        /// The group.
        group: ProcessGroup,
        /// Id of the run.
        run: String,
    },
    /// A file or directory that was made is removed. The path must contain the run's id.
    RemovePath {
        /// Absolute path.
        path: PathBuf,
        /// Id of the run.
        run: String,
    },
    /// A git worktree that was added is removed, with git's own record of it. The path must contain the run's id.
    RemoveWorktree {
        /// The repository that it was added to.
        repository: PathBuf,
        /// Absolute path of the worktree.
        path: PathBuf,
        /// Id of the run.
        run: String,
    },
    /// Written by a version of shakedown that knows more kinds than this one; kept word for word so that nobody takes it for done.
    #[serde(skip)]
    Unknown {
        /// The undo as the journal holds it.
        text: String,
    },
}

/// Identity of a process group. A pid alone is no identity: pids are used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessGroup {
    /// Pid of the leader, which is the id of the group.
    pub pid: u32,
    /// When the leader was started, in clock ticks after boot (`/proc/<pid>/stat`, field 22).
    pub start_time_ticks: u64,
    /// The boot that both belong to (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

impl fmt::Display for ProcessGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (started at tick {})", self.pid, self.start_time_ticks)
    }
}

impl Undo {
    /// Undos with a lower stage are reverted before those with a higher one; inside a stage none depends on another, so they go at once.
    ///
    /// What is frozen must thaw before it can die; a network or volume is free only when its containers are gone; a worktree is taken
    /// out before the directory around it.
    pub(crate) fn stage(&self) -> u8 {
        match self {
            Undo::ResumeContainer { .. }
            | Undo::ContinueContainer { .. }
            | Undo::RestoreLimits { .. }
            | Undo::ContinueProcessGroup { .. } => 0,
            Undo::RemoveContainer { .. } | Undo::KillProcessGroup { .. } => 1,
            Undo::RemoveNetwork { .. } | Undo::RemoveVolume { .. } | Undo::RemoveWorktree { .. } => 2,
            Undo::RemoveImage { .. } | Undo::RemovePath { .. } => 3,
            Undo::Unknown { .. } => 4,
        }
    }

    /// The run that the change belongs to.
    pub fn run(&self) -> Option<&str> {
        match self {
            Undo::RemoveContainer { run, .. }
            | Undo::RemoveNetwork { run, .. }
            | Undo::RemoveVolume { run, .. }
            | Undo::RemoveImage { run, .. }
            | Undo::ResumeContainer { run, .. }
            | Undo::ContinueContainer { run, .. }
            | Undo::RestoreLimits { run, .. }
            | Undo::KillProcessGroup { run, .. }
            | Undo::ContinueProcessGroup { run, .. }
            | Undo::RemovePath { run, .. }
            | Undo::RemoveWorktree { run, .. } => Some(run),
            Undo::Unknown { .. } => None,
        }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undo::RemoveContainer { name, .. } => write!(f, "remove container {name}"),
            Undo::RemoveNetwork { name, .. } => write!(f, "remove network {name}"),
            Undo::RemoveVolume { name, .. } => write!(f, "remove volume {name}"),
            Undo::RemoveImage { reference, .. } => write!(f, "remove image {reference}"),
            Undo::ResumeContainer { name, .. } => write!(f, "resume container {name}"),
            Undo::ContinueContainer { name, .. } => write!(f, "continue container {name}"),
            Undo::RestoreLimits { name, .. } => write!(f, "restore the limits of container {name}"),
            Undo::KillProcessGroup { group, .. } => write!(f, "kill process group {group}"),
            Undo::ContinueProcessGroup { group, .. } => write!(f, "continue process group {group}"),
            Undo::RemovePath { path, .. } => write!(f, "remove {}", path.display()),
            Undo::RemoveWorktree { path, .. } => write!(f, "remove git worktree {}", path.display()),
            Undo::Unknown { text } => write!(f, "an undo that this version does not know: {text}"),
        }
    }
}
