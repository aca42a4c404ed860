//! Why a command could not do what was asked: what happened, the way out, and the exit code.

use shakedown_model::verdict::{Cleanliness, Ending, GateMode, exit_code};

/// A command that ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line or the config is wrong. The text may hold several lines and is ready to print.
    #[error("{0}")]
    Config(String),
    /// As above, in one sentence.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// The way out.
        help: String,
    },
    /// The machine, the engine or a service is not as it must be.
    #[error("{message}")]
    Environment {
        /// What is wrong.
        message: String,
        /// The way out.
        help: Option<String>,
    },
    /// We have a bug.
    #[error("{0}")]
    Bug(String),
}

impl Failure {
    pub(crate) fn usage(message: impl std::fmt::Display, help: impl Into<String>) -> Failure {
        Failure::Usage { message: message.to_string(), help: help.into() }
    }

    pub(crate) fn environment(message: impl std::fmt::Display) -> Failure {
        Failure::Environment { message: message.to_string(), help: None }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        let ending = match self {
            Failure::Config(_) | Failure::Usage { .. } => Ending::Usage,
            Failure::Environment { .. } => Ending::Environment,
            Failure::Bug(_) => Ending::Bug,
        };
        exit_code(ending, Cleanliness::Clean, GateMode::Block, GateMode::Block)
    }
}

/// What the disk refused, with the path.
pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Failure + use<> {
    let path = path.display().to_string();
    move |error| Failure::environment(format!("{path}: {error}"))
}
