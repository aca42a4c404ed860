//! Whether clocks can be set off and descriptors made to run out here: tried on a child of the agent, who tells.

use std::time::{Duration, Instant};

use super::clocks::Clocks;
use super::limits::Limits;
use super::{Process, seen, sys};

/// What the child's clock is set off by.
const OFFSET_US: i64 = -3_600_000_000;
/// Between the two readings that the child compares; both follow each other at once.
const TOLERANCE_US: u64 = 1_000_000;
const LEAVE: u32 = 3;
/// Longer than the child takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tries a skewed clock.
pub(crate) fn clock(clocks: &mut Clocks) -> Result<(), String> {
    let function = clocks.own_clock_gettime()?;
    let child = Child::start(move || sys::skew(function, libc::CLOCK_REALTIME))?;
    settle(|| clocks.settle(child.process, Some(OFFSET_US)).map_err(|trouble| trouble.to_string()))?;
    let skew = child.answer()?;
    if skew.abs_diff(OFFSET_US) > TOLERANCE_US {
        return Err(format!("a process whose clock was set off by {OFFSET_US} us was {skew} us off"));
    }
    Ok(())
}

/// Tries a limit.
pub(crate) fn files() -> Result<(), String> {
    let child = Child::start(sys::openable)?;
    Limits::try_out(child.process, LEAVE).map_err(|trouble| trouble.to_string())?;
    let opened = child.answer()?;
    if opened != i64::from(LEAVE) {
        return Err(format!("a process that was left {LEAVE} descriptors opened {opened}"));
    }
    Ok(())
}

/// Until it works; a thread may be in the way.
fn settle(mut attempt: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(_) if Instant::now() < until => {}
            result => return result,
        }
    }
}

/// A child that waits for its turn.
struct Child {
    process: Process,
    kin: sys::Child,
}

impl Child {
    fn start(errand: impl FnOnce() -> i64) -> Result<Self, String> {
        let kin = sys::child(errand).map_err(|error| format!("cannot fork: {error}"))?;
        let process = seen(kin.pid()).ok_or("a child that was started cannot be seen in /proc")?.process;
        Ok(Self { process, kin })
    }

    /// Lets it do its errand and tell.
    fn answer(self) -> Result<i64, String> {
        self.kin.answer().map_err(|error| format!("a child that was tried on did not answer: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_within_a_function_does_as_one_behind_the_image() {
        let mut clocks = Clocks::cramped();
        let function = clocks.own_clock_gettime().unwrap();
        let child = Child::start(move || sys::skew(function, libc::CLOCK_REALTIME)).unwrap();
        settle(|| clocks.settle(child.process, Some(OFFSET_US)).map_err(|trouble| trouble.to_string())).unwrap();
        check(OFFSET_US, child.answer().unwrap(), TOLERANCE_US, "clock_gettime");
    }

    /// What a child says that does an errand with its clock set off.
    fn told(offset_us: i64, errand: impl FnOnce() -> i64) -> i64 {
        let mut clocks = Clocks::new();
        let child = Child::start(errand).unwrap();
        settle(|| clocks.settle(child.process, Some(offset_us)).map_err(|trouble| trouble.to_string())).unwrap();
        child.answer().unwrap()
    }

    fn check(offset_us: i64, says: i64, slack_us: u64, what: &str) {
        assert!(says.abs_diff(offset_us) <= slack_us, "{what}: {offset_us} us were asked for, {says} us are told");
    }

    #[test]
    fn every_wall_clock_is_off_by_what_was_asked_for_and_no_other_clock_is() {
        const SLACK_US: u64 = 100_000; // the coarse clocks tick every few milliseconds, and the machine is busy
        let base = super::super::swap::own_base().unwrap();
        let vdso = super::super::swap::own_vdso().unwrap();
        let [clock_gettime, gettimeofday, time] = vdso.entries().map(|at| base + at as u64);
        for offset_us in [-3_600_000_000, 3_600_000_000, 700_000, -700_000, -1_999_999, 86_400_000_000 * 36_500, 1] {
            for clock in [libc::CLOCK_REALTIME, libc::CLOCK_REALTIME_COARSE, libc::CLOCK_TAI] {
                check(offset_us, told(offset_us, move || sys::skew(clock_gettime, clock)), SLACK_US, "clock_gettime");
            }
            for clock in [libc::CLOCK_MONOTONIC, libc::CLOCK_MONOTONIC_RAW, libc::CLOCK_BOOTTIME, libc::CLOCK_PROCESS_CPUTIME_ID] {
                check(0, told(offset_us, move || sys::skew(clock_gettime, clock)), SLACK_US, "clock_gettime");
            }
            check(offset_us, told(offset_us, move || sys::skew_of_day(gettimeofday)), SLACK_US, "gettimeofday");
            check(offset_us, told(offset_us, move || sys::skew_of_time(time)), 1_000_000 + SLACK_US, "time");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_not_written_and_what_is_wrong_is_said() {
        let base = super::super::swap::own_base().unwrap();
        let [clock_gettime, gettimeofday, time] = super::super::swap::own_vdso().unwrap().entries().map(|at| base + at as u64);
        assert_eq!(told(-5_000_000, move || sys::call(gettimeofday, 0, 0)), 0, "neither a time nor a zone");
        assert_eq!(told(-5_000_000, move || sys::call(clock_gettime, 31, 0)), -i64::from(libc::EINVAL), "no such clock");
        assert!(told(-5_000_000, move || sys::call(time, 0, 0)) > 1_000_000_000, "nowhere to write to");
    }

    #[test]
    fn a_child_that_was_set_right_again_tells_the_true_time_and_has_the_kernels_own_code() {
        set_right_again(Clocks::new());
        set_right_again(Clocks::cramped());
    }

    fn set_right_again(mut clocks: Clocks) {
        let function = clocks.own_clock_gettime().unwrap();
        let child = Child::start(move || sys::skew(function, libc::CLOCK_REALTIME)).unwrap();
        for wanted in [Some(OFFSET_US), Some(5), Some(-OFFSET_US), None] {
            settle(|| clocks.settle(child.process, wanted).map_err(|trouble| trouble.to_string())).unwrap();
        }
        while clocks.tidy() {}
        assert!(clocks.is_as_the_kernel_made_it(child.process));
        check(0, child.answer().unwrap(), TOLERANCE_US, "clock_gettime");
    }

    #[test]
    fn the_trials_say_yes_where_the_faults_work() {
        assert_eq!((clock(&mut Clocks::new()), files()), (Ok(()), Ok(())));
    }
}
