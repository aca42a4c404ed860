//! The real [`Kernel`]: nf_tables for the rules, nfnetlink_queue for the packets, both in the network namespace of the
//! thread that made it.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use super::nfqueue::{Copying, Queue};
use super::nftables::Nftables;
use super::sys;
use crate::kernel::{Act, Family, Kernel, KernelError, Sentence, TableId, Treatment, Undo};
use crate::queue::{Listener, Measured};
use crate::wire::{Dose, Facts, Powers, QueuePower};

/// Queue numbers to try when looking whether queues can be bound at all.
const TRIAL_QUEUES: std::ops::Range<u16> = 65_400..65_432;

/// Closed queues remembered: a dose is read right after its queue closes.
const CLOSED_MAX: usize = 8;

/// This machine.
pub struct Linux {
    /// Absent where the kernel or the seccomp filter has no netfilter socket for us; then `why` says it.
    nftables: Result<Nftables, io::Error>,
    listeners: BTreeMap<u16, Listener>,
    /// What the last closed queues measured, oldest first.
    closed: VecDeque<(u16, Measured)>,
    /// Disarmed tables whose removal would cost other faults the packets they hold.
    parked: Vec<TableId>,
}

impl Linux {
    pub fn new() -> Self {
        Self { nftables: Nftables::open(), listeners: BTreeMap::new(), closed: VecDeque::new(), parked: Vec::new() }
    }

    fn nftables(&self) -> Result<&Nftables, KernelError> {
        self.nftables
            .as_ref()
            .map_err(|error| KernelError::Refused { doing: "open a netfilter socket".to_owned(), source: io::Error::from(error.kind()) })
    }

    fn any_queue_holds_packets(&self) -> bool {
        self.listeners.values().any(Listener::holds_packets)
    }

    fn open_queue(&mut self, number: u16, treatment: &Treatment) -> Result<(), KernelError> {
        let listener = Listener::start(number, treatment).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => KernelError::QueueTaken(number),
            _ => KernelError::Refused { doing: format!("bind queue {number}"), source: error },
        })?;
        self.closed.retain(|(closed, _)| *closed != number);
        self.listeners.insert(number, listener);
        Ok(())
    }

    fn delete(&mut self, table: &TableId) -> Result<(), KernelError> {
        if self.any_queue_holds_packets() {
            self.parked.push(table.clone());
            return Ok(());
        }
        self.nftables()?.delete(table).map_err(refused("delete table", table))
    }

    fn powers(&self) -> Powers {
        let mut powers = Powers::default();
        let nftables = match &self.nftables {
            Ok(nftables) => nftables,
            Err(error) => {
                powers.why_not.push(format!("nft: no netfilter socket: {error}"));
                return powers;
            }
        };
        let name = format!("{}_trial", self.name_stem());
        let trial = TableId { family: Family::Ip4, name: name.clone() };
        let mut tried = |owned, sentence: Option<Sentence>, what: &str| match nftables.try_out(&trial, owned, sentence) {
            Ok(()) => true,
            Err(error) => {
                powers.why_not.push(format!("{what}: {}", explained(&error)));
                false
            }
        };
        let nft = tried(false, None, "nft: cannot make a table");
        if nft {
            let owned = tried(true, None, "nft_owner: no tables with an owner (Linux 5.12)");
            let reject = tried(false, Some(Sentence::Reset), "reject: no TCP resets (CONFIG_NFT_REJECT_IPV4)");
            (powers.nft, powers.nft_owner, powers.reject) = (true, owned, reject);
            match queue_power(nftables, &trial) {
                Ok(power) => {
                    powers.queue = Some(power);
                    let copied = can_copy(nftables, &name, power).map_err(|reason| powers.why_not.push(reason));
                    powers.copy = copied.is_ok();
                }
                Err(reason) => powers.why_not.push(format!("queue: {reason}")),
            }
        }
        powers
    }
}

impl Default for Linux {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel for Linux {
    fn facts(&mut self) -> Facts {
        let (kernel, arch) = sys::kernel_and_arch().unwrap_or_default();
        let (pid, interfaces) = (std::process::id(), sys::interfaces());
        Facts { kernel, arch, powers: self.powers(), pid, interfaces }
    }

    fn name_stem(&self) -> String {
        format!("shakedown_{}", self.nftables.as_ref().map_or(0, Nftables::port_id))
    }

    fn act(&mut self, act: &Act) -> Result<(), KernelError> {
        match act {
            Act::CreateTable(table) => self.nftables()?.create(table).map_err(refused("create table", &table.id)),
            Act::OpenQueue { number, treatment } => self.open_queue(*number, treatment),
            Act::Arm { table, rules } => self.nftables()?.arm(table, rules).map_err(refused("add rules to", table)),
        }
    }

