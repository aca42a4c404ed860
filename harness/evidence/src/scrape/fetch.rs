//! One GET of one page of metrics.

use crate::ask::{Answer, AskError, Question, ask_for};
use std::{net::SocketAddr, time::Duration};

/// An endpoint that takes longer than its own interval is of no use.
const TIME: Duration = Duration::from_secs(1);
/// Largest page.
const PAGE: usize = 4 << 20;
/// What is understood, best first: only protobuf has native histograms, and only it and OpenMetrics have exemplars.
const ACCEPT: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.8,\
                      application/openmetrics-text;version=1.0.0;q=0.7,text/plain;version=0.0.4;q=0.6,*/*;q=0.5";

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("http://{address}{path} answered {status}; `telemetry.metrics` names the port and path of the metrics")]
    Status { address: SocketAddr, path: String, status: u16 },
}

/// The page at `path`.
pub(super) async fn fetch(address: SocketAddr, path: &str) -> Result<Answer, FetchError> {
    let question = Question { method: "GET", path, host: None, accept: ACCEPT, most: PAGE, deadline: TIME };
    let answer = ask_for(address, &question).await?;
    if answer.status != 200 {
        return Err(FetchError::Status { address, path: path.to_owned(), status: answer.status });
    }
    Ok(answer)
}
