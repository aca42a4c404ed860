//! Threads that compute for a share of the time, in periods so short that a scheduler or a quota sees a steady load.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cgroup::{Cgroups, Throttled};
use super::stop::Stop;
use super::sys::{self, Whose};
use super::wire::{Cpu, CpuFigures, Figures};
use super::{Measured, Pressure, refused};
use crate::netlink::sys::wake_on_time;
use crate::wire::Failure;

const PERIOD: Duration = Duration::from_millis(10);
/// Shares of a period that are made up for when there was no core to be had.
const OWED_MAX: u32 = 5;
/// Rounds of arithmetic between two looks at the clock: some tens of microseconds.
const ROUNDS: u32 = 10_000;

pub(super) struct Burn {
    workers: u32,
    load_ppm: u32,
    cgroups: Cgroups,
    begun: Instant,
    cpu_before: Duration,
    throttled_before: Option<Throttled>,
}

impl Burn {
    pub(super) fn new(cpu: &Cpu) -> Self {
        let cgroups = Cgroups::find();
        let throttled_before = throttled(&cgroups);
        let cpu_before = sys::cpu_time(Whose::Process);
        Self { workers: cpu.workers, load_ppm: cpu.load_ppm, cgroups, begun: Instant::now(), cpu_before, throttled_before }
    }
}

impl Pressure for Burn {
    fn begin(&mut self, stop: &Arc<Stop>) -> Result<String, Failure> {
        (self.begun, self.cpu_before) = (Instant::now(), sys::cpu_time(Whose::Process));
        for _ in 0..self.workers {
            let (stop, load_ppm) = (stop.clone(), self.load_ppm);
            let thread = std::thread::Builder::new().spawn(move || burn(&stop, load_ppm));
            thread.map_err(|error| refused("cannot start a thread", &error))?;
        }
        Ok(format!("{} threads, {} ms busy of every {} ms", self.workers, duty(self.load_ppm).as_secs_f64() * 1e3, PERIOD.as_millis()))
    }

    fn tend(&mut self, _: &Stop) {}

    fn measure(&mut self) -> Measured {
        let cpu = sys::cpu_time(Whose::Process).saturating_sub(self.cpu_before);
        let elapsed = self.begun.elapsed() * self.workers;
        let held_back = self.throttled_before.zip(throttled(&self.cgroups));
        let figures = CpuFigures {
            cpu_us: cpu.as_micros() as u64,
            achieved_ppm: (cpu.as_secs_f64() / elapsed.as_secs_f64().max(1e-9) * 1e6) as u64,
            throttled_periods: held_back.map(|(before, now)| now.periods.saturating_sub(before.periods)),
            throttled_us: held_back.map(|(before, now)| now.micros.saturating_sub(before.micros)),
        };
        let missing = held_back.is_none().then(|| "throttling: no cgroup of the cpu controller can be read here".to_owned());
        Measured { figures: Figures::Cpu(figures), missing: missing.into_iter().collect(), trouble: None }
    }
}

fn throttled(cgroups: &Cgroups) -> Option<Throttled> {
    cgroups.cpu.as_ref()?.throttled()
}

fn duty(load_ppm: u32) -> Duration {
    PERIOD * load_ppm / 1_000_000
}

/// Works until `due` of the thread's time on a core is used or the period is over, then rests until the next one. What
/// could not be used for want of a core is made up for, within limits.
fn burn(stop: &Stop, load_ppm: u32) {
    wake_on_time();
    let duty = duty(load_ppm);
    let (mut period, mut owed) = (Instant::now(), Duration::ZERO);
    while !stop.asked() {
        let (from, due, end) = (sys::cpu_time(Whose::Thread), duty + owed, period + PERIOD);
        let spent = || sys::cpu_time(Whose::Thread).saturating_sub(from);
        while spent() < due && Instant::now() < end && !stop.asked() {
            compute();
        }
        owed = due.saturating_sub(spent()).min(duty * OWED_MAX);
        let now = Instant::now();
        if now < end {
            stop.wait(end - now);
        }
        // After a pause of the whole process the periods missed are not made up for.
        period = if now > end + PERIOD { now } else { end };
    }
}

fn compute() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..ROUNDS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}
