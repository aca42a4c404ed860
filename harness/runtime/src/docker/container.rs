//! A compose service as the engine wants it. Pure: nothing is asked of anybody.
//!
//! Containers are created with bollard and not with testcontainers, which cannot express network aliases, the stop signal, published
//! ports on the loopback address only, or a container that is in several networks before it starts.

use super::{limits::Declared, names::Names};
use crate::marks;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, Mount as EngineMount, MountType,
    NetworkingConfig, PortBinding, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use shakedown_model::stack::{ContainerSpec, Healthcheck, Mount, MountSource, Project, StackSpec};
use std::{collections::HashMap, path::PathBuf, time::Duration};

/// How containers of this engine are reached from the harness, and the harness from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// By their own addresses.
    Direct,
    /// The engine is behind a virtual machine or a remote host: through ports published on the loopback address, and `host.docker.internal`.
    Published,
}

/// Everything about one container that is known before it is created.
pub(crate) struct Blueprint {
    pub(crate) body: ContainerCreateBody,
    /// Engine names of further networks with the service's aliases there: at creation an engine before API 1.44 takes one only.
    pub(crate) further_networks: Vec<(String, EndpointSettings)>,
}

/// What the container of `service` is made of.
pub(crate) fn blueprint(spec: &StackSpec, service: &ContainerSpec, image: &str, reach: Reach) -> Blueprint {
    let names = Names::of(spec);
    let name = names.container(&service.name);
    let mut networks = attachments(&spec.project, service, &names);
    let first = (!networks.is_empty()).then(|| networks.remove(0));
    let mut labels: HashMap<String, String> = service.labels.clone().into_iter().collect();
    labels.extend(names.container_labels(&service.name, &name));
    labels.insert(marks::LIMITS.to_owned(), Declared::of(service).label());
    let (entrypoint, command) = (service.entrypoint.clone(), service.command.clone());
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        // An empty list would leave the image's own entry point; one empty string takes it away.
        entrypoint: entrypoint.map(|words| if words.is_empty() { vec![String::new()] } else { words }),
        cmd: command,
        env: Some(environment(spec, service)),
        exposed_ports: Some(service.ports.iter().map(|port| format!("{port}/tcp")).collect()),
        healthcheck: service.healthcheck.as_ref().map(health_config),
        hostname: service.hostname.clone(),
        user: service.user.clone(),
        working_dir: service.working_dir.clone(),
        stop_signal: service.stop_signal.clone(),
        labels: Some(labels),
        host_config: Some(host_config(service, &names, first.as_ref().map(|(name, _)| name.clone()), reach)),
        networking_config: first.map(|(name, endpoint)| NetworkingConfig { endpoints_config: Some(HashMap::from([(name, endpoint)])) }),
        ..ContainerCreateBody::default()
    };
    Blueprint { body, further_networks: networks }
}

/// Compose names of the networks that a service is in; the one that leads outside comes first, it gives the default route.
pub(crate) fn networks_of(project: &Project, service: &ContainerSpec) -> Vec<String> {
    let mut names: Vec<String> = service.networks.keys().cloned().collect();
    if names.is_empty() {
        names.push("default".to_owned());
    }
    names.sort_by_key(|name| project.networks.get(name).is_some_and(|network| network.internal));
    names
}

fn attachments(project: &Project, service: &ContainerSpec, names: &Names) -> Vec<(String, EndpointSettings)> {
    let attach = |network: String| {
        let mut aliases = vec![service.name.clone()];
        aliases.extend(service.networks.get(&network).into_iter().flatten().filter(|alias| **alias != service.name).cloned());
        let external = project.networks.get(&network).and_then(|spec| spec.external.clone());
        let engine_name = external.unwrap_or_else(|| names.network(&network));
        (engine_name, EndpointSettings { aliases: Some(aliases), ..EndpointSettings::default() })
    };
    networks_of(project, service).into_iter().map(attach).collect()
}

fn environment(spec: &StackSpec, service: &ContainerSpec) -> Vec<String> {
    let mut pairs: Vec<String> = service.environment.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let added = spec.environment.iter().filter(|(key, _)| !service.environment.contains_key(*key));
    pairs.extend(added.map(|(key, value)| format!("{key}={value}")));
    pairs
}

