//! The catalogue of faults on this machine: each kind, by which mechanism on either runtime, and what is missing for it.

use super::{Line, Status};
use shakedown_agent::{Linux, session::Session, wire::Powers};
use shakedown_model::{
    fault::{
        Action, Bandwidth, Clock, Connect, Corrupt, Cpu, CrashLoop, Descriptors, Disk, DiskEffect, Distribution, Dns, DnsEffect, Duplicate,
        Fill, FillAmount, Grpc, GrpcEffect, Http, HttpEffect, Io, Latency, LimitData, Loss, Memory, Mtu, Partition, Pids, Postgres,
        PostgresAt, PostgresEffect, Redis, RedisEffect, Reorder, Slicer, SlowClose, Term, Timeout,
    },
    plan::RuntimeKind,
    units::{Bytes, Percent, Shift, Span, Throughput},
};
use shakedown_run::mechanism;

const SHARE: Percent = Percent(0.01);
const ALL: Percent = Percent(1.0);
const FIX: &str = "run as root to ask the kernel; else a kernel with nf_tables and NFQUEUE, or --runtime process";

/// What packets need is tried out in a scratch table that no packet visits, what processes need on a child of our own.
pub(super) fn lines() -> Vec<Line> {
    let facts = Session::new(Linux::new()).facts().clone();
    let kinds = lives().into_iter().chain(resources()).chain(packets()).chain(streams()).chain(protocols());
    // Two forms of one kind may be done by two means.
    let (mut lines, mut seen) = (Vec::new(), Vec::new());
    for action in kinds {
        let line = line(&action, &facts.powers);
        if !seen.contains(&(line.name.clone(), line.detail.clone())) {
            seen.push((line.name.clone(), line.detail.clone()));
            lines.push(line);
        }
    }
    lines
}

fn line(action: &Action, powers: &Powers) -> Line {
    let [docker, process] = [RuntimeKind::Docker, RuntimeKind::Process].map(|runtime| mechanism(action, ALL, runtime));
    let name = format!("fault {}", action.kind());
    let Some(missing) = missing(action, powers) else {
        return Line::new(&name, Status::Ok, format!("containers: {docker}; processes: {process}"), None);
    };
    let Missing { what, power } = missing;
    let prefix = format!("{power}:");
    let why = powers.why_not.iter().find(|why| why.starts_with(&prefix)).or(powers.why_not.first());
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    Line::new(&name, Status::Warn, format!("containers: {what} is missing here{why}; processes: {process}"), Some(FIX))
}

/// What is missing, and the agent's power that it is.
struct Missing {
    what: &'static str,
    power: &'static str,
}

/// What this kernel lacks for a kind in containers.
fn missing(action: &Action, powers: &Powers) -> Option<Missing> {
    let has_queue = powers.queue.is_some();
    let (has, what, power) = match action {
        Action::Duplicate(_) => (has_queue && powers.copy, "NFQUEUE and nf_tables' dup", "copy"),
        Action::Partition(_) => (powers.nft, "nf_tables", "nft"),
        Action::Reset => (powers.reject, "nf_tables reject", "reject"),
        Action::Latency(_)
        | Action::Loss(_)
        | Action::Reorder(_)
        | Action::Corrupt(_)
        | Action::Connect(_)
        | Action::Mtu(_)
        | Action::Bandwidth(_) => (has_queue, "NFQUEUE", "queue"),
        Action::Clock(_) => (powers.clock, "a vDSO that can be rewritten", "clock"),
        Action::Files(_) => (powers.files, "prlimit", "files"),
        _ if mechanism(action, ALL, RuntimeKind::Docker).starts_with("relay") => {
            (powers.redirect && powers.reject, "nf_tables redirect", "redirect")
        }
        _ => (true, "", ""),
    };
    (!has).then_some(Missing { what, power })
}

fn lives() -> Vec<Action> {
    vec![
        Action::Pause,
        Action::Stop,
        Action::Term(Term { grace: Span::default() }),
        Action::Kill,
        Action::Oom,
        Action::Restart,
        Action::CrashLoop(CrashLoop { every: Span::default() }),
    ]
}

fn resources() -> Vec<Action> {
    let path = String::new;
    vec![
        Action::Cpu(Cpu::Load { workers: 1, load: SHARE }),
        Action::Cpu(Cpu::Quota(SHARE)),
        Action::Memory(Memory::Fill(SHARE)),
        Action::Memory(Memory::Limit(Bytes(1))),
        Action::Io(Io { path: path(), workers: 1 }),
        Action::Fill(Fill { path: path(), amount: FillAmount::To(SHARE) }),
        Action::Disk(Disk { path: path(), ops: Vec::new(), share: SHARE, pattern: None, effect: DiskEffect::Corrupt }),
        Action::Pids(Pids::Leave(1)),
        Action::Pids(Pids::Limit(1)),
        Action::Files(Descriptors { leave: 1 }),
        Action::Clock(Clock { offset: Shift { length: Span::default(), is_back: false } }),
    ]
}

fn packets() -> Vec<Action> {
    let (delay, jitter, correlation) = (Span::default(), Span::default(), Percent(0.0));
    vec![
        Action::Latency(Latency { delay, jitter, distribution: Distribution::Uniform, correlation }),
        Action::Loss(Loss { share: SHARE, burst: 1 }),
        Action::Reorder(Reorder { share: SHARE, delay }),
        Action::Corrupt(Corrupt { share: SHARE }),
        Action::Duplicate(Duplicate { share: SHARE }),
        Action::Connect(Connect { delay: None }),
        Action::Mtu(Mtu { size: Bytes(1280) }),
        Action::Bandwidth(Bandwidth { rate: Throughput(1) }),
        Action::Partition(Partition::default()),
        Action::Reset,
    ]
}

fn streams() -> Vec<Action> {
    let delay = Span::default();
    vec![
        Action::Slicer(Slicer { size: Bytes(1), delay }),
        Action::LimitData(LimitData { bytes: Bytes(1) }),
        Action::SlowClose(SlowClose { delay }),
        Action::Timeout(Timeout { after: delay }),
        Action::Down,
    ]
}

fn protocols() -> Vec<Action> {
    let (share, delay) = (SHARE, Span::default());
    let effect = HttpEffect::Delay { delay };
    vec![
        Action::Http(Box::new(Http { method: None, path: None, header: None, baggage: None, share, effect })),
        Action::Grpc(Grpc { method: None, share, effect: GrpcEffect::Delay { delay } }),
        Action::Postgres(Postgres { at: PostgresAt::Connect, share, effect: PostgresEffect::Timeout }),
        Action::Redis(Redis { commands: Vec::new(), key: None, share, effect: RedisEffect::Timeout }),
        Action::Dns(Dns { name: None, types: Vec::new(), share, effect: DnsEffect::Timeout }),
    ]
}
