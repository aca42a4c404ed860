//! What is open under a name, a link or a DNS relay, and what can be asked of either.

use crate::{behaviour::Behaviour, dns::DnsRelay, dose::LinkDose, link::Link};
use std::net::SocketAddr;

/// The handle of a relay that runs.
pub(crate) enum Work {
    Link(Link),
    Dns(DnsRelay),
}

impl Work {
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        match self {
            Work::Link(link) => link.addresses(),
            Work::Dns(relay) => relay.addresses(),
        }
    }

    pub(crate) fn behaves(&self) -> bool {
        match self {
            Work::Link(link) => link.behaves(),
            Work::Dns(relay) => relay.behaves(),
        }
    }

    /// Everything passes from here on.
    pub(crate) fn clear(&self) {
        match self {
            Work::Link(link) => link.set(Behaviour::Pass),
            Work::Dns(relay) => relay.clear(),
        }
    }

    pub(crate) fn dose(&self) -> LinkDose {
        match self {
            Work::Link(link) => link.dose(),
            Work::Dns(relay) => LinkDose { dns: relay.dose(), ..LinkDose::default() },
        }
    }
}
