//! By which means each kind of fault is done on each runtime. Pure: plan, doctor and the run itself ask the same question.

use shakedown_model::{
    fault::{Action, Cpu, Direction, Memory, Pids},
    plan::RuntimeKind,
    units::Percent,
};

/// By which means a fault is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// The runtime changes the life of the service.
    Life,
    /// An agent in the caller's network namespace changes packets.
    Packets,
    /// A relay in the caller's network namespace, to which an agent leads its connections.
    Relay,
    /// A relay in the harness, that the caller takes for the callee.
    Link,
    /// The runtime grants less.
    Limit,
    /// A process inside the service takes it away.
    Within,
    /// The file system that the service began upon makes its files fail.
    Disk,
    /// An agent in the service's process namespace changes its processes.
    Processes,
    /// It cannot be done, for this reason.
    Impossible(&'static str),
}

const NO_PACKETS: &str = "none: processes have no packets of their own; use `--runtime docker` (inconclusive)";
const NO_CGROUP: &str = "none: processes have no cgroup of their own; use `--runtime docker` (inconclusive)";
const NO_NAMESPACE: &str = "none: processes have no namespaces of their own; use `--runtime docker` (inconclusive)";
const ALL_CONNECTIONS: &str = "none: of packets there is no share of the connections to choose (inconclusive)";
const CORRELATED: &str = "none: correlated delays need packets, and all connections (inconclusive)";
const ONE_WAY: &str = "none: one direction needs packets, and all connections (inconclusive)";

/// By which means `action` is done to that share of the connections.
pub(crate) fn means(action: &Action, connections: Percent, runtime: RuntimeKind) -> Means {
    match runtime {
        RuntimeKind::Docker => in_containers(action, connections.0 < 1.0),
        RuntimeKind::Process => in_processes(action),
    }
}

fn in_containers(action: &Action, is_share: bool) -> Means {
    match action {
        Action::Pause | Action::Stop | Action::Term(_) | Action::Kill | Action::Restart | Action::CrashLoop(_) => Means::Life,
        Action::Cpu(Cpu::Quota(_)) | Action::Memory(Memory::Limit(_)) | Action::Pids(Pids::Limit(_)) => Means::Limit,
        Action::Oom | Action::Cpu(_) | Action::Memory(_) | Action::Pids(_) | Action::Io(_) | Action::Fill(_) => Means::Within,
        Action::Disk(_) => Means::Disk,
        Action::Files(_) | Action::Clock(_) => Means::Processes,
        Action::Loss(_) | Action::Reorder(_) | Action::Corrupt(_) | Action::Duplicate(_) | Action::Connect(_) | Action::Mtu(_)
            if is_share =>
        {
            Means::Impossible(ALL_CONNECTIONS)
        }
        Action::Latency(_) | Action::Bandwidth(_) | Action::Partition(_) | Action::Reset if is_share => of_a_stream(action, Means::Relay),
        Action::Loss(_)
        | Action::Reorder(_)
        | Action::Corrupt(_)
        | Action::Duplicate(_)
        | Action::Connect(_)
        | Action::Mtu(_)
        | Action::Latency(_)
        | Action::Bandwidth(_)
        | Action::Partition(_)
        | Action::Reset => Means::Packets,
        Action::Slicer(_)
        | Action::LimitData(_)
        | Action::SlowClose(_)
        | Action::Timeout(_)
        | Action::Down
        | Action::Http(_)
        | Action::Grpc(_)
        | Action::Postgres(_)
        | Action::Redis(_)
        | Action::Dns(_) => Means::Relay,
    }
}

fn in_processes(action: &Action) -> Means {
    match action {
        Action::Pause | Action::Stop | Action::Term(_) | Action::Kill | Action::Restart | Action::CrashLoop(_) => Means::Life,
        Action::Oom | Action::Cpu(_) | Action::Memory(_) | Action::Pids(_) | Action::Io(_) | Action::Fill(_) => {
            Means::Impossible(NO_CGROUP)
        }
        Action::Files(_) | Action::Clock(_) | Action::Dns(_) | Action::Disk(_) => Means::Impossible(NO_NAMESPACE),
        Action::Loss(_) | Action::Reorder(_) | Action::Corrupt(_) | Action::Duplicate(_) | Action::Connect(_) | Action::Mtu(_) => {
            Means::Impossible(NO_PACKETS)
        }
        _ => of_a_stream(action, Means::Link),
    }
}

