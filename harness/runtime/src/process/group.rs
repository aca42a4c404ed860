//! Signals to process groups, only where the identity agrees: pid, start time and boot.

use super::stat::{self, Stat};
use crate::marks;
use rustix::process::{Pid, Signal, kill_process as signal_process, kill_process_group as signal_group};
use shakedown_undo::ProcessGroup;
use std::time::Duration;
use tokio::time::sleep;

const PAUSE: Duration = Duration::from_millis(5);

/// The group whose leader is the running process `pid`. `None`: there is no such process.
pub(crate) fn of_leader(pid: u32) -> Option<ProcessGroup> {
    let stat = stat::read(pid)?;
    Some(ProcessGroup { pid, start_time_ticks: stat.start_time_ticks, boot_id: stat::boot_id() })
}

/// Processes of the group that live, zombies not counted.
///
/// The kernel gives no pid to a new process while a group of that id has members. So where the leader is the one that we know, the
/// whole group is ours; where it is gone, a member is ours if it was started with the run's mark.
fn members(group: &ProcessGroup, run: &str) -> Vec<Stat> {
    if group.boot_id != stat::boot_id() {
        return Vec::new();
    }
    let leader_is_ours = stat::read(group.pid).is_some_and(|leader| leader.start_time_ticks == group.start_time_ticks);
    let ours = |stat: &Stat| leader_is_ours || is_marked(stat.pid, run);
    stat::all().into_iter().filter(|stat| stat.group == group.pid && !stat.is_zombie() && ours(stat)).collect()
}

fn is_marked(pid: u32, run: &str) -> bool {
    stat::variable(pid, marks::RUN_VARIABLE).is_some_and(|value| value == run)
}

/// Sends a signal to every process of the group; to none is fine.
pub(crate) fn send(group: &ProcessGroup, run: &str, signal: Signal) -> Result<(), String> {
    if members(group, run).is_empty() {
        return Ok(());
    }
    let Some(pid) = Pid::from_raw(group.pid.cast_signed()) else { return Ok(()) };
    outcome(signal_group(pid, signal), &format!("process group {group}"))
}

/// Whether every process of the group is stopped; false where none is left.
pub(crate) fn is_stopped(group: &ProcessGroup, run: &str) -> bool {
    let members = members(group, run);
    !members.is_empty() && members.iter().all(Stat::is_stopped)
}

/// Kills the group and returns when nothing of it lives.
pub(crate) async fn kill(group: &ProcessGroup, run: &str) -> Result<(), String> {
    while !members(group, run).is_empty() {
        send(group, run, Signal::KILL)?;
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Kills the group, and whatever left it but carries the run's mark: at this point the whole run is being taken back.
pub(crate) async fn kill_for_good(group: &ProcessGroup, run: &str) -> Result<(), String> {
    kill(group, run).await?;
    for stray in stat::all().into_iter().filter(|stat| !stat.is_zombie() && is_marked(stat.pid, run)) {
        kill_process(&stray).await?;
    }
    Ok(())
}

/// Kills one process and returns when it is dead.
pub(crate) async fn kill_process(known: &Stat) -> Result<(), String> {
    let lives = || stat::read(known.pid).is_some_and(|stat| stat.start_time_ticks == known.start_time_ticks && !stat.is_zombie());
    let Some(pid) = Pid::from_raw(known.pid.cast_signed()) else { return Ok(()) };
    while lives() {
        outcome(signal_process(pid, Signal::KILL), &format!("process {}", known.pid))?;
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Lets a stopped group go on.
pub(crate) fn go_on(group: &ProcessGroup, run: &str) -> Result<(), String> {
    send(group, run, Signal::CONT)
}

fn outcome(sent: Result<(), rustix::io::Errno>, whom: &str) -> Result<(), String> {
    match sent {
        // It ended by itself in between.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(format!("could not signal {whom}: {error}; end it with `kill -9` as the user who started it")),
    }
}
