//! The handle of a link: where it listens, what it does, what it did.

use crate::{
    behaviour::Behaviour,
    door::Door,
    dose::{Counter, LinkDose},
    driver::LinkDriver,
    line::Line,
    pipe::Direction,
    registry::Registry,
    target::Target,
    toxicity::Toxicity,
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{net::TcpStream, sync::watch};

/// A relay in front of one callee. The handle is cheap to clone; the work is done by its [`LinkDriver`].
#[derive(Clone)]
pub struct Link {
    addresses: Arc<[SocketAddr]>,
    shared: Arc<Shared>,
}

/// What handle and driver share.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) counter: Counter,
    out: Line,
    home: Line,
}

impl Shared {
    pub(crate) fn new() -> Shared {
        Shared { registry: Registry::new(), counter: Counter::new(), out: Line::new(), home: Line::new() }
    }

    pub(crate) fn line(&self, direction: Direction) -> &Line {
        match direction {
            Direction::Out => &self.out,
            Direction::Home => &self.home,
        }
    }
}

/// Where a link leads.
#[derive(Debug, Clone)]
pub struct Upstream(Way);

#[derive(Debug, Clone)]
enum Way {
    /// An address, or one that changes.
    To(watch::Receiver<SocketAddr>),
    /// Where each connection was going before it was redirected.
    Original(Arc<Target>),
}

impl Upstream {
    /// Where this connection goes; nothing where it must not come here.
    pub(crate) fn of(&self, caller: &TcpStream) -> Option<Upstream> {
        match &self.0 {
            Way::To(_) => Some(self.clone()),
            Way::Original(target) => target.of(caller, caller.local_addr().ok()?).map(Upstream::from),
        }
    }

    /// The address now; nothing where that is each connection's own.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Way::To(address) => Some(*address.borrow()),
            Way::Original(_) => None,
        }
    }
}

impl From<SocketAddr> for Upstream {
    fn from(address: SocketAddr) -> Upstream {
        // The last value of a watch outlives its sender.
        Upstream(Way::To(watch::Sender::new(address).subscribe()))
    }
}

impl From<watch::Receiver<SocketAddr>> for Upstream {
    fn from(address: watch::Receiver<SocketAddr>) -> Upstream {
        Upstream(Way::To(address))
    }
}

impl Link {
    /// Listens on a free port of the loopback. Connections are answered once the driver runs.
    #[expect(
        clippy::unused_async,
        reason = "callers need not know that a loopback address is bound at once; they are in a runtime, which it needs"
    )]
    pub async fn bind(upstream: impl Into<Upstream>) -> io::Result<(Link, LinkDriver)> {
        Ok(Link::behind(Door::open()?, upstream.into()))
    }

    /// Listens on a free port of the loopback for connections that are redirected there, and leads each to where it was going. One that was not
    /// redirected, or was not going to this target, is reset. Call it in a runtime.
    pub fn transparent(target: Target) -> io::Result<(Link, LinkDriver)> {
        Ok(Link::behind(Door::open_for(&target)?, Upstream(Way::Original(Arc::new(target)))))
    }

    fn behind(door: Door, upstream: Upstream) -> (Link, LinkDriver) {
        let shared = Arc::new(Shared::new());
        let link = Link { addresses: door.addresses().into(), shared: Arc::clone(&shared) };
        (link, LinkDriver::new(door, upstream, shared))
    }

    /// Where the caller connects to in place of the callee.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Everywhere it listens: at one port, in each family that its target has addresses of.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Whether anything but [`Behaviour::Pass`] is on.
    pub fn behaves(&self) -> bool {
        self.shared.registry.behaves()
    }

    /// Changes what is done to the traffic, of open connections too, at once. Everything but [`Behaviour::Pass`] starts a new dose.
    pub fn set(&self, behaviour: Behaviour) {
        self.change(behaviour, None);
    }

    /// As [`Link::set`], on a share of the connections only. Those that are open are drawn as new ones are: where they are not drawn, whatever was on
    /// them before is over.
    pub fn set_for(&self, behaviour: Behaviour, toxicity: Toxicity) {
        self.change(behaviour, Some(toxicity));
    }

    fn change(&self, behaviour: Behaviour, toxicity: Option<Toxicity>) {
        let counter = &self.shared.counter;
        let is_dosed = behaviour != Behaviour::Pass;
        self.shared.registry.set(behaviour, toxicity, |epoch| {
            if is_dosed {
                counter.begin(epoch);
            }
        });
    }

    /// Resets every open connection once, and goes on as before; how many there were.
    pub fn reset_connections(&self) -> usize {
        self.shared.registry.reset_all()
    }

    /// What the latest behaviour other than [`Behaviour::Pass`] did so far. It can still be read after that behaviour ended.
    pub fn dose(&self) -> LinkDose {
        self.shared.counter.dose()
    }

    /// As [`Link::dose`], and counts from zero from here on.
    pub fn take_dose(&self) -> LinkDose {
        self.shared.counter.take()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn each_direction_has_a_line_of_its_own() {
        let (shared, begun) = (Shared::new(), Instant::now());
        for direction in [Direction::Out, Direction::Home] {
            assert_eq!(shared.line(direction).take(1, 1_000, begun, 10).until - begun, Duration::from_millis(10));
        }
    }
}
