//! Faults by a process inside the service, which takes away what the service needs.

use super::{Planned, Setting, life, note, parts_per_million, said};
use crate::{announce::now, sides::Side};
use shakedown_agent::press::wire::{self, Dose, Figures, Probe, Spec, Word};
use shakedown_model::{
    fault::{Action, Cpu, FaultRecord, Fill, FillAmount, Memory, Pids},
    time::UnixNanos,
};
use shakedown_runtime::{Limit, Pipe, Resource, ServiceState, StateWord, Within};
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, Lines},
    time::{sleep, timeout},
};

/// How long it may take to be in force: a disk is filled meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the kernel may take to kill for memory.
const UNTIL_KILLED: Duration = Duration::from_secs(30);
/// How long its last words may take.
const LAST_WORDS: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(25);
/// What a service gets beyond what it uses before the kernel is made to kill it, where its memory is not limited.
const ROOM: u64 = 32 << 20;
/// Above this share of its device a file system is full (to what is asked exactly, `used_ppm` is compared).
const NEARLY: f64 = 0.98;

/// A process inside a service, at the end of a pipe.
pub(crate) struct Pressure {
    _input: Box<dyn AsyncWrite + Send + Unpin>,
    words: Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
}

impl Pressure {
    /// Returns when it is in force: where and how.
    async fn begin(pipe: Pipe) -> Result<(Pressure, wire::Ready), String> {
        let mut pressure = Pressure { _input: pipe.input, words: BufReader::new(pipe.output).lines() };
        let ready = async {
            loop {
                match pressure.next().await? {
                    Some(Word::Ready(ready)) => return Ok(ready),
                    Some(Word::Failed(failure)) => return Err(format!("{}; {}", failure.message, failure.hint)),
                    Some(Word::Dose(_)) => {}
                    None => return Err("the helper within the service ended without a word".to_owned()),
                }
            }
        };
        let ready = timeout(PATIENCE, ready).await.map_err(|_| format!("it was not in force within {} s", PATIENCE.as_secs()))??;
        Ok((pressure, ready))
    }

    async fn next(&mut self) -> Result<Option<Word>, String> {
        while let Some(line) = self.words.next_line().await.map_err(said)? {
            if let Ok(word) = serde_json::from_str(&line) {
                return Ok(Some(word));
            }
        }
        Ok(None)
    }

    /// Lets it end and returns its last dose.
    async fn end(self) -> Result<Option<Dose>, String> {
        let Pressure { _input: input, words } = self;
        drop(input);
        let mut rest = Pressure { _input: Box::new(tokio::io::sink()), words };
        let mut last = None;
        let read = async {
            while let Ok(Some(word)) = rest.next().await {
                match word {
                    Word::Dose(dose) => last = Some(dose),
                    Word::Failed(failure) => return Err(format!("it broke off: {}; {}", failure.message, failure.hint)),
                    Word::Ready(_) => {}
                }
            }
            Ok(())
        };
        timeout(LAST_WORDS, read).await.unwrap_or(Ok(()))?;
        Ok(last)
    }
}

pub(super) async fn apply(
    side: &Side,
    setting: &Setting<'_>,
    service: &str,
    planned: Planned<'_>,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    if planned.fault.action == Action::Oom {
        return run_out(side, setting, service, planned, record).await;
    }
    let (pressure, ready) = Pressure::begin(run(side, service, planned).await?).await?;
    record.mechanism = ready.mechanism;
    side.pressures.lock().await.insert(planned.index, pressure);
    Ok(UnixNanos(ready.at_unix_ns))
}

pub(super) async fn revert(
    side: &Side,
    setting: &Setting<'_>,
    service: &str,
    planned: Planned<'_>,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    if planned.fault.action == Action::Oom {
        return life::start_if_down(side, setting, service, record).await.inspect(|_| life::down(record));
    }
    let Some(pressure) = side.pressures.lock().await.remove(&planned.index) else { return Ok(now()) };
    let last = pressure.end().await?;
    let ended = now();
    let dose = last.ok_or_else(|| "it told no dose: did the service end under it?".to_owned())?;
    if let Some(trouble) = dose.trouble {
        record.error = Some(trouble);
    }
    weigh(&dose.figures, &planned.fault.action, record);
    Ok(ended)
}

async fn run(side: &Side, service: &str, planned: Planned<'_>) -> Result<Pipe, String> {
    let spec = Spec { ttl_ms: planned.ttl_ms(), kind: kind(&planned.fault.action)? };
    let arguments = ["press".to_owned(), serde_json::to_string(&spec).map_err(said)?];
    side.stack.run_within(service, &Within { binary: side.helpers.agent, arguments: &arguments }).await.map_err(said)
}

