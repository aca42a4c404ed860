//! One conversation: which faults are in force, since when, until when, and how each is taken back.
//!
//! The session knows no descriptors and no netlink: lines come in, lines go out, a [`Kernel`] does the work. The loop
//! around it is in `stdio`.
//!
//! What it promises: before anything is done its undo is noted; a fault that cannot be applied whole leaves nothing; an
//! undo that fails is tried again until it succeeds or the session ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use shakedown_line::{Past, failure, request, unix_ns};

use crate::check::check;
use crate::faults::{Plan, Site, shape};
use crate::kernel::{Discipline, Kernel, KernelError, Undo};
use crate::wire::{Answer, Applied, Beat, Dose, Event, Facts, Failure, FaultSpec, Line, Powers, Request, Reverted};

/// The way out for one who says what is no request.
pub(crate) const HINT: &str = r#"one JSON object a line, such as {"id":1,"op":"facts"}; the shapes are in shakedown_agent::wire"#;
/// The first queue number to try. Low numbers are what people's own rules use.
const FIRST_QUEUE: u16 = 20_000;
const QUEUES_TO_TRY: u16 = 64;
/// After `filter` (0) and `security` (50), so that addresses are what the service sees, behind any NAT of its own.
const FIRST_PRIORITY: i32 = 250;
/// How soon an undo that failed or had to wait is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// How soon processes that have begun are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// What does the faults that both a queue of ours and a queueing discipline of the kernel can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Means {
    /// The queue: dies with the agent, measures what it does, obeys seeds, works in both directions.
    #[default]
    Queue,
    /// The discipline, where it can be had; else the queue.
    Netem,
}

/// A conversation and the faults it has put in force.
pub struct Session<K> {
    kernel: K,
    means: Means,
    facts: Option<Facts>,
    standing: BTreeMap<String, Standing>,
    past: Past<Dose>,
    /// Undos that failed and are tried again.
    owed: Vec<Undo>,
    /// Whether the kernel has put off an undo.
    untidy: bool,
    /// When to look for processes that have begun; `None` while no fault has a grip on any.
    look: Option<Instant>,
    sequence: u16,
}

/// A fault in force.
struct Standing {
    plan: Plan,
    undos: Vec<Undo>,
    expires: Instant,
}

/// A fault that has been put in force, and by what.
struct Done {
    plan: Plan,
    undos: Vec<Undo>,
    mechanism: String,
}

/// Whether a fault is done by a discipline; if not, why, where one was asked for.
enum Shaped {
    Yes(Done),
    No(Option<String>),
}

impl<K: Kernel> Session<K> {
    pub fn new(kernel: K) -> Self {
        Self::by(Means::default(), kernel)
    }

    /// One that prefers certain means.
    pub fn by(means: Means, kernel: K) -> Self {
        Self {
            kernel,
            means,
            facts: None,
            standing: BTreeMap::new(),
            past: Past::default(),
            owed: Vec::new(),
            untidy: false,
            look: None,
            sequence: 0,
        }
    }

    /// Answers one line, given without its newline.
    pub fn answer(&mut self, line: &[u8]) -> Line {
        let (id, request) = request(line, HINT);
        Line::reply(id, request.and_then(|request| self.obey(request)))
    }

    /// Does what a request asks.
    pub fn obey(&mut self, request: Request) -> Result<Answer, Failure> {
        match request {
            Request::Facts { .. } => Ok(Answer::Facts(self.facts().clone())),
            Request::Apply { fault, .. } => self.apply(&fault).map(Answer::Applied),
            Request::Dose { name, .. } => self.dose(&name).map(Answer::Dose),
            Request::Revert { name, .. } => self.revert(&name).map(Answer::Reverted),
            Request::Beat { .. } => Ok(Answer::Beat(Beat { at_unix_ns: unix_ns(), faults: self.standing.keys().cloned().collect() })),
            Request::Survey { .. } => Ok(Answer::Survey(self.kernel.survey())),
        }
    }

    /// What the kernel can do here; tried out once.
    pub fn facts(&mut self) -> &Facts {
        let Self { facts, kernel, .. } = self;
        facts.get_or_insert_with(|| kernel.facts())
    }

