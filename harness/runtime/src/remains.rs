//! What is still there of a run after everything was taken back. These eyes know no journal and no undo: they look for the run's marks and for
//! its containers by id, in the engine and on this host.

use crate::{
    docker::Engine,
    marks,
    process::stat,
    sweep::{Kind, list},
};
use bollard::query_parameters::ListContainersOptionsBuilder;
use shakedown_model::plan::RuntimeKind;
use std::{collections::HashMap, fs, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// An engine answers before the last mount and cgroup of a container is gone.
const SETTLING: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

/// By what the things of a run are known.
#[derive(Debug, Clone)]
pub struct Trail {
    run: String,
    kind: RuntimeKind,
    /// Ids of its containers.
    containers: Vec<String>,
}

impl Trail {
    /// Ask before anything is taken back: a container that is gone has no id.
    pub async fn of(run: &str, kind: RuntimeKind) -> Trail {
        let containers = if kind == RuntimeKind::Docker { container_ids(run).await } else { Vec::new() };
        Trail { run: run.to_owned(), kind, containers }
    }

    /// What is still there, by name; what cannot be looked at counts.
    pub async fn remains(&self) -> Vec<String> {
        let until = Instant::now() + SETTLING;
        loop {
            let mut left = self.in_engine().await;
            left.extend(self.on_host());
            if left.is_empty() || Instant::now() >= until {
                return left;
            }
            sleep(PAUSE).await;
        }
    }

    async fn in_engine(&self) -> Vec<String> {
        if self.kind != RuntimeKind::Docker {
            return Vec::new();
        }
        let engine = match Engine::connect().await {
            Ok(engine) => engine,
            Err(error) => return vec![format!("the engine could not be asked what is left: {error}")],
        };
        let mut left = Vec::new();
        for kind in Kind::ALL {
            match list(&engine, kind, Some(&self.run)).await {
                Ok(found) => left.extend(found.into_iter().map(|(name, _)| format!("{} {name} is still there", kind.word()))),
                Err(error) => left.push(format!("the engine could not be asked for {}s: {error}", kind.word())),
            }
        }
        left
    }

    fn on_host(&self) -> Vec<String> {
        let marked = |pid: u32| stat::variable(pid, marks::RUN_VARIABLE).is_some_and(|run| run == self.run);
        let living = stat::all().into_iter().filter(|stat| stat.pid != std::process::id() && !stat.is_zombie());
        let mut left: Vec<String> = living.filter(|stat| marked(stat.pid)).map(|stat| format!("process {} still runs", stat.pid)).collect();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(self.mounts(&mounts).map(|point| format!("mount {point} is still there")));
        let groups = cgroup_mounts(&mounts).flat_map(|root| self.cgroups(Path::new(root)));
        left.extend(groups.map(|group| format!("cgroup {group} is still there")));
        left
    }

    /// Mount points of lines that name the run or one of its containers.
    fn mounts<'a>(&'a self, mountinfo: &'a str) -> impl Iterator<Item = &'a str> {
        let names = |line: &str| std::iter::once(&self.run).chain(&self.containers).any(|name| line.contains(name.as_str()));
        mountinfo.lines().filter(move |line| names(line)).filter_map(|line| line.split(' ').nth(4))
    }

    /// Where engines put the cgroup of a container, with each of the two drivers.
    fn cgroups(&self, root: &Path) -> Vec<String> {
        let places = self.containers.iter().flat_map(|id| [format!("docker/{id}"), format!("system.slice/docker-{id}.scope")]);
        places.map(|place| root.join(place)).filter(|path| path.is_dir()).map(|path| path.display().to_string()).collect()
    }
}

/// Of both versions.
fn cgroup_mounts(mountinfo: &str) -> impl Iterator<Item = &str> {
    mountinfo.lines().filter_map(|line| {
        let (own, rest) = line.split_once(" - ")?;
        matches!(rest.split(' ').next()?, "cgroup" | "cgroup2").then(|| own.split(' ').nth(4)).flatten()
    })
}

/// Where the engine does not answer there are none to look for, and [`Trail::remains`] says so.
async fn container_ids(run: &str) -> Vec<String> {
    let Ok(engine) = Engine::connect().await else { return Vec::new() };
    let filters = HashMap::from([("label".to_owned(), vec![format!("{}={run}", marks::RUN)])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = engine.docker.list_containers(Some(options)).await.unwrap_or_default();
    found.into_iter().filter_map(|container| container.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
24 1 0:22 / / rw - ext4 /dev/sda rw
30 24 0:26 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
88 24 0:50 / /var/lib/docker/containers/abc123/mounts/shm rw shared:2 - tmpfs shm rw
89 24 0:51 / /mnt/sd-r1-c-web rw - fuse shakedown rw
90 24 0:52 / /mnt/other rw - tmpfs sd-r2 rw
";

    fn trail() -> Trail {
        Trail { run: "r1".to_owned(), kind: RuntimeKind::Docker, containers: vec!["abc123".to_owned()] }
    }

    #[test]
    fn mounts_that_name_the_run_or_a_container_of_it_are_found_and_others_not() {
        let found: Vec<_> = trail().mounts(MOUNTS).map(str::to_owned).collect();
        assert_eq!(found, ["/var/lib/docker/containers/abc123/mounts/shm", "/mnt/sd-r1-c-web"]);
    }

    #[test]
    fn cgroups_are_looked_for_under_every_mount_of_both_versions() {
        assert_eq!(cgroup_mounts(MOUNTS).collect::<Vec<_>>(), ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"]);
        let root = tempfile::tempdir().unwrap();
        assert_eq!(trail().cgroups(root.path()), Vec::<String>::new());
        fs::create_dir_all(root.path().join("docker/abc123")).unwrap();
        fs::create_dir_all(root.path().join("system.slice/docker-abc123.scope")).unwrap();
        fs::create_dir_all(root.path().join("docker/other")).unwrap();
        assert_eq!(trail().cgroups(root.path()).len(), 2);
    }

    #[tokio::test]
    async fn a_process_that_carries_the_mark_is_found_until_it_ends() {
        let run = format!("remains-{}", std::process::id());
        let mut child = std::process::Command::new("sleep").arg("1000").env(marks::RUN_VARIABLE, &run).spawn().unwrap();
        let trail = Trail::of(&run, RuntimeKind::Process).await;
        assert_eq!(trail.remains().await, [format!("process {} still runs", child.id())]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(trail.remains().await, Vec::<String>::new());
    }
}
