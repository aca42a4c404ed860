//! `run.json`: what a run was, on what, of which commits.

use crate::{event::Phase, fault::DoseUnit, plan::RuntimeKind, stack::Variant, time::UnixNanos};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Version of the run directory.
pub const RUN_SCHEMA: &str = "shakedown.run/1";

/// Content of `run.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunMeta {
    /// [`RUN_SCHEMA`].
    pub schema: String,
    /// Version of shakedown.
    #[serde(default)]
    pub tool_version: String,
    /// Id of the run.
    pub run: String,
    /// Others recorded the telemetry; `None`: shakedown ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// The commits.
    #[serde(default)]
    pub commit: CommitInfo,
    /// What the candidate changes; `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// What it ran on.
    #[serde(default)]
    pub machine: Machine,
    /// Where the services ran.
    #[serde(default = "process")]
    pub runtime: RuntimeKind,
    /// Of everything random.
    #[serde(default)]
    pub seed: u64,
    /// When it began.
    #[serde(default)]
    pub started: UnixNanos,
    /// When it ended; `None`: it did not get there.
    pub ended: Option<UnixNanos>,
    /// Length of a slot in seconds; `None` where one variant ran alone.
    pub slot_seconds: Option<f64>,
    /// Rounds with fresh instances of every service.
    #[serde(default)]
    pub rounds: Rounds,
    /// Which shard of the gate this run is, from 1.
    #[serde(default = "one")]
    pub shard: u32,
    /// Of how many shards this run is one: they share the error of the gate.
    #[serde(default = "one")]
    pub shards: u32,
    /// Which scenarios ran, with their phases: one entry for each play, in the order in which they were played.
    pub scenarios: Vec<ScenarioRun>,
    /// What was found of the doses that were searched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub margins: Vec<MarginRun>,
    /// Whether every undo succeeded and everything was seen to be as it was.
    pub clean: bool,
    /// What was not: each by name, with what it was and what it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// Why it ended early, if it did.
    pub aborted: Option<Abort>,
}

/// What is known of a run whose telemetry others recorded: no fault of ours was seen to take hold, and no generator of ours kept its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Imported {
    /// `otlp`, `jaeger`, `zipkin`; empty: the directory was made by hand.
    pub format: String,
    /// Files and addresses that the telemetry came from.
    pub sources: Vec<String>,
    /// What was disturbed in the fault phase, where that is known: `orders`, `orders -> payment`.
    pub fault_on: Option<String>,
    /// How, in a word, where that is known.
    pub fault_kind: Option<String>,
}

/// Why a run ended before its plan did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// What kind.
    pub kind: AbortKind,
    /// In one sentence.
    pub reason: String,
}

/// What kind of early end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortKind {
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// Engine, image, service or steady state.
    Environment,
}

fn one() -> u32 {
    1
}

/// Of an imported run nobody says where its services ran; they were not ours to put into containers.
fn process() -> RuntimeKind {
    RuntimeKind::Process
}

/// Rounds of a run: in each, every instance is started afresh, since an instance carries its own luck that no interleaving removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// As many as the plan asks for. Before them a comparison does not fail.
    pub planned: u32,
    /// As many as the budget has room for, where the planned ones leave something open; at least `planned`.
    pub most: u32,
    /// Played to their end.
    pub done: u32,
}

impl Default for Rounds {
    /// A run from before there were rounds.
    fn default() -> Rounds {
        Rounds { planned: 1, most: 1, done: 1 }
    }
}

/// Which one of the plays of a scenario. Both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Play {
    /// The round: instances are fresh in each.
    pub round: u32,
    /// The episode in the round: the same instances, the faults once more.
    pub episode: u32,
}

impl Default for Play {
    fn default() -> Play {
        Play { round: 1, episode: 1 }
    }
}