    /// When [`Session::tick`] has something to do next.
    pub fn next_tick(&self, now: Instant) -> Option<Instant> {
        let retry = (self.untidy || !self.owed.is_empty()).then(|| now + RETRY);
        self.standing.values().map(|standing| standing.expires).chain(retry).chain(self.look).min()
    }

    /// Takes back what has expired, tries again what is owed, and sees to processes that have begun.
    pub fn tick(&mut self, now: Instant) -> Vec<Line> {
        self.settle();
        if self.look.is_some_and(|look| look <= now) {
            self.look = self.kernel.tend().then(|| now + LOOK);
        }
        let expired = self.standing.iter().filter(|(_, standing)| standing.expires <= now);
        let names: Vec<String> = expired.map(|(name, _)| name.clone()).collect();
        names.iter().filter_map(|name| self.revert(name).ok()).map(|reverted| Line::event(Event::Expired(reverted))).collect()
    }

    /// Takes everything back. True if nothing is left in force.
    pub fn take_back_all(&mut self) -> (Vec<Line>, bool) {
        let names: Vec<String> = self.standing.keys().cloned().collect();
        let lines =
            names.iter().filter_map(|name| self.revert(name).ok()).map(|reverted| Line::event(Event::TakenBack(reverted))).collect();
        self.settle();
        (lines, self.owed.is_empty())
    }

    fn apply(&mut self, spec: &FaultSpec) -> Result<Applied, Failure> {
        check(spec)?;
        if self.standing.contains_key(&spec.name) {
            return Err(name_taken(&spec.name));
        }
        let powers = self.facts().powers.clone();
        let begun = Instant::now();
        let Done { plan, undos, mechanism } = match self.shape(spec, &powers)? {
            Shaped::Yes(done) => done,
            Shaped::No(why) => self.carry_out(spec, &powers, why)?,
        };
        if plan.meters.grip.is_some() {
            self.look = Some(Instant::now() + LOOK);
        }
        let ttl = Duration::from_millis(spec.ttl_ms);
        self.standing.insert(spec.name.clone(), Standing { plan, undos, expires: Instant::now() + ttl });
        self.past.forget(&spec.name);
        Ok(Applied::now(&spec.name, mechanism, ttl, begun))
    }

    /// Does it by a discipline, if that is preferred and can be.
    fn shape(&mut self, spec: &FaultSpec, powers: &Powers) -> Result<Shaped, Failure> {
        if self.means == Means::Queue || spec.kind.on_processes() || !powers.nft {
            return Ok(Shaped::No(None));
        }
        let discipline: Discipline = match shape::discipline(spec, powers) {
            Ok(discipline) => discipline,
            Err(why) => return Ok(Shaped::No(Some(why.to_owned()))),
        };
        let mechanism = shape::mechanism(&discipline, self.facts());
        let plan = shape::plan(spec, &self.site(spec), discipline);
        let mut undos = Vec::new();
        match self.act(&plan, &mut undos) {
            Ok(()) => Ok(Shaped::Yes(Done { plan, undos, mechanism })),
            Err(error) => {
                self.unwind(undos);
                match error {
                    KernelError::NoDiscipline(why) => Ok(Shaped::No(Some(why))),
                    error => Err(kernel_failure(&error)),
                }
            }
        }
    }

    /// Takes the steps of a plan, noting the way back before each.
    fn act(&mut self, plan: &Plan, undos: &mut Vec<Undo>) -> Result<(), KernelError> {
        plan.steps.iter().try_for_each(|step| {
            undos.push(step.undo.clone());
            self.kernel.act(&step.act)
        })
    }

    /// Does it as its kind does; with `why` there is no discipline.
    fn carry_out(&mut self, spec: &FaultSpec, powers: &Powers, why: Option<String>) -> Result<Done, Failure> {
        if let Some(power) = spec.kind.fault().lacks(powers) {
            return Err(unsupported(power, &powers.why_not));
        }
        let (plan, undos) = self.act_out(spec)?;
        let mut mechanism = spec.kind.fault().mechanism(powers);
        mechanism.extend(why.map(|why| format!("; no discipline: {why}")));
        Ok(Done { plan, undos, mechanism })
    }

