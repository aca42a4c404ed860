//! Kinds that are done to packets.

use super::share;
use crate::{
    config::{fields::Field, problems::Problems, units},
    fault::{Bandwidth, Connect, Corrupt, Direction, Distribution, Duplicate, Latency, Loss, Mtu, Partition, Reorder},
    units::{Bytes, Percent, Span},
};

pub(in crate::config) const LATENCY_KEYS: &[&str] = &["delay", "jitter", "distribution", "correlation"];
pub(in crate::config) const LOSS_KEYS: &[&str] = &["share", "burst"];
pub(in crate::config) const REORDER_KEYS: &[&str] = &["share", "delay"];

/// What an IPv4 host must take (RFC 791), and the longest packet that there is.
const PACKET_SIZES: std::ops::RangeInclusive<u64> = 68..=65_535;
/// Longest mean run of lost packets.
const LONGEST_BURST: u32 = 1000;

pub(super) fn latency(field: Field<'_>, problems: &mut Problems) -> Option<Latency> {
    let fields = field.fields("`latency`", LATENCY_KEYS, problems)?;
    let delay = fields.need("delay", "delay: 200ms", problems).and_then(|field| units::long_span(field, problems));
    let jitter = fields.or("jitter", Span::default(), |field| units::span(field, problems));
    let words = [
        ("uniform", Distribution::Uniform),
        ("normal", Distribution::Normal),
        ("pareto", Distribution::Pareto),
        ("paretonormal", Distribution::ParetoNormal),
    ];
    let distribution = fields.or("distribution", Distribution::Uniform, |field| field.choice(&words, problems));
    let correlation = fields.or("correlation", Percent(0.0), |field| {
        units::share(field, "a correlation from 0% to 99%", |share| (0.0..=0.99).contains(&share), problems)
    });
    if let (Some(delay), Some(jitter), Some(field)) = (delay, jitter, fields.get("jitter"))
        && jitter > delay
    {
        problems
            .error(field.spot(), format!("jitter {jitter} is larger than delay {delay}"))
            .hint("a delay cannot be negative: make `jitter` smaller");
    }
    Some(Latency { delay: delay?, jitter: jitter?, distribution: distribution?, correlation: correlation? })
}

pub(super) fn loss(field: Field<'_>, problems: &mut Problems) -> Option<Loss> {
    let fields = field.fields("`loss`", LOSS_KEYS, problems)?;
    let share = fields.need("share", "share: 10%", problems).and_then(|field| share(field, problems));
    let burst = fields.or("burst", 1, |field| burst(field, problems));
    let loss = Loss { share: share?, burst: burst? };
    // A run of `burst` losses needs a packet that gets through before it.
    let most = f64::from(loss.burst) / f64::from(loss.burst + 1);
    if loss.burst > 1 && loss.share.0 > most {
        problems
            .error(field.spot(), format!("a share of {} cannot be lost in runs of {} packets", loss.share, loss.burst))
            .hint(format!("lose at most {}, or leave `burst` out", Percent((most * 100.0).floor() / 100.0)));
        return None;
    }
    Some(loss)
}

pub(super) fn reorder(field: Field<'_>, problems: &mut Problems) -> Option<Reorder> {
    let fields = field.fields("`reorder`", REORDER_KEYS, problems)?;
    let share = fields.need("share", "share: 10%", problems).and_then(|field| share(field, problems));
    let delay = fields.need("delay", "delay: 20ms", problems).and_then(|field| units::long_span(field, problems));
    Some(Reorder { share: share?, delay: delay? })
}

pub(super) fn corrupt(field: Field<'_>, problems: &mut Problems) -> Option<Corrupt> {
    let fields = field.fields("`corrupt`", &["share"], problems)?;
    let share = fields.need("share", "share: 1%", problems).and_then(|field| share(field, problems));
    Some(Corrupt { share: share? })
}

pub(super) fn duplicate(field: Field<'_>, problems: &mut Problems) -> Option<Duplicate> {
    let fields = field.fields("`duplicate`", &["share"], problems)?;
    let share = fields.need("share", "share: 5%", problems).and_then(|field| share(field, problems));
    Some(Duplicate { share: share? })
}

/// Without a delay the attempts vanish.
pub(super) fn connect(field: Field<'_>, problems: &mut Problems) -> Option<Connect> {
    if field.is_null() {
        return Some(Connect { delay: None });
    }
    let fields = field.fields("`connect`", &["delay"], problems)?;
    Some(Connect { delay: fields.or("delay", None, |field| units::long_span(field, problems).map(Some))? })
}

pub(super) fn mtu(field: Field<'_>, problems: &mut Problems) -> Option<Mtu> {
    let fields = field.fields("`mtu`", &["size"], problems)?;
    let size = fields.need("size", "size: 1280B", problems).and_then(|field| match field.parse::<Bytes>(problems)? {
        size if PACKET_SIZES.contains(&size.0) => Some(size),
        _ => field.wrong("a size from 68B to 65535B", problems),
    });
    Some(Mtu { size: size? })
}

pub(super) fn bandwidth(field: Field<'_>, problems: &mut Problems) -> Option<Bandwidth> {
    let fields = field.fields("`bandwidth`", &["rate"], problems)?;
    let rate = fields.need("rate", "rate: 256KiB/s", problems).and_then(|field| field.parse(problems));
    Some(Bandwidth { rate: rate? })
}

fn burst(field: Field<'_>, problems: &mut Problems) -> Option<u32> {
    match field.parse::<u32>(problems)? {
        packets @ 1..=LONGEST_BURST => Some(packets),
        _ => field.wrong(format!("a mean number of packets from 1 to {LONGEST_BURST}"), problems),
    }
}

pub(super) fn partition(field: Field<'_>, problems: &mut Problems) -> Option<Partition> {
    if field.is_null() {
        return Some(Partition::default());
    }
    let fields = field.fields("`partition`", &["direction"], problems)?;
    let words = [("both", Direction::Both), ("out", Direction::Out), ("in", Direction::In)];
    Some(Partition { direction: fields.or("direction", Direction::Both, |field| field.choice(&words, problems))? })
}
