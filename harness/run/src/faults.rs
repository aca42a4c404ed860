//! Faults on and off, on one variant: the same spec by whatever means the runtime has, and the dose that it really gave.

use crate::{agents, announce::now, links, plan::mechanism, sides::Side};
use shakedown_agent::wire;
use shakedown_model::{
    fault::{Action, Distribution, Dose, Edge, Fault, FaultRecord, Target},
    plan::RuntimeKind,
    time::UnixNanos,
    units::Percent,
};
use shakedown_runtime::{Changed, Lifecycle, StateWord};
use shakedown_undo::Journal;

/// An agent takes a fault back by itself after its length and this: the harness is then taken for dead.
const GRACE_MS: u64 = 10_000;

/// What a narrow line lets wait before it drops: a second, as the buffers of access networks do.
const LINE_QUEUE_US: u64 = 1_000_000;

/// What is needed to carry faults out.
pub(crate) struct Means<'a> {
    pub(crate) runtime: RuntimeKind,
    pub(crate) journal: &'a Journal,
    pub(crate) scenario: &'a str,
    pub(crate) seed: u64,
}

/// A fault of the plan.
#[derive(Clone, Copy)]
pub(crate) struct Planned<'a> {
    pub(crate) index: usize,
    pub(crate) fault: &'a Fault,
}

impl Planned<'_> {
    fn name(&self) -> String {
        format!("fault-{}", self.index)
    }
}

/// The record of a fault before anything was done.
pub(crate) fn record(means: &Means<'_>, planned: Planned<'_>) -> FaultRecord {
    FaultRecord {
        scenario: means.scenario.to_owned(),
        index: planned.index,
        kind: planned.fault.action.kind().to_owned(),
        target: planned.fault.on.to_string(),
        mechanism: mechanism(&planned.fault.action, means.runtime).to_owned(),
        asked: planned.fault.action.asked(),
        dose: Dose::default(),
        applied_at: None,
        reverted_at: None,
        error: None,
    }
}

/// Puts a fault on. What goes wrong stands in the record, which then has no `applied_at`.
pub(crate) async fn apply(side: &Side, means: &Means<'_>, planned: Planned<'_>) -> FaultRecord {
    let mut record = record(means, planned);
    match try_apply(side, means, planned, &mut record).await {
        Ok(at) => record.applied_at = Some(at),
        Err(error) => record.error = Some(error),
    }
    record
}

/// Takes a fault off and completes the record.
pub(crate) async fn revert(side: &Side, means: &Means<'_>, planned: Planned<'_>, record: &mut FaultRecord) {
    if record.applied_at.is_none() {
        return;
    }
    match try_revert(side, means, planned, record).await {
        Ok(at) => record.reverted_at = Some(at),
        Err(error) => record.error = Some(format!("not taken back: {error}")),
    }
}

async fn try_apply(side: &Side, means: &Means<'_>, planned: Planned<'_>, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    match (&planned.fault.on, &planned.fault.action) {
        (Target::Service(service), Action::Pause) => change(side, means, service, Lifecycle::Pause, record).await,
        (Target::Service(service), Action::Term(term)) => {
            let began = now();
            change(side, means, service, Lifecycle::Term { grace: term.grace.0 }, record).await?;
            record.dose.figures.insert("stop_ms".to_owned(), now().since(began).as_secs_f64() * 1e3);
            Ok(began)
        }
        (Target::Service(service), Action::Kill) => change(side, means, service, Lifecycle::Kill, record).await,
        (Target::Service(service), Action::Restart) => {
            let began = now();
            let at = change(side, means, service, Lifecycle::Restart, record).await?;
            side.refresh(service).await.map_err(|error| error.to_string())?;
            record.dose.figures.insert("down_ms".to_owned(), at.since(began).as_secs_f64() * 1e3);
            Ok(began)
        }
        (Target::Edge(edge), _) => match means.runtime {
            RuntimeKind::Docker => apply_packets(side, planned, edge, means.seed, record).await,
            RuntimeKind::Process => links::apply(side, planned, edge, means.seed, record),
        },
        (Target::Service(_), action) => Err(format!("{} is not done to a service", action.kind())),
    }
}

