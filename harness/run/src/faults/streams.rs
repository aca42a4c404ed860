//! Faults on the byte streams of an edge: what a relay is to do, and what it did. Where services are processes it is a link in the harness.

use super::{Planned, note, said};
use crate::{announce::now, sides::Side};
use shakedown_link::{
    Behaviour, CommandMatching, Distribution, GrpcStatus, HttpAction, HttpProtocol, HttpRuleError, LinkDose, Matching, Patch, PathPattern,
    PostgresAction, PostgresRuleError, QueryMatching, RedisAction, RedisRuleError, Toxicity,
};
use shakedown_model::{
    fault::{
        self, Action, Edge, FaultRecord, Grpc, GrpcEffect, Http, HttpEffect, Postgres, PostgresAt, PostgresEffect, Redis, RedisEffect,
    },
    time::UnixNanos,
};

/// Puts a fault on.
pub(super) fn apply(side: &Side, planned: Planned<'_>, edge: &Edge, seed: u64, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let link = edge_link(side, edge)?;
    let (behaviour, toxicity) = order(planned, seed, record)?;
    match toxicity {
        Some(toxicity) => link.set_for(behaviour, toxicity),
        None => link.set(behaviour),
    }
    Ok(now())
}

/// What a relay is to do for a fault, and on which connections if not on all.
pub(super) fn order(planned: Planned<'_>, seed: u64, record: &mut FaultRecord) -> Result<(Behaviour, Option<Toxicity>), String> {
    let seed = seed ^ planned.index as u64;
    let behaviour = behaviour(&planned.fault.action, seed)?;
    if let Some(words) = words(&planned.fault.action) {
        record.mechanism = format!("{}; {words}", record.mechanism);
    }
    let share = planned.fault.connections;
    if share.0 >= 1.0 {
        return Ok((behaviour, None));
    }
    record.mechanism = format!("{}; on {share} of the connections", record.mechanism);
    let toxicity = Toxicity::try_new(share.0, seed).ok_or_else(|| format!("{share} is no share of connections"))?;
    Ok((behaviour, Some(toxicity)))
}

/// What the kinds that speak a protocol are about.
fn words(action: &Action) -> Option<String> {
    match action {
        Action::Http(http) => Some(http.to_string()),
        Action::Grpc(grpc) => Some(grpc.to_string()),
        Action::Postgres(postgres) => Some(postgres.to_string()),
        Action::Redis(redis) => Some(redis.to_string()),
        _ => None,
    }
}

/// Takes it off, and notes what it did.
pub(super) fn revert(side: &Side, edge: &Edge, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let link = edge_link(side, edge)?;
    let dose = link.dose();
    link.set(Behaviour::Pass);
    note_dose(record, &dose);
    Ok(now())
}

/// What a relay did.
pub(super) fn note_dose(record: &mut FaultRecord, dose: &LinkDose) {
    record.dose.touched = touched(&record.kind, dose);
    let common = [("connections", dose.connections_touched as f64), ("bytes", dose.bytes as f64)];
    let spared = (dose.connections_spared > 0).then_some(("connections_spared", dose.connections_spared as f64));
    let figures = figures(&record.kind, dose);
    note(record, common.into_iter().chain(spared).chain(figures));
}

fn edge_link<'a>(side: &'a Side, edge: &Edge) -> Result<&'a shakedown_link::Link, String> {
    side.links.get(edge).ok_or_else(|| {
        format!("{} does not take the address of {} from `{{{{ {} }}}}`, so there is no link on {edge}", edge.from, edge.to, edge.to)
    })
}

fn behaviour(action: &Action, seed: u64) -> Result<Behaviour, String> {
    Ok(match action {
        Action::Latency(latency) => {
            let distribution = distribution(latency.distribution);
            Behaviour::Latency { delay: latency.delay.0, jitter: latency.jitter.0, distribution, seed }
        }
        Action::Bandwidth(bandwidth) => Behaviour::Bandwidth { bytes_per_second: bandwidth.rate.0 },
        Action::Partition(_) => Behaviour::Partition,
        Action::Reset => Behaviour::Reset,
        Action::Slicer(slicer) => Behaviour::Slicer { size: usize::try_from(slicer.size.0).unwrap_or(usize::MAX), delay: slicer.delay.0 },
        Action::LimitData(limit) => Behaviour::LimitData { bytes: limit.bytes.0 },
        Action::SlowClose(close) => Behaviour::SlowClose { delay: close.delay.0 },
        Action::Timeout(timeout) => Behaviour::Timeout { after: timeout.after.0 },
        Action::Down => Behaviour::Down,
        Action::Http(http) => http_rule(http, seed).map_err(said)?,
        Action::Grpc(grpc) => grpc_rule(grpc, seed)?,
        Action::Postgres(postgres) => postgres_rule(postgres, seed).map_err(said)?,
        Action::Redis(redis) => redis_rule(redis, seed).map_err(said)?,
        other => return Err(format!("{} is not done to byte streams", other.kind())),
    })
}

