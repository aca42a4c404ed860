//! The real [`Kernel`]: nf_tables for the rules, nfnetlink_queue for the packets, both in the network namespace of the
//! thread that made it; ptrace and prlimit for the processes that its `/proc` shows.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use crate::kernel::{Act, Disconnect, Family, Flows, Kernel, KernelError, Meters, Sentence, TableId, Treatment, Undo};
use crate::netlink::nfqueue::{Copying, Queue};
use crate::netlink::nftables::Nftables;
use crate::netlink::{conntrack, sockets, sys};
use crate::process::clocks::Clocks;
use crate::process::limits::Limits;
use crate::process::{self, trial};
use crate::queue::{Listener, Measured};
use crate::session::Means;
use crate::shapes::Shapes;
use crate::survey;
use crate::wire::{Dose, Facts, Powers, QueuePower, Survey};

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
    shapes: Shapes,
    means: Means,
    clocks: Clocks,
    limits: Limits,
}

impl Linux {
    pub fn new() -> Self {
        Self::by(Means::default())
    }

    /// One that looks for what certain means need.
    pub fn by(means: Means) -> Self {
        Self {
            means,
            shapes: Shapes::default(),
            nftables: Nftables::open(),
            listeners: BTreeMap::new(),
            closed: VecDeque::new(),
            parked: Vec::new(),
            clocks: Clocks::new(),
            limits: Limits::default(),
        }
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

    /// Tries what is done to processes on a child.
    fn try_processes(&mut self, powers: &mut Powers) {
        let mut tried =
            |result: Result<(), String>, what: &str| result.map_err(|why| powers.why_not.push(format!("{what}: {why}"))).is_ok();
        let clock = tried(trial::clock(&mut self.clocks), "clock: a child's clock could not be set off");
        let files = tried(trial::files(), "files: a child's descriptors could not be limited");
        (powers.clock, powers.files) = (clock, files);
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
            powers.redirect = can_redirect(nftables, &name).map_err(|reason| powers.why_not.push(reason)).is_ok();
            powers.forget = conntrack::listens().map_err(|error| powers.why_not.push(cannot_forget(&error))).is_ok();
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
        let mut powers = self.powers();
        if self.means == Means::Netem && powers.nft {
            self.shapes.try_out(&mut powers);
        }
        self.try_processes(&mut powers);
        Facts { kernel, arch, powers, pid, interfaces }
    }

    fn name_stem(&self) -> String {
        format!("shakedown_{}", self.nftables.as_ref().map_or(0, Nftables::port_id))
    }

    fn act(&mut self, act: &Act) -> Result<(), KernelError> {
        match act {
            Act::CreateTable(table) => self.nftables()?.create(table).map_err(refused("create table", &table.id)),
            Act::OpenQueue { number, treatment } => self.open_queue(*number, treatment),
            Act::Shape(shape) => self.shapes.begin(shape),
            Act::Arm { table, rules, forget, disconnect } => {
                self.nftables()?.arm(table, rules).map_err(refused("add rules to", table))?;
                if let Some(Disconnect { flows, except_user }) = disconnect {
                    // Where the kernel cannot, the rules answer what such a connection sends.
                    let _ = sockets::disconnect(flows, *except_user);
                }
                forget_flows(forget.as_ref())
            }
            Act::Skew { grip, processes, clock } => self.clocks.begin(grip, *processes, clock.offset_us).map_err(KernelError::Processes),
            Act::Limit { grip, processes, files } => self.limits.begin(grip, *processes, files.leave).map_err(KernelError::Processes),
        }
    }

    fn undo(&mut self, undo: &Undo) -> Result<(), KernelError> {
        match undo {
            Undo::DeleteTable(table) => self.delete(table),
            Undo::Disarm { table, stays, forget } => {
                self.nftables()?.disarm(table, stays).map_err(refused("remove the rules of", table))?;
                forget_flows(forget.as_ref())
            }
            Undo::Unshape(handle) => {
                let refused = |source| KernelError::Refused { doing: format!("remove the discipline {handle:x}:"), source };
                self.shapes.end(*handle).map_err(refused)
            }
            Undo::CloseQueue(number) => {
                if let Some(listener) = self.listeners.remove(number) {
                    self.closed.push_back((*number, listener.close()));
                    self.closed.drain(..self.closed.len().saturating_sub(CLOSED_MAX));
                }
                Ok(())
            }
            Undo::Unskew(grip) => self.clocks.end(grip).map_err(KernelError::Processes),
            Undo::Unlimit(grip) => self.limits.end(grip).map_err(KernelError::Processes),
        }
    }

    fn dose(&mut self, meters: &Meters) -> Result<Dose, KernelError> {
        if let Some(grip) = &meters.grip {
            return Ok(self.dose_of_grip(grip));
        }
        let mut dose = Dose::default();
        let (mut connections, mut copies) = (0, 0);
        for table in &meters.tables {
            let count = self.nftables()?.counted(table).map_err(refused("read", table))?;
            dose.packets += count.packets;
            dose.bytes += count.bytes;
            connections += count.connections;
            copies += count.copies;
            dose.redirected += count.redirected;
        }
        dose.connections = Some(connections);
        if let Some(shape) = &meters.shape {
            let refused = |source| KernelError::Refused { doing: format!("read the discipline {:x}:", shape.handle), source };
            self.shapes.add_to(&mut dose, shape).map_err(refused)?;
        }
        let measured = meters.queue.and_then(|number| {
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

    fn survey(&mut self) -> Survey {
        Survey { processes: process::survey::of_namespace(), ..survey::of_network() }
    }

    fn tend(&mut self) -> bool {
        let [clocks, limits] = [self.clocks.tend(), self.limits.tend()];
        clocks || limits
    }

    fn tidy(&mut self) -> bool {
        let shims_are_left = self.clocks.tidy();
        let held = self.shapes.tidy();
        self.tidy_tables() || shims_are_left || held
    }
}

impl Linux {
    fn dose_of_grip(&self, grip: &str) -> Dose {
        let mut dose = Dose::default();
        let (skew, limit) = (self.clocks.skew(grip), self.limits.limit(grip));
        if let Some(met) = skew.map(|skew| &skew.met).or(limit.map(|limit| &limit.met)) {
            (dose.processes, dose.missed, dose.trouble) = (met.count(), met.missed_count(), met.trouble());
        }
        dose.offset_us = skew.and_then(|skew| skew.read_back);
        dose.exhausted = limit.map_or(0, |limit| limit.exhausted.len() as u64);
        dose
    }

    /// Deletes tables that had to wait; returns whether some still have to.
    fn tidy_tables(&mut self) -> bool {
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

/// Tries whether rules of both families can lead connections elsewhere.
fn can_redirect(nftables: &Nftables, name: &str) -> Result<(), String> {
    [Family::Ip4, Family::Ip6].into_iter().try_for_each(|family| {
        nftables.try_redirect(&TableId { family, name: name.to_owned() }).map_err(|error| {
            let options = "CONFIG_NFT_NAT, CONFIG_NFT_REDIR";
            format!("redirect: connections cannot be led elsewhere ({options}): {}", explained(&error))
        })
    })
}

fn forget_flows(flows: Option<&Flows>) -> Result<(), KernelError> {
    let refused = |source| KernelError::Refused { doing: "make conntrack forget the flows to the target".to_owned(), source };
    flows.map_or(Ok(()), |flows| conntrack::forget(flows).map_err(refused))
}

fn cannot_forget(error: &io::Error) -> String {
    format!("forget: conntrack cannot be told to forget flows (CONFIG_NF_CT_NETLINK): {}", explained(error))
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
