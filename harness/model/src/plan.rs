//! What a run will do: pure function of experiment, commits, powers and flags. Printed by `plan`, written to `plan.json`.

use crate::{
    experiment::{BaselineMode, Scenario},
    run::{Changes, CommitInfo},
};
use serde::Serialize;
use std::time::Duration;

/// What a run will do.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Where the services run.
    pub runtime: RuntimeKind,
    /// Why there.
    pub runtime_why: String,
    /// The commits.
    pub commit: CommitInfo,
    /// What the candidate changes; `None`: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// When the baseline is measured.
    pub baseline_mode: BaselineMode,
    /// Of everything random.
    pub seed: u64,
    /// Which shard this is, from 1.
    pub shard: u32,
    /// Of how many shards this is one.
    pub shards: u32,
    /// Chosen, in order.
    pub scenarios: Vec<PlannedScenario>,
    /// Not chosen, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Rounds with fresh instances that are asked for.
    pub rounds: u32,
    /// Rounds that there is room for, where those leave something open.
    pub most_rounds: u32,
    /// Of the rounds asked for, in seconds: phases of all plays, and starting and stopping instances. Builds come on top.
    pub estimated_seconds: f64,
    /// Length of one slot of the interleaving, in seconds; `None` where only one variant runs.
    pub slot_seconds: Option<f64>,
}

/// A scenario with the reason why it runs.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedScenario {
    /// The scenario.
    pub scenario: Scenario,
    /// Why it was chosen.
    pub why: String,
    /// By which means each of its faults will be done.
    pub mechanisms: Vec<String>,
    /// Sum of the phases of one play, in seconds.
    pub seconds: f64,
}

/// Where services run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// A container engine.
    Docker,
    /// Child processes.
    Process,
}

impl RuntimeKind {
    /// As flags write it.
    pub fn word(self) -> &'static str {
        match self {
            RuntimeKind::Docker => "docker",
            RuntimeKind::Process => "process",
        }
    }
}

/// Alternation of the load between two variants (statistics: randomised complete blocks of two).
///
/// Time since the start of the load is cut into pair-blocks of two slots; in each block the order of the variants is drawn from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Slots {
    /// Length of one slot.
    pub slot: Duration,
    /// Of the order inside each block.
    pub seed: u64,
}

impl Slots {
    /// The block and the half (0 or 1) that `offset` from the start of the load falls into.
    pub fn position(self, offset: Duration) -> (u32, usize) {
        let slot = (offset.as_nanos() / self.slot.as_nanos().max(1)) as u64;
        ((slot / 2) as u32, (slot % 2) as usize)
    }

    /// Whether the baseline goes first in `block`: a fair coin, a pure function of seed and block (SplitMix64 finaliser, Steele et al. 2014).
    pub fn baseline_first(self, block: u32) -> bool {
        let mut z = self.seed ^ u64::from(block).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_holds_one_slot_of_each_and_the_order_is_a_fair_coin() {
        let slots = Slots { slot: Duration::from_millis(500), seed: 7 };
        assert_eq!(slots.position(Duration::from_millis(499)), (0, 0));
        assert_eq!(slots.position(Duration::from_millis(500)), (0, 1));
        assert_eq!(slots.position(Duration::from_secs(1)), (1, 0));
        let heads = (0..10_000).filter(|block| slots.baseline_first(*block)).count();
        assert!((4_800..5_200).contains(&heads), "{heads}");
    }
}
