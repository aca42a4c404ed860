//! What is said on the agent's stdin and stdout: one JSON object a line, UTF-8, at most [`MAX_LINE_BYTES`].
//!
//! The harness writes [`Request`]s and reads [`Line`]s. A reply carries the `id` of its request; a line that could not
//! be understood is answered with `"id":null` (or its id, where one could be read). Lines with `event` answer nothing:
//! the agent says them by itself. Unknown fields in a request are errors, so that a typing mistake never becomes a
//! fault that does something else; unknown fields in a reply are ignored, so that an older harness can read it.
//!
//! Units are in the names: `_us` microseconds, `_ms` milliseconds, `_unix_ns` nanoseconds since 1970 by the wall clock.
//! Nothing in this file does any I/O.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Longest line in either direction, in bytes, without its newline.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// A line to the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What can this kernel do? Answered with [`Answer::Facts`].
    Facts { id: u64 },
    /// Begin a fault. Answered with [`Answer::Applied`] once packets are affected.
    Apply { id: u64, fault: FaultSpec },
    /// What has a fault done so far? Answered with [`Answer::Dose`].
    Dose { id: u64, name: String },
    /// Take a fault back. Idempotent. Answered with [`Answer::Reverted`].
    Revert { id: u64, name: String },
    /// Are you there? Answered with [`Answer::Beat`].
    Beat { id: u64 },
}

impl Request {
    /// The number that the reply will echo.
    pub fn id(&self) -> u64 {
        match self {
            Self::Facts { id } | Self::Apply { id, .. } | Self::Dose { id, .. } | Self::Revert { id, .. } | Self::Beat { id } => *id,
        }
    }
}

/// One fault: what to do to which packets, and for how long at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Names the fault in later requests: 1 to 64 of `A-Z a-z 0-9 _ - .`, unique among the faults in force.
    pub name: String,
    /// The agent reverts the fault by itself after this long. 1 ms to 24 h.
    pub ttl_ms: u64,
    /// What happens to the packets.
    pub kind: Kind,
    /// Whose packets.
    pub to: Target,
    /// Which way they are going, as seen from this network namespace.
    pub direction: Direction,
}

/// What happens to the packets of a fault.
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

/// The far end: packets to it (direction `out`) and from it (direction `in`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// 1 to 1024 addresses, IPv4 and IPv6 mixed as you like.
    pub addresses: Vec<IpAddr>,
    /// The far end's TCP and UDP ports; empty means all of them, and every other IP protocol too.
    #[serde(default)]
    pub ports: Vec<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Packets that this namespace sends to the target.
    Out,
    /// Packets that this namespace receives from the target.
    In,
    /// Both of the above: a round trip is delayed twice.
    Both,
}

/// A line from the agent: exactly one of `ok`, `error` and `event` is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The id of the request; `null` for events and for requests whose id could not be read.
    pub id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

impl Line {
    /// The reply to request `id`.
    pub fn reply(id: Option<u64>, outcome: Result<Answer, Failure>) -> Self {
        let (ok, error) = match outcome {
            Ok(answer) => (Some(answer), None),
            Err(failure) => (None, Some(failure)),
        };
        Self { id, ok, error, event: None }
    }

    /// Something that nobody asked for.
    pub fn event(event: Event) -> Self {
        Self { id: None, ok: None, error: None, event: Some(event) }
    }
}

/// A request that went well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Facts(Facts),
    Applied(Applied),
    Dose(Dose),
    Reverted(Reverted),
    Beat(Beat),
}

/// Something that happened by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A fault outlived its `ttl_ms` and was taken back.
    Expired(Reverted),
    /// Stdin ended, or a signal asked the agent to end, while a fault was in force.
    TakenBack(Reverted),
}

/// A request that did not go well. Nothing of it is left in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs: `malformed`, `invalid`, `name_taken`, `unknown_fault`, `unsupported` or `kernel`.
    pub code: String,
    /// For people: what went wrong.
    pub message: String,
    /// For people: the way out.
    pub hint: String,
}

/// Where the agent runs and what it can do there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `uname -r`
    pub kernel: String,
    /// `uname -m`
    pub arch: String,
    pub powers: Powers,
    /// The agent's own process id, in its own pid namespace.
    pub pid: u32,
    /// The interfaces of the network namespace.
    pub interfaces: Vec<String>,
}

/// What was tried, in a scratch table that no packet visits, and what worked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Powers {
    /// nf_tables can be changed: kernel support and `CAP_NET_ADMIN`. Every fault needs it.
    pub nft: bool,
    /// Tables that die with their owner (Linux 5.12). Without it a SIGKILL of the agent leaves its tables behind.
    pub nft_owner: bool,
    /// How packets can be led to user space. Only reset and partition do without it, and partition is
    /// silent towards the sender only with it.
    pub queue: Option<QueuePower>,
    /// nf_tables can copy packets. Duplicate needs it. Without it latency, reorder and bandwidth in direction `out` make
    /// bulk senders slower than they should.
    pub copy: bool,
    /// nf_tables can answer with a TCP reset. Reset needs it.
    pub reject: bool,
    /// One sentence for each power that is missing.
    pub why_not: Vec<String>,
}

