//! What a link does to the traffic of its edge.

use crate::{
    http::{HttpAction, HttpRule, HttpRuleError, Matching},
    toxicity::Toxicity,
};
use shakedown_model::fault::Distribution;
use std::{sync::Arc, time::Duration};

/// What a link does to the traffic of its edge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// Nothing arrives, either way, and after this time the connection is closed (FIN to both sides) and what was held is thrown away. The time counts
    /// from the setting on, for a new connection from its making. Zero closes at once; where the setting ends before, what was held arrives.
    Timeout {
        /// Until the close.
        after: Duration,
    },
    /// As if the callee's process were gone. Open connections are closed (FIN to both sides), and new ones are refused by the kernel, as nobody
    /// listens; the port stays ours. The kernel tells nobody whom it refused: the dose has only the time and the connections that were met. On a share of
    /// the connections someone must listen, and a new one that is drawn is reset as soon as it is made.
    Down,
    /// Some HTTP/1.x requests are aborted, delayed, or have their answers patched; on connections that were open before, too, from the next request
    /// on whose first byte comes under the setting. The head of a request, and of an answer that is to be patched, goes on when it is complete.
    ///
    /// What is not HTTP/1.x (TLS, HTTP/2), or no longer (after an upgrade or `CONNECT`), or ambiguous (two lengths, a head above 64 KiB) passes
    /// untouched and is counted: a fault that met nothing else did nothing. A callee does not hear of an aborted request, and may close the
    /// connection that it finds idle. A patch whose setting ended before the answer came is not made. If a connection that has an aborted request
    /// outstanding turns out not to be HTTP, it is reset.
    Http(Arc<HttpRule>),
}

impl Behaviour {
    /// [`Behaviour::Http`] of a rule that is valid.
    pub fn http(matching: Matching, action: HttpAction) -> Result<Behaviour, HttpRuleError> {
        Ok(Behaviour::Http(Arc::new(HttpRule::try_new(matching, action)?)))
    }

    /// Whether anything can arrive at all.
    pub(crate) fn flows(&self) -> bool {
        !matches!(self, Behaviour::Partition | Behaviour::Timeout { .. } | Behaviour::Bandwidth { bytes_per_second: 0 })
    }
}

/// A behaviour with the number of its setting: what a fault did is counted for its own setting only.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setting {
    pub(crate) behaviour: Behaviour,
    pub(crate) epoch: u64,
    /// On every connection where it is not given.
    pub(crate) toxicity: Option<Toxicity>,
}

impl Setting {
    /// Whether the behaviour is on this connection.
    pub(crate) fn meets(&self, connection: u64) -> bool {
        self.toxicity.is_none_or(|toxicity| toxicity.draws(connection))
    }

    /// Whether nobody is to listen.
    pub(crate) fn refuses(&self) -> bool {
        self.behaviour == Behaviour::Down && self.toxicity.is_none_or(Toxicity::is_everyone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_partition_a_timeout_and_a_line_of_no_width_carry_nothing() {
        let line = |bytes_per_second| Behaviour::Bandwidth { bytes_per_second };
        let timeout = Behaviour::Timeout { after: Duration::MAX };
        assert_eq!([Behaviour::Partition, timeout, line(0)].map(|behaviour| behaviour.flows()), [false; 3]);
        assert_eq!([Behaviour::Pass, line(1), Behaviour::LimitData { bytes: 0 }].map(|behaviour| behaviour.flows()), [true; 3]);
    }
}