fn host_config(service: &ContainerSpec, names: &Names, network: Option<String>, reach: Reach) -> HostConfig {
    HostConfig {
        network_mode: network,
        mounts: Some(service.mounts.iter().map(|mount| engine_mount(mount, names)).collect()),
        tmpfs: Some(service.tmpfs.clone().into_iter().collect()),
        cap_add: Some(service.cap_add.clone()),
        cap_drop: Some(service.cap_drop.clone()),
        ulimits: Some(service.ulimits.iter().map(ulimit).collect()),
        extra_hosts: Some(extra_hosts(service, reach)),
        sysctls: Some(service.sysctls.clone().into_iter().collect()),
        security_opt: Some(service.security_opt.clone()),
        init: service.init.then_some(true),
        privileged: Some(service.privileged),
        readonly_rootfs: Some(service.read_only),
        restart_policy: service.restart.as_deref().map(restart_policy),
        shm_size: service.shm_size.map(u64::cast_signed),
        memory: service.memory.map(u64::cast_signed),
        nano_cpus: service.cpus.map(|cores| (cores * 1e9) as i64),
        pids_limit: service.pids_limit,
        port_bindings: (reach == Reach::Published).then(|| service.ports.iter().copied().map(published).collect()),
        // Whatever the daemon's default is: these can be read back.
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([("max-size".to_owned(), "64m".to_owned())])),
        }),
        ..HostConfig::default()
    }
}

fn extra_hosts(service: &ContainerSpec, reach: Reach) -> Vec<String> {
    let mut hosts = service.extra_hosts.clone();
    if reach == Reach::Published && !hosts.iter().any(|line| line.starts_with("host.docker.internal")) {
        hosts.push("host.docker.internal:host-gateway".to_owned());
    }
    hosts
}

fn published(port: u16) -> (String, Option<Vec<PortBinding>>) {
    let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some("0".to_owned()) };
    (format!("{port}/tcp"), Some(vec![binding]))
}

fn engine_mount(mount: &Mount, names: &Names) -> EngineMount {
    let (typ, source) = match &mount.source {
        MountSource::Bind(path) => (MountType::BIND, Some(path.to_string_lossy().into_owned())),
        MountSource::Volume(volume) => (MountType::VOLUME, Some(names.volume(volume))),
        MountSource::Anonymous => (MountType::VOLUME, None),
    };
    EngineMount { typ: Some(typ), source, target: Some(mount.target.clone()), read_only: Some(mount.read_only), ..EngineMount::default() }
}

/// Volumes that exist already keep their own name.
pub(crate) fn use_external_volumes(project: &Project, service: &ContainerSpec, body: &mut ContainerCreateBody) {
    let mounts = body.host_config.as_mut().and_then(|host| host.mounts.as_mut()).into_iter().flatten();
    for (engine_mount, mount) in mounts.zip(&service.mounts) {
        if let MountSource::Volume(volume) = &mount.source
            && let Some(external) = project.volumes.get(volume).and_then(|spec| spec.external.clone())
        {
            engine_mount.source = Some(external);
        }
    }
}

/// Sources of bind mounts that are not there: the engine's own message would not name the service.
pub(crate) fn missing_binds(service: &ContainerSpec) -> Vec<PathBuf> {
    let binds = service.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind(path) => Some(path.clone()),
        _ => None,
    });
    binds.filter(|path| !path.exists()).collect()
}

fn ulimit((name, (soft, hard)): (&String, &(i64, i64))) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.clone()), soft: Some(*soft), hard: Some(*hard) }
}

fn restart_policy(text: &str) -> RestartPolicy {
    let (word, count) = text.split_once(':').map_or((text, None), |(word, count)| (word, count.parse().ok()));
    let name = match word {
        "always" => RestartPolicyNameEnum::ALWAYS,
        "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
        "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
        _ => RestartPolicyNameEnum::NO,
    };
    RestartPolicy { name: Some(name), maximum_retry_count: count }
}

/// The engine's own checks run at most this often: readiness is asked by `ready.rs`, and each check is a process that is started.
const SELDOM: Duration = Duration::from_secs(30);

