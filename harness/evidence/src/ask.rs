//! One question over HTTP/1.1: bounded in time and size, on a connection of its own.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request,
    body::Incoming,
    client::conn::http1,
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// Largest answer where nothing else is said.
const BODY: usize = 4 << 20;

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// What it says of its body; empty: nothing.
    pub content_type: String,
    /// At most 4 MiB.
    pub body: Bytes,
}

/// What is asked, and what is borne.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'q> {
    pub(crate) method: &'q str,
    pub(crate) path: &'q str,
    /// By which name the host knows itself; `None`: its address.
    pub(crate) host: Option<&'q str>,
    pub(crate) accept: &'q str,
    /// Largest answer, in bytes.
    pub(crate) most: usize,
    /// For the whole answer.
    pub(crate) deadline: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It took too long.
    #[error("{url} did not answer within {} s", deadline.as_secs_f64())]
    Late {
        /// What was asked.
        url: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// Nobody listens.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The conversation broke.
    #[error("{url}: {source}")]
    Http {
        /// What was asked.
        url: String,
        /// Why.
        source: hyper::Error,
    },
    /// Method or path cannot stand in a request.
    #[error("{url} cannot be asked for: {source}")]
    Malformed {
        /// What was to be asked.
        url: String,
        /// Why.
        source: hyper::http::Error,
    },
    /// The answer is too long.
    #[error("{url} answered more than {limit} bytes")]
    TooLarge {
        /// What was asked.
        url: String,
        /// What is taken.
        limit: usize,
    },
}

/// Asks `method path` of `address` and waits for the whole answer, at most `deadline`.
pub async fn ask(address: SocketAddr, method: &str, path: &str, deadline: Duration) -> Result<Answer, AskError> {
    let accept = "text/plain;version=0.0.4, */*;q=0.5";
    ask_for(address, &Question { method, path, host: None, accept, most: BODY, deadline }).await
}

/// Asks as the question says.
pub(crate) async fn ask_for(address: SocketAddr, question: &Question<'_>) -> Result<Answer, AskError> {
    let url = format!("http://{address}{}", question.path);
    let deadline = question.deadline;
    timeout(deadline, exchange(address, question, &url)).await.unwrap_or(Err(AskError::Late { url: url.clone(), deadline }))
}

async fn exchange(address: SocketAddr, question: &Question<'_>, url: &str) -> Result<Answer, AskError> {
    let http = |source| AskError::Http { url: url.to_owned(), source };
    let stream = TcpStream::connect(address).await.map_err(|source| AskError::Connect { address, source })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let request = Request::builder()
        .method(question.method)
        .uri(question.path)
        .header(HOST, question.host.map_or_else(|| address.to_string(), str::to_owned))
        .header(ACCEPT, question.accept)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|source| AskError::Malformed { url: url.to_owned(), source })?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(http)?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Answer { status: response.status().as_u16(), content_type, body: read(response.into_body(), url, question.most).await? })
    };
    // The connection moves only while it is polled. Where it ends first, the answer says why.
    let (mut answer, mut connection) = (std::pin::pin!(answer), std::pin::pin!(connection));
    tokio::select! {
        answer = answer.as_mut() => answer,
        _ended = connection.as_mut() => answer.await,
    }
}

async fn read(mut body: Incoming, url: &str, limit: usize) -> Result<Bytes, AskError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| AskError::Http { url: url.to_owned(), source })?;
        let data = frame.into_data().unwrap_or_default();
        if bytes.len() + data.len() > limit {
            return Err(AskError::TooLarge { url: url.to_owned(), limit });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}
