//! The seam between deciding and doing: what a fault may do to a kernel ([`Act`]), what takes it back ([`Undo`]), and
//! who does it ([`Kernel`]). The real kernel is `netlink::linux`; the tests have one that can stop at every step.
//!
//! The rules of the house: names are chosen before anything is made; an undo removes what is ours by name and never
//! writes back a remembered value; an undo whose object is already gone succeeds.

use std::net::IpAddr;

use crate::wire::{Bandwidth, Corrupt, Dose, Duplicate, Facts, Latency, Loss, Mtu, QueuePower, Reorder};

/// Does what a plan says, to the network namespace that the agent stands in.
pub trait Kernel {
    /// What works here. Tried out, not guessed.
    fn facts(&mut self) -> Facts;
    /// A beginning for table names that no other agent in this namespace uses.
    fn name_stem(&self) -> String;
    /// Makes one change. On an error it may or may not have happened: the caller undoes it either way.
    fn act(&mut self, act: &Act) -> Result<(), KernelError>;
    /// Takes one change back. Already gone is `Ok`.
    fn undo(&mut self, undo: &Undo) -> Result<(), KernelError>;
    /// What was counted in these tables and by this queue, which may be closed already.
    fn dose(&mut self, tables: &[TableId], queue: Option<u16>) -> Result<Dose, KernelError>;
    /// Finishes undos that had to wait; returns whether some still have to: then call it again soon.
    fn tidy(&mut self) -> bool;
}

/// Why the world did not change.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Somebody else in this network namespace listens to this queue: choose another number.
    #[error("queue {0} is taken")]
    QueueTaken(u16),
    /// A system call or a netlink message was refused.
    #[error("{doing}: {source}")]
    Refused {
        doing: String,
        #[source]
        source: std::io::Error,
    },
}

/// One change to the world, as small as it can be made atomically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A table with its sets, counters and base chains, in which nothing happens to any packet yet.
    CreateTable(Table),
    /// A queue with somebody who listens.
    OpenQueue { number: u16, treatment: Treatment },
    /// Rules, all at once: from here on packets are affected.
    Arm { table: TableId, rules: Vec<Rule> },
}

impl Act {
    /// What takes this act back.
    pub fn undo(&self) -> Undo {
        match self {
            Self::CreateTable(table) => Undo::DeleteTable(table.id.clone()),
            Self::OpenQueue { number, .. } => Undo::CloseQueue(*number),
            Self::Arm { table, .. } => Undo::Disarm(table.clone()),
        }
    }
}

/// The way back from an [`Act`], by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Forget a table, counters included.
    DeleteTable(TableId),
    /// Let the held packets go on, at once and in order, then stop listening.
    CloseQueue(u16),
    /// Remove a table's rules: from here on no packet is affected. Its counters stay readable.
    Disarm(TableId),
}

/// `NFPROTO_IPV4` or `NFPROTO_IPV6`. Not `inet`: an xtables target has to be at home in both families or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Ip4,
    Ip6,
}

/// What nf_tables knows a table by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId {
    pub family: Family,
    pub name: String,
}

/// A table for one fault and one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub id: TableId,
    /// The kernel removes it when our netlink socket closes, however that happens.
    pub owned: bool,
    /// Of its base chains. Higher is later.
    pub priority: i32,
    /// Where its base chains hang.
    pub hooks: Vec<Hook>,
    /// The far ends, all of the table's family.
    pub addresses: Vec<IpAddr>,
    /// The far ends' ports; empty for all.
    pub ports: Vec<u16>,
}

/// Where a base chain meets packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `NF_INET_LOCAL_OUT`: sent by this namespace. The far end is the destination.
    Output,
    /// `NF_INET_LOCAL_IN`: received by this namespace. The far end is the source.
    Input,
}

impl Hook {
    /// The name of its chain in our tables.
    pub fn chain(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Input => "input",
        }
    }
}

/// `IPPROTO_*` of the protocols that have ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    /// TCP, and of it only what opens a connection: SYN without ACK.
    TcpSyn,
    Udp,
}

/// One rule: packets between us and the table's addresses that pass `hook` get the `sentence`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub hook: Hook,
    /// Only this protocol; `None` for all of IP.
    pub protocol: Option<Protocol>,
    /// Only the table's ports. Needs a protocol.
    pub ports: PortMatch,
    pub sentence: Sentence,
}

/// Whether a rule looks at ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortMatch {
    Any,
    OfTable,
}

/// What happens to a packet that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sentence {
    /// Nothing, and no later rule of this table looks at it: IPv6 neighbour discovery, which has no part in a fault
    /// between services (over IPv4 its job is ARP's, which no rule of ours sees). The rule's own match is not used.
    SpareNeighbourDiscovery,
    /// Nothing, but its connection is remembered and counted.
    Remember,
    /// Counted and dropped by the kernel. The sender's system call fails with EPERM if the sender is local.
    Drop,
    /// Counted and answered with a TCP reset, unless it is a reset itself.
    Reset,
    /// Copied, once: the copy starts its way again and meets the later rules; the packet itself is led to a queue that
    /// swallows it. Not counted. Why: see `faults::latency`.
    Relay { number: u16, power: QueuePower },
    /// Passes, counted by itself, and no later rule of this table looks at it: a copy that [`Sentence::Duplicate`] made.
    PassCopies,
    /// Passes, uncounted, and no later rule looks at it: what is not for one host alone, as its copy would be for all.
    PassBroadcasts,
    /// Copied, if the listener has chosen it; then it passes, and no later rule looks at it. Not counted.
    Duplicate,
    /// Counted and led to a queue; passes if nobody listens there.
    Queue { number: u16, power: QueuePower },
}

/// What the listener does with the packets of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// Holds each for a while, then lets it go on.
    Hold(Latency),
    /// Drops each. The sender's system call has succeeded long since, as if the packet were lost on the wire.
    Swallow,
    /// Drops some, in the same way.
    Lose(Loss),
    /// Holds some, while the others go on.
    Reorder(Reorder),
    /// Lets them go on one after the other, and drops those for which it has no room.
    Pace(Bandwidth),
    /// Turns over a bit of some. Sees every segment whole, with its checksum in place.
    Corrupt(Corrupt),
    /// Sends some through the rules again, which copy them: [`Sentence::Duplicate`].
    Duplicate(Duplicate),
    /// Drops those that are too large. Sees every segment by itself.
    Limit(Mtu),
}
