//! The answer of a run, and the exit code that says it.

use serde::{Deserialize, Serialize};

/// Three-valued answer. Ordered by severity so that verdicts merge by `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proven: what was expected held.
    Pass,
    /// Nothing can be said; the reason says why.
    Inconclusive,
    /// Proven: an expectation broke or the change made it worse.
    Fail,
}

impl Verdict {
    /// The worst of several; nothing exercised is inconclusive, never a pass.
    pub fn merge(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().max().unwrap_or(Verdict::Inconclusive)
    }

    /// The word as files write it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Fail => "fail",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What a gate does about a verdict that is not a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateMode {
    /// Stop the merge.
    Block,
    /// Say it, exit 0.
    Warn,
}

/// How a run ended, as far as the exit code is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The run was judged.
    Judged(Verdict),
    /// The command line or the config was wrong.
    Usage,
    /// The environment was: no engine, a service never ready, steady state broken before any fault.
    Environment,
    /// A bug in shakedown.
    Bug,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// Whether every undo succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanliness {
    /// Nothing was left behind.
    Clean,
    /// An undo failed; `shakedown recover` is needed.
    NotClean,
}

/// The exit code of the process, by the contract's table (section 2).
///
/// `blocks_inconclusive` is what the gate's config says of an inconclusive verdict.
pub fn exit_code(ending: Ending, cleanliness: Cleanliness, mode: GateMode, blocks_inconclusive: GateMode) -> u8 {
    let code = match (ending, mode) {
        (Ending::Judged(Verdict::Pass), _) | (Ending::Judged(_), GateMode::Warn) => 0,
        (Ending::Judged(Verdict::Fail), GateMode::Block) => 1,
        (Ending::Judged(Verdict::Inconclusive), GateMode::Block) => match blocks_inconclusive {
            GateMode::Block => 3,
            GateMode::Warn => 0,
        },
        (Ending::Usage, _) => 2,
        (Ending::Environment, _) => 4,
        (Ending::Bug, _) => 70,
        (Ending::Interrupted, _) => 130,
        (Ending::Terminated, _) => 143,
    };
    match (cleanliness, code) {
        // "Not clean" must not be taken for a verdict, and an interrupted run that left something says so.
        (Cleanliness::NotClean, 0 | 1 | 3 | 4 | 130 | 143) => 5,
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Cleanliness::{Clean, NotClean};
    use Ending::{Bug, Environment, Interrupted, Judged, Terminated, Usage};
    use GateMode::{Block, Warn};
    use Verdict::{Fail, Inconclusive, Pass};

    #[test]
    fn verdicts_merge_by_max_and_nothing_is_inconclusive() {
        assert_eq!(Verdict::merge([Pass, Fail, Inconclusive]), Fail);
        assert_eq!(Verdict::merge([Pass, Inconclusive]), Inconclusive);
        assert_eq!(Verdict::merge([Pass, Pass]), Pass);
        assert_eq!(Verdict::merge([]), Inconclusive);
    }

    #[test]
    fn every_ending_has_the_exit_code_of_the_contract() {
        // (ending, block/block, block/warn, warn/block, warn/warn) when clean; then when not clean.
        let table = [
            (Judged(Pass), [0, 0, 0, 0], [5, 5, 5, 5]),
            (Judged(Inconclusive), [3, 0, 0, 0], [5, 5, 5, 5]),
            (Judged(Fail), [1, 1, 0, 0], [5, 5, 5, 5]),
            (Usage, [2, 2, 2, 2], [2, 2, 2, 2]),
            (Environment, [4, 4, 4, 4], [5, 5, 5, 5]),
            (Bug, [70, 70, 70, 70], [70, 70, 70, 70]),
            (Interrupted, [130, 130, 130, 130], [5, 5, 5, 5]),
            (Terminated, [143, 143, 143, 143], [5, 5, 5, 5]),
        ];
        let modes = [(Block, Block), (Block, Warn), (Warn, Block), (Warn, Warn)];
        for (ending, clean, dirty) in table {
            for (index, (mode, inconclusive)) in modes.into_iter().enumerate() {
                assert_eq!(exit_code(ending, Clean, mode, inconclusive), clean[index], "{ending:?} clean {mode:?}/{inconclusive:?}");
                assert_eq!(exit_code(ending, NotClean, mode, inconclusive), dirty[index], "{ending:?} dirty {mode:?}/{inconclusive:?}");
            }
        }
    }
}
