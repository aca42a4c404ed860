//! Accepts connections, no more than can be served at once, and owns them: when the listener ends, they do.

use std::{io, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Most connections at once; the next one waits in the kernel's queue.
const CONNECTIONS: usize = 256;
/// For the telemetry that is on its way when the run ends.
const GRACE: Duration = Duration::from_secs(2);
/// When the machine has no file descriptors left, a little later it may have some again.
const PAUSE: Duration = Duration::from_millis(50);
/// After so many failures in a row the socket is given up.
const FAILURES: u32 = 100;

/// Serves every connection with `serve` until `stop`.
pub(super) async fn accept<F>(listener: TcpListener, stop: &CancellationToken, serve: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut failures = 0;
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    failures = 0;
                    connections.spawn(serve(stream));
                }
                Err(error) if failures == FAILURES => return Err(error),
                Err(_) => {
                    failures += 1;
                    sleep(PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    // Whoever does not end in time is aborted when the set is dropped.
    let ended = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}
