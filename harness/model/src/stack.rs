//! What a runtime is asked to start: one variant's services, from `compose.yaml` or from `services.process`.

use crate::experiment::ProcessService;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Which of the two that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// The commit that is judged.
    Candidate,
    /// The commit it is compared with.
    Baseline,
}

impl Variant {
    /// As labels and events write it.
    pub fn word(self) -> &'static str {
        match self {
            Variant::Candidate => "candidate",
            Variant::Baseline => "baseline",
        }
    }
}

/// One variant's services.
#[derive(Debug, Clone)]
pub struct StackSpec {
    /// Id of the run: value of the label `dev.shakedown.run`.
    pub run: String,
    /// Which variant.
    pub variant: Variant,
    /// In which round, from 1: the instances of each have names of their own.
    pub round: u32,
    /// The tree it is started from. Absolute.
    pub root: PathBuf,
    /// Containers (docker runtime). Empty on the process runtime.
    pub project: Project,
    /// Processes (process runtime). Empty on the docker runtime.
    pub processes: IndexMap<String, ProcessService>,
    /// Put into the environment of every service that does not set them itself.
    pub environment: BTreeMap<String, String>,
}

/// A compose file as it is meant: interpolated, merged, defaults filled in.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Project {
    /// Project name.
    pub name: String,
    /// In the order of the file.
    pub services: IndexMap<String, ContainerSpec>,
    /// Networks by compose name. `default` is there when a service uses it.
    pub networks: IndexMap<String, NetworkSpec>,
    /// Named volumes by compose name.
    pub volumes: IndexMap<String, VolumeSpec>,
    /// What of the file has no effect here: said aloud by `validate`, `plan` and `run`.
    pub warnings: Vec<String>,
}

/// One service of a compose file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ContainerSpec {
    /// Key in `services`.
    pub name: String,
    /// Image to run; where `build` is set too, the tag to give it.
    pub image: Option<String>,
    /// How to build it.
    pub build: Option<BuildSpec>,
    /// Overrides CMD.
    pub command: Option<Vec<String>>,
    /// Overrides ENTRYPOINT.
    pub entrypoint: Option<Vec<String>>,
    /// `environment` and `env_file` merged; resolved.
    pub environment: IndexMap<String, String>,
    /// Container ports (TCP) out of `ports` and `expose`.
    pub ports: Vec<u16>,
    /// Started after these.
    pub depends_on: Vec<Dependency>,
    /// Overrides HEALTHCHECK.
    pub healthcheck: Option<Healthcheck>,
    /// Binds and named volumes.
    pub mounts: Vec<Mount>,
    /// Paths held in memory: path to mount options.
    pub tmpfs: IndexMap<String, String>,
    /// Networks by compose name with aliases (the service name is always one).
    pub networks: IndexMap<String, Vec<String>>,
    /// Linux capabilities.
    pub cap_add: Vec<String>,
    /// Linux capabilities.
    pub cap_drop: Vec<String>,
    /// `nofile` to (soft, hard).
    pub ulimits: IndexMap<String, (i64, i64)>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// Working directory inside.
    pub working_dir: Option<String>,
    /// Host name inside.
    pub hostname: Option<String>,
    /// `name:ip` lines.
    pub extra_hosts: Vec<String>,
    /// Kernel parameters of the namespaces.
    pub sysctls: IndexMap<String, String>,
    /// The team's labels.
    pub labels: IndexMap<String, String>,
    /// Run an init process as PID 1.
    pub init: bool,
    /// All privileges.
    pub privileged: bool,
    /// Root file system read-only.
    pub read_only: bool,
    /// Restart policy: `no`, `always`, `on-failure`, `unless-stopped`.
    pub restart: Option<String>,
    /// Size of /dev/shm in bytes.
    pub shm_size: Option<u64>,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// CPU limit in cores.
    pub cpus: Option<f64>,
    /// Limit of processes.
    pub pids_limit: Option<i64>,
    /// Signal that stops it politely.
    pub stop_signal: Option<String>,
    /// Security options.
    pub security_opt: Vec<String>,
}

/// `build:` of a service.
#[derive(Debug, Clone, Serialize)]
pub struct BuildSpec {
    /// Absolute path.
    pub context: PathBuf,
    /// Relative to the context.
    pub dockerfile: String,
    /// Stage.
    pub target: Option<String>,
    /// Build arguments.
    pub args: IndexMap<String, String>,
}

/// `depends_on` of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// The other service.
    pub service: String,
    /// When it counts as up.
    pub condition: Condition,
}

/// When a dependency counts as up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It was started.
    Started,
    /// Its health check says so.
    Healthy,
    /// It ended with exit code 0.
    CompletedSuccessfully,
}

/// A health check.
#[derive(Debug, Clone, Serialize)]
pub struct Healthcheck {
    /// `["CMD", …]`, `["CMD-SHELL", "…"]` or `["NONE"]`.
    pub test: Vec<String>,
    /// Between checks.
    pub interval: Option<Duration>,
    /// Of one check.
    pub timeout: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    pub retries: Option<u32>,
    /// During which failures do not count.
    pub start_period: Option<Duration>,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Where it comes from.
    pub source: MountSource,
    /// Absolute path inside.
    pub target: String,
    /// No writing.
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// Absolute path on the host.
    Bind(PathBuf),
    /// Named volume, by compose name.
    Volume(String),
    /// A volume without a name.
    Anonymous,
}

/// A network.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NetworkSpec {
    /// `bridge` where not said.
    pub driver: Option<String>,
    /// No way out.
    pub internal: bool,
    /// Exists already under this name and is not ours to make or remove.
    pub external: Option<String>,
    /// IPv6.
    pub enable_ipv6: bool,
}

/// A named volume.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VolumeSpec {
    /// Exists already under this name and is not ours to make or remove.
    pub external: Option<String>,
}
