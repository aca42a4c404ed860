//! Why a run directory cannot be read.

use std::{io, path::PathBuf};

/// Why a run directory cannot be read. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Something else.
    #[error("{path} is no run directory: it has no run.json (`.shakedown/runs/<id>` is one)")]
    NotARun {
        /// What was given.
        path: PathBuf,
    },
    /// Written by another version.
    #[error("{path} has the schema {found:?}, this shakedown reads {expected:?}: judge it with the version that wrote it", expected = shakedown_model::run::RUN_SCHEMA)]
    Schema {
        /// Which file.
        path: PathBuf,
        /// What it says of itself.
        found: String,
    },
    /// The disk said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("{path}, line {line}: {source}; the file was changed after the run or the disk is damaged")]
    Line {
        /// Which file.
        path: PathBuf,
        /// 1-based.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// The compressed form is damaged before its end.
    #[error("{path}, after line {line}: {source}; the file was changed after the run or the disk is damaged")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The last line that could be read.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// More than anything that shakedown writes.
    #[error("{path} holds more than {limit} bytes, which no run writes")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// What is read at most.
        limit: u64,
    },
    /// The experiment as it was resolved cannot be understood.
    #[error("{path}: {source}")]
    Experiment {
        /// Which file.
        path: PathBuf,
        /// Why, and where.
        source: shakedown_model::config::ExperimentFileError,
    },
}
