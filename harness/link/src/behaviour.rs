//! What a link does to the traffic of its edge.

use shakedown_model::fault::Distribution;
use std::time::Duration;

/// What a link does to the traffic of its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Nothing.
    #[default]
    Pass,
    /// Bytes from caller to callee arrive later, in order, at full throughput: as netem does it on the caller's way out. The way back is untouched.
    /// The timer behind it has steps of a millisecond and never fires early; the dose says what was really added.
    Latency {
        /// Mean.
        delay: Duration,
        /// Half width (uniform) or standard deviation (normal).
        jitter: Duration,
        /// Shape of the jitter.
        distribution: Distribution,
        /// Of the jitter; with it the delays of a connection are the same again.
        seed: u64,
    },
    /// Nothing arrives, either way. What was sent meanwhile arrives afterwards, as TCP would send it again; a connection made meanwhile reaches
    /// the callee afterwards, unless its caller gave up.
    Partition,
    /// Every connection is reset, and every new one at once.
    Reset,
}

/// A behaviour with the number of its setting: what a fault did is counted for its own setting only.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Setting {
    pub(crate) behaviour: Behaviour,
    pub(crate) epoch: u64,
}
