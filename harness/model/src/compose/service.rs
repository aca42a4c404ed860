//! One service: its tree, merged and interpolated, becomes a [`ContainerSpec`].

use super::{Reading, build, environment, forms, health, keys, mounts, networks, ports};
use crate::{config::fields::Field, stack::ContainerSpec};

/// The service `field.name`.
pub(super) fn read(field: Field<'_>, reading: &mut Reading<'_>) -> Option<ContainerSpec> {
    let what = format!("service `{}`", field.name);
    if !keys::check(field, &what, keys::SERVICE, reading.problems) {
        return None;
    }
    let mut spec = ContainerSpec { name: field.name.to_owned(), ..ContainerSpec::default() };
    read_image(field, &mut spec, reading);
    spec.environment = environment::read(field, reading);
    spec.ports = ports::read(field, reading);
    spec.healthcheck = keys::get(field, "healthcheck").and_then(|field| health::read(field, reading));
    networks::read(field, &mut spec, reading);
    if let Some(field) = keys::get(field, "tmpfs") {
        spec.tmpfs = ports::tmpfs(field, reading);
    }
    if let Some(field) = keys::get(field, "volumes") {
        mounts::read(field, &mut spec, reading);
    }
    read_inside(field, &mut spec, reading);
    read_powers(field, &mut spec, reading);
    read_limits(field, &mut spec, reading);
    Some(spec)
}

fn read_image(field: Field<'_>, spec: &mut ContainerSpec, reading: &mut Reading<'_>) {
    spec.image = keys::get(field, "image").and_then(|field| field.full_text(reading.problems)).map(str::to_owned);
    spec.build = keys::get(field, "build").and_then(|field| build::read(field, reading));
    if keys::get(field, "image").is_none() && keys::get(field, "build").is_none() && keys::get(field, "provider").is_none() {
        reading
            .problems
            .error(field.key, format!("service `{}` has neither `image` nor `build`", field.name))
            .hint("add `image: postgres:16` or `build: .`");
    }
    spec.command = keys::get(field, "command").and_then(|field| forms::command(field, reading.problems));
    spec.entrypoint = keys::get(field, "entrypoint").and_then(|field| forms::command(field, reading.problems));
}

/// What the service finds inside of its container.
fn read_inside(field: Field<'_>, spec: &mut ContainerSpec, reading: &mut Reading<'_>) {
    let mut text = |key| keys::get(field, key).and_then(|field| field.full_text(reading.problems)).map(str::to_owned);
    spec.user = text("user");
    spec.working_dir = text("working_dir");
    spec.hostname = text("hostname");
    spec.stop_signal = text("stop_signal");
    spec.restart = text("restart");
    if let Some(restart) = keys::get(field, "restart") {
        check_restart(restart, reading);
    }
    if let Some(field) = keys::get(field, "extra_hosts") {
        spec.extra_hosts = read_hosts(field, reading);
    }
    if let Some(field) = keys::get(field, "sysctls") {
        let pairs = forms::pairs(field, &['='], reading.problems);
        spec.sysctls = pairs.iter().map(|pair| (pair.key.to_owned(), pair.value.unwrap_or_default().to_owned())).collect();
    }
    if let Some(field) = keys::get(field, "labels") {
        let pairs = forms::pairs(field, &['='], reading.problems);
        spec.labels = pairs.iter().map(|pair| (pair.key.to_owned(), pair.value.unwrap_or_default().to_owned())).collect();
    }
}

fn check_restart(field: Field<'_>, reading: &mut Reading<'_>) {
    match field.node.scalar().map(|text| text.split(':').next().unwrap_or_default()) {
        Some("no" | "always" | "on-failure" | "unless-stopped") => {}
        _ => {
            field.wrong::<()>("`no`, `always`, `on-failure` or `unless-stopped`", reading.problems);
        }
    }
}