fn health_config(healthcheck: &Healthcheck) -> HealthConfig {
    let nanos = |duration: Option<Duration>| duration.map(|duration| duration.as_nanos() as i64);
    HealthConfig {
        test: Some(healthcheck.test.clone()),
        interval: nanos(Some(healthcheck.interval.unwrap_or(SELDOM).max(SELDOM))),
        timeout: nanos(healthcheck.timeout),
        retries: healthcheck.retries.map(i64::from),
        start_period: nanos(healthcheck.start_period),
        start_interval: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indexmap::IndexMap;
    use shakedown_model::stack::{NetworkSpec, Variant, VolumeSpec};
    use std::collections::BTreeMap;

    fn spec(service: ContainerSpec) -> StackSpec {
        let networks = IndexMap::from([
            ("back".to_owned(), NetworkSpec { internal: true, ..NetworkSpec::default() }),
            ("front".to_owned(), NetworkSpec::default()),
        ]);
        StackSpec {
            run: "r1".to_owned(),
            variant: Variant::Candidate,
            round: 1,
            root: PathBuf::from("/tree"),
            project: Project { services: IndexMap::from([(service.name.clone(), service)]), networks, ..Project::default() },
            processes: IndexMap::new(),
            environment: BTreeMap::from([("A".to_owned(), "ours".to_owned()), ("B".to_owned(), "ours".to_owned())]),
        }
    }

    fn orders() -> ContainerSpec {
        ContainerSpec {
            name: "orders".to_owned(),
            environment: IndexMap::from([("A".to_owned(), "theirs".to_owned())]),
            networks: IndexMap::from([("back".to_owned(), vec!["db".to_owned()]), ("front".to_owned(), vec![])]),
            ports: vec![8080],
            restart: Some("on-failure:3".to_owned()),
            ..ContainerSpec::default()
        }
    }

    #[test]
    fn the_network_that_leads_outside_comes_first_and_the_service_name_is_an_alias_in_all() {
        let spec = spec(orders());
        let blueprint = blueprint(&spec, &spec.project.services["orders"], "image", Reach::Direct);
        let host = blueprint.body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("sd-r1-c-front"));
        assert_eq!(host.port_bindings, None, "nothing is published where addresses can be reached");
        assert_eq!(host.restart_policy.unwrap().maximum_retry_count, Some(3));
        let (name, endpoint) = &blueprint.further_networks[0];
        assert_eq!((name.as_str(), endpoint.aliases.clone().unwrap()), ("sd-r1-c-back", vec!["orders".to_owned(), "db".to_owned()]));
    }

    #[test]
    fn what_the_team_set_is_never_overwritten() {
        let spec = spec(orders());
        let blueprint = blueprint(&spec, &spec.project.services["orders"], "image", Reach::Published);
        let env = blueprint.body.env.unwrap();
        assert_eq!(env, ["A=theirs", "B=ours"]);
        let host = blueprint.body.host_config.unwrap();
        assert_eq!(host.port_bindings.unwrap()["8080/tcp"].as_ref().unwrap()[0].host_ip.as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn named_volumes_belong_to_the_run_and_external_ones_keep_their_name() {
        let mount = |volume: &str| Mount { source: MountSource::Volume(volume.to_owned()), target: format!("/{volume}"), read_only: false };
        let service = ContainerSpec { mounts: vec![mount("data"), mount("shared")], ..orders() };
        let mut spec = spec(service.clone());
        spec.project.volumes = IndexMap::from([
            ("data".to_owned(), VolumeSpec::default()),
            ("shared".to_owned(), VolumeSpec { external: Some("team-volume".to_owned()) }),
        ]);
        let mut body = blueprint(&spec, &service, "image", Reach::Direct).body;
        use_external_volumes(&spec.project, &service, &mut body);
        let sources: Vec<_> = body.host_config.unwrap().mounts.unwrap().into_iter().filter_map(|mount| mount.source).collect();
        assert_eq!(sources, ["sd-r1-c-data", "team-volume"]);
    }

    #[test]
    fn a_bind_mount_without_source_is_found_before_the_engine_is_asked() {
        let bind = Mount { source: MountSource::Bind(PathBuf::from("/nowhere/at/all")), target: "/x".to_owned(), read_only: true };
        let service = ContainerSpec { mounts: vec![bind], ..orders() };
        assert_eq!(missing_binds(&service), [PathBuf::from("/nowhere/at/all")]);
    }
}
