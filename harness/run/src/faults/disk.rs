//! Faults on the files of a service, by the file system that it began upon.

use super::{Planned, note, parts_per_million, said};
use crate::{announce::now, helpers::Disk as Conversation, sides::Side};
use shakedown_disk::wire;
use shakedown_model::{
    experiment::Scenario,
    fault::{Action, Disk, DiskEffect, DiskOp, FaultRecord, Target},
    time::UnixNanos,
};
use shakedown_runtime::{Wrap, WrappedDirectory};
use std::collections::HashMap;

/// What services have to begin upon for the faults of these scenarios.
pub(crate) fn wraps<'a>(scenarios: impl Iterator<Item = &'a Scenario>, binary: &'static [u8]) -> HashMap<String, Wrap> {
    let mut wraps: HashMap<String, Wrap> = HashMap::new();
    for fault in scenarios.flat_map(|scenario| &scenario.faults) {
        if let (Target::Service(service), Action::Disk(disk)) = (&fault.on, &fault.action) {
            let wrap = wraps.entry(service.clone()).or_insert_with(|| Wrap { binary, directories: Vec::new() });
            add(&mut wrap.directories, disk);
        }
    }
    wraps
}

fn add(directories: &mut Vec<WrappedDirectory>, disk: &Disk) {
    match directories.iter_mut().find(|directory| directory.path == disk.path) {
        Some(known) => known.past_cache |= disk.is_past_cache(),
        None => directories.push(WrappedDirectory { path: disk.path.clone(), past_cache: disk.is_past_cache() }),
    }
}

pub(super) async fn apply(
    side: &Side,
    service: &str,
    planned: Planned<'_>,
    seed: u64,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    let Action::Disk(disk) = &planned.fault.action else { return Err("this is not done to files".to_owned()) };
    let pipe = side.stack.talk_to_wrap(service).await.map_err(said)?;
    let mut conversation = Conversation::new(format!("file system of {service}"), String::new(), pipe);
    let applied = conversation.apply(order(planned, disk, seed)).await.map_err(said)?;
    side.disks.lock().await.insert(planned.index, conversation);
    record.mechanism = applied.mechanism;
    Ok(UnixNanos(applied.applied_at_unix_ns))
}

/// The end of the conversation would take it back as well.
pub(super) async fn revert(side: &Side, planned: Planned<'_>, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let conversation = side.disks.lock().await.remove(&planned.index);
    let mut conversation = conversation.ok_or_else(|| "nobody talks with its file system".to_owned())?;
    let reverted = conversation.revert(&planned.name()).await.map_err(said)?;
    note_dose(record, &reverted.dose.unwrap_or_default());
    Ok(reverted.reverted_at_unix_ns.map_or_else(now, UnixNanos))
}

fn order(planned: Planned<'_>, disk: &Disk, seed: u64) -> wire::FaultSpec {
    wire::FaultSpec {
        name: planned.name(),
        ttl_ms: planned.ttl_ms(),
        path: disk.path.clone(),
        ops: disk.ops.iter().copied().map(op).collect(),
        share_ppm: parts_per_million(disk.share),
        seed: seed ^ planned.index as u64,
        pattern: disk.pattern.clone(),
        effect: match &disk.effect {
            DiskEffect::Delay { delay, jitter } => {
                let (delay_us, jitter_us) = (delay.0.as_micros() as u64, jitter.0.as_micros() as u64);
                wire::Effect::Delay(wire::Delay { delay_us, jitter_us })
            }
            DiskEffect::Error(name) => wire::Effect::Errno(name.clone()),
            DiskEffect::Short => wire::Effect::Short {},
            DiskEffect::Corrupt => wire::Effect::Corrupt {},
        },
    }
}

fn op(op: DiskOp) -> wire::Op {
    match op {
        DiskOp::Read => wire::Op::Read,
        DiskOp::Write => wire::Op::Write,
        DiskOp::Fsync => wire::Op::Fsync,
        DiskOp::Open => wire::Op::Open,
        DiskOp::Metadata => wire::Op::Metadata,
    }
}

/// Touched is what was really changed: a read at the end of a file has nothing to corrupt.
fn note_dose(record: &mut FaultRecord, dose: &wire::Dose) {
    record.dose.touched = dose.errors + dose.delayed + dose.short + dose.corrupted;
    note(record, [("operations", dose.seen.total() as f64), ("struck", dose.struck.total() as f64), ("bytes", dose.bytes as f64)]);
    let by_kind = [
        ("reads", dose.struck.read),
        ("writes", dose.struck.write),
        ("fsyncs", dose.struck.fsync),
        ("opens", dose.struck.open),
        ("metadata", dose.struck.metadata),
        ("errors", dose.errors),
        ("short", dose.short),
        ("corrupted", dose.corrupted),
        ("released_early", dose.released_early),
    ];
    note(record, by_kind.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, count as f64)));
    note(record, dose.mean_delay_us.map(|mean| ("delay_ms", mean as f64 / 1e3)));
    note(record, dose.p99_delay_us.map(|p99| ("delay_p99_ms", p99 as f64 / 1e3)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::units::Percent;

    fn disk(path: &str, effect: DiskEffect) -> Disk {
        Disk { path: path.to_owned(), ops: vec![DiskOp::Read], share: Percent(1.0), pattern: None, effect }
    }

    #[test]
    fn a_directory_is_mounted_once_and_past_the_cache_if_any_fault_needs_it() {
        let mut directories = Vec::new();
        for disk in [disk("/a", DiskEffect::Error("EIO".to_owned())), disk("/b", DiskEffect::Short), disk("/a", DiskEffect::Corrupt)] {
            add(&mut directories, &disk);
        }
        let found: Vec<(&str, bool)> = directories.iter().map(|directory| (directory.path.as_str(), directory.past_cache)).collect();
        assert_eq!(found, [("/a", true), ("/b", true)]);
    }
}
