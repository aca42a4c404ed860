//! Which variant a due time belongs to. It must not know how either of them is doing.

use shakedown_model::{plan::Slots, stack::Variant};
use std::time::Duration;

/// Where a due time falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index into the lanes.
    pub(crate) lane: usize,
    /// Pair-block.
    pub(crate) block: u32,
}

/// The lanes in the order they were handed in: one, or two different ones.
#[derive(Debug, Clone)]
pub(crate) struct Lanes {
    variants: Vec<Variant>,
    slots: Slots,
}

impl Lanes {
    pub(crate) fn new(variants: Vec<Variant>, slots: Slots) -> Lanes {
        Lanes { variants, slots }
    }

    pub(crate) fn variant(&self, lane: usize) -> Variant {
        self.variants[lane]
    }

    /// The lane and the block of a request that is due `offset` after the start.
    pub(crate) fn place(&self, offset: Duration) -> Place {
        let (block, half) = self.slots.position(offset);
        let baseline = self.slots.baseline_first(block) == (half == 0);
        let variant = if baseline { Variant::Baseline } else { Variant::Candidate };
        // With one lane every slot is its.
        let lane = self.variants.iter().position(|known| *known == variant).unwrap_or(0);
        Place { lane, block }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: Slots = Slots { slot: Duration::from_millis(100), seed: 11 };

    #[test]
    fn each_block_gives_one_slot_to_each_variant_in_the_order_that_the_slots_say() {
        let lanes = Lanes::new(vec![Variant::Candidate, Variant::Baseline], SLOTS);
        for block in 0..200_u32 {
            let start = Duration::from_millis(200) * block;
            let first = lanes.place(start);
            let second = lanes.place(start + Duration::from_millis(150));
            assert_eq!((first.block, second.block), (block, block));
            assert_ne!(first.lane, second.lane);
            assert_eq!(lanes.variant(first.lane) == Variant::Baseline, SLOTS.baseline_first(block));
        }
    }

    #[test]
    fn a_single_lane_gets_every_slot_and_blocks_count_on() {
        for variant in [Variant::Candidate, Variant::Baseline] {
            let lanes = Lanes::new(vec![variant], SLOTS);
            let places: Vec<Place> = (0..20).map(|slot| lanes.place(Duration::from_millis(100) * slot)).collect();
            assert!(places.iter().all(|place| lanes.variant(place.lane) == variant));
            assert_eq!(places.last().unwrap().block, 9);
        }
    }
}