impl Play {
    /// The seed of this play: of the first one it is the run's own, so that a run of one play is as it always was; the others differ from it
    /// and from each other (SplitMix64 finaliser, Steele et al. 2014).
    pub fn seed(self, seed: u64) -> u64 {
        let number = u64::from(self.round.saturating_sub(1)) << 32 | u64::from(self.episode.saturating_sub(1));
        if number == 0 {
            return seed;
        }
        let mut z = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// A scenario as it ran once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScenarioRun {
    /// Name.
    pub name: String,
    /// Which of its plays.
    #[serde(default)]
    pub play: Play,
    /// Phases in order.
    pub phases: Vec<PhaseRun>,
    /// A stop condition ended it early.
    pub stopped: Option<String>,
    /// Steady state was broken before the fault, so no fault was started.
    pub steady_broken: Option<String>,
}

/// The search for the largest dose under which a scenario's expectations hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarginRun {
    /// Scenario.
    pub scenario: String,
    /// Index of the fault in the scenario.
    pub fault: usize,
    /// Its target as the config writes it.
    pub target: String,
    /// The parameter: `latency.delay`.
    pub path: String,
    /// Unit of every dose here.
    pub unit: DoseUnit,
    /// The smaller end of the range, as it was played.
    pub from: f64,
    /// The larger end.
    pub to: f64,
    /// How exactly the boundary was wanted.
    pub step: f64,
    /// Of each variant.
    pub variants: Vec<MarginVariant>,
}

/// What was found of one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarginVariant {
    /// Which.
    pub variant: Variant,
    /// The worst dose under which everything held; `None`: not even the mildest.
    pub holds_up_to: Option<f64>,
    /// The mildest dose under which something did not; `None`: none did.
    pub breaks_at: Option<f64>,
    /// Why the search ended before the boundary was known; `None`: it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,
    /// In the order in which they were played.
    pub plays: Vec<MarginPlay>,
}

/// One play of a search, as far as one variant is concerned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarginPlay {
    /// Which.
    pub play: Play,
    /// The dose that was asked.
    pub dose: f64,
    /// Whether the expectations held; `None`: this play says nothing, and does not count.
    pub held: Option<bool>,
    /// Why, in one sentence.
    pub reason: String,
}

/// A phase as it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseRun {
    /// Which.
    pub name: Phase,
    /// First instant inside.
    pub start: UnixNanos,
    /// First instant outside.
    pub end: UnixNanos,
}

/// The commits of a run and how they were found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CommitInfo {
    /// Full id; `None` outside a repository.
    pub candidate: Option<String>,
    /// Subject line.
    pub candidate_subject: Option<String>,
    /// The tree holds changes that no commit has.
    pub dirty: bool,
    /// Full id; `None` where there is no baseline.
    pub baseline: Option<String>,
    /// Subject line.
    pub baseline_subject: Option<String>,
    /// How the baseline was found, or why there is none: `merge-base with origin/main`, `HEAD^`, `--base v1.2`, `none: …`.
    pub baseline_source: String,
}

/// Files that differ between baseline and candidate. Bounded: names are kept of some of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// How many.
    pub files: u64,
    /// Services of which it is known what they are made from.
    pub services: IndexMap<String, ServiceChanges>,
}

/// Files of one service that differ.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServiceChanges {
    /// How many.
    pub files: u64,
    /// The first of them, from the top of the repository.
    pub named: Vec<String>,
}

/// What a run ran on. Two runs are comparable where [`Machine::class`] agrees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Machine {
    /// Model name of the processor.
    pub cpu: String,
    /// Logical cores.
    pub cores: usize,
    /// In MiB.
    pub memory_mib: u64,
    /// Kernel release.
    pub kernel: String,
    /// Processor architecture.
    pub arch: String,
    /// Engine and its version, or `none`.
    pub engine: String,
}

impl Machine {
    /// What must agree before a recorded baseline is trusted: cpu, cores, memory to the next GiB, kernel, arch, engine.
    pub fn class(&self) -> String {
        let gib = self.memory_mib.div_ceil(1024);
        format!("{} | {} cores | {gib} GiB | {} | {} | {}", self.cpu, self.cores, self.kernel, self.arch, self.engine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_play_has_a_seed_of_its_own_and_the_first_one_has_the_runs() {
        let plays = (1..=50).flat_map(|round| (1..=100).map(move |episode| Play { round, episode }));
        let seeds: HashSet<u64> = plays.map(|play| play.seed(7)).collect();
        assert_eq!(seeds.len(), 5_000);
        assert_eq!(Play::default().seed(7), 7);
    }
}
