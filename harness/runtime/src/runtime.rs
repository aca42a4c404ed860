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

    /// Starts the agent in the service's network namespace and returns the pipe to it. When the pipe is dropped, the agent hears end of
    /// file. A service that was started again has a new namespace: ask again.
    async fn stand_beside(&self, service: &str, agent: &AgentImage, journal: &Journal) -> Result<Pipe, RuntimeError>;
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

/// The agent, to be put into an image of nothing else.
#[derive(Debug, Clone, Copy)]
pub struct AgentImage {
    /// A static binary that reads requests on stdin.
    pub bytes: &'static [u8],
}

/// Both ends of a conversation with an agent.
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
