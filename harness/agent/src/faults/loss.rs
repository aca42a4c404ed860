//! Loss: a share of the packets vanishes, each by itself or in bursts.
//!
//! Every packet goes to a queue; those that are to be lost are dropped there (see `line::loss` for which), the others go
//! on at once. As with a partition the sender is told that all went well: TCP hears of a loss by what does not come
//! back, and a UDP sender never. Nothing is held, so that outgoing TCP needs no relay.
//!
//! How it can mislead: a packet is what the kernel hands around, and with segmentation offload that is up to 64 KiB of
//! a bulk sender's stream. Such a packet is lost whole, as a burst of some forty on the wire would be, and there are
//! fewer of them: a bulk transfer meets a share of few large losses. Requests and answers that fit one segment are met
//! as on a wire. A lost segment of TCP comes again, after a round trip or after 200 ms and more: what a client sees is
//! seldom an error and mostly a slow request, and in an experiment with few packets perhaps nothing. Compare `lost` with
//! `judged`. With direction `both` an exchange is hurt if either half is: at a share of 10 %, 19 % are.

use super::{Fault, Plan, Recipe, Relay, Site, queue_lacks, queue_mechanism};
use crate::kernel::Treatment;
use crate::wire::{FaultSpec, Loss, Powers};

impl Fault for Loss {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        queue_lacks(powers)
    }

    fn mechanism(&self, powers: &Powers) -> String {
        queue_mechanism(powers, Relay::Never)
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        Recipe::queue(Treatment::Lose(self.clone()), Relay::Never, spec, site)
    }
}