    /// Plans and acts; plans again with another queue where somebody else has the one that was chosen.
    fn act_out(&mut self, spec: &FaultSpec) -> Result<(Plan, Vec<Undo>), Failure> {
        let mut tries = QUEUES_TO_TRY;
        loop {
            let site = self.site(spec);
            let plan = spec.kind.fault().plan(spec, &site);
            let mut undos = Vec::new();
            match self.act(&plan, &mut undos) {
                Ok(()) => return Ok((plan, undos)),
                Err(KernelError::QueueTaken(number)) if tries > 1 => {
                    tries -= 1;
                    self.unwind(undos.into_iter().filter(|undo| *undo != Undo::CloseQueue(number)).collect());
                }
                Err(error) => {
                    self.unwind(undos);
                    return Err(kernel_failure(&error));
                }
            }
        }
    }

    /// Names and numbers that this session has not used yet. They come round after 16384 faults.
    fn site(&mut self, spec: &FaultSpec) -> Site {
        self.sequence = (self.sequence + 1) % (1 << 14);
        let plain = spec.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = format!("{}_{}_{plain}", self.kernel.name_stem(), self.sequence);
        Site {
            powers: self.facts().powers.clone(),
            handle: handle(&name),
            name,
            queue: FIRST_QUEUE + 2 * self.sequence,
            priority: FIRST_PRIORITY + i32::from(self.sequence),
        }
    }

    fn dose(&mut self, name: &str) -> Result<Dose, Failure> {
        let Some(Standing { plan, .. }) = self.standing.get(name) else {
            return Err(unknown_fault(name));
        };
        self.kernel.dose(&plan.meters).map_err(|error| kernel_failure(&error))
    }

    fn revert(&mut self, name: &str) -> Result<Reverted, Failure> {
        let Some(standing) = self.standing.remove(name) else {
            return Ok(self.past.recall(name));
        };
        let begun = Instant::now();
        // What counts goes last: the tables keep their counters until the fault has ended and the dose is read.
        let (counters, rest): (Vec<Undo>, Vec<Undo>) = standing.undos.into_iter().partition(|undo| matches!(undo, Undo::DeleteTable(_)));
        self.unwind(rest);
        let reverted_at_unix_ns = Some(unix_ns());
        let dose = self.kernel.dose(&standing.plan.meters).ok();
        self.unwind(counters);
        let took_us = begun.elapsed().as_micros() as u64;
        let reverted = Reverted { name: name.to_owned(), already_gone: false, dose, reverted_at_unix_ns, took_us };
        self.past.keep(&reverted);
        if self.owed.is_empty() { Ok(reverted) } else { Err(undo_failed(&self.owed)) }
    }

    /// Undoes, last first. What fails is owed.
    fn unwind(&mut self, undos: Vec<Undo>) {
        let Self { kernel, owed, .. } = self;
        owed.extend(undos.into_iter().rev().filter(|undo| kernel.undo(undo).is_err()));
        self.untidy = self.kernel.tidy();
    }

    /// Tries again what is owed, in the order in which it fell due.
    fn settle(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        self.unwind(owed.into_iter().rev().collect());
    }
}

/// A number for a discipline, from a name that no other agent uses (FNV-1a): from 0x4000 to 0x7fff, which people seldom use and
/// the kernel never.
fn handle(name: &str) -> u16 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    0x4000 | ((hash ^ (hash >> 16)) & 0x3fff) as u16
}

fn name_taken(name: &str) -> Failure {
    failure("name_taken", format!("a fault named {name} is in force"), "revert it first, or choose another name")
}

fn unknown_fault(name: &str) -> Failure {
    let hint = "it was never applied, or has ended: revert it to hear what it did";
    failure("unknown_fault", format!("no fault named {name} is in force"), hint)
}

fn unsupported(power: &str, why_not: &[String]) -> Failure {
    failure("unsupported", format!("this fault needs the power {power}, which is missing here"), why_not.join("; "))
}

fn kernel_failure(error: &KernelError) -> Failure {
    failure("kernel", error.to_string(), "nothing of this fault is left in force; `shakedown-agent doctor` shows what works")
}

fn undo_failed(owed: &[Undo]) -> Failure {
    let hint = "the agent tries again every 50 ms; an owned table goes for certain when the agent ends, what was done to a process when the process does";
    failure("kernel", format!("could not undo {owed:?}"), hint)
}
