//! The seam between deciding and doing: what a fault may do to a kernel ([`Act`]), what takes it back ([`Undo`]), and
//! who does it ([`Kernel`]). The real kernel is `linux`; the tests have one that can stop at every step.
//!
//! The rules of the house: names are chosen before anything is made; an undo removes what is ours by name and never
//! writes back a remembered value; an undo whose object is already gone succeeds. One exception, [`Undo::Unlimit`]: what
//! a process was allowed is written nowhere but in the limit that the fault lowers. It is remembered, and given back only
//! where the process still has the limit that we set.

use std::net::IpAddr;

use crate::wire::{Bandwidth, Clock, Corrupt, Dose, Duplicate, Facts, Files, Latency, Loss, Mtu, Processes, QueuePower, Reorder, Survey};

/// Does what a plan says, to the network namespace that the agent stands in and to the processes that it sees.
pub trait Kernel {
    /// What works here. Tried out, not guessed.
    fn facts(&mut self) -> Facts;
    /// A beginning for table names that no other agent in this namespace uses.
    fn name_stem(&self) -> String;
    /// Makes one change. On an error it may or may not have happened: the caller undoes it either way.
    fn act(&mut self, act: &Act) -> Result<(), KernelError>;
    /// Takes one change back. Already gone is `Ok`.
    fn undo(&mut self, undo: &Undo) -> Result<(), KernelError>;
    /// What was counted there. A queue may be closed and a grip loosened already.
    fn dose(&mut self, meters: &Meters) -> Result<Dose, KernelError>;
    /// What stands there, whoever made it: looked at anew, with nothing that was remembered of a fault.
    fn survey(&mut self) -> Survey;
    /// Does to processes that have begun since what the grips in force do to the others; returns whether there are any
    /// grips: then call it again soon.
    fn tend(&mut self) -> bool;
    /// Finishes undos that had to wait; returns whether some still have to: then call it again soon.
    fn tidy(&mut self) -> bool;
}

/// Why the world did not change.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Somebody else in this network namespace listens to this queue: choose another number.
    #[error("queue {0} is taken")]
    QueueTaken(u16),
    /// The kernel's queueing disciplines cannot do this here: a queue may.
    #[error("{0}")]
    NoDiscipline(String),
    /// Processes could not be reached, or not be let go of.
    #[error("{0}")]
    Processes(String),
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
    /// A queueing discipline on the interface that leads to the target, with a class that no packet is led to yet.
    Shape(Shape),
    /// Rules, all at once: from here on packets are affected. Then what was decided about these flows is forgotten, so that their next packets meet
    /// rules which are for first ones; and TCP sockets that are connected to a target are disconnected, where the kernel can.
    Arm { table: TableId, rules: Vec<Rule>, forget: Option<Flows>, disconnect: Option<Disconnect> },
    /// The wall clock of processes goes wrong.
    Skew { grip: String, processes: Processes, clock: Clock },
    /// Processes may open only so many more files.
    Limit { grip: String, processes: Processes, files: Files },
}

/// Where to read what a fault did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meters {
    pub tables: Vec<TableId>,
    pub queue: Option<u16>,
    pub shape: Option<Shape>,
    /// The name of a hold on processes.
    pub grip: Option<String>,
}

impl Act {
    /// What takes this act back.
    pub fn undo(&self) -> Undo {
        match self {
            Self::CreateTable(table) => Undo::DeleteTable(table.id.clone()),
            Self::OpenQueue { number, .. } => Undo::CloseQueue(*number),
            Self::Shape(shape) => Undo::Unshape(shape.handle),
            Self::Arm { table, rules, forget, .. } => Undo::Disarm {
                table: table.clone(),
                stays: rules.iter().filter(|rule| rule.sentence.serves_the_queued()).cloned().collect(),
                forget: forget.clone(),
            },
            Self::Skew { grip, .. } => Undo::Unskew(grip.clone()),
            Self::Limit { grip, .. } => Undo::Unlimit(grip.clone()),
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
    /// Remove the discipline of this handle, wherever it is, once what it holds has gone on.
    Unshape(u16),
    /// Remove a table's rules: from here on no packet that arrives is affected. Its counters stay readable, and so do, until the table goes, the rules that
    /// serve the packets which wait for their verdict already. Then what the rules decided about these flows is forgotten.
    Disarm { table: TableId, stays: Vec<Rule>, forget: Option<Flows> },
    /// Put the kernel's own clock code back into every process that has ours, unless another fault wants it there.
    Unskew(String),
    /// Give every process back what it was allowed, unless it has chosen a limit of its own since.
    Unlimit(String),
}

/// Whom sockets are connected to that shall be no more, and whose are left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    pub flows: Flows,
    pub except_user: u32,
}

/// Flows from this namespace to a target, by the addresses that their senders use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flows {
    pub family: Family,
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<u16>,
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
    /// Of its base chains but [`Hook::Opening`], whose place is fixed. Higher is later.
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
    /// The same where addresses are translated, before anybody else does: it sees the first packet of each connection.
    Opening,
    /// `NF_INET_LOCAL_IN`: received by this namespace. The far end is the source.
    Input,
}

impl Hook {
    /// The name of its chain in our tables.
    pub fn chain(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Opening => "opening",
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
    /// Not what this user's sockets send, nor what no socket sends (any more).
    pub spares: Option<u32>,
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
    /// Counted, and its connection led to this port of the loopback from its first packet on. Only at [`Hook::Opening`].
    Redirect { port: u16 },
    /// Counted, and given the priority by which a discipline of ours knows its class; passes where there is none.
    Shape { class: u32 },
    /// Counted and led to a queue; passes if nobody listens there.
    Queue { number: u16, power: QueuePower },
}

impl Sentence {
    /// Whether its rule touches only what a listener has chosen from its queue, and what came of that. Such a rule must outlive the one that leads to the
    /// queue: without it a packet that waits there when its fault ends would be chosen, and then not copied.
    fn serves_the_queued(self) -> bool {
        matches!(self, Self::PassCopies | Self::Duplicate)
    }
}

/// A queueing discipline for one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The upper half of its number; the kernel gives itself those from 0x8000 on.
    pub handle: u16,
    /// The far ends. All have to be reached by one interface.
    pub addresses: Vec<IpAddr>,
    pub discipline: Discipline,
}

impl Shape {
    /// The class of ours: the fourth, behind the three that the kernel's default has too.
    pub fn class(handle: u16) -> u32 {
        (u32::from(handle) << 16) | 4
    }
}

/// What the kernel itself does with the packets of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discipline {
    /// `netem delay`. Without correlation, and with at most [`Discipline::JITTER_MAX_US`].
    Hold(Latency),
    /// `netem loss`
    Lose(Loss),
    /// `tbf`
    Pace(Bandwidth),
}

impl Discipline {
    /// netem takes the jitter, which we double, for 32 bits of nanoseconds.
    pub const JITTER_MAX_US: u64 = 1_000_000;

    /// What the kernel calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hold(_) | Self::Lose(_) => "netem",
            Self::Pace(_) => "tbf",
        }
    }
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
