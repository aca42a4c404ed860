//! The synthetic half of `make bench-gate`: false alarms, power, passes and looks of the gate on simulated machines, beside other methods on the same
//! samples, and the speed of judging. Prints Markdown. Names of parts (`gates power looks speed`) choose some of it; `--quick` plays a twentieth of
//! everything: a smoke run, whose figures mean little.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

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
/// Prints one part; it is told by what to divide its repetitions.
type Part = fn(u64);

/// The parts by name.
const PARTS: [(&str, Part); 4] = [("gates", gates::print), ("power", power::print), ("looks", looks::print), ("speed", speed::print)];
/// Comparisons of a gate.
pub(crate) const COMPARISONS: usize = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let share = if arguments.iter().any(|argument| argument == "--quick") { 20 } else { 1 };
    let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let begin = std::time::Instant::now();
    for (name, print) in PARTS {
        if chosen.is_empty() || chosen.contains(&name) {
            print(share);
        }
    }
    println!("All of it took {:.0} s.", begin.elapsed().as_secs_f64());
}

/// Whether an aim was met, in a word.
pub(crate) fn met(holds: bool) -> &'static str {
    if holds { "met" } else { "MISSED" }
}
