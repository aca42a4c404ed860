//! Faults by a relay beside a container: connections are led to it before the scenario begins, so that the fault itself only changes what it does.

use super::{Planned, dns, said, streams};
use crate::{announce::now, sides::Side};
use shakedown_agent::wire;
use shakedown_model::{
    fault::{Action, FaultRecord, Target},
    time::UnixNanos,
};
use shakedown_runtime::Post;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

/// The traffic of an edge, or a service's DNS queries, that go through a relay.
#[derive(Debug, Clone)]
pub(crate) struct Relayed {
    /// Names relay and redirection.
    name: String,
}

/// Where Docker's own resolver is asked, in every network that a user made.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const DNS: u16 = 53;

/// Leads the connections of an edge through the relay beside its caller, or a service's DNS queries through the one beside it. Connections that are
/// open are reset, so that they are made again.
pub(crate) async fn lead(side: &Side, target: &Target, ports: &[u16], ttl: Duration) -> Result<Relayed, String> {
    let caller = caller(target);
    let (relay, agent) = (side.relay(caller)?, side.agent(caller, Post::Packets)?);
    let (name, to, opened) = match target {
        Target::Edge(edge) => {
            let (name, addresses) = (format!("to-{}", edge.to), side.stack.addresses_within(&edge.to).await.map_err(said)?);
            let to = shakedown_link::Target { addresses: addresses.clone(), ports: ports.to_vec() };
            let opened = relay.lock().await.open(&name, to).await;
            (name, wire::Target::Packets { addresses, ports: ports.to_vec() }, opened)
        }
        Target::Service(_) => {
            let (name, resolver) = ("dns".to_owned(), IpAddr::from(RESOLVER));
            let opened = relay.lock().await.open_dns(&name, SocketAddr::new(resolver, DNS)).await;
            (name, wire::Target::Packets { addresses: vec![resolver], ports: vec![DNS] }, opened)
        }
    };
    let is_dns = matches!(target, Target::Service(_));
    let port = opened.map_err(said)?.port;
    let redirect = wire::Redirect { port, except_uid: Post::RELAY_USER, udp: is_dns, reset_established: !is_dns };
    let spec = wire::FaultSpec {
        name: name.clone(),
        ttl_ms: ttl.as_millis() as u64,
        kind: wire::Kind::Redirect(redirect),
        to,
        direction: Some(wire::Direction::Out),
    };
    if let Err(error) = agent.lock().await.apply(spec).await {
        // Nothing is led there: the next scenario may open it again.
        let _ = relay.lock().await.close(&name).await;
        return Err(said(error));
    }
    Ok(Relayed { name })
}

/// Leads them past it again. What went through it is closed.
pub(crate) async fn let_go(side: &Side, target: &Target, relayed: &Relayed) -> Result<(), String> {
    let caller = caller(target);
    side.agent(caller, Post::Packets)?.lock().await.revert(&relayed.name).await.map_err(said)?;
    side.relay(caller)?.lock().await.close(&relayed.name).await.map_err(said)?;
    Ok(())
}

fn caller(target: &Target) -> &str {
    match target {
        Target::Edge(edge) => &edge.from,
        Target::Service(service) => service,
    }
}

pub(super) async fn apply(
    side: &Side,
    planned: Planned<'_>,
    target: &Target,
    seed: u64,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    let (mut relay, relayed) = (side.relay(caller(target))?.lock().await, relayed(side, target)?);
    let set = if let Action::Dns(dns) = &planned.fault.action {
        record.mechanism = format!("{}; {dns}", record.mechanism);
        relay.set_dns(&relayed.name, dns::rule(dns, seed ^ planned.index as u64)?, planned.ttl_ms()).await
    } else {
        let (behaviour, toxicity) = streams::order(planned, seed, record)?;
        relay.set(&relayed.name, behaviour, toxicity, planned.ttl_ms()).await
    };
    Ok(UnixNanos(set.map_err(said)?.set_at_unix_ns))
}

pub(super) async fn revert(side: &Side, target: &Target, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let relayed = relayed(side, target)?;
    let cleared = side.relay(caller(target))?.lock().await.clear(&relayed.name).await.map_err(said)?;
    match target {
        Target::Edge(_) => streams::note_dose(record, &cleared.dose),
        Target::Service(_) => dns::note_dose(record, &cleared.dose.dns),
    }
    Ok(cleared.cleared_at_unix_ns.map_or_else(now, UnixNanos))
}

fn relayed<'a>(side: &'a Side, target: &Target) -> Result<&'a Relayed, String> {
    match side.relayed.get(target) {
        Some(Ok(relayed)) => Ok(relayed),
        Some(Err(why)) => Err(why.clone()),
        None => Err(format!("the traffic of {target} does not go through a relay")),
    }
}
