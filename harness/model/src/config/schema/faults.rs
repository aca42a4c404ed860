//! Faults, and the parameters of each kind.

mod protocols;
mod services;

use protocols::{DnsEntry, GrpcEntry, PostgresEntry, RedisEntry};
use services::{ClockEntry, CpuEntry, CrashLoopEntry, DiskEntry, FilesEntry, FillEntry, IoEntry, MemoryEntry, PidsEntry};

use super::Plain;
use crate::{
    fault::{Direction, Distribution},
    units::{Bytes, Percent, Span, Throughput},
};
use indexmap::IndexMap;
use schemars::JsonSchema;

/// One disturbance. Exactly one kind says what is done: `pause` to `dns` on a service, `latency` to `redis` on an edge.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FaultEntry {
    /// Offset from the start of the fault phase. Default: 0s.
    pub at: Option<Span>,
    /// How long it stays.
    #[schemars(rename = "for")]
    pub lasts: Span,
    /// A service, `payment`; an edge, `orders -> payment`; or groups of them, `orders, gateway -> payment`: a fault for each.
    pub on: String,
    /// On an edge: of its connections, the share that it is done to. Default: 100%.
    pub connections: Option<Percent>,
    /// On an edge of containers: the ports of the callee. Default: all.
    pub ports: Option<OneOrMore<u16>>,
    /// The largest dose that is borne is to be found: one parameter of the kind with its range, `{latency.delay: 0ms..2s}`; `by 50ms` says how
    /// exactly, a 32nd of the range where it does not.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
    pub search: Option<IndexMap<String, String>>,
    /// Every process of the service is frozen, then goes on.
    pub pause: Option<NoParameters>,
    /// The service's main process is stopped (SIGSTOP), then goes on.
    pub stop: Option<NoParameters>,
    /// The service is asked to end (SIGTERM), and started again at the end of the fault.
    pub term: Option<TermEntry>,
    /// The service is killed, and started again at the end of the fault.
    pub kill: Option<NoParameters>,
    /// The kernel kills the service because its memory ran out; it is started again at the end of the fault (containers).
    pub oom: Option<NoParameters>,
    /// The service is killed, and started again at once.
    pub restart: Option<NoParameters>,
    /// The service is killed again and again, and started again each time.
    pub crash_loop: Option<CrashLoopEntry>,
    /// The service gets less time on a core (containers).
    pub cpu: Option<CpuEntry>,
    /// The service gets less memory (containers).
    pub memory: Option<MemoryEntry>,
    /// The service's disk is busy (containers).
    pub io: Option<IoEntry>,
    /// The service's disk is full (containers).
    pub fill: Option<FillEntry>,
    /// The service's files fail, wait or lie (containers).
    pub disk: Option<DiskEntry>,
    /// The service can start fewer processes and threads (containers).
    pub pids: Option<PidsEntry>,
    /// The processes of the service can open fewer files (containers).
    pub files: Option<FilesEntry>,
    /// The service's wall clock is wrong (containers).
    pub clock: Option<ClockEntry>,
    /// The service's DNS queries are answered falsely, late or not at all (containers).
    pub dns: Option<DnsEntry>,
    /// Traffic of the edge is delayed.
    pub latency: Option<LatencyEntry>,
    /// A share of the edge's packets vanishes (containers).
    pub loss: Option<LossEntry>,
    /// A share of the edge's packets is overtaken by those sent after it (containers).
    pub reorder: Option<ReorderEntry>,
    /// A share of the edge's packets arrives with a bit flipped (containers).
    pub corrupt: Option<CorruptEntry>,
    /// A share of the edge's packets arrives twice (containers).
    pub duplicate: Option<DuplicateEntry>,
    /// New TCP connections of the edge vanish or are delayed; open ones are left alone (containers).
    pub connect: Option<ConnectEntry>,
    /// Packets of the edge that are too large vanish (containers).
    pub mtu: Option<MtuEntry>,
    /// The edge carries no more than so many bytes a second in each direction.
    pub bandwidth: Option<BandwidthEntry>,
    /// Traffic of the edge is dropped silently.
    pub partition: Option<PartitionEntry>,
    /// Connections of the edge are reset.
    pub reset: Option<NoParameters>,
    /// What the caller sends arrives in slices.
    pub slicer: Option<SlicerEntry>,
    /// Connections end after so many bytes of answers.
    pub limit_data: Option<LimitDataEntry>,
    /// The end of a connection arrives late.
    pub slow_close: Option<SlowCloseEntry>,
    /// Nothing goes through, and after a while the connection ends.
    pub timeout: Option<TimeoutEntry>,
    /// Nobody listens; open connections end.
    pub down: Option<NoParameters>,
    /// HTTP requests are answered, held, or their answers changed.
    pub http: Option<HttpEntry>,
    /// gRPC calls are answered or held.
    pub grpc: Option<GrpcEntry>,
    /// PostgreSQL queries fail or are held.
    pub postgres: Option<PostgresEntry>,
    /// Redis commands fail, miss or are held.
    pub redis: Option<RedisEntry>,
}

