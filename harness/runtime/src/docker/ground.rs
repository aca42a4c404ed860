//! What containers stand on: the networks and volumes of one variant, and how harness and containers reach each other across them.

use super::{
    container::{Reach, networks_of},
    engine::{Engine, is_conflict},
    names::Names,
};
use crate::{
    RuntimeError,
    runtime::{Place, Prepared},
};
use bollard::{
    models::{NetworkCreateRequest, NetworkInspect, VolumeCreateRequest},
    query_parameters::InspectNetworkOptions,
};
use futures_util::future::try_join_all;
use shakedown_model::stack::{NetworkSpec, StackSpec};
use shakedown_undo::{Journal, Undo};
use std::net::{IpAddr, Ipv4Addr, TcpListener};

/// What containers stand on.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) reach: Reach,
    /// What the user should know about it.
    pub(crate) warnings: Vec<String>,
}

/// Makes the networks and volumes that are ours; those that exist already must be there.
pub(crate) async fn prepare(engine: &Engine, spec: &StackSpec, journal: &Journal) -> Result<Prepared, RuntimeError> {
    let names = Names::of(spec);
    let networks = networks(spec);
    let ours = networks.iter().filter(|(_, network)| network.external.is_none());
    let volumes = spec.project.volumes.iter().filter(|(_, volume)| volume.external.is_none()).map(|(name, _)| names.volume(name));
    let volumes: Vec<String> = volumes.collect();
    let run = || spec.run.clone();
    let mut undos: Vec<Undo> = ours.map(|(name, _)| Undo::RemoveNetwork { name: names.network(name), run: run() }).collect();
    undos.extend(volumes.iter().map(|name| Undo::RemoveVolume { name: name.clone(), run: run() }));
    journal.intend_all(undos).await?;
    // All of them are let finish, also where one fails: what is on its way must not appear after the unwinding.
    let made = futures_util::future::join_all(networks.iter().map(|(name, network)| make_network(engine, &names, name, network)));
    let kept = futures_util::future::join_all(volumes.iter().map(|name| make_volume(engine, &names, name)));
    let (made, kept) = tokio::join!(made, kept);
    let made: Vec<NetworkInspect> = made.into_iter().collect::<Result<_, _>>()?;
    kept.into_iter().collect::<Result<Vec<()>, _>>()?;
    check_external_volumes(engine, spec).await?;
    Ok(prepared(spec, &networks, &made))
}

/// Networks by compose name that any service is in, the ones that lead outside first.
fn networks(spec: &StackSpec) -> Vec<(String, NetworkSpec)> {
    let mut used: Vec<String> = Vec::new();
    for name in spec.project.services.values().flat_map(|service| networks_of(&spec.project, service)) {
        if !used.contains(&name) {
            used.push(name);
        }
    }
    let known = |name: &String| spec.project.networks.get(name).cloned().unwrap_or_default();
    let mut networks: Vec<_> = used.into_iter().map(|name| (name.clone(), known(&name))).collect();
    networks.sort_by_key(|(_, network)| network.internal);
    networks
}

fn prepared(spec: &StackSpec, networks: &[(String, NetworkSpec)], made: &[NetworkInspect]) -> Prepared {
    // A gateway that this host can listen on is the bridge itself: then the containers behind it can be reached as well.
    let gateway = made.first().and_then(gateway_of).filter(|gateway| TcpListener::bind((*gateway, 0)).is_ok());
    let mut warnings = Vec::new();
    for service in spec.project.services.values() {
        let own = networks_of(&spec.project, service);
        let internal = |name: &String| networks.iter().any(|(known, network)| known == name && network.internal);
        let on_first = networks.first().is_some_and(|(first, _)| own.contains(first));
        if !on_first && own.iter().all(internal) {
            warnings.push(format!(
                "service `{}` is only in internal networks: its telemetry cannot reach the harness; add it to a network that is not internal",
                service.name
            ));
        }
    }
    let (reach, harness_ip, harness_host) = match gateway {
        Some(gateway) => (Reach::Direct, gateway, gateway.to_string()),
        None => (Reach::Published, IpAddr::V4(Ipv4Addr::UNSPECIFIED), "host.docker.internal".to_owned()),
    };
    Prepared { harness_ip, harness_host, listen: std::collections::HashMap::new(), place: Place::Docker(Ground { reach, warnings }) }
}

pub(crate) fn gateway_of(network: &NetworkInspect) -> Option<IpAddr> {
    let pools = network.ipam.as_ref()?.config.as_ref()?;
    pools.iter().filter_map(|pool| pool.gateway.as_ref()?.split('/').next()?.parse().ok()).find(IpAddr::is_ipv4)
}

async fn make_network(engine: &Engine, names: &Names, name: &str, network: &NetworkSpec) -> Result<NetworkInspect, RuntimeError> {
    let engine_name = match &network.external {
        Some(external) => external.clone(),
        None => names.network(name),
    };
    if network.external.is_none() {
        let request = NetworkCreateRequest {
            name: engine_name.clone(),
            driver: Some(network.driver.clone().unwrap_or_else(|| "bridge".to_owned())),
            internal: Some(network.internal),
            enable_ipv6: Some(network.enable_ipv6),
            labels: Some(names.labels()),
            ..NetworkCreateRequest::default()
        };
        engine.docker.create_network(request).await.map_err(RuntimeError::engine(format!(
            "make network {engine_name} (too many networks? `docker network prune` frees addresses)"
        )))?;
    }
    let found = engine.docker.inspect_network(&engine_name, None::<InspectNetworkOptions>).await;
    found.map_err(RuntimeError::engine(format!("find network {engine_name}")))
}

async fn make_volume(engine: &Engine, names: &Names, name: &str) -> Result<(), RuntimeError> {
    let request = VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(names.labels()), ..VolumeCreateRequest::default() };
    match engine.docker.create_volume(request).await {
        Ok(_) => Ok(()),
        Err(error) if is_conflict(&error) => Ok(()),
        Err(error) => Err(RuntimeError::engine(format!("make volume {name}"))(error)),
    }
}

async fn check_external_volumes(engine: &Engine, spec: &StackSpec) -> Result<(), RuntimeError> {
    let names = spec.project.volumes.values().filter_map(|volume| volume.external.clone());
    let looks = names.map(|name| async move {
        let found = engine.docker.inspect_volume(&name).await;
        found
            .map(|_| ())
            .map_err(RuntimeError::engine(format!("find the external volume {name}; make it with `docker volume create {name}`")))
    });
    try_join_all(looks).await.map(|_| ())
}