async fn try_revert(side: &Side, means: &Means<'_>, planned: Planned<'_>, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    match (&planned.fault.on, &planned.fault.action) {
        (Target::Service(service), Action::Pause) => {
            change(side, means, service, Lifecycle::Resume, record).await.inspect(|_| down(record))
        }
        (Target::Service(service), Action::Kill | Action::Term(_)) => {
            let at = change(side, means, service, Lifecycle::Start, record).await?;
            side.refresh(service).await.map_err(|error| error.to_string())?;
            down(record);
            Ok(at)
        }
        (Target::Edge(edge), _) => match means.runtime {
            RuntimeKind::Docker => revert_packets(side, planned, edge, record).await,
            RuntimeKind::Process => links::revert(side, edge, record),
        },
        (Target::Service(_), _) => Ok(now()),
    }
}

fn down(record: &mut FaultRecord) {
    if let Some(applied) = record.applied_at {
        record.dose.figures.insert("down_ms".to_owned(), now().since(applied).as_secs_f64() * 1e3);
    }
}

/// Changes the life of a service; the runtime's proof counts as touched.
async fn change(
    side: &Side,
    means: &Means<'_>,
    service: &str,
    lifecycle: Lifecycle,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    let changed = side.stack.change(service, lifecycle, means.journal).await.map_err(|error| error.to_string())?;
    if took_hold(lifecycle, &changed) {
        record.dose.touched = 1;
    }
    if let (Lifecycle::Term { .. }, Some(code)) = (lifecycle, changed.after.exit_code) {
        record.dose.figures.insert("exit_code".to_owned(), code as f64);
    }
    Ok(changed.at)
}

/// Whether the states before and after prove that a disturbance was one.
fn took_hold(lifecycle: Lifecycle, changed: &Changed) -> bool {
    match lifecycle {
        Lifecycle::Pause => changed.after.word == StateWord::Paused,
        Lifecycle::Kill | Lifecycle::Term { .. } => changed.before.word != StateWord::Exited && changed.after.word == StateWord::Exited,
        Lifecycle::Restart => changed.after.started_at != changed.before.started_at,
        Lifecycle::Resume | Lifecycle::Start => false,
    }
}

async fn apply_packets(side: &Side, planned: Planned<'_>, edge: &Edge, seed: u64, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    if planned.fault.connections.0 < 1.0 {
        return Err(
            "a share of the connections needs a relay on the edge, which containers do not have: use `--runtime process`".to_owned()
        );
    }
    let agent = side.agents.get(&edge.from).ok_or_else(|| format!("no agent stands beside {}", edge.from))?;
    let addresses = side.stack.addresses_within(&edge.to).await.map_err(|error| error.to_string())?;
    let spec = wire::FaultSpec {
        name: planned.name(),
        ttl_ms: planned.fault.lasts.0.as_millis() as u64 + GRACE_MS,
        kind: packet_kind(&planned.fault.action, seed ^ planned.index as u64)?,
        to: wire::Target { addresses, ports: Vec::new() },
        direction: packet_direction(&planned.fault.action),
    };
    let applied = agent.lock().await.apply(spec).await.map_err(|error| error.to_string())?;
    record.mechanism = applied.mechanism;
    Ok(UnixNanos(applied.applied_at_unix_ns))
}

