//! Why a runtime could not do what it was asked: each message names the thing and the way out.

use shakedown_undo::JournalError;
use std::time::Duration;

/// Why a runtime could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine does not answer.
    #[error("no container engine answers ({why}); start it (`systemctl start docker`), set DOCKER_HOST, or use `--runtime process`")]
    NoEngine {
        /// What was tried.
        why: String,
    },
    /// The config has nothing for the runtime.
    #[error("{0}")]
    NothingToStart(String),
    /// The engine refused or broke.
    #[error("the engine could not {doing}: {source}")]
    Engine {
        /// What was asked of it.
        doing: String,
        /// What it said.
        source: Box<bollard::errors::Error>,
    },
    /// Starting through testcontainers failed.
    #[error("could not start the container of service `{service}`: {source}")]
    Start {
        /// Which.
        service: String,
        /// Why.
        source: Box<testcontainers::TestcontainersError>,
    },
    /// An image is neither here nor to be had.
    #[error(
        "image `{image}` of service `{service}` is not on this machine and could not be pulled: {why}; build it, `docker load` it, or log in to its registry"
    )]
    Image {
        /// Which service.
        service: String,
        /// Which image.
        image: String,
        /// Why not.
        why: String,
    },
    /// An image does not build.
    #[error("the image of service `{service}` does not build: {why}; try it with `docker build {context}`\n{log}")]
    Build {
        /// Which service.
        service: String,
        /// Directory of the build.
        context: String,
        /// What the builder said.
        why: String,
        /// Its last lines.
        log: String,
    },
    /// A service ended before it was ready.
    #[error("service `{service}` ended before it was ready: {how}; its last lines:\n{log}")]
    Exited {
        /// Which.
        service: String,
        /// Exit code and what it may mean.
        how: String,
        /// Its last lines.
        log: String,
    },
    /// The health check of a service says no.
    #[error("service `{service}` is unhealthy: {probe}; its last lines:\n{log}")]
    Unhealthy {
        /// Which.
        service: String,
        /// What the check said.
        probe: String,
        /// The service's last lines.
        log: String,
    },
    /// A service was not ready in time.
    #[error("service `{service}` was not ready within {} s: {waiting_for}; its last lines:\n{log}", patience.as_secs_f64())]
    NeverReady {
        /// Which.
        service: String,
        /// What was missing.
        waiting_for: String,
        /// How long it had.
        patience: Duration,
        /// Its last lines.
        log: String,
    },
    /// Nobody has that name.
    #[error("there is no service `{service}`{hint}; there are: {known}")]
    UnknownService {
        /// The name.
        service: String,
        /// `, did you mean …?` or nothing.
        hint: String,
        /// The names.
        known: String,
    },
    /// Services wait for each other.
    #[error("these services wait for each other: {0}; take one `depends_on` out of the circle")]
    Circle(String),
    /// A `{{ name }}` in the config means nothing.
    #[error("`{{{{ {name} }}}}` in {place} names no service{hint}; known are `listen`, `port` and: {known}")]
    Template {
        /// What stands in the braces.
        name: String,
        /// Where it stands.
        place: String,
        /// `, did you mean …?` or nothing.
        hint: String,
        /// The names.
        known: String,
    },
    /// This runtime cannot do that.
    #[error("the {runtime} runtime cannot {what}; {way_out}")]
    Unsupported {
        /// Which runtime.
        runtime: &'static str,
        /// What.
        what: String,
        /// What to do instead.
        way_out: String,
    },
    /// A service is not in the state that the change needs.
    #[error("service `{service}` cannot be changed: it is {state}, and {needs}")]
    State {
        /// Which.
        service: String,
        /// What it is doing.
        state: String,
        /// What the change needs.
        needs: &'static str,
    },
    /// A program cannot be run.
    #[error("could not run `{program}` for service `{service}`: {why}")]
    Program {
        /// Which service.
        service: String,
        /// The program.
        program: String,
        /// Why, with the way out.
        why: String,
    },
    /// A file or socket of this machine.
    #[error("could not {doing}: {source}")]
    Io {
        /// What.
        doing: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The undo could not be noted, so nothing was done.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The caller stopped it.
    #[error("stopped before it was done")]
    Cancelled,
    /// `services.build` failed.
    #[error("`{command}` (services.build) failed in {tree}: {why}")]
    BuildCommand {
        /// The command.
        command: String,
        /// Where it ran.
        tree: String,
        /// How it ended, and its last lines.
        why: String,
    },
}

impl RuntimeError {
    pub(crate) fn engine(doing: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> RuntimeError {
        let doing = doing.into();
        move |source| RuntimeError::Engine { doing, source: Box::new(source) }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> RuntimeError {
        let doing = doing.into();
        move |source| RuntimeError::Io { doing, source }
    }

    pub(crate) fn unknown_service<'a>(service: &str, known: impl Iterator<Item = &'a str> + Clone) -> RuntimeError {
        RuntimeError::UnknownService {
            service: service.to_owned(),
            hint: crate::text::did_you_mean(service, known.clone()),
            known: known.collect::<Vec<_>>().join(", "),
        }
    }
}
