//! Bandwidth: all packets share a line of so many bytes a second.
//!
//! Every packet goes to a queue and leaves it when its last byte is through (see `line::rate`). A packet that would
//! wait longer than `queue_us` for its turn is dropped, unseen by the sender, and counted in `lost`: that is how TCP
//! learns how fast the line is. Each direction has a line of its own, which all flows share, first come first served.
//! Bytes are counted from the IP header on; a large send that is yet to be cut into segments counts as long as it is,
//! without the headers that its later segments will have (3 % of them at 1500 bytes), and leaves in one piece when its
//! time is over. Outgoing TCP is relayed, as with latency: the line is one far from the sender, which does not feel it
//! in its own buffers (a datagram that waits does count against its sender's buffer, and a sender who has filled it is
//! made to wait). What is said there about conntrack holds here too.
//!
//! How it can mislead: a long queue is latency. At the default of 1 s a single bulk sender fills it, and then every
//! small request beside it waits for up to a second, as behind a cheap router; lower `queue_us` to 50 ms or so where
//! that is not the question. A queue that is shorter than one large send (64 KiB over the rate) makes TCP slower than
//! the line. The queue holds 16384 packets at most, whatever their time; what it drops beyond is in
//! `dropped_by_queue`. A service that never sends faster than the line does not meet the fault: then `lost` is 0 and
//! `mean_delay_us` is a packet's own time on the line.

use super::{Fault, Plan, Recipe, Relay, Site, queue_lacks, queue_mechanism};
use crate::kernel::Treatment;
use crate::wire::{Bandwidth, FaultSpec, Powers};

impl Fault for Bandwidth {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        queue_lacks(powers)
    }

    fn mechanism(&self, powers: &Powers) -> String {
        queue_mechanism(powers, Relay::IfPossible)
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        Recipe::queue(Treatment::Pace(self.clone()), Relay::IfPossible, spec, site)
    }
}
