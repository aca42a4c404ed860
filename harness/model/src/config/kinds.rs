//! What is done: the parameters of each kind of fault.

use super::{fields::Field, http, problems::Problems, units};
use crate::{
    fault::{
        Action, Bandwidth, Connect, Corrupt, Distribution, Duplicate, Latency, LimitData, Loss, Mtu, Reorder, Slicer, SlowClose, Term,
        Timeout,
    },
    units::{Bytes, Percent, Span},
};
use std::time::Duration;

pub(super) const LATENCY_KEYS: &[&str] = &["delay", "jitter", "distribution", "correlation"];
pub(super) const LOSS_KEYS: &[&str] = &["share", "burst"];
pub(super) const REORDER_KEYS: &[&str] = &["share", "delay"];
pub(super) const SLICER_KEYS: &[&str] = &["size", "delay"];

/// What engines give a service by default before they kill it.
const GRACE: Span = Span(Duration::from_secs(10));
/// What an IPv4 host must take (RFC 791), and the longest packet that there is.
const PACKET_SIZES: std::ops::RangeInclusive<u64> = 68..=65_535;
/// Longest mean run of lost packets.
const LONGEST_BURST: u32 = 1000;

/// Reads the kind that `field` names.
pub(super) fn read(field: Field<'_>, problems: &mut Problems) -> Option<Action> {
    match field.name {
        "term" => term(field, problems).map(Action::Term),
        "latency" => latency(field, problems).map(Action::Latency),
        "loss" => loss(field, problems).map(Action::Loss),
        "reorder" => reorder(field, problems).map(Action::Reorder),
        "corrupt" => corrupt(field, problems).map(Action::Corrupt),
        "duplicate" => duplicate(field, problems).map(Action::Duplicate),
        "connect" => connect(field, problems).map(Action::Connect),
        "mtu" => mtu(field, problems).map(Action::Mtu),
        "bandwidth" => bandwidth(field, problems).map(Action::Bandwidth),
        "slicer" => slicer(field, problems).map(Action::Slicer),
        "limit_data" => limit_data(field, problems).map(Action::LimitData),
        "slow_close" => slow_close(field, problems).map(Action::SlowClose),
        "timeout" => timeout(field, problems).map(Action::Timeout),
        "http" => http::read(field, problems).map(|http| Action::Http(Box::new(http))),
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
        "kill" => Some(Action::Kill),
        "restart" => Some(Action::Restart),
        "partition" => Some(Action::Partition),
        "down" => Some(Action::Down),
        _ => Some(Action::Reset),
    }
}

fn term(field: Field<'_>, problems: &mut Problems) -> Option<Term> {
    if field.is_null() {
        return Some(Term { grace: GRACE });
    }
    let fields = field.fields("`term`", &["grace"], problems)?;
    Some(Term { grace: fields.or("grace", GRACE, |field| units::long_span(field, problems))? })
}

fn latency(field: Field<'_>, problems: &mut Problems) -> Option<Latency> {
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

fn loss(field: Field<'_>, problems: &mut Problems) -> Option<Loss> {
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

fn burst(field: Field<'_>, problems: &mut Problems) -> Option<u32> {
    match field.parse::<u32>(problems)? {
        packets @ 1..=LONGEST_BURST => Some(packets),
        _ => field.wrong(format!("a mean number of packets from 1 to {LONGEST_BURST}"), problems),
    }
}

fn reorder(field: Field<'_>, problems: &mut Problems) -> Option<Reorder> {
    let fields = field.fields("`reorder`", REORDER_KEYS, problems)?;
    let share = fields.need("share", "share: 10%", problems).and_then(|field| share(field, problems));
    let delay = fields.need("delay", "delay: 20ms", problems).and_then(|field| units::long_span(field, problems));
    Some(Reorder { share: share?, delay: delay? })
}

fn corrupt(field: Field<'_>, problems: &mut Problems) -> Option<Corrupt> {
    let fields = field.fields("`corrupt`", &["share"], problems)?;
    let share = fields.need("share", "share: 1%", problems).and_then(|field| share(field, problems));
    Some(Corrupt { share: share? })
}

fn duplicate(field: Field<'_>, problems: &mut Problems) -> Option<Duplicate> {
    let fields = field.fields("`duplicate`", &["share"], problems)?;
    let share = fields.need("share", "share: 5%", problems).and_then(|field| share(field, problems));
    Some(Duplicate { share: share? })
}

/// Without a delay the attempts vanish.
fn connect(field: Field<'_>, problems: &mut Problems) -> Option<Connect> {
    if field.is_null() {
        return Some(Connect { delay: None });
    }
    let fields = field.fields("`connect`", &["delay"], problems)?;
    Some(Connect { delay: fields.or("delay", None, |field| units::long_span(field, problems).map(Some))? })
}

fn mtu(field: Field<'_>, problems: &mut Problems) -> Option<Mtu> {
    let fields = field.fields("`mtu`", &["size"], problems)?;
    let size = fields.need("size", "size: 1280B", problems).and_then(|field| match field.parse::<Bytes>(problems)? {
        size if PACKET_SIZES.contains(&size.0) => Some(size),
        _ => field.wrong("a size from 68B to 65535B", problems),
    });
    Some(Mtu { size: size? })
}

fn bandwidth(field: Field<'_>, problems: &mut Problems) -> Option<Bandwidth> {
    let fields = field.fields("`bandwidth`", &["rate"], problems)?;
    let rate = fields.need("rate", "rate: 256KiB/s", problems).and_then(|field| field.parse(problems));
    Some(Bandwidth { rate: rate? })
}

fn slicer(field: Field<'_>, problems: &mut Problems) -> Option<Slicer> {
    let fields = field.fields("`slicer`", SLICER_KEYS, problems)?;
    let size = fields.need("size", "size: 64B", problems).and_then(|field| size(field, problems));
    let delay = fields.need("delay", "delay: 10ms", problems).and_then(|field| units::long_span(field, problems));
    Some(Slicer { size: size?, delay: delay? })
}

fn limit_data(field: Field<'_>, problems: &mut Problems) -> Option<LimitData> {
    let fields = field.fields("`limit_data`", &["bytes"], problems)?;
    let bytes = fields.need("bytes", "bytes: 1KiB", problems).and_then(|field| size(field, problems));
    Some(LimitData { bytes: bytes? })
}

fn slow_close(field: Field<'_>, problems: &mut Problems) -> Option<SlowClose> {
    let fields = field.fields("`slow_close`", &["delay"], problems)?;
    let delay = fields.need("delay", "delay: 2s", problems).and_then(|field| units::long_span(field, problems));
    Some(SlowClose { delay: delay? })
}

fn timeout(field: Field<'_>, problems: &mut Problems) -> Option<Timeout> {
    let fields = field.fields("`timeout`", &["after"], problems)?;
    let after = fields.need("after", "after: 5s", problems).and_then(|field| units::span(field, problems));
    Some(Timeout { after: after? })
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
