//! What this machine can do for a run, each line with its fix.

use crate::{
    docker::{Engine, gateway_of, plain},
    sweep,
};
use bollard::{models::SystemInfo, query_parameters::InspectNetworkOptions};
use std::{net::TcpListener, path::Path};

/// Space that images, layers and a run's evidence should find.
const COMFORTABLE_DISK: u64 = 5 << 30;

/// One line of the doctor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty where nothing.
    pub fix: String,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, with a limit.
    Warn,
    /// Does not work.
    Fail,
}

/// Looks at the engine and at what the process runtime needs.
pub async fn doctor() -> Vec<Finding> {
    let mut findings = vec![processes()];
    match Engine::connect().await {
        Err(error) => findings.push(finding("engine", Status::Warn, error.to_string(), "install Docker, or describe `services.process`")),
        Ok(engine) => findings.extend(of_engine(&engine).await),
    }
    findings
}

fn finding(name: &'static str, status: Status, detail: impl Into<String>, fix: &str) -> Finding {
    let fix = if status == Status::Ok { "" } else { fix };
    Finding { name, status, detail: detail.into(), fix: fix.to_owned() }
}

fn processes() -> Finding {
    let works = Path::new("/bin/sh").exists() && Path::new("/proc/self/stat").exists();
    let (status, detail) =
        if works { (Status::Ok, "child processes can be started and watched") } else { (Status::Fail, "/bin/sh or /proc is missing") };
    finding("process runtime", status, detail, "use a Linux with /proc mounted and a shell")
}

async fn of_engine(engine: &Engine) -> Vec<Finding> {
    let mut findings = vec![finding("engine", Status::Ok, engine.describe(), ""), api(engine)];
    match engine.docker.info().await {
        Ok(info) => findings.extend([storage(&info), disk(&info), rootless(&info), cgroup(&info)].into_iter().flatten()),
        Err(error) => findings.push(finding("engine facts", Status::Warn, plain(&error), "look at the engine's own log")),
    }
    findings.push(reach(engine).await);
    findings.push(leftovers(engine).await);
    findings
}

fn api(engine: &Engine) -> Finding {
    let minor: u32 = engine.api.rsplit('.').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    let status = if minor >= 41 { Status::Ok } else { Status::Warn };
    finding("engine API", status, format!("{} (1.41 or later is tested)", engine.api), "update the engine to 20.10 or later")
}

fn storage(info: &SystemInfo) -> Option<Finding> {
    let driver = info.driver.clone()?;
    let slow = driver == "vfs";
    let status = if slow { Status::Warn } else { Status::Ok };
    Some(finding("storage driver", status, driver, "vfs copies whole images: use overlay2 or fuse-overlayfs"))
}

/// Known only where the engine's directory lies on this machine.
fn disk(info: &SystemInfo) -> Option<Finding> {
    let root = info.docker_root_dir.clone()?;
    let space = rustix::fs::statvfs(root.as_str()).ok()?;
    let free = space.f_bavail * space.f_frsize;
    let status = if free >= COMFORTABLE_DISK { Status::Ok } else { Status::Warn };
    Some(finding("disk", status, format!("{} MiB free for {root}", free >> 20), "`docker system prune` frees space"))
}

fn rootless(info: &SystemInfo) -> Option<Finding> {
    let rootless = info.security_options.as_ref()?.iter().any(|option| option.contains("rootless"));
    let (status, detail) = if rootless { (Status::Warn, "the engine runs without root") } else { (Status::Ok, "the engine runs as root") };
    Some(finding(
        "rootless",
        status,
        detail,
        "faults on packets and pauses may need a rootful engine; services are reached through published ports",
    ))
}

fn cgroup(info: &SystemInfo) -> Option<Finding> {
    let version = info.cgroup_version?;
    Some(finding("cgroup", Status::Ok, format!("version {version}"), ""))
}

async fn reach(engine: &Engine) -> Finding {
    let bridge = engine.docker.inspect_network("bridge", None::<InspectNetworkOptions>).await.ok();
    let gateway = bridge.as_ref().and_then(gateway_of);
    match gateway.filter(|gateway| TcpListener::bind((*gateway, 0)).is_ok()) {
        Some(gateway) => finding("container addresses", Status::Ok, format!("reachable from here (bridge {gateway})"), ""),
        None => finding(
            "container addresses",
            Status::Warn,
            "not reachable from here: services are reached through ports published on 127.0.0.1",
            "run shakedown on the engine's own host",
        ),
    }
}

async fn leftovers(engine: &Engine) -> Finding {
    match sweep::leftovers(engine).await {
        0 => finding("leftovers", Status::Ok, "none of dead runs", ""),
        count => finding("leftovers", Status::Warn, format!("{count} containers of dead runs"), "`shakedown recover` removes them"),
    }
}
