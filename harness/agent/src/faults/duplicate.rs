//! Duplication: a share of the packets arrives twice, the copy right before the packet.
//!
//! Every packet goes to a queue; those that are not chosen go on at once (see `line::duplicate` for which are). A verdict
//! cannot make two packets of one, but it can send a packet through its chain again (`NF_REPEAT`) with a bit of its mark
//! set, by which a rule knows it and lets nf_tables copy it (`dup`). The copy starts its way again and is known by another
//! bit: it meets no further copying, by this fault or any other. The bits are those of `netlink::marks`.
//!
//! An outgoing copy leaves by the route to the far end. An incoming one is sent to the very address it came to, which is
//! this namespace's own, so that it arrives by loopback, from the far end's address and port, beside the packet itself.
//! What comes in for more than one host (broadcast, multicast) is left alone: its copy would go out to all of them.
//!
//! What waits in the queue when the fault ends is copied too: the rules that copy stay until the table goes.
//!
//! How it can mislead: TCP throws the second of two equal segments away and tells the far end's kernel only; what a
//! program sees of this fault over TCP is next to nothing, and it is the test of what speaks UDP. A large send that is yet
//! to be cut counts as one packet and is copied whole. Copies are not tracked by conntrack: a firewall inside the
//! namespace that asks for connection state drops them, and then they are not in `duplicated`; a socket bound to a device
//! (`SO_BINDTODEVICE`) does not hear incoming copies. Faults that were there before this one meet the
//! copy anew: it is late by their delay, so begin this one first. Of a fragmented datagram over IPv6 in direction `in` a
//! fragment is copied, which comes to nothing.

use super::{Fault, Plan, Recipe, Relay, Site, queue_lacks, queue_mechanism, queue_sentence};
use crate::kernel::{Sentence, Treatment};
use crate::wire::{Duplicate, FaultSpec, Powers};

impl Fault for Duplicate {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        queue_lacks(powers).or_else(|| (!powers.copy).then_some("copy"))
    }

    fn mechanism(&self, powers: &Powers) -> String {
        format!("{}, copies by nft dup", queue_mechanism(powers, Relay::Never))
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        let (first, sentence) = ([Sentence::PassCopies, Sentence::PassBroadcasts, Sentence::Duplicate], queue_sentence(site));
        let treatment = Some(Treatment::Duplicate(self.clone()));
        Recipe { treatment, relay: None, protocols: &[], first: &first, sentence: &|_| sentence }.plan(spec, site)
    }
}
