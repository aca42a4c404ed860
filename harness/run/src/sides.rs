//! One variant while it runs: its stack, its recorder, its links and agents, and where its services are reached.

use crate::{
    faults::{Pressure, Relayed},
    helpers::{Agent, Disk, Relay},
};
use shakedown_evidence::Recorder;
use shakedown_link::Link;
use shakedown_model::{
    fault::{Edge, Target},
    stack::Variant,
};
use shakedown_runtime::{Post, RuntimeError, Stack};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::{Mutex, watch};

/// The binaries that stand beside services or run inside them.
#[derive(Debug, Clone, Copy)]
pub struct Helpers {
    /// Changes packets and processes, uses things up.
    pub agent: &'static [u8],
    /// Carries byte streams.
    pub relay: &'static [u8],
    /// Lies beneath the files of services.
    pub disk: &'static [u8],
}

/// A variant while it runs.
pub(crate) struct Side {
    pub(crate) variant: Variant,
    pub(crate) stack: Box<dyn Stack>,
    pub(crate) recorder: Recorder,
    /// Process runtime: the relay on each edge that a fault is for.
    pub(crate) links: HashMap<Edge, Link>,
    /// Docker runtime: the agents beside services, at most one for each post.
    pub(crate) agents: BTreeMap<(String, Post), Mutex<Agent>>,
    /// Docker runtime: the relays beside services.
    pub(crate) relays: BTreeMap<String, Mutex<Relay>>,
    /// What goes through a relay in this scenario, or why it does not.
    pub(crate) relayed: HashMap<Target, Result<Relayed, String>>,
    /// Processes inside services, by the number of their fault.
    pub(crate) pressures: Mutex<HashMap<usize, Pressure>>,
    /// Conversations with services' file systems, by the number of their fault.
    pub(crate) disks: Mutex<HashMap<usize, Disk>>,
    pub(crate) helpers: Helpers,
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
        helpers: Helpers,
        ports: &[(String, u16)],
    ) -> Result<Side, RuntimeError> {
        let mut addresses = HashMap::new();
        for (service, port) in ports {
            let address = stack.address(service, *port).await?;
            addresses.entry((service.clone(), *port)).or_insert_with(|| watch::Sender::new(address));
        }
        Ok(Side {
            variant,
            stack,
            recorder,
            links,
            agents: BTreeMap::new(),
            relays: BTreeMap::new(),
            relayed: HashMap::new(),
            pressures: Mutex::default(),
            disks: Mutex::default(),
            helpers,
            addresses,
            lost_lines: AtomicU64::new(0),
        })
    }

    /// The agent at a post beside `service`.
    pub(crate) fn agent(&self, service: &str, post: Post) -> Result<&Mutex<Agent>, String> {
        self.agents.get(&(service.to_owned(), post)).ok_or_else(|| format!("no agent stands beside {service}"))
    }

    /// The relay beside `service`.
    pub(crate) fn relay(&self, service: &str) -> Result<&Mutex<Relay>, String> {
        self.relays.get(service).ok_or_else(|| format!("no relay stands beside {service}"))
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
