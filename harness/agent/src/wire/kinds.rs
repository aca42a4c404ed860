//! The kinds of faults, in the words of the wire.

use serde::{Deserialize, Serialize};

/// What happens to the packets, or to the processes, of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// Each packet is held for a while, then goes on.
    Latency(Latency),
    /// Each packet vanishes; nobody is told.
    Partition {},
    /// Each TCP packet is answered with a reset.
    Reset {},
    /// A share of the packets vanishes; nobody is told.
    Loss(Loss),
    /// A share of the packets is held while those behind them go on.
    Reorder(Reorder),
    /// All packets share a line of so many bytes a second.
    Bandwidth(Bandwidth),
    /// In a share of the packets one bit is turned over.
    Corrupt(Corrupt),
    /// A share of the packets arrives twice.
    Duplicate(Duplicate),
    /// Attempts to open a TCP connection are hurt; open connections are left alone.
    Connect(Connect),
    /// Packets that are too large vanish; nobody is told.
    Mtu(Mtu),
    /// New connections are led to a port of this namespace, where a relay listens.
    Redirect(Redirect),
    /// The processes' wall clocks go wrong.
    Clock(Clock),
    /// The processes run out of file descriptors.
    Files(Files),
}

impl Kind {
    /// Whether it is done to processes, and not to packets.
    pub fn on_processes(&self) -> bool {
        matches!(self, Self::Clock(_) | Self::Files(_))
    }
}

/// How long a packet is held: `delay_us` give or take `jitter_us`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Mean, at most 60 s.
    pub delay_us: u64,
    /// Half width (uniform) or standard deviation (the others); not above `delay_us`, since that would move the mean. What
    /// would leave before it came leaves at once: of a normal delay with a jitter as large as itself the mean is 8 % too
    /// large, with one of half its size 0.4 %; the other distributions keep it to within 1 %.
    #[serde(default)]
    pub jitter_us: u64,
    #[serde(default)]
    pub distribution: Distribution,
    /// How far a delay follows the one drawn before it in its direction, in millionths: 0 not at all, at most 999999. Mean,
    /// spread and distribution stay what they are.
    #[serde(default)]
    pub correlation_ppm: u32,
    /// Starts the pseudo random numbers. The same seed and the same packets give the same delays.
    #[serde(default)]
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Each delay between `delay_us - jitter_us` and `delay_us + jitter_us` is as likely as any other.
    #[default]
    Uniform,
    /// The bell curve. 1 in 44 delays is more than `delay_us + 2 jitter_us`.
    Normal,
    /// A long tail: from 0.77 jitters below the mean, where most are, to 4.91 above it, which 1 in 91 delays has.
    Pareto,
    /// A quarter of the normal distribution and three quarters of Pareto's: from 1.63 jitters below the mean to 4.84 above.
    Paretonormal,
}

/// Which packets vanish: each by itself, or in bursts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Of a million packets, how many vanish in the long run: 1 to 1000000. Bursts leave room for less.
    pub share_ppm: u32,
    /// Mean number of packets that vanish in a row. 0 or 1: each packet is lost or not, whatever befell the one before.
    #[serde(default)]
    pub burst_packets: u32,
    /// Starts the pseudo random numbers. The same seed and the same packets give the same losses.
    #[serde(default)]
    pub seed: u64,
}

/// Which packets are held, and for how long, while the others overtake them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// Of a million packets, how many are held: 1 to 999999, since where all are held none overtakes another.
    pub share_ppm: u32,
    /// For how long: 1 us to 60 s.
    pub delay_us: u64,
    /// Starts the pseudo random numbers. The same seed and the same packets give the same choice.
    #[serde(default)]
    pub seed: u64,
}

/// How fast packets may go, and how long one may wait for its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Counted from the IP header on. Each direction has a line of its own.
    pub bytes_per_second: u64,
    /// A packet that would wait longer for its turn is lost. At most 60 s; 0 or absent means 1 s.
    #[serde(default)]
    pub queue_us: u64,
}

/// Which packets have a bit turned over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corrupt {
    /// Of a million packets, how many are hurt: 1 to 1000000.
    pub share_ppm: u32,
    /// Starts the pseudo random numbers. The same seed and the same packets give the same bits.
    #[serde(default)]
    pub seed: u64,
}

/// Which packets arrive twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duplicate {
    /// Of a million packets, how many are copied, once each: 1 to 1000000.
    pub share_ppm: u32,
    /// Starts the pseudo random numbers. The same seed and the same packets give the same copies.
    #[serde(default)]
    pub seed: u64,
}

/// What becomes of an attempt to open a TCP connection: of each SYN without ACK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Connect {
    /// It vanishes; nobody is told. Counted in `lost`.
    Drop {},
    /// It is held so many microseconds: 1 us to 60 s. Counted in `delayed`.
    DelayUs(u64),
}

/// How large a packet may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mtu {
    /// The largest packet that passes, counted from the IP header on: 68 to 65535, and at least 1280 if the target has an
    /// IPv6 address. A segment of a larger send counts by itself.
    pub bytes: u32,
}

/// Where new connections to the target are led, and whose are not. Direction `out` only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Of 127.0.0.1 for the target's IPv4 addresses, of ::1 for its IPv6 addresses.
    pub port: u16,
    /// Sockets of this user are let through: the relay's own. Any but root, and as this network namespace numbers users.
    pub except_uid: u32,
    /// Lead UDP there too, flows from before among it. Only with ports.
    #[serde(default)]
    pub udp: bool,
    /// Answer the packets of TCP connections that were open before with a reset, so that they are made again.
    #[serde(default)]
    pub reset_established: bool,
}

/// How far off the wall clock is. Monotonic clocks stay right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Added to what the processes read: not 0, at most 100 years either way.
    pub offset_us: i64,
}

/// How many more descriptors a process may open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Beyond those that it has open when the fault meets it: at most 1000000; 0 for none at all.
    pub leave: u32,
}
