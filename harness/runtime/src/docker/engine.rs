//! The connection to the engine, with an API version that both sides speak.
//!
//! testcontainers 0.28 talks API 1.53 and offers no negotiation, so every engine before Docker 29 refuses it. bollard can negotiate,
//! and the version that it agrees on is shared by all clones of a client; but testcontainers keeps its client only while somebody
//! uses it, and hands out clones of the inside only. So [`Engine::connect`] begins a start that it never finishes: the suspended
//! future holds testcontainers' client alive, we negotiate on a clone, and every later use of testcontainers in this process finds
//! the negotiated client. The suspended start asks for an image that cannot exist, so it can have no effect either.

use crate::RuntimeError;
use bollard::{Docker, errors::Error};
use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt, TestcontainersError, core::client::docker_client_instance, runners::AsyncRunner,
};
use tokio::sync::Semaphore;

/// How long the engine has to say who it is.
const HELLO: Duration = Duration::from_secs(5);
/// Containers that are removed at once.
const REMOVALS: usize = 2;

type SuspendedStart = Pin<Box<dyn Future<Output = Result<ContainerAsync<GenericImage>, TestcontainersError>> + Send>>;

/// A connected engine.
pub struct Engine {
    pub(crate) docker: Docker,
    /// `20.10.24`.
    pub(crate) version: String,
    /// `1.41`.
    pub(crate) api: String,
    /// Held by who removes a container: where a dozen leave their networks at the same moment, engine 20.10 can lock itself up for good (each waits for
    /// another's lock in its network store).
    pub(crate) removals: Semaphore,
    /// Keeps testcontainers' negotiated client alive; see the head of this file.
    _suspended: Mutex<SuspendedStart>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("version", &self.version).field("api", &self.api).finish_non_exhaustive()
    }
}

impl Engine {
    /// Connects to the engine that `DOCKER_HOST` or the usual socket names.
    pub async fn connect() -> Result<Engine, RuntimeError> {
        let asked = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "the usual socket".to_owned());
        let why = |why: String| RuntimeError::NoEngine { why: format!("{asked}: {why}") };
        tokio::time::timeout(HELLO, Engine::hello()).await.map_err(|_| why(format!("no answer within {} s", HELLO.as_secs())))?.map_err(why)
    }

    async fn hello() -> Result<Engine, String> {
        let suspended = match suspend_a_start().await {
            Ok(suspended) => suspended,
            Err(error) => return Err(why_not(&error).await),
        };
        let docker = docker_client_instance().await.map_err(|error| error.to_string())?;
        let docker = docker.negotiate_version().await.map_err(|error| plain(&error))?;
        let version = docker.version().await.map_err(|error| plain(&error))?;
        Ok(Engine {
            api: docker.client_version().to_string(),
            version: version.version.unwrap_or_else(|| "of unknown version".to_owned()),
            docker,
            removals: Semaphore::new(REMOVALS),
            _suspended: Mutex::new(suspended),
        })
    }

    /// The client, with the negotiated version.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// `docker 20.10.24 (API 1.41)`.
    pub(crate) fn describe(&self) -> String {
        format!("docker {} (API {})", self.version, self.api)
    }
}

/// Polls a start just until it holds its client: the modifier runs after that and before anything is asked of the engine.
async fn suspend_a_start() -> Result<SuspendedStart, TestcontainersError> {
    let holds_client = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&holds_client);
    let request =
        GenericImage::new("shakedown.invalid/negotiation", "none").with_host_config_modifier(move |_| seen.store(true, Ordering::SeqCst));
    let mut start: SuspendedStart = Box::pin(request.start());
    poll_fn(|context| match start.as_mut().poll(context) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(_)) | Poll::Pending if holds_client.load(Ordering::SeqCst) => Poll::Ready(Ok(())),
        Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
    })
    .await?;
    Ok(start)
}

/// testcontainers' error names what it was doing for us; a plain question gets the reason itself.
async fn why_not(error: &TestcontainersError) -> String {
    let Ok(docker) = docker_client_instance().await else { return error.to_string() };
    match docker.version().await {
        Err(reason) => plain(&reason),
        Ok(_) => error.to_string(),
    }
}

/// An engine error without the words that repeat themselves.
pub(crate) fn plain(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(inner) = source {
                let inner_text = inner.to_string();
                if !text.contains(&inner_text) {
                    text = format!("{text}: {inner_text}");
                }
                source = inner.source();
            }
            text
        }
    }
}

/// The engine does not have it (any more).
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Somebody else is doing it just now, or it is done already.
pub(crate) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 304 | 409, .. })
}
