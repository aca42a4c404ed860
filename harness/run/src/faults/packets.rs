//! Faults on the packets of an edge, by the agent beside its caller.

use super::{Planned, note, parts_per_million, said};
use crate::{announce::now, sides::Side};
use shakedown_agent::wire;
use shakedown_model::{
    fault::{Action, Direction, Distribution, Edge, FaultRecord},
    time::UnixNanos,
};
use shakedown_runtime::Post;

/// What a narrow line lets wait before it drops: a second, as the buffers of access networks do.
const LINE_QUEUE_US: u64 = 1_000_000;

pub(super) async fn apply(
    side: &Side,
    planned: Planned<'_>,
    edge: &Edge,
    seed: u64,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    let agent = side.agent(&edge.from, Post::Packets)?;
    let addresses = side.stack.addresses_within(&edge.to).await.map_err(said)?;
    let spec = wire::FaultSpec {
        name: planned.name(),
        ttl_ms: planned.ttl_ms(),
        kind: packet_kind(&planned.fault.action, seed ^ planned.index as u64)?,
        to: wire::Target::Packets { addresses, ports: planned.fault.ports.clone() },
        direction: Some(packet_direction(&planned.fault.action)),
    };
    let applied = agent.lock().await.apply(spec).await.map_err(said)?;
    record.mechanism = applied.mechanism;
    Ok(UnixNanos(applied.applied_at_unix_ns))
}

fn packet_kind(action: &Action, seed: u64) -> Result<wire::Kind, String> {
    match action {
        Action::Latency(latency) => Ok(wire::Kind::Latency(wire::Latency {
            delay_us: latency.delay.0.as_micros() as u64,
            jitter_us: latency.jitter.0.as_micros() as u64,
            distribution: match latency.distribution {
                Distribution::Uniform => wire::Distribution::Uniform,
                Distribution::Normal => wire::Distribution::Normal,
                Distribution::Pareto => wire::Distribution::Pareto,
                Distribution::ParetoNormal => wire::Distribution::Paretonormal,
            },
            correlation_ppm: (latency.correlation.0 * 1e6).round() as u32,
            seed,
        })),
        Action::Loss(loss) => {
            Ok(wire::Kind::Loss(wire::Loss { share_ppm: parts_per_million(loss.share), burst_packets: loss.burst, seed }))
        }
        Action::Reorder(reorder) => Ok(wire::Kind::Reorder(wire::Reorder {
            share_ppm: parts_per_million(reorder.share),
            delay_us: reorder.delay.0.as_micros() as u64,
            seed,
        })),
        Action::Corrupt(corrupt) => Ok(wire::Kind::Corrupt(wire::Corrupt { share_ppm: parts_per_million(corrupt.share), seed })),
        Action::Duplicate(duplicate) => Ok(wire::Kind::Duplicate(wire::Duplicate { share_ppm: parts_per_million(duplicate.share), seed })),
        Action::Connect(connect) => Ok(wire::Kind::Connect(match connect.delay {
            None => wire::Connect::Drop {},
            Some(delay) => wire::Connect::DelayUs(delay.0.as_micros() as u64),
        })),
        Action::Mtu(mtu) => Ok(wire::Kind::Mtu(wire::Mtu { bytes: u32::try_from(mtu.size.0).unwrap_or(u32::MAX) })),
        Action::Bandwidth(bandwidth) => {
            Ok(wire::Kind::Bandwidth(wire::Bandwidth { bytes_per_second: bandwidth.rate.0, queue_us: LINE_QUEUE_US }))
        }
        Action::Partition(_) => Ok(wire::Kind::Partition {}),
        Action::Reset => Ok(wire::Kind::Reset {}),
        other => Err(format!("{} is not done to packets", other.kind())),
    }
}

/// Latency is added once to each round trip, to what comes back: held outgoing packets would count against the sender's own socket
/// buffer. A partition cuts both ways, and a narrow or bad line is so in either direction. A reset answers what the caller sends, so that the caller hears of it first.
fn packet_direction(action: &Action) -> wire::Direction {
    match action {
        Action::Partition(partition) => match partition.direction {
            Direction::Both => wire::Direction::Both,
            Direction::Out => wire::Direction::Out,
            Direction::In => wire::Direction::In,
        },
        Action::Loss(_) | Action::Corrupt(_) | Action::Duplicate(_) | Action::Mtu(_) | Action::Bandwidth(_) => wire::Direction::Both,
        Action::Latency(_) | Action::Reorder(_) => wire::Direction::In,
        _ => wire::Direction::Out,
    }
}

/// How many packets a kind really hit, and how many it chose where it is asked for a share: one that is held is chosen, and hit when another
/// has gone by.
fn hit(kind: &str, dose: &wire::Dose) -> (u64, Option<u64>) {
    match kind {
        "loss" => (dose.lost, Some(dose.lost)),
        "corrupt" => (dose.corrupted, Some(dose.corrupted)),
        "reorder" => (dose.reordered, Some(dose.delayed + dose.held + dose.released_early)),
        "duplicate" => (dose.duplicated, Some(dose.duplicated)),
        "connect" => (dose.lost + dose.delayed, None),
        "mtu" => (dose.lost, None),
        _ => (dose.packets, None),
    }
}

pub(super) async fn revert(side: &Side, planned: Planned<'_>, edge: &Edge, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let agent = side.agent(&edge.from, Post::Packets)?;
    let reverted = agent.lock().await.revert(&planned.name()).await.map_err(said)?;
    if let Some(dose) = &reverted.dose {
        let (hit, chosen) = hit(&record.kind, dose);
        record.dose.touched = hit;
        if let Some(chosen) = chosen {
            let share = if dose.judged == 0 { 0.0 } else { chosen as f64 / dose.judged as f64 };
            note(record, [("share_percent", share * 100.0)]);
        }
        note(record, figures(dose));
        if let Some(trouble) = &dose.trouble {
            record.error = Some(trouble.clone());
        }
    }
    Ok(reverted.reverted_at_unix_ns.map_or_else(now, UnixNanos))
}

/// An agent's dose in the words of the result.
fn figures(dose: &wire::Dose) -> Vec<(&'static str, f64)> {
    let mut figures = vec![("packets", dose.packets as f64), ("bytes", dose.bytes as f64)];
    if let Some(connections) = dose.connections {
        figures.push(("connections", connections as f64));
    }
    if let Some(mean) = dose.mean_delay_us {
        figures.push(("delay_ms", mean as f64 / 1e3));
    }
    if let Some(p99) = dose.p99_delay_us {
        figures.push(("delay_p99_ms", p99 as f64 / 1e3));
    }
    let counts = [("lost", dose.lost), ("reordered", dose.reordered), ("corrupted", dose.corrupted), ("duplicated", dose.duplicated)];
    figures.extend(counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, count as f64)));
    if dose.dropped_by_queue > 0 {
        figures.push(("lost_by_queue", dose.dropped_by_queue as f64));
    }
    figures
}
