//! The kinds of faults: one kind, one file. Pure: a fault decides what has to be done, and does nothing.
//!
//! All kinds on packets take the same road: a table for each address family, then a queue if one is needed, then the
//! rules. Backwards that is: no packet is affected any more, what is held goes on, nothing of us is left. No fault writes
//! back a remembered value, so that any number of them may overlap; delays add up. The kinds on processes are one step: a
//! grip on them, which the kernel keeps up while processes come and go.

mod bandwidth;
mod clock;
mod connect;
mod corrupt;
mod duplicate;
mod files;
mod latency;
mod loss;
mod mtu;
mod partition;
mod redirect;
mod reorder;
mod reset;
pub mod shape;

use std::net::IpAddr;

use crate::kernel::{Act, Family, Hook, Meters, PortMatch, Protocol, Rule, Sentence, Table, TableId, Treatment, Undo};
use crate::wire::{Direction, FaultSpec, Kind, Powers, Processes, QueuePower, Target};

/// A kind of fault.
pub trait Fault {
    /// What it cannot do without, in [`Powers`]' words; `None` if it can be done here.
    fn lacks(&self, powers: &Powers) -> Option<&'static str>;
    /// How it will be done here, for the report.
    fn mechanism(&self, powers: &Powers) -> String;
    /// What to do, in order. Call it only where nothing is lacking.
    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan;
}

impl Kind {
    /// The fault of this kind.
    pub fn fault(&self) -> &dyn Fault {
        match self {
            Self::Latency(latency) => latency,
            Self::Partition {} => &partition::Partition,
            Self::Reset {} => &reset::Reset,
            Self::Loss(loss) => loss,
            Self::Reorder(reorder) => reorder,
            Self::Bandwidth(bandwidth) => bandwidth,
            Self::Corrupt(corrupt) => corrupt,
            Self::Connect(connect) => connect,
            Self::Mtu(mtu) => mtu,
            Self::Duplicate(duplicate) => duplicate,
            Self::Redirect(redirect) => redirect,
            Self::Clock(clock) => clock,
            Self::Files(files) => files,
        }
    }
}

/// Where a fault is planned: names and numbers that are free, and what the kernel can do.
#[derive(Debug, Clone)]
pub struct Site {
    pub powers: Powers,
    /// For its tables, or its grip.
    pub name: String,
    /// For its queue, if it needs one; the number after it is free too.
    pub queue: u16,
    /// For its queueing discipline, if it is done by one.
    pub handle: u16,
    /// Of its base chains. Each fault's is higher than the last one's: the kernel remembers a queued packet's place
    /// among the chains by counting, so that a chain that squeezed in before it would see the packet twice.
    pub priority: i32,
}

/// One change with its way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub act: Act,
    pub undo: Undo,
}

impl From<Act> for Step {
    fn from(act: Act) -> Self {
        let undo = act.undo();
        Self { act, undo }
    }
}

/// The steps of a fault, in order, and where to read what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub meters: Meters,
}

/// What a kind adds to the road that all take.
struct Recipe<'a> {
    treatment: Option<Treatment>,
    /// Whether outgoing TCP goes on as a copy without an owner, and how the original is led away.
    relay: Option<QueuePower>,
    /// The protocols that it touches when no port is named; empty for all of IP.
    protocols: &'a [Protocol],
    /// What is said before all else, whatever the protocol and the port.
    first: &'a [Sentence],
    sentence: &'a dyn Fn(Hook) -> Sentence,
}

