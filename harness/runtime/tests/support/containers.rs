//! Services as containers of busybox, in images of nothing else, and a helper that says where it is.

use super::{Run, engine, labelled, write};
use indexmap::IndexMap;
use shakedown_model::stack::{BuildSpec, Condition, ContainerSpec, Dependency, Healthcheck, NetworkSpec, StackSpec, Variant};
use shakedown_runtime::{Helper, Post, Stack, docker::DockerRuntime};
use std::{path::Path, sync::OnceLock, time::Duration};

/// A service: what its shell does. `httpd` needs `/www`.
pub fn service(name: &str, script: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.to_owned(),
        command: Some(vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()]),
        // busybox as PID 1 would not die of SIGTERM: irrelevant here, everything is killed.
        ..ContainerSpec::default()
    }
}

pub const SERVE: &str = "echo up; echo trouble >&2; exec httpd -f -p 8080 -h /www";

pub fn web(name: &str) -> ContainerSpec {
    ContainerSpec { ports: vec![8080], ..service(name, SERVE) }
}

pub fn after(other: &str, condition: Condition) -> Vec<Dependency> {
    vec![Dependency { service: other.to_owned(), condition }]
}

pub fn check(script: &str) -> Healthcheck {
    let test = vec!["CMD-SHELL".to_owned(), script.to_owned()];
    Healthcheck { test, interval: Some(Duration::from_secs(30)), timeout: None, retries: Some(3), start_period: None }
}

/// The build of an image of busybox alone.
pub fn busybox(context: &Path) -> BuildSpec {
    write(
        &context.join("Dockerfile"),
        "FROM scratch\nCOPY busybox /bin/busybox\nCOPY www /www\nRUN [\"/bin/busybox\", \"--install\", \"/bin\"]\nRUN [\"/bin/mkdir\", \"/tmp\"]\n",
    );
    write(&context.join("www/index.html"), "hello\n");
    std::fs::copy("/bin/busybox", context.join("busybox")).expect("/bin/busybox: apt-get install busybox-static");
    BuildSpec { context: context.to_owned(), dockerfile: "Dockerfile".to_owned(), target: None, args: IndexMap::new() }
}

pub fn stack(run: &Run, services: Vec<ContainerSpec>) -> StackSpec {
    stack_of(run, Variant::Candidate, services)
}

pub fn stack_of(run: &Run, variant: Variant, services: Vec<ContainerSpec>) -> StackSpec {
    let build = busybox(&run.scratch.path().join("image"));
    let mut spec = run.spec(variant);
    spec.project.networks.insert("default".to_owned(), NetworkSpec::default());
    for mut service in services {
        if service.image.is_none() && service.build.is_none() {
            service.build = Some(build.clone());
        }
        if service.networks.is_empty() {
            service.networks.insert("default".to_owned(), vec![]);
        }
        spec.project.services.insert(service.name.clone(), service);
    }
    spec
}

/// A static program that stands for the agent: says what it hears, and where it is.
pub fn echo_agent(post: Post) -> Helper {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let source = r#"
            use std::io::{BufRead, Write};
            fn main() {
                eprintln!("agent speaking");
                let read = |name| std::fs::read_to_string(name).unwrap_or_default();
                let devices = read("/proc/net/tcp") + &read("/proc/net/tcp6");
                let status = read("/proc/self/status");
                let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned()).unwrap_or_default();
                let user = field("Uid:").split_whitespace().next().unwrap_or_default().to_owned();
                let capabilities = u64::from_str_radix(&field("CapEff:"), 16).unwrap_or_default();
                let first = std::fs::read("/proc/1/cmdline").unwrap_or_default();
                let is_among = String::from_utf8_lossy(&first).starts_with("httpd");
                let cgroup = is_among && read("/proc/self/cgroup") == read("/proc/1/cgroup");
                for line in std::io::stdin().lock().lines() {
                    let line = line.unwrap();
                    let listens = devices.contains(":1F90 ");
                    println!("{line} beside 8080: {listens}, user {user}, capabilities {capabilities:x}, among: {is_among}, cgroup: {cgroup}");
                    std::io::stdout().flush().unwrap();
                }
            }"#;
        let scratch = tempfile::tempdir().unwrap();
        write(&scratch.path().join("agent.rs"), source);
        // From inside, so that the bytes (and with them the image) are the same every time.
        let status = std::process::Command::new("rustc")
            .args(["--edition=2021", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o", "agent", "agent.rs"])
            .current_dir(scratch.path())
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::read(scratch.path().join("agent")).unwrap()
    });
    Helper { name: "agent", binary: bytes, post }
}

/// An engine's runtime, or a loud skip.
pub async fn docker(test: &str) -> Option<DockerRuntime> {
    engine(test).await.map(DockerRuntime::new)
}

/// Everything is taken back and nothing carries the run's label any more.
pub async fn ends_clean(run: &Run, stack: Option<Box<dyn Stack>>) {
    drop(stack);
    run.down().await;
    let engine = engine("the end of a test").await.unwrap();
    assert_eq!(labelled(&engine, &run.id).await, Vec::<String>::new());
}
