//! One variant while it runs: its stack, its recorder, its links and agents, and where its services are reached.

use crate::agents::Agent;
use shakedown_evidence::Recorder;
use shakedown_link::Link;
use shakedown_model::{fault::Edge, stack::Variant};
use shakedown_runtime::{RuntimeError, Stack};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::{Mutex, watch};

/// A variant while it runs.
pub(crate) struct Side {
    pub(crate) variant: Variant,
    pub(crate) stack: Box<dyn Stack>,
    pub(crate) recorder: Recorder,
    /// Process runtime: the relay on each edge that a fault is for.
    pub(crate) links: HashMap<Edge, Link>,
    /// Docker runtime: the agent beside each service that opens such an edge.
    pub(crate) agents: BTreeMap<String, Mutex<Agent>>,
    /// Where the harness reaches `service:port`; changes when a service is started again.
    addresses: HashMap<(String, u16), watch::Sender<SocketAddr>>,
    lost_lines: AtomicU64,
}

impl Side {
    /// Finds out where each of `ports` is reached.
    pub(crate) async fn new(
        variant: Variant,
        stack: Box<dyn Stack>,
        recorder: Recorder,
        links: HashMap<Edge, Link>,
        ports: &[(String, u16)],
    ) -> Result<Side, RuntimeError> {
        let mut addresses = HashMap::new();
        for (service, port) in ports {
            let address = stack.address(service, *port).await?;
            addresses.entry((service.clone(), *port)).or_insert_with(|| watch::Sender::new(address));
        }
        Ok(Side { variant, stack, recorder, links, agents: BTreeMap::new(), addresses, lost_lines: AtomicU64::new(0) })
    }

    /// Where `service:port` is reached, now and later.
    pub(crate) fn address(&self, service: &str, port: u16) -> Option<watch::Receiver<SocketAddr>> {
        self.addresses.get(&(service.to_owned(), port)).map(watch::Sender::subscribe)
    }

    /// Counts the log lines that nobody took in time among the losses, once each.
    pub(crate) fn note_losses(&self) {
        let lost = self.stack.lost_lines();
        let new = lost - self.lost_lines.swap(lost, Ordering::Relaxed);
        if new > 0 {
            self.recorder.lost("log lines that came faster than they could be read", new);
        }
    }

    /// Asks again where a service is reached, after it was started again.
    pub(crate) async fn refresh(&self, service: &str) -> Result<(), RuntimeError> {
        for ((name, port), sender) in self.addresses.iter().filter(|((name, _), _)| name == service) {
            let address = self.stack.address(name, *port).await?;
            sender.send_if_modified(|known| std::mem::replace(known, address) != address);
        }
        Ok(())
    }
}