    fn undo(&mut self, undo: &Undo) -> Result<(), KernelError> {
        match undo {
            Undo::DeleteTable(table) => self.delete(table),
            Undo::Disarm(table) => self.nftables()?.disarm(table).map_err(refused("remove the rules of", table)),
            Undo::CloseQueue(number) => {
                if let Some(listener) = self.listeners.remove(number) {
                    self.closed.push_back((*number, listener.close()));
                    self.closed.drain(..self.closed.len().saturating_sub(CLOSED_MAX));
                }
                Ok(())
            }
        }
    }

    fn dose(&mut self, tables: &[TableId], queue: Option<u16>) -> Result<Dose, KernelError> {
        let mut dose = Dose::default();
        let (mut connections, mut copies) = (0, 0);
        for table in tables {
            let count = self.nftables()?.counted(table).map_err(refused("read", table))?;
            dose.packets += count.packets;
            dose.bytes += count.bytes;
            connections += count.connections;
            copies += count.copies;
        }
        dose.connections = Some(connections);
        let measured = queue.and_then(|number| {
            let closed = || self.closed.iter().find(|(closed, _)| *closed == number).map(|(_, measured)| measured.clone());
            self.listeners.get(&number).map(Listener::measured).or_else(closed)
        });
        if let Some(measured) = measured {
            dose.delayed = measured.delays.count();
            dose.held = measured.held;
            dose.released_early = measured.early;
            dose.mean_delay_us = measured.delays.mean().map(|nanos| nanos / 1_000);
            dose.p99_delay_us = measured.delays.quantile(990).map(|nanos| nanos / 1_000);
            dose.judged = measured.tally.judged;
            dose.lost = measured.tally.lost;
            dose.reordered = measured.tally.reordered;
            dose.corrupted = measured.tally.corrupted;
            // The copies of other faults come by too, and on loopback each comes by twice.
            dose.duplicated = measured.tally.duplicated.min(copies);
            dose.dropped_by_queue = measured.overflow;
            dose.trouble = measured.trouble;
        }
        Ok(dose)
    }

    fn tidy(&mut self) -> bool {
        if self.parked.is_empty() || self.any_queue_holds_packets() {
            return !self.parked.is_empty();
        }
        for table in std::mem::take(&mut self.parked) {
            if self.nftables().and_then(|nft| nft.delete(&table).map_err(refused("delete table", &table))).is_err() {
                self.parked.push(table);
            }
        }
        !self.parked.is_empty()
    }
}

/// Finds a way from a rule into a queue, and whether queues can be bound.
fn queue_power(nftables: &Nftables, trial: &TableId) -> Result<QueuePower, String> {
    let mut refusals = Vec::new();
    let found = [QueuePower::NftQueue, QueuePower::XtNfqueue].into_iter().find(|power| {
        let sentence = Sentence::Queue { number: 0, power: *power };
        nftables.try_out(trial, false, Some(sentence)).map_err(|error| refusals.push(explained(&error))).is_ok()
    });
    let Some(power) = found else {
        return Err(format!(
            "neither the queue expression (CONFIG_NFT_QUEUE: {}) nor the NFQUEUE target (CONFIG_NFT_COMPAT and \
             CONFIG_NETFILTER_XT_TARGET_NFQUEUE: {})",
            refusals[0], refusals[1]
        ));
    };
    for number in TRIAL_QUEUES {
        match Queue::bind(number, Copying::Head) {
            Ok(_) => return Ok(power),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            Err(error) => {
                return Err(format!("cannot bind a queue (CONFIG_NETFILTER_NETLINK_QUEUE): {error}"));
            }
        }
    }
    Err("every queue that was tried is taken".to_owned())
}

/// Tries whether rules of both families can copy packets.
fn can_copy(nftables: &Nftables, name: &str, power: QueuePower) -> Result<(), String> {
    [Family::Ip4, Family::Ip6].into_iter().try_for_each(|family| {
        let (number, name) = (0, name.to_owned());
        let sentence = Some(Sentence::Relay { number, power });
        nftables
            .try_out(&TableId { family, name }, false, sentence)
            .map_err(|error| format!("copy: no copies of packets (CONFIG_NFT_DUP_IPV4, CONFIG_NFT_DUP_IPV6): {}", explained(&error)))
    })
}

fn refused(doing: &str, table: &TableId) -> impl FnOnce(io::Error) -> KernelError {
    let doing = format!("{doing} {}", table.name);
    |source| KernelError::Refused { doing, source }
}

/// The errors that netfilter has a meaning of its own for.
fn explained(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM) => "not permitted: CAP_NET_ADMIN is missing".to_owned(),
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT) => {
            format!("this kernel has none: {error}")
        }
        _ => error.to_string(),
    }
}
