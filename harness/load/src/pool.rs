//! The kept-alive connections of one load to one variant. It must not know what is sent over them.

use crate::{failure::Failure, recipe::Cooked};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, sync::watch, task::JoinSet};

/// A connection that nobody used for so long is closed: after a stall there are many more than the rate needs.
const IDLE: Duration = Duration::from_secs(20);

/// Connections of one load to one variant.
pub(crate) struct Pool {
    target: watch::Receiver<SocketAddr>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Longest idle first.
    idle: VecDeque<(Connection, Instant)>,
    /// The tasks that move the bytes of every connection, idle or in use. They end with the pool.
    movers: JoinSet<()>,
}

/// One connection, in nobody else's hands.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

/// Why a request that was handed to a connection got no head of an answer.
pub(crate) enum SendError {
    /// Not a byte of it was written: it may go over another connection.
    Unsent(Box<Cooked>),
    /// It is gone.
    Failed(Failure),
}

impl Pool {
    /// `target` may change while the pool lives: connections to the old address are let go.
    pub(crate) fn new(target: watch::Receiver<SocketAddr>) -> Pool {
        Pool { target, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, if an open one is idle.
    pub(crate) fn take(&self) -> Option<Connection> {
        let address = *self.target.borrow();
        let mut kept = self.kept();
        while kept.idle.front().is_some_and(|(_, since)| since.elapsed() > IDLE) {
            kept.idle.pop_front();
        }
        while let Some((connection, _)) = kept.idle.pop_back() {
            if connection.address == address && connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// A new connection.
    pub(crate) async fn open(&self) -> Result<Connection, Failure> {
        let address = *self.target.borrow();
        let stream = TcpStream::connect(address).await.map_err(Failure::connecting)?;
        stream.set_nodelay(true).map_err(Failure::connecting)?;
        let (sender, mover) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| Failure::exchanging(&error))?;
        let mut kept = self.kept();
        while kept.movers.try_join_next().is_some() {}
        kept.movers.spawn(async move {
            // Whoever waits for an answer on it is told of the error; nobody else cares.
            let _ = mover.await;
        });
        Ok(Connection { sender, address })
    }

    /// Takes a connection back once its answer was read to the end; one that does not get ready until `deadline` is let go.
    pub(crate) async fn keep(&self, mut connection: Connection, deadline: Instant) {
        let ready = tokio::time::timeout_at(deadline.into(), connection.sender.ready()).await;
        if matches!(ready, Ok(Ok(()))) {
            self.kept().idle.push_back((connection, Instant::now()));
        }
    }
}

impl Connection {
    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends and waits for the head of the answer. Dropping the future closes the connection.
    pub(crate) async fn send(&mut self, request: Cooked) -> Result<hyper::Response<Incoming>, SendError> {
        self.sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(request) => SendError::Unsent(Box::new(request)),
            None => SendError::Failed(Failure::exchanging(error.error())),
        })
    }
}