/// `name:ip` lines; a list has `name:ip` or `name=ip`, a mapping may have several addresses.
fn read_hosts(field: Field<'_>, reading: &mut Reading<'_>) -> Vec<String> {
    use crate::config::tree::Value;
    let mut lines = Vec::new();
    let mut add = |name: &str, address: &str, at: Field<'_>, reading: &mut Reading<'_>| {
        let address = address.trim_start_matches('[').trim_end_matches(']');
        if name.is_empty() || (address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err()) {
            at.wrong::<()>("a name and an address such as `db:10.0.0.5`", reading.problems);
        } else {
            lines.push(format!("{name}:{address}"));
        }
    };
    if let Value::Map(_) = &field.node.value {
        for entry in field.entries(reading.problems).unwrap_or_default() {
            for item in forms::one_or_many(entry) {
                if let Some(address) = item.text(reading.problems) {
                    add(entry.name, address, item, reading);
                }
            }
        }
    } else {
        for item in field.list(reading.problems).unwrap_or_default() {
            if let Some(text) = item.text(reading.problems) {
                let (name, address) = text.split_once(['=', ':']).unwrap_or((text, ""));
                add(name, address, item, reading);
            }
        }
    }
    lines
}

/// What the service may do.
fn read_powers(field: Field<'_>, spec: &mut ContainerSpec, reading: &mut Reading<'_>) {
    let mut list = |key| keys::get(field, key).and_then(|field| field.texts(reading.problems)).unwrap_or_default();
    spec.cap_add = list("cap_add");
    spec.cap_drop = list("cap_drop");
    spec.security_opt = list("security_opt");
    let mut flag = |key| keys::get(field, key).and_then(|field| forms::flag(field, reading.problems)).unwrap_or(false);
    spec.init = flag("init");
    spec.privileged = flag("privileged");
    spec.read_only = flag("read_only");
}

/// What the service may use. `deploy.resources.limits` is the newer place; a key of the service itself wins.
fn read_limits(field: Field<'_>, spec: &mut ContainerSpec, reading: &mut Reading<'_>) {
    if let Some(field) = keys::get(field, "ulimits") {
        spec.ulimits = ports::ulimits(field, reading);
    }
    spec.shm_size = keys::get(field, "shm_size").and_then(|field| forms::size(field, reading.problems));
    if let Some(scale) = keys::get(field, "scale") {
        check_replicas(scale, reading);
    }
    if let Some(deploy) = keys::get(field, "deploy") {
        read_deploy(deploy, spec, reading);
    }
    if let Some(memory) = keys::get(field, "mem_limit") {
        spec.memory = forms::size(memory, reading.problems);
    }
    if let Some(cpus) = keys::get(field, "cpus") {
        spec.cpus = read_cpus(cpus, reading);
    }
    if let Some(pids) = keys::get(field, "pids_limit") {
        spec.pids_limit = pids.number("a number", reading.problems);
    }
}

fn read_deploy(field: Field<'_>, spec: &mut ContainerSpec, reading: &mut Reading<'_>) {
    if !keys::check(field, "`deploy`", keys::DEPLOY, reading.problems) {
        return;
    }
    if let Some(replicas) = keys::get(field, "replicas") {
        check_replicas(replicas, reading);
    }
    let Some(resources) = keys::get(field, "resources") else {
        return;
    };
    if !keys::check(resources, "`resources`", keys::RESOURCES, reading.problems) {
        return;
    }
    let Some(limits) = keys::get(resources, "limits") else {
        return;
    };
    if keys::check(limits, "`limits`", keys::LIMITS, reading.problems) {
        spec.memory = keys::get(limits, "memory").and_then(|field| forms::size(field, reading.problems));
        spec.cpus = keys::get(limits, "cpus").and_then(|field| read_cpus(field, reading));
        spec.pids_limit = keys::get(limits, "pids").and_then(|field| field.number("a number", reading.problems));
    }
}

fn read_cpus(field: Field<'_>, reading: &mut Reading<'_>) -> Option<f64> {
    let expected = "a number of cores such as 0.5";
    let cpus: f64 = field.number(expected, reading.problems)?;
    if cpus.is_finite() && cpus >= 0.0 { Some(cpus).filter(|cpus| *cpus > 0.0) } else { field.wrong(expected, reading.problems) }
}

fn check_replicas(field: Field<'_>, reading: &mut Reading<'_>) {
    match field.number::<u32>("a number such as 1", reading.problems) {
        Some(1) | None => {}
        Some(0) => {
            reading
                .problems
                .error(field.spot(), "a service of no containers is not supported")
                .hint("take the service away, or give it a profile");
        }
        Some(_) => {
            reading.problems.warn(field.key, format!("`{}` has no effect: one container of each service is started", field.name));
        }
    }
}
