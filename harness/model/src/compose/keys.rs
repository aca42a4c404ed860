//! Every key of the compose format: read, warned of or refused. A key that is in none of these tables is unknown. Nothing is dropped in silence.

use crate::config::{
    fields::Field,
    problems::{Problems, meant},
    tree::{Value, shorten},
};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// It has its meaning.
    Read,
    /// It has no effect; why that does no harm.
    Warn(&'static str),
    /// Without it the system would be another one; the way out.
    Refuse(&'static str),
}
use Support::{Read, Refuse, Warn};

/// A table of keys.
pub(super) type Table = [(&'static str, Support)];

const TUNING: &str = "resources are tuned with `mem_limit`, `cpus` and `pids_limit` only";
const NAMESPACE: &str = "services have namespaces of their own: faults are injected there; take the key away";
const CONSOLE: &str = "nobody sits at a console in a run";
const OWN_NAMES: &str = "both variants run side by side, under names of the run";
const SWARM: &str = "one engine runs one container of each service";

pub(super) const TOP: &Table = &[
    ("name", Read),
    ("version", Read),
    ("services", Read),
    ("networks", Read),
    ("volumes", Read),
    ("secrets", Read), // refused where a service uses one
    ("configs", Read), // as above
    ("include", Refuse("put the services of the included file into this one, or take them in with `extends`")),
    ("models", Refuse("no model runner is started; give the services an address in `environment`")),
];

pub(super) const SERVICE: &Table = &[
    ("annotations", Warn("annotations are for other orchestrators")),
    ("attach", Warn("all logs are collected")),
    ("blkio_config", Warn(TUNING)),
    ("build", Read),
    ("cap_add", Read),
    ("cap_drop", Read),
    ("cgroup", Refuse(NAMESPACE)),
    ("cgroup_parent", Warn(TUNING)),
    ("command", Read),
    ("configs", Refuse("mount the file with `volumes: [./file:/path:ro]`")),
    ("container_name", Warn("it stays as a network alias only: both variants run side by side, under names of the run")),
    ("cpu_count", Warn(TUNING)),
    ("cpu_percent", Warn(TUNING)),
    ("cpu_period", Warn(TUNING)),
    ("cpu_quota", Warn(TUNING)),
    ("cpu_rt_period", Warn(TUNING)),
    ("cpu_rt_runtime", Warn(TUNING)),
    ("cpu_shares", Warn(TUNING)),
    ("cpus", Read),
    ("cpuset", Warn(TUNING)),
    ("credential_spec", Refuse("take it away: it is for Windows containers")),
    ("depends_on", Read),
    ("deploy", Read),
    ("develop", Warn("nothing is edited during a run")),
    ("device_cgroup_rules", Refuse("devices are not handed to containers; take the key away")),
    ("devices", Refuse("devices are not handed to containers; take the key away")),
    ("dns", Refuse("names are answered by the engine; use `extra_hosts` for fixed ones")),
    ("dns_opt", Refuse("names are answered by the engine; take the key away")),
    ("dns_search", Refuse("names are answered by the engine; write names out")),
    ("domainname", Refuse("names are answered by the engine; use a network alias")),
    ("entrypoint", Read),
    ("env_file", Read),
    ("environment", Read),
    ("expose", Read),
    ("extends", Read),
    ("external_links", Refuse("what runs outside is not part of the experiment; add the service to this file")),
    ("extra_hosts", Read),
    ("gpus", Refuse("devices are not handed to containers; take the key away")),
    ("group_add", Refuse("name the group in `user: \"user:group\"`")),
    ("healthcheck", Read),
    ("hostname", Read),
    ("image", Read),
    ("init", Read),
    ("ipc", Refuse(NAMESPACE)),
    ("isolation", Warn("it is for Windows containers")),
    ("label_file", Refuse("put the labels into `labels`")),
    ("labels", Read),
    ("links", Read),
    ("logging", Warn("logs go into the run directory")),
    ("mac_address", Refuse("addresses are given by the engine; take the key away")),
    ("mem_limit", Read),
    ("mem_reservation", Warn(TUNING)),
    ("mem_swappiness", Warn(TUNING)),
    ("memswap_limit", Warn(TUNING)),
    ("models", Refuse("no model runner is started; give the service an address in `environment`")),
    ("network_mode", Read),
    ("networks", Read),
    ("oom_kill_disable", Warn(TUNING)),
    ("oom_score_adj", Warn(TUNING)),
    ("pid", Refuse(NAMESPACE)),
    ("pids_limit", Read),
    ("platform", Warn("images are of the engine's own platform")),
    ("ports", Read),
    ("post_start", Refuse("put it into the image's entrypoint, or into a service that others depend on")),
    ("pre_stop", Refuse("let the service do it on its stop signal")),
    ("privileged", Read),
    ("profiles", Read),
    ("provider", Refuse("only containers are started; take the service away")),
    ("pull_policy", Warn("an image is pulled when it is missing")),
    ("read_only", Read),
    ("restart", Read),
    ("runtime", Refuse("the engine's default runtime is used; take the key away")),
    ("scale", Read),
    ("secrets", Refuse("mount the file with `volumes: [./secret:/run/secrets/name:ro]`")),
    ("security_opt", Read),
    ("shm_size", Read),
    ("stdin_open", Warn(CONSOLE)),
    ("stop_grace_period", Warn("the end of a run does not wait")),
    ("stop_signal", Read),
    ("storage_opt", Warn(TUNING)),
    ("sysctls", Read),
    ("tmpfs", Read),
    ("tty", Warn(CONSOLE)),
    ("ulimits", Read),
    ("use_api_socket", Refuse("the engine is not handed to services; take the key away")),
    ("user", Read),
    ("userns_mode", Refuse(NAMESPACE)),
    ("uts", Refuse(NAMESPACE)),
    ("volume_driver", Refuse("volumes are the engine's own; take the key away")),
    ("volumes", Read),
    ("volumes_from", Refuse("mount the same named volume in both services")),
    ("working_dir", Read),
];

pub(super) const BUILD: &Table = &[
    ("additional_contexts", Refuse("copy what is needed into the build context")),
    ("args", Read),
    ("cache_from", Warn("the engine's own cache is used")),
    ("cache_to", Warn("the engine's own cache is used")),
    ("context", Read),
    ("dockerfile", Read),
    ("dockerfile_inline", Refuse("write it into a file and name that in `dockerfile`")),
    ("entitlements", Refuse("builds have no privileges; take the key away")),
    ("extra_hosts", Refuse("builds see the network as it is; take the key away")),
    ("isolation", Warn("it is for Windows containers")),
    ("labels", Warn("images are labelled by the run")),
    ("network", Warn("builds use the engine's default network")),
    ("no_cache", Warn("the engine's own cache is used")),
    ("platforms", Warn("images are of the engine's own platform")),
    ("privileged", Refuse("builds have no privileges; take the key away")),
    ("provenance", Warn("images of a run are not published")),
    ("pull", Warn("an image is pulled when it is missing")),
    ("sbom", Warn("images of a run are not published")),
    ("secrets", Refuse("builds are given no secrets; use `args`")),
    ("shm_size", Warn("builds use the engine's defaults")),
    ("ssh", Refuse("builds are given no keys; fetch the sources before")),
    ("tags", Warn(OWN_NAMES)),
    ("target", Read),
    ("ulimits", Warn("builds use the engine's defaults")),
];

pub(super) const DEPLOY: &Table = &[
    ("endpoint_mode", Warn(SWARM)),
    ("labels", Warn(SWARM)),
    ("mode", Warn(SWARM)),
    ("placement", Warn(SWARM)),
    ("replicas", Read),
    ("resources", Read),
    ("restart_policy", Warn("what dies during a run is evidence")),
    ("rollback_config", Warn(SWARM)),
    ("update_config", Warn(SWARM)),
];

pub(super) const RESOURCES: &Table = &[("limits", Read), ("reservations", Warn("only limits are set"))];

pub(super) const LIMITS: &Table = &[
    ("cpus", Read),
    ("memory", Read),
    ("pids", Read),
    ("devices", Refuse("devices are not handed to containers; take the key away")),
    ("generic_resources", Warn(SWARM)),
];

pub(super) const HEALTHCHECK: &Table = &[
    ("disable", Read),
    ("interval", Read),
    ("retries", Read),
    ("start_interval", Warn("older engines do not know it: `interval` is used")),
    ("start_period", Read),
    ("test", Read),
    ("timeout", Read),
];

pub(super) const DEPENDENCY: &Table = &[("condition", Read), ("required", Read), ("restart", Warn("dependents are not restarted"))];

pub(super) const ENV_FILE: &Table = &[("path", Read), ("required", Read), ("format", Read)];

pub(super) const EXTENDS: &Table = &[("service", Read), ("file", Read)];

pub(super) const PORT: &Table = &[
    ("app_protocol", Warn("it is a note for other tools")),
    ("host_ip", Read),
    ("mode", Read),
    ("name", Read),
    ("protocol", Read),
    ("published", Read),
    ("target", Read),
];

pub(super) const MOUNT: &Table = &[
    ("bind", Read),
    ("consistency", Warn("it is for Docker Desktop")),
    ("image", Refuse("images are not mounted; copy the files in a build")),
    ("read_only", Read),
    ("source", Read),
    ("target", Read),
    ("tmpfs", Read),
    ("type", Read),
    ("volume", Read),
];

pub(super) const MOUNT_BIND: &Table = &[
    ("create_host_path", Read),
    ("propagation", Warn("the engine's default is used")),
    ("recursive", Warn("the engine's default is used")),
    ("selinux", Warn("the engine's default is used")),
];

pub(super) const MOUNT_VOLUME: &Table = &[
    ("labels", Warn(OWN_NAMES)),
    ("nocopy", Warn("the engine's default is used")),
    ("subpath", Refuse("use a volume of its own for the path")),
];

pub(super) const MOUNT_TMPFS: &Table = &[("size", Read), ("mode", Read)];

pub(super) const SERVICE_NETWORK: &Table = &[
    ("aliases", Read),
    ("driver_opts", Warn("the engine's default is used")),
    ("gw_priority", Warn("the engine's default is used")),
    ("interface_name", Warn("the engine's default is used")),
    ("ipv4_address", Refuse("addresses are given by the engine, both variants run side by side; use a name")),
    ("ipv6_address", Refuse("addresses are given by the engine, both variants run side by side; use a name")),
    ("link_local_ips", Refuse("addresses are given by the engine; use a name")),
    ("mac_address", Refuse("addresses are given by the engine; take the key away")),
    ("priority", Warn("the engine's default is used")),
];

pub(super) const NETWORK: &Table = &[
    ("attachable", Warn(SWARM)),
    ("driver", Read),
    ("driver_opts", Warn("the engine's default is used")),
    ("enable_ipv4", Warn("the engine's default is used")),
    ("enable_ipv6", Read),
    ("external", Read),
    ("internal", Read),
    ("ipam", Warn("addresses are given by the engine, both variants run side by side")),
    ("labels", Warn(OWN_NAMES)),
    ("name", Read),
];

pub(super) const VOLUME: &Table = &[
    ("driver", Read),
    ("driver_opts", Refuse("volumes are the engine's own; use a bind mount")),
    ("external", Read),
    ("labels", Warn(OWN_NAMES)),
    ("name", Read),
];

/// Tells what has no effect, what is refused and what is unknown. Whether the mapping is one at all is told too.
pub(super) fn check(field: Field<'_>, what: &str, table: &Table, problems: &mut Problems) -> bool {
    let Value::Map(entries) = &field.node.value else {
        field.not_a_mapping::<()>(what, problems);
        return false;
    };
    for entry in entries.iter().filter(|entry| !entry.key.starts_with("x-")) {
        let key = &entry.key;
        match table.iter().find(|(known, _)| known == key).map(|(_, support)| *support) {
            Some(Read) => {}
            Some(_) if matches!(entry.node.value, Value::Null) => {}
            Some(Warn(why)) => {
                problems.warn(&entry.spot, format!("`{key}` has no effect: {why}"));
            }
            Some(Refuse(way_out)) => {
                problems.error(&entry.spot, format!("`{key}` is not supported")).hint(way_out);
            }
            None => {
                let hint = meant(key, "known keys", table.iter().map(|(known, _)| *known));
                problems.error(&entry.spot, format!("unknown key `{}` in {what}", shorten(key))).hint(hint);
            }
        }
    }
    true
}

/// A key of a mapping, where it is there and holds something.
pub(super) fn get<'n>(field: Field<'n>, key: &str) -> Option<Field<'n>> {
    match &field.node.value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(Field::of).filter(|field| !field.is_null()),
        _ => None,
    }
}
