//! Latency: every packet is held for a while, by a queue to user space.
//!
//! Handshakes are delayed like everything else. Order within a flow is kept (see `delay`). A packet that finds the
//! queue full is lost, as with `netem`, and counted in `dropped_by_queue`. When the fault ends, what is held goes on at
//! once.
//!
//! An outgoing packet belongs to its sender's socket until it leaves the namespace, and TCP lets a socket have only a
//! few packets on the way there (TCP small queues). Holding such packets makes 4 MiB through 50 ms take 72 s instead of
//! half a second. `netem` takes the packet from its owner (`skb_orphan_partial`); we cannot, but nf_tables can copy it,
//! and a copy has no owner. So outgoing TCP is relayed: a copy, known by a bit of its mark, is held, and the original
//! goes to a second queue that swallows it at once, unseen by the sender.
//!
//! How it can mislead: copies are not tracked by conntrack, so that a service whose own firewall or NAT inside its
//! namespace depends on connection state may lose connections that begin during the fault; direction `in` leaves
//! conntrack alone and delays connecting and answers just as much. Where the kernel cannot copy, bulk senders are slowed
//! as told above, and the mechanism says so.

use super::{Fault, Plan, Recipe, Site, owner_words, queue_words};
use crate::kernel::{Sentence, Treatment};
use crate::wire::{FaultSpec, Latency, Powers, QueuePower};

impl Fault for Latency {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        match powers {
            Powers { nft: false, .. } => Some("nft"),
            Powers { queue: None, .. } => Some("queue"),
            _ => None,
        }
    }

    fn mechanism(&self, powers: &Powers) -> String {
        let way = queue_words(powers.queue.unwrap_or(QueuePower::NftQueue));
        let owner = owner_words(powers);
        if powers.copy {
            format!("nfqueue ({way} in {owner})")
        } else {
            format!("nfqueue ({way} in {owner}); outgoing bulk is slowed, for want of copies")
        }
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        let power = site.powers.queue.unwrap_or(QueuePower::NftQueue);
        let sentence = Sentence::Queue { number: site.queue, power };
        Recipe {
            treatment: Some(Treatment::Hold(self.clone())),
            relay: site.powers.copy.then_some(power),
            protocols: &[],
            sentence: &|_| sentence,
        }
        .plan(spec, site)
    }
}
