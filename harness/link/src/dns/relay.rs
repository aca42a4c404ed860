//! The handle of a DNS relay: where it listens, what it does, what it did.

use super::{
    dose::DnsDose,
    driver::DnsDriver,
    ears::{self, Ears},
    rule::DnsRule,
    setting::Shared,
};
use crate::link::Upstream;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// A relay in front of one resolver. The handle is cheap to clone; the work is done by its [`DnsDriver`].
#[derive(Clone)]
pub struct DnsRelay {
    addresses: Arc<[SocketAddr]>,
    shared: Arc<Shared>,
}

impl DnsRelay {
    /// Listens on this port of the loopback, a free one where it is zero: over UDP and TCP, at 127.0.0.1 and, where there is IPv6, at ::1. Those
    /// are the addresses to which the kernel redirects what a host sends itself, and answers must come from there. Queries are answered once the driver
    /// runs. Must be called in a runtime.
    pub fn bind(port: u16, upstream: impl Into<Upstream>) -> io::Result<(DnsRelay, DnsDriver)> {
        DnsRelay::bind_to(&ears::LOOPBACKS, port, upstream)
    }

    /// As [`DnsRelay::bind`], at other addresses of this host. The first must be there; where another one is not, it is left out.
    pub fn bind_to(addresses: &[IpAddr], port: u16, upstream: impl Into<Upstream>) -> io::Result<(DnsRelay, DnsDriver)> {
        let ears = ears::open(addresses, port)?;
        let shared = Arc::new(Shared::new());
        let addresses = ears.iter().map(Ears::address).collect();
        let driver = DnsDriver::new(ears, upstream.into(), Arc::clone(&shared));
        Ok((DnsRelay { addresses, shared }, driver))
    }

    /// Where queries may come, over UDP and TCP; all with the same port.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Changes what becomes of queries that come from here on, and starts a new dose. Queries that another rule delays go on at once.
    pub fn set(&self, rule: DnsRule) {
        self.shared.set(Some(rule));
    }

    /// Lets every query pass, those that are delayed too. Those that were dropped stay so.
    pub fn clear(&self) {
        self.shared.set(None);
    }

    /// Whether a rule is set.
    pub fn behaves(&self) -> bool {
        self.shared.setting.borrow().behaves()
    }

    /// What the latest rule did so far. It can still be read after it was cleared.
    pub fn dose(&self) -> DnsDose {
        self.shared.counter.dose()
    }

    /// As [`DnsRelay::dose`], and counts from zero from here on.
    pub fn take_dose(&self) -> DnsDose {
        self.shared.counter.take()
    }
}

impl std::fmt::Debug for DnsRelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsRelay").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
