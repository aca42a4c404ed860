//! Corruption: in a share of the packets one bit is turned over, as on a bad wire.
//!
//! Every packet goes whole to a queue, and the chosen ones come back changed (see `line::corrupt` for which bit). The
//! checksum stays as it was and is wrong from then on. That it was right before is the kernel's doing: a packet between
//! containers usually travels without a checksum, which the card would fill in, but a queue that is not bound with
//! `NFQA_CFG_F_GSO` gets every segment by itself with its checksum in place, and a changed packet is sent, or checked on
//! arrival, by what is written in it. So the receiver's kernel finds the checksum wrong, counts it (`InCsumErrors`) and
//! drops the packet.
//!
//! How it can mislead: programs do not see hurt bytes; they see loss, and TCP sends again. (UDP over IPv4 without a
//! checksum is the exception: there the hurt bytes arrive.) Direction `in` shows the errors in this namespace's counters,
//! `out` in the far end's. Packets are cut into segments before they are judged, so that `judged` counts more than
//! `packets` for bulk senders, and bulk is slower for it: compare with a share of 1 to see the cost. Packets of more
//! than 65531 bytes (loopback has them) pass unhurt, and are not counted in `corrupted`. A datagram of several fragments
//! is one packet, except over IPv6 in direction `in`: the kernel puts those together behind our hook, so that there each
//! fragment is judged by itself, as with every kind by a queue.

use super::{Fault, Plan, Recipe, Relay, Site, queue_lacks, queue_mechanism};
use crate::kernel::Treatment;
use crate::wire::{Corrupt, FaultSpec, Powers};

impl Fault for Corrupt {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        queue_lacks(powers)
    }

    fn mechanism(&self, powers: &Powers) -> String {
        queue_mechanism(powers, Relay::Never)
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        Recipe::queue(Treatment::Corrupt(self.clone()), Relay::Never, spec, site)
    }
}
