//! Connecting: attempts to open a TCP connection vanish or are late; connections that are open are left alone.
//!
//! A rule leads each SYN without ACK to a queue, which drops it, unseen by the sender, or holds it; no other packet leaves
//! the kernel. Direction `out` hurts connections that this namespace opens, `in` those that the target opens to us, `both`
//! either. A held SYN stays its socket's own and is not relayed as with latency: one small packet does not fill what TCP
//! small queues allow, conntrack goes on seeing it, and its sender sends no second one as long as the first is held.
//!
//! How it can mislead: a service that opened its connections before the fault and keeps them never meets it; then
//! `judged` is 0. Linux sends a SYN again after 1, 3, 7, 15, ... seconds and gives up (ETIMEDOUT) after two minutes: within
//! a short fault a client without a connect timeout of its own sees no error but a slow connect, which may outlast the
//! fault by half its length, and each attempt of the program is several in `lost` (`connections` has it once). The
//! first SYN to arrive opens the connection, so that a delay is met once and not once for each packet of the handshake.
//! Only TCP connects: QUIC, which is UDP, and datagrams pass.

use super::{Fault, Plan, Recipe, Relay, Site, queue_lacks, queue_mechanism, queue_sentence};
use crate::kernel::{Protocol, Treatment};
use crate::wire::{Connect, Distribution, FaultSpec, Latency, Loss, Powers};

impl Fault for Connect {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        queue_lacks(powers)
    }

    fn mechanism(&self, powers: &Powers) -> String {
        format!("{}, TCP SYN only", queue_mechanism(powers, Relay::Never))
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        let sentence = queue_sentence(site);
        let treatment = Some(self.treatment());
        Recipe { treatment, relay: None, protocols: &[Protocol::TcpSyn], first: &[], sentence: &|_| sentence }.plan(spec, site)
    }
}

impl Connect {
    /// That of a fault that does the same to every packet.
    fn treatment(&self) -> Treatment {
        match *self {
            Self::Drop {} => Treatment::Lose(Loss { share_ppm: 1_000_000, burst_packets: 0, seed: 0 }),
            Self::DelayUs(delay_us) => {
                let distribution = Distribution::Uniform;
                Treatment::Hold(Latency { delay_us, jitter_us: 0, distribution, correlation_ppm: 0, seed: 0 })
            }
        }
    }
}