/// Two ways from an nf_tables rule into a queue to user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuePower {
    /// The native `queue` expression (`CONFIG_NFT_QUEUE`).
    NftQueue,
    /// The xtables target `NFQUEUE` through `CONFIG_NFT_COMPAT`.
    XtNfqueue,
}

/// A fault is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub name: String,
    /// How it was done, for the report. Example: `nfqueue (xt target in an owned nft table)`.
    pub mechanism: String,
    pub applied_at_unix_ns: u64,
    /// When the agent will revert it unasked.
    pub expires_at_unix_ns: u64,
    /// What applying cost.
    pub took_us: u64,
}

/// What a fault really did, counted where it was done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dose {
    /// Packets that met the fault, counted by nf_tables. A segmentation-offloaded packet of 64 KiB counts once.
    pub packets: u64,
    /// Their bytes from the IP header on.
    pub bytes: u64,
    /// TCP connections and UDP flows among them, told apart by (far address, near port, far port); counts to 65535.
    pub connections: Option<u64>,
    /// Packets that were held for as long as they should be, and have gone on.
    pub delayed: u64,
    /// Packets that are held right now.
    pub held: u64,
    /// Packets that went on sooner, because the fault ended while they were held. Not in the figures below.
    pub released_early: u64,
    /// Mean of the time from taking a packet out of the queue to its verdict.
    pub mean_delay_us: Option<u64>,
    /// 99th percentile of the same, to within 1 %.
    pub p99_delay_us: Option<u64>,
    /// Packets of which a queue was asked what becomes of them (all kinds but partition and reset): what the shares are
    /// shares of. It differs from `packets` by `dropped_by_queue` and, with corrupt and mtu, by segmentation, which comes first.
    /// With connect these are the attempts, a SYN that is sent again among them; `connections` has each once.
    #[serde(default)]
    pub judged: u64,
    /// Packets that loss or connect threw away, that bandwidth had no room for, or that were too large for mtu.
    #[serde(default)]
    pub lost: u64,
    /// Packets that were held while a later one of their flow went by.
    #[serde(default)]
    pub reordered: u64,
    /// Packets that went on with a bit turned over.
    #[serde(default)]
    pub corrupted: u64,
    /// Packets of which a copy went on, so far as it met the fault's rules again: one that a firewall in the namespace
    /// dropped is not counted. The copies are in no other figure.
    #[serde(default)]
    pub duplicated: u64,
    /// Packets lost because the queue was full: not asked for, and a reason to distrust the measurement.
    pub dropped_by_queue: u64,
    /// The queue stopped early; since then packets pass untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A fault is no longer in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverted {
    pub name: String,
    /// It was not in force when asked: never applied, reverted before, or expired.
    pub already_gone: bool,
    /// All that it did; absent for a name that was never applied.
    pub dose: Option<Dose>,
    /// When it ended; absent for a name that was never applied.
    pub reverted_at_unix_ns: Option<u64>,
    /// What reverting cost, including the wait for the kernel.
    pub took_us: u64,
}

/// The agent lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    pub at_unix_ns: u64,
    /// The faults in force, by name.
    pub faults: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dose_that_an_older_agent_says_is_understood() {
        let line = r#"{"packets":3,"bytes":90,"connections":1,"delayed":3,"held":0,"released_early":0,"mean_delay_us":5,
                       "p99_delay_us":6,"dropped_by_queue":0}"#;
        let dose: Dose = serde_json::from_str(line).unwrap();
        assert_eq!((dose.packets, dose.judged, dose.lost, dose.reordered, dose.corrupted, dose.duplicated), (3, 0, 0, 0, 0, 0));
    }

    #[test]
    fn kinds_are_said_in_these_words() {
        let cases = [
            (r#"{"latency":{"delay_us":9}}"#, Kind::Latency(Latency { jitter_us: 0, ..latency(Distribution::Uniform, 0) })),
            (
                r#"{"latency":{"delay_us":9,"jitter_us":3,"distribution":"paretonormal","correlation_ppm":5}}"#,
                Kind::Latency(latency(Distribution::Paretonormal, 5)),
            ),
            (
                r#"{"latency":{"delay_us":9,"jitter_us":3,"distribution":"pareto","seed":0}}"#,
                Kind::Latency(latency(Distribution::Pareto, 0)),
            ),
            (r#"{"duplicate":{"share_ppm":7}}"#, Kind::Duplicate(Duplicate { share_ppm: 7, seed: 0 })),
            (r#"{"duplicate":{"share_ppm":7,"seed":8}}"#, Kind::Duplicate(Duplicate { share_ppm: 7, seed: 8 })),
            (r#"{"connect":{"drop":{}}}"#, Kind::Connect(Connect::Drop {})),
            (r#"{"connect":{"delay_us":250000}}"#, Kind::Connect(Connect::DelayUs(250_000))),
            (r#"{"mtu":{"bytes":1400}}"#, Kind::Mtu(Mtu { bytes: 1_400 })),
        ];
        for (words, kind) in cases {
            assert_eq!(serde_json::from_str::<Kind>(words).unwrap(), kind, "{words}");
            let said = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<Kind>(&said).unwrap(), kind, "{said}");
        }
    }

    fn latency(distribution: Distribution, correlation_ppm: u32) -> Latency {
        Latency { delay_us: 9, jitter_us: 3, distribution, correlation_ppm, seed: 0 }
    }
}
