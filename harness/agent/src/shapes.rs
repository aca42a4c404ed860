//! The queueing disciplines that are in force, and those that have to wait for what they hold.
//!
//! Which packets go to a discipline is decided by a rule in an nf_tables table that dies with the agent. So after a SIGKILL
//! the discipline stays, and no packet goes to it.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crate::kernel::{Discipline, KernelError, Shape};
use crate::netlink::sys;
use crate::netlink::traffic::{Count, Traffic};
use crate::wire::{Dose, Powers};

/// Removed disciplines of which the counts are remembered.
const CLOSED_MAX: usize = 8;
/// tbf must have the longest packet in its bucket: of a loopback it would be 16 times that of a cable.
const BUCKET_MAX_BYTES: u32 = 9_216;
/// How long the end of the agent waits for what is held, and how often it looks.
const FAREWELL: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// What stands between the agent and traffic control.
#[derive(Default)]
pub(crate) struct Shapes {
    traffic: Option<Traffic>,
    /// What the last ones that ended had counted.
    closed: VecDeque<(u16, Count)>,
    /// No packet goes there any more, and some are held.
    parked: Vec<u16>,
}

impl Shapes {
    /// Tries what the kernel has.
    pub(crate) fn try_out(&mut self, powers: &mut Powers) {
        let mut tried = |kinds: &[&str]| {
            let missing = kinds.iter().find_map(|kind| Some((kind, self.traffic().and_then(|it| it.knows(kind)).err()?)));
            powers.why_not.extend(missing.as_ref().map(|(kind, error)| format!("{kind}: no such queueing discipline: {error}")));
            missing.is_none()
        };
        let (netem, tbf) = (tried(&["prio", "netem"]), tried(&["tbf"]));
        (powers.netem, powers.tbf) = (netem, netem && tbf);
    }

    /// Puts a discipline where the target's packets leave. Whatever is in the way of that: a queue can do without.
    pub(crate) fn begin(&mut self, shape: &Shape) -> Result<(), KernelError> {
        let none = |what: &'static str| move |error: io::Error| KernelError::NoDiscipline(format!("{what}: {error}"));
        let traffic = self.traffic().map_err(none("no conversation with traffic control"))?;
        let mut interfaces = Vec::new();
        for address in &shape.addresses {
            interfaces.push(traffic.interface_towards(address.to_canonical()).map_err(none("no way to the target"))?);
        }
        interfaces.dedup();
        let [interface] = interfaces[..] else {
            return Err(KernelError::NoDiscipline("several interfaces lead to the target".to_owned()));
        };
        let mtu = traffic.mtu(interface).map_err(none("no interface to the target"))?;
        if matches!(shape.discipline, Discipline::Pace(_)) && mtu > BUCKET_MAX_BYTES {
            return Err(KernelError::NoDiscipline(format!("the interface's packets of {mtu} bytes are too large for a bucket")));
        }
        traffic.put(interface, mtu, shape).map_err(|error| KernelError::NoDiscipline(explained(&error)))
    }

    /// Removes a discipline, at once or when what it holds has gone on.
    pub(crate) fn end(&mut self, handle: u16) -> io::Result<()> {
        let Some(leaf) = self.traffic()?.leaf(handle)? else {
            return self.traffic()?.remove(handle);
        };
        self.closed.push_back((handle, leaf.count));
        self.closed.drain(..self.closed.len().saturating_sub(CLOSED_MAX));
        if leaf.count.waiting > 0 {
            self.parked.push(handle);
            return Ok(());
        }
        self.traffic()?.remove(handle)
    }

    /// Removes what holds nothing any more; whether some still do.
    pub(crate) fn tidy(&mut self) -> bool {
        for handle in std::mem::take(&mut self.parked) {
            if self.remove_if_empty(handle).ok() != Some(true) {
                self.parked.push(handle);
            }
        }
        !self.parked.is_empty()
    }

    fn remove_if_empty(&mut self, handle: u16) -> io::Result<bool> {
        let traffic = self.traffic()?;
        if traffic.leaf(handle)?.is_some_and(|leaf| leaf.count.waiting > 0) {
            return Ok(false);
        }
        traffic.remove(handle).map(|()| true)
    }

    /// Adds what a discipline did to what the rules counted.
    pub(crate) fn add_to(&mut self, dose: &mut Dose, shape: &Shape) -> io::Result<()> {
        let closed = self.closed.iter().find(|(handle, _)| *handle == shape.handle).map(|(_, count)| *count);
        let count = match closed {
            Some(count) => count,
            None => self.traffic()?.leaf(shape.handle)?.map(|leaf| leaf.count).unwrap_or_default(),
        };
        let (drops, waiting) = (u64::from(count.drops), u64::from(count.waiting));
        dose.judged = dose.packets;
        match shape.discipline {
            Discipline::Hold(_) => dose.dropped_by_queue = drops,
            Discipline::Lose(_) | Discipline::Pace(_) => dose.lost = drops,
        }
        if !matches!(shape.discipline, Discipline::Lose(_)) {
            dose.held = waiting;
            dose.delayed = dose.packets.saturating_sub(drops + waiting);
        }
        if closed.is_some() && dose.packets > 0 && count == Count::default() {
            dose.trouble = Some("no packet that the rules met came to the discipline: they leave by another interface".to_owned());
        }
        Ok(())
    }

    fn traffic(&mut self) -> io::Result<&Traffic> {
        if self.traffic.is_none() {
            self.traffic = Some(Traffic::open()?);
        }
        self.traffic.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Shapes {
    /// What is held may go on for a while; then it is lost, since a discipline must not stay.
    fn drop(&mut self) {
        let until = Instant::now() + FAREWELL;
        while self.tidy() && Instant::now() < until {
            let _ = sys::wait(&[], Some(LOOK));
        }
        for handle in std::mem::take(&mut self.parked) {
            let _ = self.traffic().and_then(|traffic| traffic.remove(handle));
        }
    }
}

/// The errors that traffic control has a meaning of its own for.
fn explained(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EEXIST) => "the interface has a queueing discipline that somebody has chosen".to_owned(),
        _ => format!("no queueing discipline on the interface: {error}"),
    }
}
