//! Whether a fault makes sense, before anything is tried. Pure.

use crate::session::invalid;
use crate::wire::{Bandwidth, Connect, Failure, FaultSpec, Kind, Latency, Loss, Mtu, Reorder, Target};

const NAME_MAX: usize = 64;
const ADDRESSES_MAX: usize = 1024;
const PORTS_MAX: usize = 1024;
const DELAY_MAX_US: u64 = 60_000_000;
const CORRELATION_MAX_PPM: u32 = 999_999;
const SHARE_MAX_PPM: u32 = 1_000_000;
/// What every path of IPv4 takes (RFC 791), what every path of IPv6 takes (RFC 8200), and the longest packet.
const MTU_MIN: u32 = 68;
const MTU_MIN_6: u32 = 1280;
const MTU_MAX: u32 = 65_535;
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
        Kind::Partition {} | Kind::Reset {} | Kind::Connect(Connect::Drop {}) => Ok(()),
        Kind::Loss(loss) => check_loss(loss),
        Kind::Reorder(reorder) => check_reorder(reorder),
        Kind::Bandwidth(bandwidth) => check_bandwidth(bandwidth),
        Kind::Corrupt(corrupt) => check_share(corrupt.share_ppm, SHARE_MAX_PPM, "1000000 is every packet"),
        Kind::Connect(Connect::DelayUs(delay_us)) => check_delay(*delay_us),
        Kind::Duplicate(duplicate) => check_share(duplicate.share_ppm, SHARE_MAX_PPM, "1000000 is every packet"),
        Kind::Mtu(mtu) => check_mtu(mtu, &spec.to),
    }
}

fn check_share(share_ppm: u32, most: u32, hint: &str) -> Result<(), Failure> {
    if (1..=most).contains(&share_ppm) {
        return Ok(());
    }
    Err(invalid(format!("share_ppm is {share_ppm}"), &format!("between 1 and {most} of a million packets; {hint}")))
}

fn check_loss(loss: &Loss) -> Result<(), Failure> {
    check_share(loss.share_ppm, SHARE_MAX_PPM, "1000000 is every packet")?;
    // Bursts end after so many packets on average, and at least one packet passes between two of them.
    let (share, burst) = (u64::from(loss.share_ppm), u64::from(loss.burst_packets));
    let most = u64::from(SHARE_MAX_PPM) * burst / (burst + 1);
    if burst >= 2 && share > most {
        return Err(invalid(
            format!("share_ppm {share} cannot be lost in bursts of {burst} packets"),
            &format!("a packet passes between two bursts, so that at most {most} of a million are lost: lower the share"),
        ));
    }
    Ok(())
}

fn check_reorder(reorder: &Reorder) -> Result<(), Failure> {
    check_share(reorder.share_ppm, SHARE_MAX_PPM - 1, "where all packets are held none overtakes another: use latency")?;
    check_delay(reorder.delay_us)
}

/// Of what makes no sense without a delay.
fn check_delay(delay_us: u64) -> Result<(), Failure> {
    if (1..=DELAY_MAX_US).contains(&delay_us) {
        return Ok(());
    }
    Err(invalid(format!("delay_us is {delay_us}"), "between 1 and 60000000 (60 s)"))
}

fn check_bandwidth(bandwidth: &Bandwidth) -> Result<(), Failure> {
    if bandwidth.bytes_per_second == 0 {
        return Err(invalid("bytes_per_second is 0".to_owned(), "at least 1; to let nothing through, use partition"));
    }
    if bandwidth.queue_us > DELAY_MAX_US {
        return Err(invalid(format!("queue_us is {}", bandwidth.queue_us), "at most 60000000 (60 s); 0 means 1 s"));
    }
    Ok(())
}

fn check_mtu(mtu: &Mtu, to: &Target) -> Result<(), Failure> {
    if !(MTU_MIN..=MTU_MAX).contains(&mtu.bytes) {
        return Err(invalid(format!("bytes is {}", mtu.bytes), "between 68, which every path takes, and 65535, which no packet passes"));
    }
    if mtu.bytes < MTU_MIN_6 && to.addresses.iter().any(|address| address.to_canonical().is_ipv6()) {
        return Err(invalid(
            format!("bytes is {} and the target has IPv6 addresses", mtu.bytes),
            "every path of IPv6 takes 1280 bytes: ask for at least that, or name the IPv4 addresses only",
        ));
    }
    Ok(())
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
    if latency.correlation_ppm > CORRELATION_MAX_PPM {
        return Err(invalid(
            format!("correlation_ppm is {}", latency.correlation_ppm),
            "at most 999999 of a million: where all of a delay comes from the one before, none ever changes",
        ));
    }
    Ok(())
}
