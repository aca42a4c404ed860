//! The synthetic half of `make bench-gate`: false alarms, power, passes and looks of the gate on simulated machines, beside other methods on the same
//! samples, and the speed of judging. Prints Markdown. `--quick` plays a twentieth of everything: a smoke run, whose figures mean little.
#![allow(clippy::print_stdout)] // tables are what it is for

mod chance;
mod gates;
mod looks;
mod methods;
mod noise;
mod play;
mod power;
mod rate;
mod speed;

/// Error of the gate, sizes that it tolerates and takes for harm (log), and error of a pass: the defaults of a config.
pub(crate) const ALPHA: f64 = 0.01;
pub(crate) const BETA: f64 = 0.05;
pub(crate) const TOLERATED: f64 = 0.048_790_164_169_432;
pub(crate) const HARMFUL: f64 = 0.262_364_264_467_491_06;
/// Comparisons of a gate.
pub(crate) const COMPARISONS: usize = 20;

fn main() {
    let share = if std::env::args().any(|argument| argument == "--quick") { 20 } else { 1 };
    let begin = std::time::Instant::now();
    gates::print(share);
    power::print(share);
    looks::print(share);
    speed::print();
    println!("\nAll of it took {:.0} s.", begin.elapsed().as_secs_f64());
}

/// Whether an aim was met, in a word.
pub(crate) fn met(holds: bool) -> &'static str {
    if holds { "met" } else { "MISSED" }
}
