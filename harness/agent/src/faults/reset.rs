//! Reset: every TCP packet is dropped and answered with a reset, for as long as the fault lasts.
//!
//! Direction `out`: the local program's connection ends with ECONNRESET and new ones are refused (ECONNREFUSED); the
//! far end hears nothing. Direction `in`: the far end is reset when it sends, and the local program when the far end's
//! answer to its next packet is a reset. Direction `both` does both.
//!
//! A connection is reset by its next packet: an idle one stays open until then. Other protocols pass.

use super::{Fault, Plan, Recipe, Site, owner_words};
use crate::kernel::{Protocol, Sentence};
use crate::wire::{FaultSpec, Powers};

/// `{"reset":{}}`
pub(super) struct Reset;

impl Fault for Reset {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        match powers {
            Powers { nft: false, .. } => Some("nft"),
            Powers { reject: false, .. } => Some("reject"),
            _ => None,
        }
    }

    fn mechanism(&self, powers: &Powers) -> String {
        format!("reject with tcp reset in {}", owner_words(powers))
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        Recipe { treatment: None, relay: None, protocols: &[Protocol::Tcp], first: &[], sentence: &|_| Sentence::Reset }.plan(spec, site)
    }
}
