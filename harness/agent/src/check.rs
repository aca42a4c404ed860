//! Whether a fault makes sense, before anything is tried. Pure.

use crate::session::invalid;
use crate::wire::{Failure, FaultSpec, Kind, Latency};

const NAME_MAX: usize = 64;
const ADDRESSES_MAX: usize = 1024;
const PORTS_MAX: usize = 1024;
const DELAY_MAX_US: u64 = 60_000_000;
const TTL_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// The first mistake in a fault.
pub(crate) fn check(spec: &FaultSpec) -> Result<(), Failure> {
    let known = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if spec.name.is_empty() || spec.name.len() > NAME_MAX || !spec.name.chars().all(known) {
        return Err(invalid(format!("the name {:?} is not usable", spec.name), "1 to 64 letters, digits, '_', '-' and '.'"));
    }
    if !(1..=TTL_MAX_MS).contains(&spec.ttl_ms) {
        return Err(invalid(format!("ttl_ms is {}", spec.ttl_ms), "between 1 and 86400000 (24 h)"));
    }
    if !(1..=ADDRESSES_MAX).contains(&spec.to.addresses.len()) {
        return Err(invalid(format!("{} addresses", spec.to.addresses.len()), "between 1 and 1024"));
    }
    if let Some(address) = spec.to.addresses.iter().find(|address| address.is_unspecified()) {
        return Err(invalid(format!("{address} is nobody's address"), "name the far end's own addresses"));
    }
    if spec.to.ports.len() > PORTS_MAX || spec.to.ports.contains(&0) {
        return Err(invalid("ports are not usable".to_owned(), "at most 1024, none of them 0; leave empty for all"));
    }
    match &spec.kind {
        Kind::Latency(latency) => check_latency(latency),
        Kind::Partition {} | Kind::Reset {} => Ok(()),
    }
}

fn check_latency(latency: &Latency) -> Result<(), Failure> {
    if latency.delay_us > DELAY_MAX_US {
        return Err(invalid(format!("delay_us is {}", latency.delay_us), "at most 60000000 (60 s)"));
    }
    if latency.jitter_us > latency.delay_us {
        return Err(invalid(
            format!("jitter_us {} is more than delay_us {}", latency.jitter_us, latency.delay_us),
            "no packet can leave before it came, so that the mean would not be delay_us: lower the jitter",
        ));
    }
    Ok(())
}
