//! The seam: what every runtime can do, and the words that pass through it.

use crate::{RuntimeError, docker, process};
use shakedown_model::{evidence::RawLine, fault::Edge, plan::RuntimeKind, stack::StackSpec, time::UnixNanos};
use shakedown_undo::Journal;
use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// A place where services can run.
#[async_trait::async_trait]
pub trait Runtime: Send + Sync {
    /// Which kind of place.
    fn kind(&self) -> RuntimeKind;

    /// What runs there: `docker 20.10.24 (API 1.41)`, `processes on linux`.
    fn engine(&self) -> String;

    /// What can be done to services there.
    fn powers(&self) -> Powers;

    /// Builds what is not built yet. Changes nothing but the cache of images, which is kept between runs.
    async fn build(&self, spec: &StackSpec, notices: &Notices, cancel: &CancellationToken) -> Result<Built, RuntimeError>;

    /// Makes networks and volumes, or picks ports. After this the caller knows where to listen for the services.
    async fn prepare(&self, spec: &StackSpec, journal: &Journal) -> Result<Prepared, RuntimeError>;

    /// Starts every service in the order of its dependencies and returns when all are ready.
    ///
    /// Not cancel-safe: stop it with `cancel`, so that a creation that is on its way is seen to its end before the unwinding begins.
    async fn start(
        &self,
        launch: Launch<'_>,
        journal: Arc<Journal>,
        notices: Notices,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Stack>, RuntimeError>;
}

/// One variant's services, up and ready. Drop it before the journal is unwound: it follows logs and engine events until then.
#[async_trait::async_trait]
pub trait Stack: Send + Sync {
    /// Names, in the order of the file.
    fn services(&self) -> Vec<String>;

    /// Where the harness reaches `port` of `service`. May differ after the service was started again.
    async fn address(&self, service: &str, port: u16) -> Result<SocketAddr, RuntimeError>;

    /// The addresses at which the service's peers see it.
    async fn addresses_within(&self, service: &str) -> Result<Vec<IpAddr>, RuntimeError>;

    /// Pauses, kills, … and returns the proof. The undo is noted first.
    async fn change(&self, service: &str, change: Lifecycle, journal: &Journal) -> Result<Changed, RuntimeError>;

    /// What the service is doing now.
    async fn state(&self, service: &str) -> Result<ServiceState, RuntimeError>;

    /// The lines of all services since their start; follows across kills and starts. Can be taken once.
    fn take_logs(&mut self) -> Option<mpsc::Receiver<RawLine>>;

    /// Lines that were lost because nobody took them in time.
    fn lost_lines(&self) -> u64;

    /// Starts a helper in namespaces of the service and returns the pipe to it. When the pipe is dropped, it hears end of file. A service
    /// that was started again has new namespaces: ask again.
    async fn stand_beside(&self, service: &str, helper: &Helper, journal: &Journal) -> Result<Pipe, RuntimeError>;

    /// Runs a binary inside the service: in its cgroup, its file system, its process namespace. It hears end of file when the pipe is
    /// dropped, and has taken itself out of the file system as soon as it runs, if it can.
    async fn run_within(&self, service: &str, within: &Within<'_>) -> Result<Pipe, RuntimeError>;

    /// Talks with the program that the service began through ([`Launch::wraps`]). It hears end of file when the pipe is dropped.
    async fn talk_to_wrap(&self, service: &str) -> Result<Pipe, RuntimeError>;

    /// Lets the service use less than its file says. The undo is noted first.
    async fn limit(&self, service: &str, limit: Limit, journal: &Journal) -> Result<(), RuntimeError>;

    /// Gives it back what its file says.
    async fn unlimit(&self, service: &str, resource: Resource, journal: &Journal) -> Result<(), RuntimeError>;

    /// What the service uses now.
    async fn usage(&self, service: &str) -> Result<Usage, RuntimeError>;

    /// How it stands, asked anew: nothing that was noted of a change is believed.
    async fn survey(&self, service: &str, depth: Depth) -> Result<Survey, RuntimeError>;

    /// Its next end is somebody's wish and no crash.
    fn expect_end(&self, service: &str);

    /// An end that was expected did not come: the next one is a crash again.
    fn end_did_not_come(&self, service: &str);
}

/// Less of something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Cores.
    Cpu(f64),
    /// Bytes, swap included.
    Memory(u64),
    /// Processes and threads.
    Tasks(u32),
}

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Time on cores.
    Cpu,
    /// Memory.
    Memory,
    /// Processes and threads.
    Tasks,
}

