//! A timer of microseconds: tokio's own wheel turns once a millisecond, which is as long as the generator may be late at all.

use crate::kernel;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};
use tokio::io::unix::AsyncFd;

/// One kernel timer; one waiter at a time.
pub(crate) struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// Must be called inside a runtime with I/O.
    pub(crate) fn new() -> io::Result<Alarm> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Alarm { timer: kernel::watch(timer)? })
    }

    /// Waits until `due`; at once where it is past. Cancel-safe: the next call sets the timer anew.
    pub(crate) async fn until(&mut self, due: Instant) -> io::Result<()> {
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once(wait))?;
        loop {
            let mut guard = self.timer.readable().await?;
            let read = guard.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0_u8; 8])?));
            if let Ok(expirations) = read {
                return expirations.map(drop);
            }
        }
    }
}

fn once(wait: Duration) -> Itimerspec {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let value = Timespec { tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: wait.subsec_nanos().into() };
    Itimerspec { it_interval: zero, it_value: value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_never_rings_early_and_can_be_set_again_after_it_was_abandoned() {
        let mut alarm = Alarm::new().unwrap();
        let far = Instant::now() + Duration::from_hours(1);
        tokio::select! {
            biased;
            _ = alarm.until(far) => panic!("an hour is not over"),
            () = tokio::task::yield_now() => {}
        }
        for micros in [0, 50, 700, 3_000] {
            let due = Instant::now() + Duration::from_micros(micros);
            alarm.until(due).await.unwrap();
            assert!(Instant::now() >= due);
        }
    }

    #[tokio::test]
    async fn a_due_time_that_is_past_is_not_waited_for() {
        let mut alarm = Alarm::new().unwrap();
        alarm.until(Instant::now()).await.unwrap();
    }
}