/// What a relay can do of a kind that packets can, too.
fn of_a_stream(action: &Action, means: Means) -> Means {
    match action {
        Action::Latency(latency) if latency.correlation.0 > 0.0 => Means::Impossible(CORRELATED),
        Action::Partition(partition) if partition.direction != Direction::Both => Means::Impossible(ONE_WAY),
        _ => means,
    }
}

/// The same in words; the agent's own words replace them where it did the work.
pub fn mechanism(action: &Action, connections: Percent, runtime: RuntimeKind) -> &'static str {
    match (means(action, connections, runtime), action) {
        (Means::Impossible(why), _) => why,
        (Means::Life, _) => life(action, runtime),
        (Means::Packets, Action::Partition(_)) => "packets: nftables drop in the caller's network namespace",
        (Means::Packets, Action::Reset) => "packets: nftables reject with TCP reset in the caller's network namespace",
        (Means::Packets, _) => "packets: NFQUEUE in the caller's network namespace",
        (Means::Relay, Action::Dns(_)) => "relay: user-space DNS relay in the service's network namespace, queries led to it by nftables",
        (Means::Relay, _) => "relay: user-space TCP relay in the caller's network namespace, connections led to it by nftables",
        (Means::Link, _) => "link: user-space TCP relay on the edge",
        (Means::Limit, _) => "engine update of the container's cgroup limits",
        (Means::Within, Action::Oom) => "a process in the service's cgroup that grows until the kernel kills the service, start at the end",
        (Means::Within, Action::Fill(_)) => "a file without a name in the service's file system",
        (Means::Within, _) => "processes in the service's own cgroup",
        (Means::Disk, _) => "FUSE over the directory, in the service's mount namespace",
        (Means::Processes, Action::Clock(_)) => "the vDSO of the service's processes, rewritten",
        (Means::Processes, _) => "resource limits of the service's processes (prlimit)",
    }
}

fn life(action: &Action, runtime: RuntimeKind) -> &'static str {
    match (action, runtime) {
        (Action::Pause, RuntimeKind::Docker) => "engine pause (cgroup freezer)",
        (Action::Stop, RuntimeKind::Docker) => "engine kill (SIGSTOP), SIGCONT at the end",
        (Action::Pause | Action::Stop, RuntimeKind::Process) => "SIGSTOP to the process group",
        (Action::Term(_), RuntimeKind::Docker) => "engine stop (SIGTERM, then SIGKILL), start at the end",
        (Action::Term(_), RuntimeKind::Process) => "SIGTERM to the process group, then SIGKILL; start at the end",
        (Action::Restart, RuntimeKind::Docker) => "engine kill (SIGKILL) and start",
        (Action::Restart, RuntimeKind::Process) => "SIGKILL to the process group and start",
        (Action::CrashLoop(_), RuntimeKind::Docker) => "engine kill (SIGKILL) and start, again and again",
        (Action::CrashLoop(_), RuntimeKind::Process) => "SIGKILL to the process group and start, again and again",
        (_, RuntimeKind::Docker) => "engine kill (SIGKILL), start at the end",
        (_, RuntimeKind::Process) => "SIGKILL to the process group, start at the end",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::{
        fault::{Distribution, Latency, Partition},
        units::Span,
    };

    fn latency(correlation: f64) -> Action {
        let (delay, jitter) = (Span::default(), Span::default());
        Action::Latency(Latency { delay, jitter, distribution: Distribution::Uniform, correlation: Percent(correlation) })
    }

    #[test]
    fn a_share_of_the_connections_is_chosen_by_a_relay_where_that_can_do_the_kind() {
        let (all, some) = (Percent(1.0), Percent(0.5));
        assert_eq!(means(&latency(0.0), all, RuntimeKind::Docker), Means::Packets);
        assert_eq!(means(&latency(0.0), some, RuntimeKind::Docker), Means::Relay);
        assert_eq!(means(&latency(0.5), some, RuntimeKind::Docker), Means::Impossible(CORRELATED));
        assert_eq!(means(&latency(0.0), some, RuntimeKind::Process), Means::Link);
        let one_way = Action::Partition(Partition { direction: Direction::Out });
        assert_eq!(means(&one_way, all, RuntimeKind::Docker), Means::Packets);
        assert_eq!(means(&one_way, all, RuntimeKind::Process), Means::Impossible(ONE_WAY));
    }
}