fn packet_kind(action: &Action, seed: u64) -> Result<wire::Kind, String> {
    match action {
        Action::Latency(latency) => Ok(wire::Kind::Latency(wire::Latency {
            delay_us: latency.delay.0.as_micros() as u64,
            jitter_us: latency.jitter.0.as_micros() as u64,
            distribution: match latency.distribution {
                Distribution::Uniform => wire::Distribution::Uniform,
                Distribution::Normal => wire::Distribution::Normal,
                Distribution::Pareto => wire::Distribution::Pareto,
                Distribution::ParetoNormal => wire::Distribution::Paretonormal,
            },
            correlation_ppm: (latency.correlation.0 * 1e6).round() as u32,
            seed,
        })),
        Action::Loss(loss) => {
            Ok(wire::Kind::Loss(wire::Loss { share_ppm: parts_per_million(loss.share), burst_packets: loss.burst, seed }))
        }
        Action::Reorder(reorder) => Ok(wire::Kind::Reorder(wire::Reorder {
            share_ppm: parts_per_million(reorder.share),
            delay_us: reorder.delay.0.as_micros() as u64,
            seed,
        })),
        Action::Corrupt(corrupt) => Ok(wire::Kind::Corrupt(wire::Corrupt { share_ppm: parts_per_million(corrupt.share), seed })),
        Action::Duplicate(duplicate) => Ok(wire::Kind::Duplicate(wire::Duplicate { share_ppm: parts_per_million(duplicate.share), seed })),
        Action::Connect(connect) => Ok(wire::Kind::Connect(match connect.delay {
            None => wire::Connect::Drop {},
            Some(delay) => wire::Connect::DelayUs(delay.0.as_micros() as u64),
        })),
        Action::Mtu(mtu) => Ok(wire::Kind::Mtu(wire::Mtu { bytes: u32::try_from(mtu.size.0).unwrap_or(u32::MAX) })),
        Action::Bandwidth(bandwidth) => {
            Ok(wire::Kind::Bandwidth(wire::Bandwidth { bytes_per_second: bandwidth.rate.0, queue_us: LINE_QUEUE_US }))
        }
        Action::Partition => Ok(wire::Kind::Partition {}),
        Action::Reset => Ok(wire::Kind::Reset {}),
        other => Err(format!("{} needs a relay on the edge, which containers do not have: use `--runtime process`", other.kind())),
    }
}

/// At least one part, so that a share that was asked for is never none.
fn parts_per_million(share: Percent) -> u32 {
    ((share.0 * 1e6).round() as u32).max(1)
}

/// Latency is added once to each round trip, to what comes back: held outgoing packets would count against the sender's own socket
/// buffer. A partition cuts both ways, and a narrow or bad line is so in either direction. A reset answers what the caller sends, so that the caller hears of it first.
fn packet_direction(action: &Action) -> wire::Direction {
    match action {
        Action::Partition | Action::Loss(_) | Action::Corrupt(_) | Action::Duplicate(_) | Action::Mtu(_) | Action::Bandwidth(_) => {
            wire::Direction::Both
        }
        Action::Latency(_) | Action::Reorder(_) => wire::Direction::In,
        _ => wire::Direction::Out,
    }
}

/// How many packets a kind really hit, and how many it chose where it is asked for a share: one that is held is chosen, and hit when another
/// has gone by.
fn hit(kind: &str, dose: &wire::Dose) -> (u64, Option<u64>) {
    match kind {
        "loss" => (dose.lost, Some(dose.lost)),
        "corrupt" => (dose.corrupted, Some(dose.corrupted)),
        "reorder" => (dose.reordered, Some(dose.delayed + dose.held + dose.released_early)),
        "duplicate" => (dose.duplicated, Some(dose.duplicated)),
        "connect" => (dose.lost + dose.delayed, None),
        "mtu" => (dose.lost, None),
        _ => (dose.packets, None),
    }
}

async fn revert_packets(side: &Side, planned: Planned<'_>, edge: &Edge, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let agent = side.agents.get(&edge.from).ok_or_else(|| format!("no agent stands beside {}", edge.from))?;
    let reverted = agent.lock().await.revert(&planned.name()).await.map_err(|error| error.to_string())?;
    if let Some(dose) = &reverted.dose {
        let (hit, chosen) = hit(&record.kind, dose);
        record.dose.touched = hit;
        if let Some(chosen) = chosen {
            let share = if dose.judged == 0 { 0.0 } else { chosen as f64 / dose.judged as f64 };
            record.dose.figures.insert("share_percent".to_owned(), share * 100.0);
        }
        record.dose.figures.extend(agents::figures(dose).into_iter().map(|(name, value)| (name.to_owned(), value)));
        if let Some(trouble) = &dose.trouble {
            record.error = Some(trouble.clone());
        }
    }
    Ok(reverted.reverted_at_unix_ns.map_or_else(now, UnixNanos))
}
