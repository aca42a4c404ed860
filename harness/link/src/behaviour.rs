//! What a link does to the traffic of its edge.

use crate::{
    http::{HttpAction, HttpRule, HttpRuleError, Matching},
    postgres::{PostgresAction, PostgresRule, PostgresRuleError, QueryMatching},
    redis::{CommandMatching, RedisAction, RedisRule, RedisRuleError},
    toxicity::Toxicity,
    wire::micros,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// What a link does to the traffic of its edge. On the wire each field has its unit in its name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Behaviour {
    /// Nothing.
    #[default]
    Pass,
    /// Bytes from caller to callee arrive later, in order, at full throughput: as netem does it on the caller's way out. The way back is untouched.
    /// The timer behind it has steps of a millisecond and never fires early; the dose says what was really added.
    Latency {
        /// Mean.
        #[serde(rename = "delay_us", with = "micros")]
        delay: Duration,
        /// Half width (uniform) or standard deviation (normal).
        #[serde(rename = "jitter_us", with = "micros", default)]
        jitter: Duration,
        /// Shape of the jitter.
        #[serde(default)]
        distribution: Distribution,
        /// Of the jitter; with it the delays of a connection are the same again.
        #[serde(default)]
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
        #[serde(rename = "delay_us", with = "micros")]
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
        #[serde(rename = "size_bytes")]
        size: usize,
        /// Between two slices.
        #[serde(rename = "delay_us", with = "micros")]
        delay: Duration,
    },
    /// Nothing arrives, either way, and after this time the connection is closed (FIN to both sides) and what was held is thrown away. The time counts
    /// from the setting on, for a new connection from its making. Zero closes at once; where the setting ends before, what was held arrives.
    Timeout {
        /// Until the close.
        #[serde(rename = "after_us", with = "micros")]
        after: Duration,
    },
    /// As if the callee's process were gone. Open connections are closed (FIN to both sides), and new ones are refused by the kernel, as nobody
    /// listens; the port stays ours. The kernel tells nobody whom it refused: the dose has only the time and the connections that were met. On a share of
    /// the connections someone must listen, and a new one that is drawn is reset as soon as it is made.
    Down,
    /// Some HTTP requests are aborted, delayed, or have their answers patched; on connections that were open before, too, from the next request on
    /// whose first byte comes under the setting. The head of a request, and of an answer that is to be patched, goes on when it is complete. Of HTTP/2
    /// each stream is met for itself, and gRPC is known by its content type.
    ///
    /// What is not HTTP (TLS), or no longer (after an upgrade or `CONNECT` of HTTP/1.x), or ambiguous (two lengths, a head above 64 KiB), or of HTTP/2
    /// beyond what is followed (a header block above 128 KiB, a table above 64 KiB) passes untouched and is counted: a fault that met nothing else did
    /// nothing. A callee does not hear of an aborted request, and may close the connection that it finds idle. A patch or delay whose setting ended
    /// before the answer came is not made. If a connection that has an aborted request outstanding turns out not to be HTTP, it is reset; so is one of
    /// HTTP/2 on which something was aborted or changed ever.
    Http(Arc<HttpRule>),
    /// Some queries of PostgreSQL fail, are late, or are never answered, or new connections are refused; on connections that were open before, too, and
    /// with statements that were prepared before. A query goes on when it is complete.
    ///
    /// A connection that is encrypted, or carries a replication, passes untouched and is counted. A query longer than 1 MiB is never met.
    Postgres(Arc<PostgresRule>),
    /// Some commands of Redis fail, miss, are late, or are never answered; on connections that were open before, too. A command goes on when it is
    /// complete, or 64 KiB of it are there.
    ///
    /// A connection that is encrypted passes untouched and is counted, and so does what comes behind a subscription, `MONITOR` and what else has not one
    /// reply for each command.
    Redis(Arc<RedisRule>),
}

/// Shape of a jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// `delay ± jitter`, flat.
    #[default]
    Uniform,
    /// Gaussian, cut at zero.
    Normal,
    /// A long tail: most delays are a little below the mean, few far above it.
    Pareto,
    /// A quarter normal, three quarters Pareto.
    ParetoNormal,
}

impl Behaviour {
    /// [`Behaviour::Http`] of a rule that is valid.
    pub fn http(matching: Matching, action: HttpAction) -> Result<Behaviour, HttpRuleError> {
        Ok(Behaviour::Http(Arc::new(HttpRule::try_new(matching, action)?)))
    }

    /// [`Behaviour::Postgres`] of a rule that is valid.
    pub fn postgres(matching: QueryMatching, action: PostgresAction) -> Result<Behaviour, PostgresRuleError> {
        Ok(Behaviour::Postgres(Arc::new(PostgresRule::try_new(matching, action)?)))
    }

    /// [`Behaviour::Redis`] of a rule that is valid.
    pub fn redis(matching: CommandMatching, action: RedisAction) -> Result<Behaviour, RedisRuleError> {
        Ok(Behaviour::Redis(Arc::new(RedisRule::try_new(matching, action)?)))
    }

    /// Whether it is a rule for the messages of some protocol.
    pub(crate) fn is_rule(&self) -> bool {
        matches!(self, Behaviour::Http(_) | Behaviour::Postgres(_) | Behaviour::Redis(_))
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
