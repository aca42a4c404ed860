//! One GET of one page of metrics.

use crate::ask::{AskError, ask};
use std::{net::SocketAddr, time::Duration};

/// An endpoint that takes longer than its own interval is of no use.
const TIME: Duration = Duration::from_secs(1);

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("http://{address}{path} answered {status}; `telemetry.metrics` names the port and path of the metrics")]
    Status { address: SocketAddr, path: String, status: u16 },
}

/// The page at `path`; what of it is no UTF-8 is replaced.
pub(super) async fn fetch(address: SocketAddr, path: &str) -> Result<String, FetchError> {
    let answer = ask(address, "GET", path, TIME).await?;
    if answer.status != 200 {
        return Err(FetchError::Status { address, path: path.to_owned(), status: answer.status });
    }
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}
