//! Whether a pressure makes sense, before anything is tried: what was said becomes what is meant. Pure.

use std::path::Path;

use shakedown_line::{check_ttl, invalid};

use super::wire::{Cpu, Fill, Io, Kind, Memory, Pids, Spec};
use crate::wire::Failure;

const CPU_WORKERS_MAX: u32 = 256;
const IO_WORKERS_MAX: u32 = 64;
const BLOCK_BYTES: u32 = 4096;
const BLOCK_MAX_BYTES: u32 = 16 * 1024 * 1024;
const WHOLE_PPM: u32 = 1_000_000;
/// Beyond this there is no room to stop before the kernel kills.
const MEMORY_MAX_PPM: u32 = 990_000;
const TASKS_MAX: u32 = 32_768;

/// How much memory to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemoryGoal {
    Bytes(u64),
    /// Of the cgroup's limit, with everybody's counted in.
    Share(u32),
}

/// How much room to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FillGoal {
    Bytes(u64),
    Leave(u64),
    Share(u32),
}

/// The first mistake.
pub(super) fn check(spec: &Spec) -> Result<(), Failure> {
    check_ttl(spec.ttl_ms)?;
    match &spec.kind {
        Kind::Cpu(cpu) => check_cpu(cpu),
        Kind::Memory(memory) => memory_goal(memory).map(|_| ()),
        Kind::Oom(oom) if oom.most_bytes == Some(0) => Err(invalid("most_bytes is 0".to_owned(), "leave it out, or say how many")),
        Kind::Oom(_) => Ok(()),
        Kind::Io(io) => check_io(io),
        Kind::Fill(fill) => fill_goal(fill).map(|_| ()),
        Kind::Pids(pids) => check_pids(pids),
    }
}

fn check_cpu(cpu: &Cpu) -> Result<(), Failure> {
    within("workers", cpu.workers, 1, CPU_WORKERS_MAX, "threads")?;
    within("load_ppm", cpu.load_ppm, 1, WHOLE_PPM, "millionths of one core")
}

pub(super) fn memory_goal(memory: &Memory) -> Result<MemoryGoal, Failure> {
    match (memory.bytes, memory.fill_ppm) {
        (Some(0), None) => Err(invalid("bytes is 0".to_owned(), "at least 1")),
        (Some(bytes), None) => Ok(MemoryGoal::Bytes(bytes)),
        (None, Some(ppm)) => {
            let hint = "millionths of the limit; to have the kernel kill the service, use oom";
            within("fill_ppm", ppm, 1, MEMORY_MAX_PPM, hint).map(|()| MemoryGoal::Share(ppm))
        }
        _ => Err(invalid("memory has no single goal".to_owned(), "exactly one of bytes and fill_ppm")),
    }
}

fn check_io(io: &Io) -> Result<(), Failure> {
    check_path(&io.path)?;
    within("workers", io.workers, 1, IO_WORKERS_MAX, "threads")?;
    within("block_bytes", io.block_bytes, BLOCK_BYTES, BLOCK_MAX_BYTES, "a multiple of 4096")?;
    if !io.block_bytes.is_multiple_of(BLOCK_BYTES) {
        return Err(invalid(format!("block_bytes is {}", io.block_bytes), "a multiple of 4096, as direct reads need it"));
    }
    Ok(())
}

pub(super) fn fill_goal(fill: &Fill) -> Result<FillGoal, Failure> {
    check_path(&fill.path)?;
    match (fill.to_ppm, fill.leave_bytes, fill.bytes) {
        (Some(ppm), None, None) => within("to_ppm", ppm, 1, WHOLE_PPM, "millionths of the file system").map(|()| FillGoal::Share(ppm)),
        (None, Some(bytes), None) => Ok(FillGoal::Leave(bytes)),
        (None, None, Some(0)) => Err(invalid("bytes is 0".to_owned(), "at least 1")),
        (None, None, Some(bytes)) => Ok(FillGoal::Bytes(bytes)),
        _ => Err(invalid("fill has no single goal".to_owned(), "exactly one of to_ppm, leave_bytes and bytes")),
    }
}

fn check_pids(pids: &Pids) -> Result<(), Failure> {
    within("leave", pids.leave, 0, TASKS_MAX, "tasks that others may still make")?;
    within("most", pids.most, 1, TASKS_MAX, "tasks")
}

fn check_path(path: &Path) -> Result<(), Failure> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(invalid(format!("path is {}", path.display()), "an absolute one, as the service sees it"))
}

fn within(name: &str, value: u32, least: u32, most: u32, of: &str) -> Result<(), Failure> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(invalid(format!("{name} is {value}"), format!("between {least} and {most}: {of}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(kind: &str) -> Result<(), String> {
        let spec = serde_json::from_str(&format!(r#"{{"ttl_ms":1000,"kind":{kind}}}"#)).unwrap();
        check(&spec).map_err(|failure| failure.message)
    }

    #[test]
    fn nonsense_is_named() {
        for (kind, message) in [
            (r#"{"cpu":{"workers":0,"load_ppm":1}}"#, "workers is 0"),
            (r#"{"cpu":{"workers":1,"load_ppm":1000001}}"#, "load_ppm is 1000001"),
            (r#"{"memory":{}}"#, "memory has no single goal"),
            (r#"{"memory":{"bytes":1,"fill_ppm":1}}"#, "memory has no single goal"),
            (r#"{"memory":{"bytes":0}}"#, "bytes is 0"),
            (r#"{"memory":{"fill_ppm":1000000}}"#, "fill_ppm is 1000000"),
            (r#"{"oom":{"most_bytes":0}}"#, "most_bytes is 0"),
            (r#"{"io":{"path":"data","workers":1}}"#, "path is data"),
            (r#"{"io":{"path":"/data","workers":1,"block_bytes":5000}}"#, "block_bytes is 5000"),
            (r#"{"fill":{"path":"/data"}}"#, "fill has no single goal"),
            (r#"{"fill":{"path":"/data","to_ppm":1,"bytes":1}}"#, "fill has no single goal"),
            (r#"{"fill":{"path":"/data","to_ppm":1000001}}"#, "to_ppm is 1000001"),
            (r#"{"pids":{"leave":40000}}"#, "leave is 40000"),
            (r#"{"pids":{"leave":0,"most":0}}"#, "most is 0"),
        ] {
            assert_eq!(verdict(kind), Err(message.to_owned()), "{kind}");
        }
    }

    #[test]
    fn a_time_to_live_has_an_end() {
        for ttl_ms in [0, 86_400_001] {
            let kind = Kind::Cpu(Cpu { workers: 1, load_ppm: 1 });
            assert_eq!(check(&Spec { ttl_ms, kind }).unwrap_err().message, format!("ttl_ms is {ttl_ms}"));
        }
    }
}
