//! A source of evidence: something that listens until it is told to stop. What it hears goes to a recorder.
//!
//! A source that fails never fails a run; it says why, and the checks that need it become inconclusive.

use crate::recorder::Recorder;
use tokio_util::sync::CancellationToken;

/// Something that listens.
#[async_trait::async_trait]
pub trait Source: Send {
    /// As events and warnings name it: `otlp`, `metrics of orders`, `logs`.
    fn name(&self) -> &str;

    /// Listens until `stop`, or until there is nothing more to hear.
    async fn run(self: Box<Self>, recorder: Recorder, stop: CancellationToken) -> Result<(), SourceError>;
}

/// Why a source heard nothing, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The socket is gone.
    #[error("the otlp receiver stopped accepting connections: {0}")]
    Accept(std::io::Error),
    /// A Prometheus endpoint never answered.
    #[error("{source_name}: none of {attempts} scrapes succeeded, the last one failed: {reason}")]
    NeverScraped {
        /// `metrics of orders`
        source_name: String,
        /// How often it was tried.
        attempts: u64,
        /// What became of the last try.
        reason: String,
    },
}
