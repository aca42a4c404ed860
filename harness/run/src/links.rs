//! Faults on an edge of processes: what its link is to do, and what it did.

use crate::{announce::now, faults::Planned, sides::Side};
use shakedown_link::{Behaviour, HttpAction, HttpRuleError, LinkDose, Matching, Patch, PathPattern, Toxicity};
use shakedown_model::{
    fault::{Action, Edge, FaultRecord, Http, HttpEffect},
    time::UnixNanos,
};

/// Puts a fault on.
pub(crate) fn apply(side: &Side, planned: Planned<'_>, edge: &Edge, seed: u64, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let link = edge_link(side, edge)?;
    let seed = seed ^ planned.index as u64;
    let behaviour = behaviour(&planned.fault.action, seed)?;
    if let Action::Http(http) = &planned.fault.action {
        record.mechanism = format!("{}; {http}", record.mechanism);
    }
    let share = planned.fault.connections;
    if share.0 < 1.0 {
        let toxicity = Toxicity::try_new(share.0, seed).ok_or_else(|| format!("{share} is no share of connections"))?;
        record.mechanism = format!("{}; on {share} of the connections", record.mechanism);
        link.set_for(behaviour, toxicity);
    } else {
        link.set(behaviour);
    }
    Ok(now())
}

/// Takes it off, and notes what it did.
pub(crate) fn revert(side: &Side, edge: &Edge, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let link = edge_link(side, edge)?;
    let dose = link.dose();
    link.set(Behaviour::Pass);
    record.dose.touched = touched(&record.kind, &dose);
    let common = [("connections", dose.connections_touched as f64), ("bytes", dose.bytes as f64)];
    let spared = (dose.connections_spared > 0).then_some(("connections_spared", dose.connections_spared as f64));
    let figures = common.into_iter().chain(spared).chain(figures(&record.kind, &dose));
    record.dose.figures.extend(figures.map(|(name, value)| (name.to_owned(), value)));
    Ok(now())
}

fn edge_link<'a>(side: &'a Side, edge: &Edge) -> Result<&'a shakedown_link::Link, String> {
    side.links.get(edge).ok_or_else(|| {
        format!("{} does not take the address of {} from `{{{{ {} }}}}`, so there is no link on {edge}", edge.from, edge.to, edge.to)
    })
}

fn behaviour(action: &Action, seed: u64) -> Result<Behaviour, String> {
    Ok(match action {
        Action::Latency(latency) if latency.correlation.0 > 0.0 => {
            return Err("correlated delays are done to packets, and processes have none of their own: use `--runtime docker`".to_owned());
        }
        Action::Latency(latency) => {
            Behaviour::Latency { delay: latency.delay.0, jitter: latency.jitter.0, distribution: latency.distribution, seed }
        }
        Action::Bandwidth(bandwidth) => Behaviour::Bandwidth { bytes_per_second: bandwidth.rate.0 },
        Action::Partition => Behaviour::Partition,
        Action::Reset => Behaviour::Reset,
        Action::Slicer(slicer) => Behaviour::Slicer { size: usize::try_from(slicer.size.0).unwrap_or(usize::MAX), delay: slicer.delay.0 },
        Action::LimitData(limit) => Behaviour::LimitData { bytes: limit.bytes.0 },
        Action::SlowClose(close) => Behaviour::SlowClose { delay: close.delay.0 },
        Action::Timeout(timeout) => Behaviour::Timeout { after: timeout.after.0 },
        Action::Down => Behaviour::Down,
        Action::Http(http) => rule(http, seed).map_err(|error| error.to_string())?,
        Action::Loss(_) | Action::Reorder(_) | Action::Corrupt(_) | Action::Duplicate(_) | Action::Connect(_) | Action::Mtu(_) => {
            return Err(format!("{} is done to packets, and processes have none of their own: use `--runtime docker`", action.kind()));
        }
        Action::Pause | Action::Term(_) | Action::Kill | Action::Restart => {
            return Err(format!("{} is not done to an edge", action.kind()));
        }
    })
}

fn rule(http: &Http, seed: u64) -> Result<Behaviour, HttpRuleError> {
    let matching = Matching {
        method: http.method.clone(),
        path: http.path.clone().map(PathPattern::Glob),
        header: http.header.clone(),
        baggage: http.baggage.clone(),
        share: http.share.0,
        seed,
    };
    let action = match &http.effect {
        HttpEffect::Abort { status } => HttpAction::Abort { status: *status },
        HttpEffect::Delay { delay } => HttpAction::Delay { duration: delay.0 },
        HttpEffect::Patch(patch) => HttpAction::Patch(Patch {
            status: patch.status,
            set: patch.set.clone().into_iter().collect(),
            remove: patch.remove.clone(),
            body: patch.body.clone().map(Into::into),
        }),
    };
    Behaviour::http(matching, action)
}

/// How often a kind really hurt.
fn touched(kind: &str, dose: &LinkDose) -> u64 {
    match kind {
        "reset" => dose.resets,
        "slicer" => dose.slices.saturating_sub(dose.chunks),
        "limit_data" | "slow_close" => dose.closings,
        "timeout" => dose.closings.max(dose.chunks),
        "down" => dose.closings + dose.resets,
        "http" => dose.http.aborted + dose.http.delayed + dose.http.patched,
        _ => dose.chunks.max(dose.connections_touched),
    }
}

fn figures(kind: &str, dose: &LinkDose) -> Vec<(&'static str, f64)> {
    let millis = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
    let http = dose.http;
    match kind {
        "latency" => vec![("delay_ms", millis(dose.mean_delay)), ("delay_p99_ms", millis(dose.p99_delay))],
        "bandwidth" => vec![("saturated_ms", millis(dose.saturated)), ("bytes_per_second", dose.bytes_per_second as f64)],
        "slow_close" => vec![("delay_ms", millis(dose.mean_delay)), ("closings", dose.closings as f64)],
        "reset" => vec![("resets", dose.resets as f64)],
        "slicer" => vec![("slices", dose.slices as f64)],
        "limit_data" | "timeout" => vec![("closings", dose.closings as f64)],
        "down" => vec![("closings", dose.closings as f64), ("resets", dose.resets as f64), ("refused_ms", millis(dose.refused))],
        "http" => vec![
            ("requests", http.requests as f64),
            ("matched", http.matched as f64),
            ("aborted", http.aborted as f64),
            ("delayed", http.delayed as f64),
            ("patched", http.patched as f64),
            ("opaque", http.opaque as f64),
            ("delay_ms", millis(dose.mean_delay)),
        ],
        _ => Vec::new(),
    }
}
