//! Reordering: a share of the packets is held for a while, and those behind them overtake them.
//!
//! Every packet goes to a queue; those that are not chosen go on at once, in order, the chosen ones after their delay
//! (see `line::reorder`). Nothing is lost. Outgoing TCP is relayed, as with latency and for the same reason: a chosen
//! packet must not count as one that its sender still has at hand. What is said there about conntrack holds here too.
//!
//! How it can mislead: a packet is out of order only if another of its connection comes within the delay. A client that
//! waits for each answer before it asks again has one packet under way, and meets this fault as latency on a share of
//! its packets: `reordered` counts only those that were really overtaken. TCP takes a packet that comes three later
//! ones too late for lost and sends it again, and puts the rest in order for the program: what it sees is a pause.
//! When the fault ends what is held goes on at once, in order of its due time.

use super::{Fault, Plan, Recipe, Relay, Site, queue_lacks, queue_mechanism};
use crate::kernel::Treatment;
use crate::wire::{FaultSpec, Powers, Reorder};

impl Fault for Reorder {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        queue_lacks(powers)
    }

    fn mechanism(&self, powers: &Powers) -> String {
        queue_mechanism(powers, Relay::IfPossible)
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        Recipe::queue(Treatment::Reorder(self.clone()), Relay::IfPossible, spec, site)
    }
}
