//! Latency: every packet is held for a while, by a queue to user space.
//!
//! Handshakes are delayed like everything else. Order within a flow is kept (see `line::delay`). A packet that finds the
//! queue full is lost, as with `netem`, and counted in `dropped_by_queue`. When the fault ends, what is held goes on at
//! once.
//!
//! An outgoing packet belongs to its sender's socket until it leaves the namespace, and TCP lets a socket have only a
//! few packets on the way there (TCP small queues). Holding such packets makes 4 MiB through 50 ms take 72 s instead of
//! half a second. `netem` takes the packet from its owner (`skb_orphan_partial`); we cannot, but nf_tables can copy it,
//! and a copy has no owner. So outgoing TCP is relayed: a copy, known by a bit of its mark, is held, and the original
//! goes to a second queue that swallows it at once, unseen by the sender.
//!
//! How it can mislead: a jitter with a long tail (`pareto`, `paretonormal`) and a correlated one take many draws to show
//! their mean, and a flow draws at most once per two to seven jitters: where an experiment holds n draws, the mean of its
//! delays is known to jitter * sqrt((1 + r) / (1 - r) / n), so that few connections over a short time at r = 0.9 may see
//! only a slow spell, or none. `mean_delay_us` says which it was. Correlation is by draw and not by time.
//!
//! `faults::shape` is the same by netem.
//!
//! Copies are not tracked by conntrack, so that a service whose own firewall or NAT inside its namespace depends on
//! connection state may lose connections that begin during the fault; direction `in` leaves conntrack alone and delays
//! connecting and answers just as much. Where the kernel cannot copy, bulk senders are slowed as told above, and the
//! mechanism says so.

use super::{Fault, Plan, Recipe, Relay, Site, queue_lacks, queue_mechanism};
use crate::kernel::Treatment;
use crate::wire::{FaultSpec, Latency, Powers};

impl Fault for Latency {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        queue_lacks(powers)
    }

    fn mechanism(&self, powers: &Powers) -> String {
        queue_mechanism(powers, Relay::IfPossible)
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        Recipe::queue(Treatment::Hold(self.clone()), Relay::IfPossible, spec, site)
    }
}
