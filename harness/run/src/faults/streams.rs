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
use std::time::Duration;

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
        _ => messages(kind, dose)
            .map_or_else(|| dose.chunks.max(dose.connections_touched), |messages| messages.hurt.iter().map(|(_, count)| count).sum()),
    }
}

fn figures(kind: &str, dose: &LinkDose) -> Vec<(&'static str, f64)> {
    match kind {
        "latency" => vec![("delay_ms", millis(dose.mean_delay)), ("delay_p99_ms", millis(dose.p99_delay))],
        "bandwidth" => vec![("saturated_ms", millis(dose.saturated)), ("bytes_per_second", dose.bytes_per_second as f64)],
        "slow_close" => vec![("delay_ms", millis(dose.mean_delay)), ("closings", dose.closings as f64)],
        "reset" => vec![("resets", dose.resets as f64)],
        "slicer" => vec![("slices", dose.slices as f64)],
        "limit_data" | "timeout" => vec![("closings", dose.closings as f64)],
        "down" => vec![("closings", dose.closings as f64), ("resets", dose.resets as f64), ("refused_ms", millis(dose.refused))],
        _ => messages(kind, dose).map(|messages| messages.figures(dose)).unwrap_or_default(),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What a kind that speaks a protocol did, by its messages.
struct Messages {
    requests: u64,
    matched: u64,
    /// How often each way of hurting was done to one.
    hurt: Vec<(&'static str, u64)>,
    opaque: u64,
}

impl Messages {
    fn figures(self, dose: &LinkDose) -> Vec<(&'static str, f64)> {
        let counts = [("requests", self.requests), ("matched", self.matched)].into_iter().chain(self.hurt).chain([("opaque", self.opaque)]);
        counts.map(|(name, count)| (name, count as f64)).chain([("delay_ms", millis(dose.mean_delay))]).collect()
    }
}

fn messages(kind: &str, dose: &LinkDose) -> Option<Messages> {
    let LinkDose { http, postgres, redis, .. } = dose;
    Some(match kind {
        "http" | "grpc" => Messages {
            requests: http.requests,
            matched: http.matched,
            hurt: vec![("aborted", http.aborted), ("delayed", http.delayed), ("patched", http.patched)],
            opaque: http.opaque,
        },
        "postgres" => Messages {
            requests: postgres.queries,
            matched: postgres.matched,
            hurt: vec![("errors", postgres.errors), ("delayed", postgres.delayed), ("held", postgres.held)],
            opaque: postgres.opaque,
        },
        "redis" => Messages {
            requests: redis.commands,
            matched: redis.matched,
            hurt: vec![("errors", redis.errors), ("missed", redis.missed), ("delayed", redis.delayed), ("held", redis.held)],
            opaque: redis.opaque,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_link::{HttpDose, PostgresDose, RedisDose};

    fn dose() -> LinkDose {
        LinkDose {
            chunks: 3,
            mean_delay: Duration::from_millis(5),
            http: HttpDose { requests: 9, matched: 8, aborted: 1, delayed: 2, patched: 3, opaque: 4 },
            postgres: PostgresDose { queries: 9, matched: 8, errors: 1, delayed: 2, held: 4, opaque: 5 },
            redis: RedisDose { commands: 9, matched: 8, errors: 1, missed: 2, delayed: 4, held: 8, opaque: 5 },
            ..LinkDose::default()
        }
    }

    #[test]
    fn a_protocol_is_touched_as_often_as_its_messages_were_hurt() {
        let touched = ["http", "grpc", "postgres", "redis", "latency"].map(|kind| touched(kind, &dose()));
        assert_eq!(touched, [6, 6, 7, 15, 3]);
    }

    #[test]
    fn the_figures_of_a_protocol_are_its_messages_and_the_mean_delay() {
        let redis = [
            ("requests", 9.0),
            ("matched", 8.0),
            ("errors", 1.0),
            ("missed", 2.0),
            ("delayed", 4.0),
            ("held", 8.0),
            ("opaque", 5.0),
            ("delay_ms", 5.0),
        ];
        assert_eq!(figures("redis", &dose()), redis);
        let names = |kind| figures(kind, &dose()).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("postgres"), ["requests", "matched", "errors", "delayed", "held", "opaque", "delay_ms"]);
        assert_eq!(names("grpc"), ["requests", "matched", "aborted", "delayed", "patched", "opaque", "delay_ms"]);
    }
}
