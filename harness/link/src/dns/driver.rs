//! Hears the queries of a relay and owns the tasks that see to them.

use super::{
    connection,
    ears::{Ears, Heard},
    exchange,
    setting::Shared,
};
use crate::link::Upstream;
use std::{io, panic, sync::Arc, time::Duration};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Messages over UDP that are seen to at once. A query that finds no place is lost, as UDP loses them.
const EXCHANGES: usize = 2_048;
/// TCP connections at once. One that finds no place is closed.
const CONNECTIONS: usize = 128;
/// After an error of a socket.
const BREATH: Duration = Duration::from_millis(20);

/// The work of a DNS relay.
pub struct DnsDriver {
    ears: Vec<Ears>,
    upstream: Upstream,
    shared: Arc<Shared>,
}

impl DnsDriver {
    pub(super) fn new(ears: Vec<Ears>, upstream: Upstream, shared: Arc<Shared>) -> DnsDriver {
        DnsDriver { ears, upstream, shared }
    }

    /// Relays until `stop`, then forgets what waits for an answer and closes every connection.
    pub async fn run(self, stop: CancellationToken) {
        let DnsDriver { ears, upstream, shared } = self;
        let mut listening = JoinSet::new();
        for ears in ears {
            listening.spawn(Listening::new(ears, upstream.clone(), Arc::clone(&shared)).run(stop.clone()));
        }
        while let Some(ended) = listening.join_next().await {
            pass_on_panic(ended);
        }
    }
}

/// What comes to one address.
struct Listening {
    ears: Ears,
    upstream: Upstream,
    shared: Arc<Shared>,
    exchanges: JoinSet<()>,
    connections: JoinSet<()>,
}

impl Listening {
    fn new(ears: Ears, upstream: Upstream, shared: Arc<Shared>) -> Listening {
        Listening { ears, upstream, shared, exchanges: JoinSet::new(), connections: JoinSet::new() }
    }

    async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.exchanges.join_next() => pass_on_panic(ended),
                Some(ended) = self.connections.join_next() => pass_on_panic(ended),
                heard = self.ears.hear() => match self.see_to(heard) {
                    Ok(()) => {}
                    // A caller that left before it was accepted, or no descriptor left: neither is a reason to stop serving the others.
                    Err(_) => tokio::time::sleep(BREATH).await,
                }
            }
        }
        self.exchanges.shutdown().await;
        self.connections.shutdown().await;
    }

    fn see_to(&mut self, heard: io::Result<Heard>) -> io::Result<()> {
        // Only a transparent link has none.
        let Some(upstream) = self.upstream.address() else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        match heard? {
            Heard::Datagram(datagram) if shared.own.is(datagram.from) => shared.count(|dose| dose.looped += 1),
            Heard::Datagram(datagram) if self.exchanges.len() < EXCHANGES => {
                self.exchanges.spawn(exchange::run(datagram, upstream, shared));
            }
            Heard::Caller(caller) if self.connections.len() < CONNECTIONS => {
                self.connections.spawn(connection::run(caller, upstream, shared));
            }
            Heard::Datagram(_) | Heard::Caller(_) => shared.count(|dose| dose.overflowed += 1),
        }
        Ok(())
    }
}

fn pass_on_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        panic::resume_unwind(panic);
    }
}
