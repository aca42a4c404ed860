//! What is done: the parameters of each kind of fault.

mod disk;
mod lifecycle;
mod packets;
mod protocols;
mod resources;
mod streams;

#[cfg(test)]
pub(super) use disk::DISK_KEYS;
#[cfg(test)]
pub(super) use packets::{LATENCY_KEYS, LOSS_KEYS, REORDER_KEYS};
#[cfg(test)]
pub(super) use protocols::{DNS_KEYS, GRPC_KEYS, POSTGRES_KEYS, REDIS_KEYS};
#[cfg(test)]
pub(super) use resources::{CPU_KEYS, FILL_KEYS, IO_KEYS, MEMORY_KEYS, PIDS_KEYS};
#[cfg(test)]
pub(super) use streams::SLICER_KEYS;

use super::{
    fields::{Field, Fields},
    http,
    problems::Problems,
    units,
};
use crate::{
    fault::Action,
    units::{Bytes, Percent},
};

/// Reads the kind that `field` names.
pub(super) fn read(field: Field<'_>, problems: &mut Problems) -> Option<Action> {
    match field.name {
        "term" => lifecycle::term(field, problems).map(Action::Term),
        "crash_loop" => lifecycle::crash_loop(field, problems).map(Action::CrashLoop),
        "cpu" => resources::cpu(field, problems).map(Action::Cpu),
        "memory" => resources::memory(field, problems).map(Action::Memory),
        "io" => resources::io(field, problems).map(Action::Io),
        "fill" => resources::fill(field, problems).map(Action::Fill),
        "disk" => disk::disk(field, problems).map(Action::Disk),
        "pids" => resources::pids(field, problems).map(Action::Pids),
        "files" => resources::files(field, problems).map(Action::Files),
        "clock" => resources::clock(field, problems).map(Action::Clock),
        "dns" => protocols::dns(field, problems).map(Action::Dns),
        "latency" => packets::latency(field, problems).map(Action::Latency),
        "loss" => packets::loss(field, problems).map(Action::Loss),
        "reorder" => packets::reorder(field, problems).map(Action::Reorder),
        "corrupt" => packets::corrupt(field, problems).map(Action::Corrupt),
        "duplicate" => packets::duplicate(field, problems).map(Action::Duplicate),
        "connect" => packets::connect(field, problems).map(Action::Connect),
        "mtu" => packets::mtu(field, problems).map(Action::Mtu),
        "bandwidth" => packets::bandwidth(field, problems).map(Action::Bandwidth),
        "partition" => packets::partition(field, problems).map(Action::Partition),
        "slicer" => streams::slicer(field, problems).map(Action::Slicer),
        "limit_data" => streams::limit_data(field, problems).map(Action::LimitData),
        "slow_close" => streams::slow_close(field, problems).map(Action::SlowClose),
        "timeout" => streams::timeout(field, problems).map(Action::Timeout),
        "http" => http::read(field, problems).map(|http| Action::Http(Box::new(http))),
        "grpc" => protocols::grpc(field, problems).map(Action::Grpc),
        "postgres" => protocols::postgres(field, problems).map(Action::Postgres),
        "redis" => protocols::redis(field, problems).map(Action::Redis),
        _ => plain(field, problems),
    }
}

/// A kind without parameters: `pause:` and `pause: {}` say the same.
fn plain(field: Field<'_>, problems: &mut Problems) -> Option<Action> {
    if !field.is_null() {
        field.fields(format!("`{}`, which takes no parameters", field.name), &[], problems)?;
    }
    match field.name {
        "pause" => Some(Action::Pause),
        "stop" => Some(Action::Stop),
        "kill" => Some(Action::Kill),
        "oom" => Some(Action::Oom),
        "restart" => Some(Action::Restart),
        "down" => Some(Action::Down),
        _ => Some(Action::Reset),
    }
}

/// The one of several keys that says what is done.
pub(super) fn only_one<'n>(fields: &Fields<'n>, keys: &[&str], hint: &str, problems: &mut Problems) -> Option<Field<'n>> {
    let given: Vec<Field<'n>> = keys.iter().filter_map(|key| fields.get(key)).collect();
    match given.as_slice() {
        [] if fields.has_unknown() => None,
        [] => {
            problems.error(fields.at, format!("{} does not say what is done", fields.what)).hint(hint);
            None
        }
        [one] => Some(*one),
        [first, second, ..] => {
            let message = format!("`{}` and `{}` are two faults", first.name, second.name);
            problems.error(second.key, message).also(first.key, "the first").hint("write each in an item of its own");
            None
        }
    }
}

pub(super) fn share(field: Field<'_>, problems: &mut Problems) -> Option<Percent> {
    units::share(field, "a share from 0.0001% to 100%", |share| (1e-6..=1.0).contains(&share), problems)
}

fn size(field: Field<'_>, problems: &mut Problems) -> Option<Bytes> {
    match field.parse::<Bytes>(problems)? {
        Bytes(0) => field.wrong("a size above zero such as `64B`", problems),
        bytes => Some(bytes),
    }
}
