//! What is done: one variant a kind.

use super::{
    Asked, Bandwidth, Clock, Connect, Corrupt, Cpu, CrashLoop, Descriptors, Disk, Dns, Duplicate, Fill, Grpc, Http, Io, Latency, LimitData,
    Loss, Memory, Mtu, Partition, Pids, Postgres, Redis, Reorder, Slicer, SlowClose, Term, Timeout, millis, percent,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What is done. The kinds on a service and the kinds on an edge are disjoint; `config` refuses the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Every process of the service is frozen, then goes on.
    Pause,
    /// The service's main process is stopped (SIGSTOP), then goes on.
    Stop,
    /// The service is asked to end (SIGTERM), killed if it does not in time, and started again at the end of the fault.
    Term(Term),
    /// The service is killed (SIGKILL) and started again at the end of the fault.
    Kill,
    /// The kernel kills the service because its memory ran out, and it is started again at the end of the fault.
    Oom,
    /// The service is killed and started again at once.
    Restart,
    /// The service is killed again and again, and started again each time.
    CrashLoop(CrashLoop),
    /// The service gets less time on a core.
    Cpu(Cpu),
    /// The service gets less memory.
    Memory(Memory),
    /// The service's disk is busy.
    Io(Io),
    /// The service's disk is full.
    Fill(Fill),
    /// The service's files fail, wait or lie.
    Disk(Disk),
    /// The service can start fewer tasks.
    Pids(Pids),
    /// The service can open fewer files.
    Files(Descriptors),
    /// The service's wall clock is wrong.
    Clock(Clock),
    /// The service's DNS queries are answered falsely, late or not at all.
    Dns(Dns),
    /// Traffic of the edge is delayed once a round trip.
    Latency(Latency),
    /// A share of the edge's packets vanishes.
    Loss(Loss),
    /// A share of the edge's packets arrives later than those sent after it.
    Reorder(Reorder),
    /// A share of the edge's packets arrives with a bit flipped.
    Corrupt(Corrupt),
    /// A share of the edge's packets arrives twice.
    Duplicate(Duplicate),
    /// New TCP connections of the edge are hurt, open ones are not.
    Connect(Connect),
    /// Packets of the edge that are too large vanish.
    Mtu(Mtu),
    /// The edge carries no more than so many bytes a second.
    Bandwidth(Bandwidth),
    /// Traffic of the edge is dropped silently.
    Partition(Partition),
    /// Connections of the edge are reset, established ones too.
    Reset,
    /// What is sent over the edge arrives in slices.
    Slicer(Slicer),
    /// Connections of the edge end after so many bytes of answers.
    LimitData(LimitData),
    /// The end of a connection of the edge arrives late.
    SlowClose(SlowClose),
    /// Nothing goes through, and after a while the connection ends.
    Timeout(Timeout),
    /// Nobody listens; open connections end.
    Down,
    /// HTTP requests of the edge are answered, held, or their answers changed.
    Http(Box<Http>),
    /// gRPC calls of the edge are answered or held.
    Grpc(Grpc),
    /// PostgreSQL queries of the edge fail or are held.
    Postgres(Postgres),
    /// Redis commands of the edge fail, miss or are held.
    Redis(Redis),
}

impl Action {
    /// The kind as config and result write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Pause => "pause",
            Action::Stop => "stop",
            Action::Term(_) => "term",
            Action::Kill => "kill",
            Action::Oom => "oom",
            Action::Restart => "restart",
            Action::CrashLoop(_) => "crash_loop",
            Action::Cpu(_) => "cpu",
            Action::Memory(_) => "memory",
            Action::Io(_) => "io",
            Action::Fill(_) => "fill",
            Action::Disk(_) => "disk",
            Action::Pids(_) => "pids",
            Action::Files(_) => "files",
            Action::Clock(_) => "clock",
            Action::Dns(_) => "dns",
            Action::Latency(_) => "latency",
            Action::Loss(_) => "loss",
            Action::Reorder(_) => "reorder",
            Action::Corrupt(_) => "corrupt",
            Action::Duplicate(_) => "duplicate",
            Action::Connect(_) => "connect",
            Action::Mtu(_) => "mtu",
            Action::Bandwidth(_) => "bandwidth",
            Action::Partition(_) => "partition",
            Action::Reset => "reset",
            Action::Slicer(_) => "slicer",
            Action::LimitData(_) => "limit_data",
            Action::SlowClose(_) => "slow_close",
            Action::Timeout(_) => "timeout",
            Action::Down => "down",
            Action::Http(_) => "http",
            Action::Grpc(_) => "grpc",
            Action::Postgres(_) => "postgres",
            Action::Redis(_) => "redis",
        }
    }

    /// Whether the kind is done to an edge (else to a service).
    pub fn is_on_edge(&self) -> bool {
        crate::config::ON_EDGE.contains(&self.kind())
    }

    /// Whether the kind ends the service: that it dies is then no news.
    pub fn ends_service(&self) -> bool {
        matches!(self, Action::Term(_) | Action::Kill | Action::Oom | Action::Restart | Action::CrashLoop(_))
    }

    /// What was asked, for the result: parameter name to value with its unit in the name.
    pub fn asked(&self) -> IndexMap<String, f64> {
        self.parameters().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn parameters(&self) -> Asked {
        match self {
            Action::Pause
            | Action::Stop
            | Action::Kill
            | Action::Oom
            | Action::Restart
            | Action::Partition(_)
            | Action::Reset
            | Action::Down => Asked::new(),
            Action::Term(term) => vec![("grace_ms", millis(term.grace))],
            Action::CrashLoop(crash) => vec![("every_ms", millis(crash.every))],
            Action::Cpu(cpu) => cpu.asked(),
            Action::Memory(memory) => memory.asked(),
            Action::Io(io) => vec![("workers", f64::from(io.workers))],
            Action::Fill(fill) => fill.asked(),
            Action::Disk(disk) => disk.asked(),
            Action::Pids(pids) => pids.asked(),
            Action::Files(files) => vec![("leave_files", f64::from(files.leave))],
            Action::Clock(clock) => vec![("offset_ms", clock.offset.as_millis())],
            Action::Dns(dns) => dns.asked(),
            Action::Latency(latency) => latency.asked(),
            Action::Loss(loss) => loss.asked(),
            Action::Reorder(reorder) => reorder.asked(),
            Action::Corrupt(corrupt) => vec![("share_percent", percent(corrupt.share))],
            Action::Duplicate(duplicate) => vec![("share_percent", percent(duplicate.share))],
            Action::Connect(connect) => connect.asked(),
            Action::Mtu(mtu) => vec![("size_bytes", mtu.size.0 as f64)],
            Action::Bandwidth(bandwidth) => vec![("bytes_per_second", bandwidth.rate.0 as f64)],
            Action::Slicer(slicer) => vec![("size_bytes", slicer.size.0 as f64), ("delay_ms", millis(slicer.delay))],
            Action::LimitData(limit) => vec![("limit_bytes", limit.bytes.0 as f64)],
            Action::SlowClose(close) => vec![("delay_ms", millis(close.delay))],
            Action::Timeout(timeout) => vec![("after_ms", millis(timeout.after))],
            Action::Http(http) => http.asked(),
            Action::Grpc(grpc) => grpc.asked(),
            Action::Postgres(postgres) => postgres.asked(),
            Action::Redis(redis) => redis.asked(),
        }
    }
}
