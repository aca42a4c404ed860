//! Which packets belong together.

use crate::kernel::Hook;

/// One direction of a connection: enough of the packet's head to tell it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Flow {
    outgoing: bool,
    protocol: u8,
    addresses: [u8; 32],
    ports: [u8; 4],
}

impl Flow {
    /// Reads the head of an IPv4 or IPv6 packet. IPv6 extension headers are not followed: packets that have them share
    /// a flow per pair of addresses, and so do fragments' later parts and protocols without ports.
    pub(super) fn of(hook: Hook, head: &[u8]) -> Self {
        let mut flow = Self { outgoing: hook == Hook::Output, ..Self::default() };
        let Some(Shape { protocol, addresses, transport }) = Shape::of(head) else {
            return flow;
        };
        flow.protocol = protocol;
        if let Some(found) = head.get(addresses) {
            flow.addresses[..found.len()].copy_from_slice(found);
        }
        let has_ports = matches!(i32::from(protocol), libc::IPPROTO_TCP | libc::IPPROTO_UDP);
        if let Some(ports) = head.get(transport..transport + 4).filter(|_| has_ports) {
            flow.ports.copy_from_slice(ports);
        }
        flow
    }
}

/// Where things are in a packet.
pub(super) struct Shape {
    pub(super) protocol: u8,
    addresses: std::ops::Range<usize>,
    /// Where the IP header ends, by what it says itself.
    pub(super) transport: usize,
}

impl Shape {
    /// `None` for what is neither IPv4 nor IPv6. Nothing says that the packet is as long as its header claims.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let first = *head.first()?;
        let (protocol_at, addresses, transport) = match first >> 4 {
            4 => (9, 12..20, usize::from(first & 15) * 4),
            6 => (6, 8..40, 40),
            _ => return None,
        };
        Some(Self { protocol: head.get(protocol_at).copied().unwrap_or_default(), addresses, transport })
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::tcp;
    use super::*;

    #[test]
    fn heads_cut_anywhere_are_read_without_complaint() {
        let mut six = vec![0x60; 40];
        six[6] = 6;
        six.extend([0, 1, 0, 2]);
        for head in [tcp(1), six, vec![0x4f, 1], vec![0xff; 64]] {
            (0..=head.len()).for_each(|length| {
                Flow::of(Hook::Input, &head[..length]);
            });
        }
    }

    #[test]
    fn ports_and_directions_tell_flows_apart() {
        let flows = [(Hook::Output, 1), (Hook::Output, 2), (Hook::Input, 1)].map(|(hook, port)| Flow::of(hook, &tcp(port)));
        assert!(flows[0] != flows[1] && flows[0] != flows[2]);
        assert_eq!(flows[0], Flow::of(Hook::Output, &tcp(1)));
    }
}
