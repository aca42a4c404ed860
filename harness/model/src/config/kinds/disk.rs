//! The kind that makes files fail, wait or lie.

use super::{only_one, resources::path, share};
use crate::{
    config::{
        fields::{Field, Fields, each},
        problems::Problems,
        units,
    },
    fault::{DISK_ERRORS, Disk, DiskEffect, DiskOp},
    units::{Percent, Span},
};

pub(in crate::config) const DISK_KEYS: &[&str] = &["path", "ops", "share", "pattern", "delay", "jitter", "error", "short", "corrupt"];
const EFFECTS: &[&str] = &["delay", "error", "short", "corrupt"];

pub(super) fn disk(field: Field<'_>, problems: &mut Problems) -> Option<Disk> {
    let fields = field.fields("`disk`", DISK_KEYS, problems)?;
    let path = path(&fields, problems);
    let share = fields.or("share", Percent(1.0), |field| share(field, problems));
    let pattern = fields.or("pattern", None, |field| pattern(field, problems).map(Some));
    let one = only_one(&fields, EFFECTS, "add `delay: 20ms`, `error: EIO`, `short: true` or `corrupt: true`", problems)?;
    let effect = effect(&fields, one, problems);
    let ops = ops(&fields, one, problems);
    Some(Disk { path: path?, ops: ops?, share: share?, pattern: pattern?, effect: effect? })
}

fn pattern(field: Field<'_>, problems: &mut Problems) -> Option<String> {
    match field.full_text(problems)? {
        "" => field.wrong("a glob such as `*.wal`", problems),
        text => Some(text.to_owned()),
    }
}

fn effect(fields: &Fields<'_>, one: Field<'_>, problems: &mut Problems) -> Option<DiskEffect> {
    if let (Some(field), true) = (fields.get("jitter"), one.name != "delay") {
        problems.error(field.key, "`jitter` is for `delay`").hint("take it away");
        return None;
    }
    match one.name {
        "delay" => delay(fields, one, problems),
        "error" => error(one, problems),
        _ if !one.flag(problems)? => one.wrong("`true`, or nothing at all", problems),
        "short" => Some(DiskEffect::Short),
        _ => Some(DiskEffect::Corrupt),
    }
}

fn delay(fields: &Fields<'_>, one: Field<'_>, problems: &mut Problems) -> Option<DiskEffect> {
    let delay = units::long_span(one, problems)?;
    let jitter = fields.or("jitter", Span::default(), |field| units::span(field, problems))?;
    if let (Some(field), true) = (fields.get("jitter"), jitter > delay) {
        problems
            .error(field.spot(), format!("jitter {jitter} is larger than delay {delay}"))
            .hint("a delay cannot be negative: make `jitter` smaller");
        return None;
    }
    Some(DiskEffect::Delay { delay, jitter })
}

fn error(field: Field<'_>, problems: &mut Problems) -> Option<DiskEffect> {
    let name = field.text(problems)?.to_ascii_uppercase();
    if DISK_ERRORS.contains(&name.as_str()) {
        return Some(DiskEffect::Error(name));
    }
    field.wrong(format!("an error that disks answer with: {}", DISK_ERRORS.join(", ")), problems)
}

/// What is returned can only be spoiled where something is read.
fn ops(fields: &Fields<'_>, one: Field<'_>, problems: &mut Problems) -> Option<Vec<DiskOp>> {
    let is_about_reads = matches!(one.name, "short" | "corrupt");
    let Some(field) = fields.get("ops") else {
        return Some(if is_about_reads { vec![DiskOp::Read] } else { vec![DiskOp::Read, DiskOp::Write, DiskOp::Fsync] });
    };
    let items = if field.node.scalar().is_some() { vec![field] } else { field.list(problems)? };
    let ops = each(items, |item| item.choice(&DiskOp::WORDS, problems))?;
    if ops.is_empty() {
        return field.wrong("operations such as `[read, write, fsync]`", problems);
    }
    if is_about_reads && ops != [DiskOp::Read] {
        let message = format!("`{}` is about what a read returns", one.name);
        problems.error(field.spot(), message).also(one.key, "the effect").hint("write `ops: [read]`, or leave `ops` out");
        return None;
    }
    Some(ops)
}
