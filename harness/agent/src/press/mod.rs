//! Scarcity from inside: the agent lives in a service's own cgroup, pid and mount namespaces and uses up what the
//! service needs, so that whoever bounds the service bounds both of them together.
//!
//! One process makes one pressure, said in one argument ([`wire::Spec`]), and reports on stdout ([`wire::Word`]). It
//! knows this kernel; it does not know engines, containers or the network.
//!
//! ```text
//! desk (main thread: stdin, signals, deadline, stdout)  <- words -  a thread of its own: Pressure (begin, tend, dose)
//!                                                       -  Stop  ->   cpu, memory, oom, io, fill, pids
//! ```
//!
//! Ways in which a pressure ends: the end of stdin; SIGTERM, SIGINT, SIGHUP, SIGQUIT; its time to live; a reader who has
//! gone. After SIGKILL the kernel takes everything back, since all of it is threads, memory and unlinked files of this
//! process; the one thing that is not (`victim`: other processes' `oom_score_adj`) is kept by a child that outlives it.

mod cgroup;
mod check;
mod cpu;
mod desk;
mod fill;
mod held;
mod io;
mod memory;
mod oom;
mod pids;
mod scratch;
mod stop;
mod sys;
mod victim;
pub mod wire;

use std::os::fd::AsFd;
use std::sync::Arc;

use shakedown_line::{failure, invalid};

use crate::outbox::Outbox;
use crate::wire::Failure;
use desk::Desk;
use stop::Stop;
use victim::Preference;
use wire::{Figures, Kind, Spec, Victim, Word};

/// How a pressure ended. Nothing of it is left in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was in force until it was asked to end.
    Ended,
    /// This machine would not let it begin, or broke it off.
    Failed,
    /// It makes no sense.
    Refused,
}

/// A resource being used up. Lives in a thread of its own; whatever it holds goes when it is dropped.
trait Pressure: Send {
    /// Puts it in force, however long that takes, and says how it is done. Comes back early if asked to stop.
    fn begin(&mut self, stop: &Arc<Stop>) -> Result<String, Failure>;
    /// Keeps it in force; called ten times a second.
    fn tend(&mut self, stop: &Stop);
    /// What it has done so far.
    fn measure(&mut self) -> Measured;
}

/// A dose without its time.
struct Measured {
    figures: Figures,
    missing: Vec<String>,
    trouble: Option<String>,
}

/// Makes the pressure that `text` asks for, until it shall end.
///
/// Call it before other threads exist: it blocks SIGTERM, SIGINT, SIGHUP and SIGQUIT in order to wait for them.
pub fn press(text: &str, input: impl AsFd, output: impl AsFd) -> std::io::Result<Outcome> {
    let mut desk = Desk::new(input.as_fd(), Outbox::new(output.as_fd()))?;
    let outcome = match understand(text) {
        Ok(spec) => conduct(&spec, &mut desk)?,
        Err(failure) => desk.refuse(failure),
    };
    desk.part();
    Ok(outcome)
}

fn understand(text: &str) -> Result<Spec, Failure> {
    let hint = r#"such as {"ttl_ms":30000,"kind":{"cpu":{"workers":2,"load_ppm":800000}}}; the shapes are in shakedown_agent::press::wire"#;
    let spec = serde_json::from_str(text).map_err(|error| invalid(format!("not a pressure: {error}"), hint))?;
    check::check(&spec)?;
    Ok(spec)
}

fn conduct(spec: &Spec, desk: &mut Desk<'_>) -> std::io::Result<Outcome> {
    // Before there is a second thread, since it may need a copy of this process.
    let preference = match victim::prefer(whom(&spec.kind)) {
        Ok(preference) => preference,
        Err(failure) => return Ok(desk.fail(&Word::Failed(failure))),
    };
    let pressure = pressure(&spec.kind, &preference).and_then(|pressure| desk.start(spec, pressure, preference.said().to_owned()));
    match pressure {
        Ok(work) => desk.attend(&work),
        Err(failure) => Ok(desk.fail(&Word::Failed(failure))),
    }
}

fn whom(kind: &Kind) -> Victim {
    match kind {
        Kind::Oom(_) => Victim::Service,
        Kind::Memory(memory) => memory.victim,
        Kind::Cpu(_) | Kind::Io(_) | Kind::Fill(_) | Kind::Pids(_) => Victim::Agent,
    }
}

fn pressure(kind: &Kind, preference: &Preference) -> Result<Box<dyn Pressure>, Failure> {
    Ok(match kind {
        Kind::Cpu(cpu) => Box::new(cpu::Burn::new(cpu)),
        Kind::Memory(memory) => Box::new(memory::Hog::new(check::memory_goal(memory)?, memory.victim, preference.standby())),
        Kind::Oom(oom) => Box::new(oom::Flood::new(oom, preference.standby())),
        Kind::Io(io) => Box::new(io::Churn::new(io)),
        Kind::Fill(fill) => Box::new(fill::Filler::new(fill, check::fill_goal(fill)?)),
        Kind::Pids(pids) => Box::new(pids::Crowd::new(pids)),
    })
}

/// This machine would not.
fn refused(doing: &str, source: &std::io::Error) -> Failure {
    failure("kernel", format!("{doing}: {source}"), "see the message of the kernel")
}

/// This machine cannot, as it is set up.
fn unsupported(message: String, hint: &str) -> Failure {
    failure("unsupported", message, hint)
}
