//! Partition: every packet vanishes.
//!
//! A partition must be silent. When a rule drops a packet that a local program is sending, the kernel tells the
//! program (`sendto` on a UDP socket fails with EPERM) and TCP takes it for a local shortage and retries every half
//! second, without backing off. So outgoing packets go to a queue whose listener drops them, after the program has
//! been told that all went well, as on a wire. Where there is no queue the rule drops, and the mechanism says so.
//! Incoming packets have no local sender: the rule drops them.
//!
//! If the agent dies, the queue's rules let packets pass.

use super::{Fault, Plan, Recipe, Site, owner_words, queue_words};
use crate::kernel::{Hook, Sentence, Treatment};
use crate::wire::{Direction, FaultSpec, Powers};

/// `{"partition":{}}`
pub(super) struct Partition;

impl Fault for Partition {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        (!powers.nft).then_some("nft")
    }

    fn mechanism(&self, powers: &Powers) -> String {
        let table = owner_words(powers);
        match powers.queue {
            Some(power) => format!("drop in {table}; outgoing by nfqueue ({}), unseen by the sender", queue_words(power)),
            None => format!("drop in {table}; outgoing UDP fails with EPERM, for want of a queue"),
        }
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        let queue = site.powers.queue.filter(|_| spec.direction != Some(Direction::In));
        let sentence = |hook| match queue {
            Some(power) if hook == Hook::Output => Sentence::Queue { number: site.queue, power },
            _ => Sentence::Drop,
        };
        Recipe { treatment: queue.map(|_| Treatment::Swallow), relay: None, protocols: &[], first: &[], sentence: &sentence }
            .plan(spec, site)
    }
}
