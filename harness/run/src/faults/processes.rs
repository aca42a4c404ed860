//! Faults on the processes of a service, by the agent in its process namespace.

use super::{Planned, note, said};
use crate::{announce::now, sides::Side};
use shakedown_agent::wire;
use shakedown_model::{
    fault::{Action, FaultRecord},
    time::UnixNanos,
};
use shakedown_runtime::Post;

pub(super) async fn apply(side: &Side, service: &str, planned: Planned<'_>, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let spec = wire::FaultSpec {
        name: planned.name(),
        ttl_ms: planned.ttl_ms(),
        kind: kind(&planned.fault.action)?,
        to: wire::Target::Processes(wire::Processes::Namespace),
        direction: None,
    };
    let applied = side.agent(service, Post::Processes)?.lock().await.apply(spec).await.map_err(said)?;
    record.mechanism = applied.mechanism;
    Ok(UnixNanos(applied.applied_at_unix_ns))
}

fn kind(action: &Action) -> Result<wire::Kind, String> {
    match action {
        Action::Clock(clock) => {
            let micros = i64::try_from(clock.offset.length.0.as_micros()).map_err(said)?;
            Ok(wire::Kind::Clock(wire::Clock { offset_us: if clock.offset.is_back { -micros } else { micros } }))
        }
        Action::Files(files) => Ok(wire::Kind::Files(wire::Files { leave: files.leave })),
        other => Err(format!("{} is not done to processes", other.kind())),
    }
}

pub(super) async fn revert(side: &Side, service: &str, planned: Planned<'_>, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let reverted = side.agent(service, Post::Processes)?.lock().await.revert(&planned.name()).await.map_err(said)?;
    if let Some(dose) = reverted.dose {
        weigh(&planned.fault.action, &dose, record);
    }
    Ok(reverted.reverted_at_unix_ns.map_or_else(now, UnixNanos))
}

/// A process that has descriptors left misses none; a wrong clock is met by whoever lives with it.
fn weigh(action: &Action, dose: &wire::Dose, record: &mut FaultRecord) {
    note(record, [("processes", dose.processes as f64)]);
    note(record, (dose.missed > 0).then_some(("missed", dose.missed as f64)));
    record.dose.touched = if let Action::Files(_) = action {
        note(record, [("exhausted", dose.exhausted as f64)]);
        dose.exhausted
    } else {
        note(record, dose.offset_us.map(|offset| ("offset_ms", offset as f64 / 1e3)));
        dose.processes
    };
    // That some were out of reach is told by `missed`; that all were is why nothing was touched.
    if dose.processes == 0 {
        record.error = dose.trouble.clone();
    }
}