fn distribution(distribution: fault::Distribution) -> Distribution {
    match distribution {
        fault::Distribution::Uniform => Distribution::Uniform,
        fault::Distribution::Normal => Distribution::Normal,
        fault::Distribution::Pareto => Distribution::Pareto,
        fault::Distribution::ParetoNormal => Distribution::ParetoNormal,
    }
}

fn http_rule(http: &Http, seed: u64) -> Result<Behaviour, HttpRuleError> {
    let matching = Matching {
        method: http.method.clone(),
        path: http.path.clone().map(PathPattern::Glob),
        header: http.header.clone(),
        baggage: http.baggage.clone(),
        protocol: HttpProtocol::Any,
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

fn grpc_rule(grpc: &Grpc, seed: u64) -> Result<Behaviour, String> {
    let path = grpc.method.as_ref().map(|method| PathPattern::Glob(format!("/{method}")));
    let matching = Matching { path, protocol: HttpProtocol::Grpc, share: grpc.share.0, seed, ..Matching::default() };
    let action = match &grpc.effect {
        GrpcEffect::Status { code, message } => {
            let status = GrpcStatus::try_from(*code).map_err(said)?;
            HttpAction::GrpcAbort { status, message: message.clone() }
        }
        GrpcEffect::Delay { delay } => HttpAction::Delay { duration: delay.0 },
    };
    Behaviour::http(matching, action).map_err(said)
}

fn postgres_rule(postgres: &Postgres, seed: u64) -> Result<Behaviour, PostgresRuleError> {
    let query = if let PostgresAt::Query(query) = &postgres.at { query.clone() } else { None };
    let action = match (&postgres.at, &postgres.effect) {
        (PostgresAt::Connect, PostgresEffect::Error(error)) => PostgresAction::Refuse { error: error.clone(), message: None },
        (_, PostgresEffect::Error(error)) => PostgresAction::Error { error: error.clone(), message: None },
        (_, PostgresEffect::Delay(delay)) => PostgresAction::Delay { duration: delay.0 },
        (_, PostgresEffect::Timeout) => PostgresAction::Timeout,
    };
    Behaviour::postgres(QueryMatching { query, share: postgres.share.0, seed }, action)
}

fn redis_rule(redis: &Redis, seed: u64) -> Result<Behaviour, RedisRuleError> {
    let matching = CommandMatching { commands: redis.commands.clone(), key: redis.key.clone(), share: redis.share.0, seed };
    let action = match &redis.effect {
        RedisEffect::Error(error) => RedisAction::Error { error: error.clone() },
        RedisEffect::Miss => RedisAction::Miss,
        RedisEffect::Delay(delay) => RedisAction::Delay { duration: delay.0 },
        RedisEffect::Timeout => RedisAction::Timeout,
    };
    Behaviour::redis(matching, action)
}

/// How often a kind really hurt.
fn touched(kind: &str, dose: &LinkDose) -> u64 {
    match kind {
        "reset" => dose.resets,
        "slicer" => dose.slices.saturating_sub(dose.chunks),
        "limit_data" | "slow_close" => dose.closings,
        "timeout" => dose.closings.max(dose.chunks),
        "down" => dose.closings + dose.resets,
        "http" | "grpc" => dose.http.aborted + dose.http.delayed + dose.http.patched,
        "postgres" => dose.postgres.errors + dose.postgres.delayed + dose.postgres.held,
        "redis" => dose.redis.errors + dose.redis.missed + dose.redis.delayed + dose.redis.held,
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
        "http" | "grpc" => vec![
            ("requests", http.requests as f64),
            ("matched", http.matched as f64),
            ("aborted", http.aborted as f64),
            ("delayed", http.delayed as f64),
            ("patched", http.patched as f64),
            ("opaque", http.opaque as f64),
            ("delay_ms", millis(dose.mean_delay)),
        ],
        "postgres" => vec![
            ("requests", dose.postgres.queries as f64),
            ("matched", dose.postgres.matched as f64),
            ("errors", dose.postgres.errors as f64),
            ("delayed", dose.postgres.delayed as f64),
            ("held", dose.postgres.held as f64),
            ("opaque", dose.postgres.opaque as f64),
            ("delay_ms", millis(dose.mean_delay)),
        ],
        "redis" => vec![
            ("requests", dose.redis.commands as f64),
            ("matched", dose.redis.matched as f64),
            ("errors", dose.redis.errors as f64),
            ("missed", dose.redis.missed as f64),
            ("delayed", dose.redis.delayed as f64),
            ("held", dose.redis.held as f64),
            ("opaque", dose.redis.opaque as f64),
            ("delay_ms", millis(dose.mean_delay)),
        ],
        _ => Vec::new(),
    }
}
