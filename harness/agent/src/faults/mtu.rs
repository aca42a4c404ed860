//! Path MTU: packets larger than so many bytes vanish, and no ICMP message says so: a black hole.
//!
//! Every packet goes to a queue and is dropped there if it is too large, unseen by the sender. What the kernel hands around
//! is up to 64 KiB of a bulk sender's stream, which is cut only by the card, or was put together after it; but a queue that
//! is not bound with `NFQA_CFG_F_GSO` gets every segment by itself, as long as on the wire (`line::mtu` sees that length and
//! nothing else). So segments are judged, in both directions, and a transfer whose segments fit passes whole.
//!
//! How it can mislead: handshakes, health checks and small answers pass, and only what fills a packet hangs; if nothing
//! does, `lost` is 0. Most of what fills a packet flows one way: direction `out` hurts requests, `in` answers. TCP agrees
//! on a segment size by the devices' MTU, mostly 1500, and never finds out; a connection hangs until somebody's timeout
//! unless `net.ipv4.tcp_mtu_probing` is on, which after some seconds tries smaller segments. A datagram larger than the
//! device's MTU is judged before it is cut into fragments or after they are put together (IPv6 in direction `in`: fragment
//! by fragment): right where `bytes` is below the device's MTU, too hard where it is not. An IPv4 packet that allows
//! fragments (no DF) vanishes too, where a router would cut it; TCP sends none. Segments are cut early, so that `judged`
//! counts more than `packets` and bulk is slower: compare with `bytes` at the device's MTU to see the cost.

use super::{Fault, Plan, Recipe, Relay, Site, queue_lacks, queue_mechanism};
use crate::kernel::Treatment;
use crate::wire::{FaultSpec, Mtu, Powers};

impl Fault for Mtu {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        queue_lacks(powers)
    }

    fn mechanism(&self, powers: &Powers) -> String {
        queue_mechanism(powers, Relay::Never)
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        Recipe::queue(Treatment::Limit(self.clone()), Relay::Never, spec, site)
    }
}
