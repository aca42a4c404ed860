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
    /// The edge is a line of this rate, one in each direction, and all connections share it. From the setting on no more bytes have left than
    /// the rate allows; nothing is lost, and a sender that is faster is slowed down as soon as a tenth of a second waits (at least
    /// 64 KiB, at most 2 MiB). Zero carries nothing; connections are made all the same.
    Bandwidth {
        /// The rate of each direction.
        bytes_per_second: u64,
    },
    /// The closing of each direction of a connection (FIN) arrives later by this much. Bytes are not delayed, and a reset is passed on at once.
    SlowClose {
        /// How much later.
        delay: Duration,
    },
    /// A connection is closed (FIN to both sides) once it carried this many bytes of answers, counted from the setting on; what either side sends
    /// afterwards is thrown away. Zero closes every connection at once, and every new one.
    LimitData {
        /// Bytes of answers that still arrive.
        bytes: u64,
    },
    /// Bytes go on in small writes with a pause between two, in both directions of each connection for itself. What goes on after a silence goes
    /// at once.
    Slicer {
        /// Most bytes of one slice. Zero is taken as one.
        size: usize,
        /// Between two slices.
        delay: Duration,
    },
}

impl Behaviour {
    /// Whether anything can arrive at all.
    pub(crate) fn flows(self) -> bool {
        !matches!(self, Behaviour::Partition | Behaviour::Bandwidth { bytes_per_second: 0 })
    }
}

/// A behaviour with the number of its setting: what a fault did is counted for its own setting only.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Setting {
    pub(crate) behaviour: Behaviour,
    pub(crate) epoch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_partition_and_a_line_of_no_width_carry_nothing() {
        let line = |bytes_per_second| Behaviour::Bandwidth { bytes_per_second };
        assert_eq!([Behaviour::Partition, line(0)].map(Behaviour::flows), [false; 2]);
        assert_eq!([Behaviour::Pass, line(1), Behaviour::LimitData { bytes: 0 }].map(Behaviour::flows), [true; 3]);
    }
}