/// A request to end.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TermEntry {
    /// How long the service has before it is killed; containers: whole seconds. Default: 10s.
    pub grace: Option<Span>,
}

/// Lost packets.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LossEntry {
    /// Of the packets, in either direction.
    pub share: Percent,
    /// Mean length of a run of lost packets (Gilbert model). Default: 1, each packet by itself.
    pub burst: Option<u32>,
}

/// Packets that are overtaken.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ReorderEntry {
    /// Of the packets.
    pub share: Percent,
    /// How long such a packet is held.
    pub delay: Span,
}

/// Packets with a flipped bit.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CorruptEntry {
    /// Of the packets.
    pub share: Percent,
}

/// Packets that come twice.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DuplicateEntry {
    /// Of the packets.
    pub share: Percent,
}

/// New connections that are hurt.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ConnectEntry {
    /// How long each attempt is held. Default: it vanishes.
    pub delay: Option<Span>,
}

/// A path that carries small packets only.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MtuEntry {
    /// The largest packet that passes, from its IP header on: 68B to 65535B; 1280B or more where the callee has an IPv6 address.
    pub size: Bytes,
}

/// Connections that hang, then end.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TimeoutEntry {
    /// How long they hang.
    pub after: Span,
}

/// Which HTTP requests, and exactly one of `abort`, `delay` and `patch`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HttpEntry {
    /// Method, in any case. Default: any.
    pub method: Option<String>,
    /// Pattern of the path without its query; `*` stays within a segment, `**` does not. Default: any.
    pub path: Option<String>,
    /// Name and exact value of one header.
    #[schemars(default)]
    pub header: IndexMap<String, Plain>,
    /// Key and value of one member of the W3C `baggage` header.
    #[schemars(default)]
    pub baggage: IndexMap<String, Plain>,
    /// Of the requests for which all of that holds. Default: 100%.
    pub share: Option<Percent>,
    /// Status that they are answered with, without the callee: 200 to 599.
    pub abort: Option<u16>,
    /// How long they are held.
    pub delay: Option<Span>,
    /// How their answers are changed.
    pub patch: Option<HttpPatchEntry>,
}

/// Changes to an answer: one at least.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HttpPatchEntry {
    /// 200 to 599.
    pub status: Option<u16>,
    /// Headers that it gets.
    #[schemars(default)]
    pub set: IndexMap<String, Plain>,
    /// Names of headers that it loses.
    pub remove: Option<Vec<String>>,
    /// Its body.
    pub body: Option<Plain>,
}

/// A narrow line.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BandwidthEntry {
    /// What it carries in each direction.
    pub rate: Throughput,
}

/// Data in slices.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SlicerEntry {
    /// Largest slice.
    pub size: Bytes,
    /// Time between two.
    pub delay: Span,
}

/// Answers that are cut short.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LimitDataEntry {
    /// What a connection carries back before it is closed.
    pub bytes: Bytes,
}

/// Late ends of connections.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SlowCloseEntry {
    /// By how much.
    pub delay: Span,
}

/// `{}`
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NoParameters {}

/// Added delay.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LatencyEntry {
    /// Mean.
    pub delay: Span,
    /// Half width (uniform) or standard deviation (normal). Default: 0s.
    pub jitter: Option<Span>,
    /// Shape of the jitter. Default: uniform.
    pub distribution: Option<Distribution>,
    /// How far a delay follows the one before it in its direction, 0% to 99% (containers). Default: 0%.
    pub correlation: Option<Percent>,
}

/// A cut.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PartitionEntry {
    /// Which way, seen from the caller (containers). Default: both.
    pub direction: Option<Direction>,
}

/// One, or a list.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMore<T> {
    /// One.
    One(T),
    /// Several.
    More(Vec<T>),
}
