//! Faults that grant a service less, by the runtime. A limit that was never reached did nothing.

use super::{Setting, note, said, sleep_until};
use crate::{announce::now, sides::Side};
use shakedown_model::{
    fault::{Action, Cpu, FaultRecord, Memory, Pids},
    time::UnixNanos,
};
use shakedown_runtime::{Limit, Usage};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at what the service uses.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The kernel takes back pages before the limit itself is reached.
const NEAR: f64 = 0.9;

pub(super) async fn apply(side: &Side, setting: &Setting<'_>, service: &str, action: &Action) -> Result<UnixNanos, String> {
    side.stack.limit(service, limit(action)?, setting.journal).await.map_err(said)?;
    Ok(now())
}

pub(super) async fn revert(side: &Side, setting: &Setting<'_>, service: &str, action: &Action) -> Result<UnixNanos, String> {
    side.stack.unlimit(service, limit(action)?.resource(), setting.journal).await.map_err(said)?;
    Ok(now())
}

/// Looks again and again whether the limit is reached.
pub(super) async fn watch(
    side: &Side,
    service: &str,
    action: &Action,
    record: &mut FaultRecord,
    until: tokio::time::Instant,
    early: &CancellationToken,
) -> Result<(), String> {
    let limit = limit(action)?;
    let before = side.stack.usage(service).await.map_err(said)?;
    let mut most = before;
    loop {
        let next = (tokio::time::Instant::now() + LOOK_EVERY).min(until);
        let is_over = sleep_until(next, early).await || next >= until;
        let now = side.stack.usage(service).await.map_err(said)?;
        most = Usage { memory: most.memory.max(now.memory), tasks: most.tasks.max(now.tasks), ..now };
        if is_over {
            break;
        }
    }
    weigh(limit, before, most, record);
    Ok(())
}

fn weigh(limit: Limit, before: Usage, most: Usage, record: &mut FaultRecord) {
    match limit {
        Limit::Cpu(_) => {
            record.dose.touched = most.throttled_periods.saturating_sub(before.throttled_periods);
            let throttled = most.throttled.saturating_sub(before.throttled);
            note(record, [("throttled_periods", record.dose.touched as f64), ("throttled_ms", throttled.as_secs_f64() * 1e3)]);
        }
        Limit::Memory(bytes) => {
            record.dose.touched = u64::from(most.memory as f64 >= NEAR * bytes as f64);
            note(record, [("used_bytes", most.memory as f64)]);
        }
        Limit::Tasks(tasks) => {
            record.dose.touched = u64::from(most.tasks >= u64::from(tasks));
            note(record, [("tasks", most.tasks as f64)]);
        }
    }
}

fn limit(action: &Action) -> Result<Limit, String> {
    match action {
        Action::Cpu(Cpu::Quota(share)) => Ok(Limit::Cpu(share.0)),
        Action::Memory(Memory::Limit(bytes)) => Ok(Limit::Memory(bytes.0)),
        Action::Pids(Pids::Limit(tasks)) => Ok(Limit::Tasks(*tasks)),
        other => Err(format!("{} grants nothing less", other.kind())),
    }
}
