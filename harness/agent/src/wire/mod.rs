//! What is said on the agent's stdin and stdout, in the manner of [`shakedown_line`], at most [`MAX_LINE_BYTES`] a line.
//!
//! The codes of a [`Failure`] are `malformed`, `invalid`, `name_taken`, `unknown_fault`, `unsupported` and `kernel`. Nothing in this file
//! does any I/O.

mod kinds;
mod survey;
mod target;

use serde::{Deserialize, Serialize};

pub use kinds::{Bandwidth, Clock, Connect, Corrupt, Distribution, Duplicate, Files, Kind, Latency, Loss, Mtu, Redirect, Reorder};
pub use shakedown_line::{Applied, Beat, Failure};
pub use survey::{MAX_ROW_BYTES, MAX_ROWS, ProcessSurvey, Survey};
pub use target::{Direction, Processes, Target};

/// Longest line in either direction, in bytes, without its newline.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// A line to the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What can this kernel do? Answered with [`Answer::Facts`].
    Facts { id: u64 },
    /// Begin a fault. Answered with [`Answer::Applied`] once packets or processes are affected.
    Apply { id: u64, fault: FaultSpec },
    /// What has a fault done so far? Answered with [`Answer::Dose`].
    Dose { id: u64, name: String },
    /// Take a fault back. Idempotent. Answered with [`Answer::Reverted`].
    Revert { id: u64, name: String },
    /// Are you there? Answered with [`Answer::Beat`].
    Beat { id: u64 },
    /// What stands in your namespaces, whoever put it there? Answered with [`Answer::Survey`].
    Survey { id: u64 },
}

/// One fault: what to do to which packets or processes, and for how long at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Names the fault in later requests: 1 to 64 of `A-Z a-z 0-9 _ - .`, unique among the faults in force.
    pub name: String,
    /// The agent reverts the fault by itself after this long. 1 ms to 24 h.
    pub ttl_ms: u64,
    /// What happens to them.
    pub kind: Kind,
    /// Whose packets, or which processes.
    pub to: Target,
    /// Which way the packets are going, as seen from this network namespace. Processes go nowhere: absent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
}

/// A line from the agent.
pub type Line = shakedown_line::Line<Answer, Event>;

/// A fault that ended by itself.
pub type Event = shakedown_line::Event<Reverted>;

/// A fault that is no longer in force.
pub type Reverted = shakedown_line::Reverted<Dose>;

/// A request that went well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Facts(Facts),
    Applied(Applied),
    Dose(Dose),
    Reverted(Reverted),
    Beat(Beat),
    Survey(Survey),
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

/// What was tried, in a scratch table that no packet visits and on a child of the agent, and what worked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Powers {
    /// nf_tables can be changed: kernel support and `CAP_NET_ADMIN`. Every fault on packets needs it.
    pub nft: bool,
    /// Tables that die with their owner (Linux 5.12). Without it a SIGKILL of the agent leaves its tables behind.
    pub nft_owner: bool,
    /// How packets can be led to user space. Only reset and partition do without it, and partition is
    /// silent towards the sender only with it.
    pub queue: Option<QueuePower>,
    /// nf_tables can copy packets. Duplicate needs it. Without it latency, reorder and bandwidth in direction `out` make
    /// bulk senders slower than they should.
    pub copy: bool,
    /// nf_tables can answer with a TCP reset. Reset needs it, and redirect with `reset_established`.
    pub reject: bool,
    /// nf_tables can lead connections elsewhere. Redirect needs it.
    #[serde(default)]
    pub redirect: bool,
    /// Conntrack can be made to forget flows. Without it redirect with `udp` misses those from before.
    #[serde(default)]
    pub forget: bool,
    /// The wall clock of a process can be set off: a child of the agent read the time that it was meant to read. Processes
    /// of another user, or that are no descendants of the agent, take `CAP_SYS_PTRACE` as well.
    #[serde(default)]
    pub clock: bool,
    /// A process can be kept from opening files: a child of the agent was. Processes of another user take `CAP_SYS_PTRACE`
    /// as well, and either `CAP_SETUID` and `CAP_SETGID` or `CAP_SYS_RESOURCE`.
    #[serde(default)]
    pub files: bool,
    /// The kernel has queueing disciplines for latency and loss. Looked for only where the agent is to prefer them.
    #[serde(default)]
    pub netem: bool,
    /// And one for bandwidth.
    #[serde(default)]
    pub tbf: bool,
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
    /// Packets of which a queue was asked what becomes of them (all kinds but partition, reset and redirect): what the shares are
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
    /// Connections and flows that redirect led to its port. `packets` counts one for each, and each packet that was reset.
    #[serde(default)]
    pub redirected: u64,
    /// Packets lost because the queue was full: not asked for, and a reason to distrust the measurement.
    pub dropped_by_queue: u64,
    /// Processes that the fault was done to, each once: with clock it was read back from their memory, with files from the
    /// kernel. Those that have ended are among them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub processes: u64,
    /// Processes that it was meant for and never reached; `trouble` says of one of them why.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u64,
    /// With clock: how far off the processes' wall clocks were when last read back, the sum of all such faults on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_us: Option<i64>,
    /// With files: processes that were seen, at one look in 50 ms, with no descriptor left.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exhausted: u64,
    /// The queue stopped early, since when packets pass untouched; or a process could not be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
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
        assert_eq!(dose.redirected, 0);
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
            (
                r#"{"redirect":{"port":15001,"except_uid":64317}}"#,
                Kind::Redirect(Redirect { port: 15_001, except_uid: 64_317, udp: false, reset_established: false }),
            ),
            (
                r#"{"redirect":{"port":15001,"except_uid":64317,"udp":true,"reset_established":true}}"#,
                Kind::Redirect(Redirect { port: 15_001, except_uid: 64_317, udp: true, reset_established: true }),
            ),
            (r#"{"clock":{"offset_us":-3600000000}}"#, Kind::Clock(Clock { offset_us: -3_600_000_000 })),
            (r#"{"files":{"leave":4}}"#, Kind::Files(Files { leave: 4 })),
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