impl Resource {
    /// All.
    pub const ALL: [Resource; 3] = [Resource::Cpu, Resource::Memory, Resource::Tasks];
}

impl Limit {
    /// Of what.
    pub fn resource(self) -> Resource {
        match self {
            Limit::Cpu(_) => Resource::Cpu,
            Limit::Memory(_) => Resource::Memory,
            Limit::Tasks(_) => Resource::Tasks,
        }
    }
}

/// What a service uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of memory, the page cache of its files included.
    pub memory: u64,
    /// How many it may use, if that is limited.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub tasks: u64,
    /// How often a period's time on cores was used up before its end, since the service was started.
    pub throttled_periods: u64,
    /// For how long it then had to wait, all in all.
    pub throttled: Duration,
}

/// How closely a service is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What it is doing and may use.
    Outside,
    /// At its processes as well: an engine starts a `ps` for it.
    Inside,
}

/// How a service stands. What was not looked at is as in a service that is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// What it is doing.
    pub state: ServiceState,
    /// Its main process stands still (SIGSTOP).
    pub is_stopped: bool,
    /// What it may use, by what: of what is not limited there is nothing.
    pub limits: Vec<(String, i64)>,
    /// Processes of ours inside it, by name.
    pub ours: Vec<String>,
}

/// Something that stands beside a service.
#[derive(Debug, Clone, Copy)]
pub struct Helper {
    /// What it is called: `agent`.
    pub name: &'static str,
    /// A static binary that reads requests on stdin, to be put into an image of nothing else.
    pub binary: &'static [u8],
    /// What it may do there.
    pub post: Post,
}

/// Where a helper stands and what it may do there: no more than it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Post {
    /// In the network namespace, to lead and drop packets (`CAP_NET_ADMIN`).
    Packets,
    /// In the network namespace, as [`Post::RELAY_USER`], without any capability.
    Relay,
    /// In the process namespace, to look at and change the service's processes (`CAP_SYS_PTRACE`; `CAP_SETUID` and
    /// `CAP_SETGID` to become whom they belong to).
    Processes,
}

impl Post {
    /// Nobody else's.
    pub const RELAY_USER: u32 = 64_317;
}

/// Something that is run inside a service.
#[derive(Debug, Clone, Copy)]
pub struct Within<'a> {
    /// A static binary.
    pub binary: &'static [u8],
    /// What it is told.
    pub arguments: &'a [String],
}

/// What can be done to services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Powers {
    /// An agent can stand in a service's network namespace: faults on packets, the application is not rewired.
    pub stand_beside: bool,
    /// An edge can be led through an address of the harness ([`Launch::wiring`]).
    pub wiring: bool,
}

/// What [`Runtime::build`] found or made.
#[derive(Debug, Clone, Default)]
pub struct Built {
    /// Image by service.
    pub images: HashMap<String, String>,
    /// What had to be built in this call: none of it was in the cache.
    pub fresh: Vec<String>,
}

/// What [`Runtime::prepare`] made.
#[derive(Debug)]
pub struct Prepared {
    /// The address of this host to listen on, so that services can reach the harness.
    pub harness_ip: IpAddr,
    /// What services call it: `harness_ip` as text, or a host name where the engine is on the other side of a virtual machine.
    pub harness_host: String,
    /// Where each service will listen (process runtime).
    pub listen: HashMap<String, SocketAddr>,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) enum Place {
    Docker(docker::Ground),
    Process(process::Ground),
}

