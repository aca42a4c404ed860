//! Kinds that take something from a service.

use super::{only_one, size};
use crate::{
    config::{
        fields::{Field, Fields},
        problems::Problems,
        units,
    },
    fault::{Clock, Cpu, Descriptors, Fill, FillAmount, Io, Memory, Pids},
    units::{Percent, Shift},
};
use std::time::Duration;

pub(in crate::config) const CPU_KEYS: &[&str] = &["load", "workers", "quota"];
pub(in crate::config) const MEMORY_KEYS: &[&str] = &["use", "fill", "limit"];
pub(in crate::config) const IO_KEYS: &[&str] = &["path", "workers"];
pub(in crate::config) const FILL_KEYS: &[&str] = &["path", "to", "leave", "bytes"];
pub(in crate::config) const PIDS_KEYS: &[&str] = &["leave", "limit"];

/// More workers than any machine that runs a gate has cores.
const WORKERS: std::ops::RangeInclusive<u32> = 1..=64;
/// Wall clocks are 64 bits wide, calendars of programs are not.
const FARTHEST: Duration = Duration::from_hours(24 * 365 * 100);

pub(super) fn cpu(field: Field<'_>, problems: &mut Problems) -> Option<Cpu> {
    let fields = field.fields("`cpu`", CPU_KEYS, problems)?;
    let one = only_one(&fields, &["load", "quota"], "add `load: 80%` (others burn it) or `quota: 50%` (it gets no more)", problems)?;
    let share = units::share(
        one,
        "a share from 1% to 100% (load) or 6400% (quota) of a core",
        |share| share >= 0.01 && share <= most(one.name),
        problems,
    );
    let workers = fields.or("workers", 1, |field| workers(field, problems));
    if let (Some(field), "quota") = (fields.get("workers"), one.name) {
        problems.error(field.key, "`workers` are for `load`, and a quota has none").hint("take it away");
    }
    Some(if one.name == "load" { Cpu::Load { workers: workers?, load: share? } } else { Cpu::Quota(share?) })
}

fn most(key: &str) -> f64 {
    if key == "load" { 1.0 } else { f64::from(*WORKERS.end()) }
}

fn workers(field: Field<'_>, problems: &mut Problems) -> Option<u32> {
    match field.parse::<u32>(problems)? {
        workers if WORKERS.contains(&workers) => Some(workers),
        _ => field.wrong(format!("a number from {} to {}", WORKERS.start(), WORKERS.end()), problems),
    }
}

pub(super) fn memory(field: Field<'_>, problems: &mut Problems) -> Option<Memory> {
    let fields = field.fields("`memory`", MEMORY_KEYS, problems)?;
    let one = only_one(&fields, MEMORY_KEYS, "add `use: 100MiB`, `fill: 90%` (of its limit) or `limit: 64MiB`", problems)?;
    match one.name {
        "use" => size(one, problems).map(Memory::Use),
        "limit" => size(one, problems).map(Memory::Limit),
        _ => most_of(one, problems).map(Memory::Fill),
    }
}

/// A share of what there is, that leaves something.
fn most_of(field: Field<'_>, problems: &mut Problems) -> Option<Percent> {
    units::share(field, "a share from 1% to 100%", |share| (0.01..=1.0).contains(&share), problems)
}

/// An absolute path in the service's file system.
pub(super) fn path(fields: &Fields<'_>, problems: &mut Problems) -> Option<String> {
    let field = fields.need("path", "path: /data", problems)?;
    let path = field.full_text(problems)?;
    if path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.contains('\0') {
        return Some(path.to_owned());
    }
    field.wrong("an absolute path in the service such as `/data`", problems)
}

pub(super) fn io(field: Field<'_>, problems: &mut Problems) -> Option<Io> {
    let fields = field.fields("`io`", IO_KEYS, problems)?;
    let path = path(&fields, problems);
    let workers = fields.or("workers", 1, |field| workers(field, problems));
    Some(Io { path: path?, workers: workers? })
}

pub(super) fn fill(field: Field<'_>, problems: &mut Problems) -> Option<Fill> {
    let fields = field.fields("`fill`", FILL_KEYS, problems)?;
    let path = path(&fields, problems);
    let one = only_one(&fields, &["to", "leave", "bytes"], "add `to: 95%`, `leave: 1MiB` or `bytes: 100MiB`", problems)?;
    let amount = match one.name {
        "to" => most_of(one, problems).map(FillAmount::To),
        "leave" => one.parse(problems).map(FillAmount::Leave),
        _ => size(one, problems).map(FillAmount::Bytes),
    };
    Some(Fill { path: path?, amount: amount? })
}

pub(super) fn pids(field: Field<'_>, problems: &mut Problems) -> Option<Pids> {
    let fields = field.fields("`pids`", PIDS_KEYS, problems)?;
    let one = only_one(&fields, PIDS_KEYS, "add `leave: 2` (others take the rest of its limit) or `limit: 40`", problems)?;
    let tasks = one.number("a number of tasks such as 40", problems)?;
    match (one.name, tasks) {
        ("limit", 0) => one.wrong("a number of tasks above zero", problems),
        ("limit", tasks) => Some(Pids::Limit(tasks)),
        (_, tasks) => Some(Pids::Leave(tasks)),
    }
}

pub(super) fn files(field: Field<'_>, problems: &mut Problems) -> Option<Descriptors> {
    let fields = field.fields("`files`", &["leave"], problems)?;
    let leave = fields.need("leave", "leave: 4", problems)?.number("a number of files such as 4", problems)?;
    Some(Descriptors { leave })
}

pub(super) fn clock(field: Field<'_>, problems: &mut Problems) -> Option<Clock> {
    let fields = field.fields("`clock`", &["offset"], problems)?;
    let field = fields.need("offset", "offset: -1h", problems)?;
    let offset: Shift = field.parse(problems)?;
    if offset.length.0.is_zero() || offset.length.0 > FARTHEST {
        return field.wrong("a shift that is not zero and within 100 years", problems);
    }
    Some(Clock { offset })
}
