//! Whether a fault makes sense, before anything is tried. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shakedown_line::{check_name, check_ttl, invalid};

use crate::wire::{
    Bandwidth, Clock, Connect, Direction, Failure, FaultSpec, Files, Kind, Latency, Loss, Mtu, Processes, Redirect, Reorder, Target,
};

const ADDRESSES_MAX: usize = 1024;
const PORTS_MAX: usize = 1024;
const DELAY_MAX_US: u64 = 60_000_000;
const CORRELATION_MAX_PPM: u32 = 999_999;
const SHARE_MAX_PPM: u32 = 1_000_000;
/// What every path of IPv4 takes (RFC 791), what every path of IPv6 takes (RFC 8200), and the longest packet.
const MTU_MIN: u32 = 68;
const MTU_MIN_6: u32 = 1280;
const MTU_MAX: u32 = 65_535;
/// A hundred years of 365 days.
const OFFSET_MAX_US: u64 = 100 * 365 * 24 * 3600 * 1_000_000;
const LEAVE_MAX: u32 = 1_000_000;

/// The first mistake in a fault.
pub(crate) fn check(spec: &FaultSpec) -> Result<(), Failure> {
    check_name(&spec.name)?;
    check_ttl(spec.ttl_ms)?;
    check_target(spec)?;
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
        Kind::Redirect(redirect) => check_redirect(redirect, spec),
        Kind::Clock(clock) => check_clock(clock),
        Kind::Files(files) => check_files(files),
    }
}

/// That the target is of the sort that the kind is done to, and makes sense.
fn check_target(spec: &FaultSpec) -> Result<(), Failure> {
    match (&spec.to, spec.direction, spec.kind.on_processes()) {
        (Target::Packets { addresses, ports }, Some(_), false) => check_far_end(addresses, ports),
        (Target::Packets { .. }, None, false) => Err(invalid("direction is missing".to_owned(), "one of out, in, both")),
        (Target::Processes(processes), None, true) => check_processes(*processes),
        (Target::Processes(_), Some(_), true) => {
            Err(invalid("processes have no direction".to_owned(), "leave `direction` out: it is said of packets"))
        }
        (Target::Processes(_), _, false) => {
            Err(invalid("this kind of fault is done to packets".to_owned(), "name `addresses` and a `direction`"))
        }
        (Target::Packets { .. }, _, true) => {
            Err(invalid("this kind of fault is done to processes".to_owned(), r#"as `to`, say {"processes":"namespace"}"#))
        }
    }
}

fn check_far_end(addresses: &[IpAddr], ports: &[u16]) -> Result<(), Failure> {
    if !(1..=ADDRESSES_MAX).contains(&addresses.len()) {
        return Err(invalid(format!("{} addresses", addresses.len()), "between 1 and 1024"));
    }
    if let Some(address) = addresses.iter().find(|address| address.is_unspecified()) {
        return Err(invalid(format!("{address} is nobody's address"), "name the far end's own addresses"));
    }
    if ports.len() > PORTS_MAX || ports.contains(&0) {
        return Err(invalid("ports are not usable".to_owned(), "at most 1024, none of them 0; leave empty for all"));
    }
    Ok(())
}

fn check_processes(processes: Processes) -> Result<(), Failure> {
    match processes {
        Processes::Namespace | Processes::Group(2..) => Ok(()),
        Processes::Group(group) => {
            Err(invalid(format!("{group} is no service's process group"), "the id of the group's leader, which is more than 1"))
        }
    }
}

fn check_clock(clock: &Clock) -> Result<(), Failure> {
    if (1..=OFFSET_MAX_US).contains(&clock.offset_us.unsigned_abs()) {
        return Ok(());
    }
    Err(invalid(format!("offset_us is {}", clock.offset_us), "not 0, and at most 3153600000000000 (100 years) either way"))
}

fn check_files(files: &Files) -> Result<(), Failure> {
    if files.leave <= LEAVE_MAX {
        return Ok(());
    }
    Err(invalid(format!("leave is {}", files.leave), "at most 1000000; 0 for none at all"))
}

fn check_share(share_ppm: u32, most: u32, hint: &str) -> Result<(), Failure> {
    if (1..=most).contains(&share_ppm) {
        return Ok(());
    }
    Err(invalid(format!("share_ppm is {share_ppm}"), format!("between 1 and {most} of a million packets; {hint}")))
}

fn check_loss(loss: &Loss) -> Result<(), Failure> {
    check_share(loss.share_ppm, SHARE_MAX_PPM, "1000000 is every packet")?;
    // Bursts end after so many packets on average, and at least one packet passes between two of them.
    let (share, burst) = (u64::from(loss.share_ppm), u64::from(loss.burst_packets));
    let most = u64::from(SHARE_MAX_PPM) * burst / (burst + 1);
    if burst >= 2 && share > most {
        return Err(invalid(
            format!("share_ppm {share} cannot be lost in bursts of {burst} packets"),
            format!("a packet passes between two bursts, so that at most {most} of a million are lost: lower the share"),
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
    let wide = |to: &Target| matches!(to, Target::Packets { addresses, .. } if addresses.iter().any(|it| it.to_canonical().is_ipv6()));
    if mtu.bytes < MTU_MIN_6 && wide(to) {
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

fn check_redirect(redirect: &Redirect, spec: &FaultSpec) -> Result<(), Failure> {
    let Redirect { port, except_uid, udp, reset_established: _ } = *redirect;
    let (Target::Packets { addresses, ports }, Some(Direction::Out)) = (&spec.to, spec.direction) else {
        return Err(invalid("direction is not out".to_owned(), "only connections that this namespace opens can be led elsewhere"));
    };
    if port == 0 {
        return Err(invalid("port is 0".to_owned(), "name the port at which the relay listens"));
    }
    if [0, u32::MAX].contains(&except_uid) {
        return Err(invalid(
            format!("except_uid is {except_uid}"),
            "run the relay as a user of its own: what root sends is to be led there too",
        ));
    }
    if udp && ports.is_empty() {
        return Err(invalid("udp without ports".to_owned(), "name the ports, such as 53"));
    }
    let is_relay = |address: &IpAddr| [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].contains(&address.to_canonical());
    if addresses.iter().any(is_relay) && (ports.is_empty() || ports.contains(&port)) {
        return Err(invalid(
            format!("the target has the relay's own port {port}"),
            "name ports without it: what arrives there would be led there",
        ));
    }
    Ok(())
}
