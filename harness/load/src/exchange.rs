//! One request and its answer over whichever connection is there. It must not know when the request was due.

use crate::{
    failure::Failure,
    pool::{Connection, Pool, SendError},
    recipe::Cooked,
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Instant;

/// A larger answer is not read to its end: nothing here needs it, and memory and time are bounded.
const LARGEST: u64 = 16 << 20;

/// How far an exchange got. Kept outside of it, so that giving up does not lose it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// When the request was handed to a ready connection (the last one, where it was tried on two).
    pub(crate) sent: Option<Instant>,
    /// Status of the answer; 0: none came.
    pub(crate) status: u16,
    /// Body bytes received.
    pub(crate) bytes: u64,
}

/// Sends `request` over an idle connection or a new one and reads the answer to its end.
pub(crate) async fn exchange(pool: &Pool, request: Cooked, progress: &mut Progress) -> Result<Connection, Failure> {
    let idle = pool.take();
    exchange_over(idle, pool, request, progress).await
}

/// An idle connection that the other side had closed before anything was written does not count as an attempt, as with every HTTP client. One
/// that breaks later does: nobody knows whether the request was carried out.
async fn exchange_over(idle: Option<Connection>, pool: &Pool, mut request: Cooked, progress: &mut Progress) -> Result<Connection, Failure> {
    if let Some(mut connection) = idle {
        match attempt(&mut connection, request, progress).await {
            Ok(()) => return Ok(connection),
            Err(SendError::Failed(failure)) => return Err(failure),
            Err(SendError::Unsent(unsent)) => request = *unsent,
        }
        progress.sent = None;
    }
    let mut connection = pool.open().await?;
    match attempt(&mut connection, request, progress).await {
        Ok(()) => Ok(connection),
        Err(SendError::Failed(failure)) => Err(failure),
        Err(SendError::Unsent(_)) => Err(Failure::Closed),
    }
}

async fn attempt(connection: &mut Connection, request: Cooked, progress: &mut Progress) -> Result<(), SendError> {
    progress.sent = Some(Instant::now());
    let response = connection.send(request).await?;
    progress.status = response.status().as_u16();
    read(response.into_body(), progress).await.map_err(SendError::Failed)
}

async fn read(mut body: Incoming, progress: &mut Progress) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::exchanging(&error))?;
        progress.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if progress.bytes > LARGEST {
            return Err(Failure::TooLarge(LARGEST));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{drive::sample, recipe::Recipe};
    use shakedown_model::{event::Phase, stack::Variant};
    use std::time::Duration;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::watch,
    };

    fn cooked() -> Cooked {
        let recipe = Recipe::compile(&sample("checkout"), "r", "s", 1).unwrap();
        recipe.cook(1, Phase::Steady, Variant::Candidate, &recipe.trace(1)).unwrap()
    }

    /// Answers one request on one connection, and closes it without having said so.
    async fn answer_once(service: &TcpListener) {
        let (mut stream, _) = service.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    }

    #[tokio::test]
    async fn a_request_for_which_the_idle_connection_turns_out_closed_goes_over_a_new_one() {
        let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(watch::Sender::new(service.local_addr().unwrap()).subscribe());
        let mut progress = Progress::default();
        let (first, ()) = tokio::join!(exchange(&pool, cooked(), &mut progress), answer_once(&service));
        let stale = first.unwrap();
        while !stale.is_closed() {
            tokio::task::yield_now().await;
        }
        // As if it had closed between being taken and being used.
        let mut progress = Progress::default();
        let (second, ()) = tokio::join!(exchange_over(Some(stale), &pool, cooked(), &mut progress), answer_once(&service));
        assert!(second.is_ok());
        assert_eq!((progress.status, progress.bytes), (200, 2));
        assert!(progress.sent.is_some());
    }

    #[tokio::test]
    async fn a_closed_connection_is_not_kept_and_not_handed_out() {
        let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(watch::Sender::new(service.local_addr().unwrap()).subscribe());
        let mut progress = Progress::default();
        let (first, ()) = tokio::join!(exchange(&pool, cooked(), &mut progress), answer_once(&service));
        let stale = first.unwrap();
        while !stale.is_closed() {
            tokio::task::yield_now().await;
        }
        pool.keep(stale, Instant::now() + Duration::from_mins(1)).await;
        assert!(pool.take().is_none());
    }
}
