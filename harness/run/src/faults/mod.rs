//! Faults on and off, on one variant: the same spec by whatever means the runtime has, and the dose that it really gave.

mod disk;
mod dns;
mod life;
mod limits;
mod packets;
mod processes;
mod relays;
mod streams;
mod within;

pub(crate) use disk::wraps;
pub(crate) use relays::{Relayed, lead, let_go};
pub(crate) use within::Pressure;

use crate::{
    announce::now,
    means::{Means, means, mechanism},
    sides::Side,
};
use shakedown_model::{
    fault::{Action, Dose, Fault, FaultRecord, Target},
    plan::RuntimeKind,
    run::Play,
    time::UnixNanos,
    units::Percent,
};
use shakedown_undo::Journal;
use tokio_util::sync::CancellationToken;

/// A helper takes a fault back by itself after its length and this.
const GRACE_MS: u64 = 10_000;

/// What is needed to carry faults out.
pub(crate) struct Setting<'a> {
    pub(crate) runtime: RuntimeKind,
    pub(crate) journal: &'a Journal,
    pub(crate) scenario: &'a str,
    pub(crate) play: Play,
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

    /// A helper takes the fault back by itself after this long: the harness is then taken for dead.
    fn ttl_ms(&self) -> u64 {
        self.fault.lasts.0.as_millis() as u64 + GRACE_MS
    }

    fn means(&self, runtime: RuntimeKind) -> Means {
        means(&self.fault.action, self.fault.connections, runtime)
    }
}

/// The record of a fault before anything was done.
pub(crate) fn record(setting: &Setting<'_>, planned: Planned<'_>) -> FaultRecord {
    FaultRecord {
        scenario: setting.scenario.to_owned(),
        play: setting.play,
        index: planned.index,
        kind: planned.fault.action.kind().to_owned(),
        target: planned.fault.on.to_string(),
        mechanism: mechanism(&planned.fault.action, planned.fault.connections, setting.runtime).to_owned(),
        asked: planned.fault.action.asked(),
        dose: Dose::default(),
        applied_at: None,
        reverted_at: None,
        error: None,
    }
}

/// Puts a fault on. What goes wrong stands in the record, which then has no `applied_at`.
pub(crate) async fn apply(side: &Side, setting: &Setting<'_>, planned: Planned<'_>) -> FaultRecord {
    let mut record = record(setting, planned);
    match try_apply(side, setting, planned, &mut record).await {
        Ok(at) => record.applied_at = Some(at),
        Err(error) => record.error = Some(error),
    }
    record
}

/// Takes a fault off and completes the record.
pub(crate) async fn revert(side: &Side, setting: &Setting<'_>, planned: Planned<'_>, record: &mut FaultRecord) {
    if record.applied_at.is_none() {
        return;
    }
    match try_revert(side, setting, planned, record).await {
        Ok(at) => record.reverted_at = Some(at),
        Err(error) => record.error = Some(format!("not taken back: {error}")),
    }
}

/// What is done while a fault is on, until its time is over or `early` comes. Most need nothing more to be done.
pub(crate) async fn hold(
    side: &Side,
    setting: &Setting<'_>,
    planned: Planned<'_>,
    record: &mut FaultRecord,
    until: tokio::time::Instant,
    early: &CancellationToken,
) {
    let action = &planned.fault.action;
    let done = match (record.applied_at, &planned.fault.on, planned.means(setting.runtime)) {
        (Some(_), Target::Service(service), Means::Life) => match action {
            Action::CrashLoop(crash) => life::crash(side, setting, service, crash.every.0, record, until, early).await,
            _ => Ok(()),
        },
        (Some(_), Target::Service(service), Means::Limit) => limits::watch(side, service, action, record, until, early).await,
        _ => Ok(()),
    };
    record.error = record.error.take().or(done.err());
    sleep_until(until, early).await;
}

/// Waits until `at`; `true`: it was cut short.
pub(crate) async fn sleep_until(at: tokio::time::Instant, early: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = early.cancelled() => true,
        () = tokio::time::sleep_until(at) => false,
    }
}

async fn try_apply(side: &Side, setting: &Setting<'_>, planned: Planned<'_>, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    match (planned.means(setting.runtime), &planned.fault.on) {
        (Means::Life, Target::Service(service)) => life::apply(side, setting, service, &planned.fault.action, record).await,
        (Means::Limit, Target::Service(service)) => limits::apply(side, setting, service, &planned.fault.action).await,
        (Means::Within, Target::Service(service)) => within::apply(side, setting, service, planned, record).await,
        (Means::Disk, Target::Service(service)) => disk::apply(side, service, planned, setting.seed, record).await,
        (Means::Processes, Target::Service(service)) => processes::apply(side, service, planned, record).await,
        (Means::Relay, target) => relays::apply(side, planned, target, setting.seed, record).await,
        (Means::Packets, Target::Edge(edge)) => packets::apply(side, planned, edge, setting.seed, record).await,
        (Means::Link, Target::Edge(edge)) => streams::apply(side, planned, edge, setting.seed, record),
        (Means::Impossible(why), _) => Err(why.trim_start_matches("none: ").to_owned()),
        (_, target) => Err(format!("{} is not done to {target}", planned.fault.action.kind())),
    }
}

async fn try_revert(side: &Side, setting: &Setting<'_>, planned: Planned<'_>, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    match (planned.means(setting.runtime), &planned.fault.on) {
        (Means::Life, Target::Service(service)) => life::revert(side, setting, service, &planned.fault.action, record).await,
        (Means::Limit, Target::Service(service)) => limits::revert(side, setting, service, &planned.fault.action).await,
        (Means::Within, Target::Service(service)) => within::revert(side, setting, service, planned, record).await,
        (Means::Disk, Target::Service(_)) => disk::revert(side, planned, record).await,
        (Means::Processes, Target::Service(service)) => processes::revert(side, service, planned, record).await,
        (Means::Relay, target) => relays::revert(side, target, record).await,
        (Means::Packets, Target::Edge(edge)) => packets::revert(side, planned, edge, record).await,
        (Means::Link, Target::Edge(edge)) => streams::revert(side, edge, record),
        _ => Ok(now()),
    }
}

/// At least one part, so that a share that was asked for is never none.
fn parts_per_million(share: Percent) -> u32 {
    ((share.0 * 1e6).round() as u32).max(1)
}

/// Writes figures into a record.
fn note(record: &mut FaultRecord, figures: impl IntoIterator<Item = (&'static str, f64)>) {
    record.dose.figures.extend(figures.into_iter().map(|(name, value)| (name.to_owned(), value)));
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
