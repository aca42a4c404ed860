//! Where services run, and how the harness reaches them: containers ([`docker`]) or child processes ([`process`]).
//!
//! Every lasting change goes through the undo journal before it is made, under a name that we chose; there is no `stop`, teardown is
//! unwinding the journal with a [`Reverter`]. This room knows no fault, no telemetry and no verdict: to hurt a service, somebody else
//! asks for a [`Lifecycle`] change or for a byte pipe to an agent that stands beside it.

mod build_command;
mod choose;
pub mod docker;
mod doctor;
mod error;
mod harnesses;
mod lines;
mod order;
mod owner;
pub mod process;
mod remains;
mod revert;
mod runtime;
mod sweep;
mod text;
mod worktree;

pub use build_command::run_build;
pub use choose::{Choice, choose};
pub use doctor::{Finding, Status, doctor};
pub use error::RuntimeError;
pub use harnesses::{End, Harness, Marked, marked};
pub use remains::Trail;
pub use revert::Reverter;
pub use runtime::{
    Built, Changed, Depth, Helper, Launch, Lifecycle, Limit, Notice, Notices, Pipe, Post, Powers, Prepared, Resource, Runtime,
    ServiceState, Stack, StateWord, Survey, Usage, Within, Wrap, WrappedDirectory,
};
pub use sweep::{Swept, sweep, sweep_run};

/// Label and environment variable names: the marks by which what is ours is known again.
pub mod marks {
    /// Id of the run.
    pub const RUN: &str = "dev.shakedown.run";
    /// `candidate` or `baseline`.
    pub const VARIANT: &str = "dev.shakedown.variant";
    /// Compose name of the service.
    pub const SERVICE: &str = "dev.shakedown.service";
    /// The process that started it, so that a sweep spares what is alive.
    pub const OWNER: &str = "dev.shakedown.owner";
    /// The container's own name, for an exact match (the engine's name filter matches parts of names).
    pub const NAME: &str = "dev.shakedown.name";
    /// What a container may use, as its service declares it.
    pub const LIMITS: &str = "dev.shakedown.limits";
    /// On images that are kept between runs.
    pub const CACHE: &str = "dev.shakedown.cache";
    /// Environment variable with the id of the run, in every child process.
    pub const RUN_VARIABLE: &str = "SHAKEDOWN_RUN";
    /// Environment variable with the owner, in every child process.
    pub const OWNER_VARIABLE: &str = "SHAKEDOWN_OWNER";
}
