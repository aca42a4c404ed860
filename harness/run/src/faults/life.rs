//! Faults on the life of a service.

use super::{Setting, note, said, sleep_until};
use crate::{announce::now, sides::Side};
use shakedown_model::{
    fault::{Action, FaultRecord},
    time::UnixNanos,
};
use shakedown_runtime::{Changed, Lifecycle, StateWord};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(super) async fn apply(
    side: &Side,
    setting: &Setting<'_>,
    service: &str,
    action: &Action,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    let began = now();
    match action {
        Action::Pause => change(side, setting, service, Lifecycle::Pause, record).await,
        Action::Stop => change(side, setting, service, Lifecycle::Stop, record).await,
        Action::Term(term) => {
            change(side, setting, service, Lifecycle::Term { grace: term.grace.0 }, record).await?;
            note(record, [("stop_ms", millis_since(began))]);
            Ok(began)
        }
        Action::Kill => change(side, setting, service, Lifecycle::Kill, record).await,
        Action::Restart => {
            let at = change(side, setting, service, Lifecycle::Restart, record).await?;
            side.refresh(service).await.map_err(said)?;
            note(record, [("down_ms", at.since(began).as_secs_f64() * 1e3)]);
            Ok(began)
        }
        // The first kill is part of the loop.
        _ => Ok(began),
    }
}

pub(super) async fn revert(
    side: &Side,
    setting: &Setting<'_>,
    service: &str,
    action: &Action,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    match action {
        Action::Pause => change(side, setting, service, Lifecycle::Resume, record).await.inspect(|_| down(record)),
        Action::Stop => change(side, setting, service, Lifecycle::Continue, record).await.inspect(|_| down(record)),
        Action::Kill | Action::Term(_) => start(side, setting, service, record).await.inspect(|_| down(record)),
        Action::CrashLoop(_) => start_if_down(side, setting, service, record).await,
        _ => Ok(now()),
    }
}

/// Kills and starts until the time is over. A cycle that began is seen to its end.
pub(super) async fn crash(
    side: &Side,
    setting: &Setting<'_>,
    service: &str,
    every: Duration,
    record: &mut FaultRecord,
    until: tokio::time::Instant,
    early: &CancellationToken,
) -> Result<(), String> {
    let mut kills = 0.0;
    let mut next = tokio::time::Instant::now();
    while next < until && !sleep_until(next, early).await {
        let began = now();
        change(side, setting, service, Lifecycle::Restart, record).await?;
        side.refresh(service).await.map_err(said)?;
        kills += 1.0;
        record.dose.touched = kills as u64;
        let so_far = record.dose.figures.get("down_ms").copied().unwrap_or_default();
        note(record, [("kills", kills), ("down_ms", so_far + millis_since(began))]);
        next = (next + every).max(tokio::time::Instant::now());
    }
    Ok(())
}

/// Starts a service that ended.
pub(super) async fn start(side: &Side, setting: &Setting<'_>, service: &str, record: &mut FaultRecord) -> Result<UnixNanos, String> {
    let at = change(side, setting, service, Lifecycle::Start, record).await?;
    side.refresh(service).await.map_err(said)?;
    Ok(at)
}

/// Starts it unless its restart policy has.
pub(super) async fn start_if_down(
    side: &Side,
    setting: &Setting<'_>,
    service: &str,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    match side.stack.state(service).await.map_err(said)?.word {
        StateWord::Exited => start(side, setting, service, record).await,
        _ => side.refresh(service).await.map_err(said).map(|()| now()),
    }
}

fn millis_since(began: UnixNanos) -> f64 {
    now().since(began).as_secs_f64() * 1e3
}

pub(super) fn down(record: &mut FaultRecord) {
    if let Some(applied) = record.applied_at {
        note(record, [("down_ms", millis_since(applied))]);
    }
}

/// Changes the life of a service; the runtime's proof counts as touched.
async fn change(
    side: &Side,
    setting: &Setting<'_>,
    service: &str,
    lifecycle: Lifecycle,
    record: &mut FaultRecord,
) -> Result<UnixNanos, String> {
    let changed = side.stack.change(service, lifecycle, setting.journal).await.map_err(said)?;
    if took_hold(lifecycle, &changed) {
        record.dose.touched = 1;
    }
    if let (Lifecycle::Term { .. }, Some(code)) = (lifecycle, changed.after.exit_code) {
        note(record, [("exit_code", code as f64)]);
    }
    Ok(changed.at)
}

/// Whether the states before and after prove that a disturbance was one.
fn took_hold(lifecycle: Lifecycle, changed: &Changed) -> bool {
    match lifecycle {
        Lifecycle::Pause | Lifecycle::Stop => changed.after.word == StateWord::Paused,
        Lifecycle::Kill | Lifecycle::Term { .. } => changed.before.word != StateWord::Exited && changed.after.word == StateWord::Exited,
        Lifecycle::Restart => changed.after.started_at != changed.before.started_at,
        Lifecycle::Resume | Lifecycle::Continue | Lifecycle::Start => false,
    }
}