/// What is started.
pub struct Launch<'a> {
    /// The services.
    pub spec: &'a StackSpec,
    /// Their images.
    pub built: &'a Built,
    /// Their networks or ports.
    pub prepared: Prepared,
    /// Edges that go through the harness: where `from` finds `to` (process runtime).
    pub wiring: &'a HashMap<Edge, SocketAddr>,
    /// How long all of it may take.
    pub patience: Duration,
    /// Services that begin through a program of ours (containers).
    pub wraps: &'a HashMap<String, Wrap>,
}

/// A program through which a service begins, so that its files can be made to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    /// A static binary, `shakedown-disk`.
    pub binary: &'static [u8],
    /// What it mounts over, none inside another.
    pub directories: Vec<WrappedDirectory>,
}

/// A directory of a service through which faults shall be possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedDirectory {
    /// Absolute.
    pub path: String,
    /// No read of it is served from the page cache.
    pub past_cache: bool,
}

impl Launch<'_> {
    /// What `patience` is where nobody says.
    pub const PATIENCE: Duration = Duration::from_mins(1);
}

/// Something the user may want to see. Sending never waits; a closed channel is nobody's loss.
pub type Notices = mpsc::UnboundedSender<Notice>;

/// Something the user may want to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An image is being built or pulled.
    Building {
        /// Service and image.
        what: String,
    },
    /// A service is being started.
    Starting {
        /// Which.
        service: String,
    },
    /// A service is ready.
    Ready {
        /// Which.
        service: String,
        /// Since its start.
        after: Duration,
    },
    /// The engine says something of a service that nobody asked for: it died, ran out of memory, became unhealthy.
    Changed {
        /// Which.
        service: String,
        /// What.
        what: String,
    },
    /// Anything else.
    Warning(String),
}

/// A change to the life of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Every process is frozen.
    Pause,
    /// They go on.
    Resume,
    /// The main process is stopped (SIGSTOP); where there are only processes, all of them.
    Stop,
    /// It goes on (SIGCONT).
    Continue,
    /// SIGTERM (or the stop signal of the image), and SIGKILL to what is left after `grace`; an engine counts whole seconds.
    Term {
        /// How long it has.
        grace: Duration,
    },
    /// SIGKILL.
    Kill,
    /// Again after a kill; returns when it runs, its address may have changed.
    Start,
    /// Kill and start.
    Restart,
}

/// Proof of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What the service was doing.
    pub before: ServiceState,
    /// What it is doing now.
    pub after: ServiceState,
    /// When the change had taken hold.
    pub at: UnixNanos,
}

/// What a service is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceState {
    /// In one word.
    pub word: StateWord,
    /// Of the last end, if it ended. A process that a signal ended has 128 + the signal's number.
    pub exit_code: Option<i64>,
    /// The kernel ended it because memory ran out.
    pub out_of_memory: bool,
    /// What its health check says, where it has one.
    pub health: Option<String>,
    /// When it was started last, as the runtime writes it: changes with every start.
    pub started_at: String,
}

/// What a service is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateWord {
    /// Not started yet.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Its restart policy starts it again.
    Restarting,
    /// Ended.
    Exited,
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.word {
            StateWord::Created => "created",
            StateWord::Running => "running",
            StateWord::Paused => "paused",
            StateWord::Restarting => "restarting",
            StateWord::Exited => "exited",
        })?;
        match self.exit_code {
            Some(code) => write!(f, " with code {code}"),
            None => Ok(()),
        }
    }
}

/// Both ends of a conversation with a helper.
pub struct Pipe {
    /// Its stdin. Shut it down, or drop the whole pipe, to let it hear end of file.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its stdout, without its stderr.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}