impl Recipe<'_> {
    /// Everything that meets the fault goes to one queue. `relay`: the packets may stay there for a while, so that
    /// outgoing TCP is relayed where that is possible.
    fn queue(treatment: Treatment, relay: Relay, spec: &FaultSpec, site: &Site) -> Plan {
        let sentence = queue_sentence(site);
        let relay = site.powers.queue.filter(|_| relay == Relay::IfPossible && site.powers.copy);
        Recipe { treatment: Some(treatment), relay, protocols: &[], first: &[], sentence: &|_| sentence }.plan(spec, site)
    }

    fn plan(self, spec: &FaultSpec, site: &Site) -> Plan {
        let tables = tables(spec, site);
        let creates = tables.iter().cloned().map(Act::CreateTable);
        let opens = self.treatment.clone().map(|treatment| Act::OpenQueue { number: site.queue, treatment });
        let relay = self
            .relay
            .filter(|_| spec.direction != Some(Direction::In))
            .map(|_| Act::OpenQueue { number: site.queue + 1, treatment: Treatment::Swallow });
        let arms =
            tables.iter().map(|table| Act::Arm { table: table.id.clone(), rules: self.rules(table, site), forget: None, disconnect: None });
        Plan {
            // Undone last first: a socket's closing waits until the kernel has done with the rules that were removed (`nft_rcv_nl_event`), for 6 ms or
            // more, and what is held must not wait for that.
            steps: creates.chain(relay).chain(opens).chain(arms).map(Step::from).collect(),
            meters: Meters {
                tables: tables.into_iter().map(|table| table.id).collect(),
                queue: self.treatment.is_some().then_some(site.queue),
                grip: None,
                shape: None,
            },
        }
    }

    fn rules(&self, table: &Table, site: &Site) -> Vec<Rule> {
        table.hooks.iter().flat_map(|hook| self.rules_at(table, *hook, site)).collect()
    }

    fn rules_at(&self, table: &Table, hook: Hook, site: &Site) -> Vec<Rule> {
        const WITH_PORTS: &[Protocol] = &[Protocol::Tcp, Protocol::Udp];
        let ports = if table.ports.is_empty() { PortMatch::Any } else { PortMatch::OfTable };
        let rule = |protocol, ports, sentence| Rule { hook, protocol, ports, spares: None, sentence };
        let narrow = if self.protocols.is_empty() { WITH_PORTS } else { self.protocols };
        let mut rules = Vec::new();
        if table.id.family == Family::Ip6 && table.ports.is_empty() && self.protocols.is_empty() {
            rules.push(rule(None, PortMatch::Any, Sentence::SpareNeighbourDiscovery));
        }
        rules.extend(self.first.iter().map(|sentence| rule(None, PortMatch::Any, *sentence)));
        rules.extend(narrow.iter().map(|protocol| rule(Some(*protocol), ports, Sentence::Remember)));
        if let Some(power) = self.relay.filter(|_| hook == Hook::Output) {
            let number = site.queue + 1;
            rules.push(rule(Some(Protocol::Tcp), ports, Sentence::Relay { number, power }));
        }
        let sentence = (self.sentence)(hook);
        if table.ports.is_empty() && self.protocols.is_empty() {
            rules.push(rule(None, PortMatch::Any, sentence));
        } else {
            rules.extend(narrow.iter().map(|protocol| rule(Some(*protocol), ports, sentence)));
        }
        rules
    }
}

/// A table for each family that the target has addresses of.
fn tables(spec: &FaultSpec, site: &Site) -> Vec<Table> {
    let Target::Packets { addresses, ports } = &spec.to else { return Vec::new() };
    let hooks = match spec.direction {
        Some(Direction::Out) => vec![Hook::Output],
        Some(Direction::In) => vec![Hook::Input],
        Some(Direction::Both) => vec![Hook::Output, Hook::Input],
        None => Vec::new(),
    };
    let mut ports = ports.clone();
    ports.sort_unstable();
    ports.dedup();
    [Family::Ip4, Family::Ip6]
        .into_iter()
        .map(|family| Table {
            id: TableId { family, name: site.name.clone() },
            owned: site.powers.nft_owner,
            priority: site.priority,
            hooks: hooks.clone(),
            addresses: of_family(addresses, family),
            ports: ports.clone(),
        })
        .filter(|table| !table.addresses.is_empty())
        .collect()
}

/// The target's addresses of one family. `::ffff:10.0.0.1` is an IPv4 address to the packets.
fn of_family(addresses: &[IpAddr], family: Family) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> =
        addresses.iter().map(IpAddr::to_canonical).filter(|address| address.is_ipv4() == (family == Family::Ip4)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// One grip on processes, if the target is any.
fn grip(spec: &FaultSpec, site: &Site, act: impl FnOnce(String, Processes) -> Act) -> Plan {
    let Target::Processes(processes) = spec.to else { return Plan { steps: Vec::new(), meters: Meters::default() } };
    let meters = Meters { grip: Some(site.name.clone()), ..Meters::default() };
    Plan { steps: vec![act(site.name.clone(), processes).into()], meters }
}

/// Whether a queue's packets are taken from their senders: see `latency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relay {
    Never,
    IfPossible,
}

/// The way to the fault's queue.
fn queue_sentence(site: &Site) -> Sentence {
    Sentence::Queue { number: site.queue, power: site.powers.queue.unwrap_or(QueuePower::NftQueue) }
}

/// What faults by a queue cannot do without.
fn queue_lacks(powers: &Powers) -> Option<&'static str> {
    match powers {
        Powers { nft: false, .. } => Some("nft"),
        Powers { queue: None, .. } => Some("queue"),
        _ => None,
    }
}

/// How faults by a queue are done.
fn queue_mechanism(powers: &Powers, relay: Relay) -> String {
    let way = queue_words(powers.queue.unwrap_or(QueuePower::NftQueue));
    let owner = owner_words(powers);
    if relay == Relay::Never || powers.copy {
        format!("nfqueue ({way} in {owner})")
    } else {
        format!("nfqueue ({way} in {owner}); outgoing bulk is slowed, for want of copies")
    }
}

fn owner_words(powers: &Powers) -> &'static str {
    if powers.nft_owner { "an owned nft table" } else { "an nft table that a SIGKILL would leave behind" }
}

fn queue_words(power: QueuePower) -> &'static str {
    match power {
        QueuePower::NftQueue => "native queue expression",
        QueuePower::XtNfqueue => "xt target",
    }
}