fn kind(action: &Action) -> Result<wire::Kind, String> {
    Ok(match action {
        Action::Cpu(Cpu::Load { workers, load }) => wire::Kind::Cpu(wire::Cpu { workers: *workers, load_ppm: parts_per_million(*load) }),
        Action::Memory(Memory::Use(bytes)) => wire::Kind::Memory(wire::Memory { bytes: Some(bytes.0), ..wire::Memory::default() }),
        // A hundredth is left, or the kernel would kill.
        Action::Memory(Memory::Fill(share)) => {
            wire::Kind::Memory(wire::Memory { fill_ppm: Some(parts_per_million(*share).min(990_000)), ..wire::Memory::default() })
        }
        Action::Oom => wire::Kind::Oom(wire::Oom::default()),
        Action::Io(io) => serde_json::from_value(serde_json::json!({"io": {"path": io.path, "workers": io.workers}})).map_err(said)?,
        Action::Fill(Fill { path, amount }) => {
            let mut fill =
                wire::Fill { path: path.into(), to_ppm: None, leave_bytes: None, bytes: None, most_bytes: wire::FILL_MOST_BYTES };
            match amount {
                FillAmount::To(share) => fill.to_ppm = Some(parts_per_million(*share)),
                FillAmount::Leave(bytes) => fill.leave_bytes = Some(bytes.0),
                FillAmount::Bytes(bytes) => fill.bytes = Some(bytes.0),
            }
            wire::Kind::Fill(fill)
        }
        Action::Pids(Pids::Leave(leave)) => wire::Kind::Pids(wire::Pids { leave: *leave, most: wire::PIDS_MOST }),
        other => return Err(format!("{} is not done from within", other.kind())),
    })
}

/// What was taken away: that counts as touched. Whether somebody missed it is told where the kernel counts it (`throttled_ms`, `oom_kills`,
/// `refused`).
fn weigh(figures: &Figures, action: &Action, record: &mut FaultRecord) {
    record.dose.touched = match figures {
        Figures::Cpu(cpu) => {
            note(record, [("cpu_ms", cpu.cpu_us as f64 / 1e3), ("load_percent", cpu.achieved_ppm as f64 / 1e4)]);
            note(record, cpu.throttled_us.map(|waited| ("throttled_ms", waited as f64 / 1e3)));
            u64::from(cpu.cpu_us > 0)
        }
        Figures::Memory(memory) | Figures::Oom(memory) => {
            note(record, [("held_bytes", memory.held_bytes as f64)]);
            note(record, memory.usage_bytes.map(|bytes| ("used_bytes", bytes as f64)));
            note(record, memory.limit_bytes.map(|bytes| ("limit_bytes", bytes as f64)));
            note(record, memory.oom_kills.map(|kills| ("oom_kills", kills as f64)));
            u64::from(memory.held_bytes > 0)
        }
        Figures::Io(io) => {
            note(record, [("writes", io.writes.count as f64), ("bytes", io.writes.bytes as f64)]);
            note(record, io.writes.mean_us.map(|mean| ("write_ms", mean as f64 / 1e3)));
            note(record, io.writes.p99_us.map(|p99| ("write_p99_ms", p99 as f64 / 1e3)));
            io.writes.count
        }
        Figures::Fill(fill) => {
            let is_full = matches!(fill.probe, Probe::NoSpace | Probe::NoQuota);
            note(record, [("held_bytes", fill.held_bytes as f64), ("available_bytes", fill.available_bytes as f64)]);
            note(record, [("used_percent", f64::from(fill.used_ppm) / 1e4), ("no_space", f64::from(u8::from(is_full)))]);
            u64::from(fill.held_bytes > 0 && is_as_asked(action, f64::from(fill.used_ppm) / 1e6))
        }
        Figures::Pids(pids) => {
            note(record, [("tasks", f64::from(pids.held_tasks))]);
            note(record, pids.limit_tasks.map(|limit| ("limit_tasks", limit as f64)));
            note(record, pids.refused_in_cgroup.map(|refused| ("refused", refused as f64)));
            u64::from(pids.held_tasks)
        }
    };
}

fn is_as_asked(action: &Action, used: f64) -> bool {
    !matches!(action, Action::Fill(Fill { amount: FillAmount::To(share), .. }) if used < NEARLY * share.0)
}

/// Makes the kernel kill the service for memory. Where that is not limited it is, until then.
async fn run_out(
    side: &Side,
    setting: &Setting<'_>,
    service: &str,
    planned: Planned<'_>,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    let before = side.stack.state(service).await.map_err(said)?;
    let usage = side.stack.usage(service).await.map_err(said)?;
    let is_ours = usage.memory_limit.is_none();
    if is_ours {
        let room = Limit::Memory(usage.memory + ROOM.max(usage.memory / 4));
        side.stack.limit(service, room, setting.journal).await.map_err(said)?;
    }
    side.stack.expect_end(service);
    let began = now();
    let killed = timeout(UNTIL_KILLED, until_killed(side, service, planned, &before)).await;
    if is_ours {
        side.stack.unlimit(service, Resource::Memory, setting.journal).await.map_err(said)?;
    }
    let after = killed.map_err(|_| format!("the kernel killed nobody within {} s", UNTIL_KILLED.as_secs())).and_then(|after| after);
    let after = after.inspect_err(|_| side.stack.end_did_not_come(service))?;
    record.dose.touched = u64::from(after.out_of_memory);
    note(record, [("killed_after_ms", now().since(began).as_secs_f64() * 1e3)]);
    Ok(now())
}

async fn until_killed(side: &Side, service: &str, planned: Planned<'_>, before: &ServiceState) -> Result<ServiceState, String> {
    let (pressure, _) = Pressure::begin(run(side, service, planned).await?).await?;
    loop {
        let state = side.stack.state(service).await.map_err(said)?;
        if state.word != StateWord::Running || state.started_at != before.started_at {
            drop(pressure);
            return Ok(state);
        }
        sleep(PAUSE).await;
    }
}
