//! How long it takes until a fault is in force, and until it is gone: from the command on the agent's stdin to the first packet that shows it.
//!
//! A stream of numbered datagrams goes over the edge all the time. A fault is in force when the first datagram was sent that comes late, and gone when
//! the first arrives that was sent after the command to revert, since none could arrive in that time were it still held for as long as was asked.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::engine;
use crate::statistics::{quantile, word};
use crate::support::{Agent, FAR, Far, PATIENCE, fault, latency};

const CYCLES: usize = 100;
/// One cycle of a helper container comes after so many of ours.
const CYCLES_FOR_ONE_OF_A_HELPER: usize = 10;
const DELAY_MS: u64 = 50;
/// So few are held at once that the sender's buffer has room for them.
const BETWEEN_PROBES: Duration = Duration::from_micros(200);
/// What a deleted rule leaves to the kernel is done by then. In a run seconds lie between two faults.
const PAUSE: Duration = Duration::from_millis(100);
const AIM_MS: f64 = 10.0;

pub(crate) fn measure(far: &Far) {
    let image = std::env::var("SHAKEDOWN_BENCH_IMAGE").ok();
    let [mut applies, mut hurried, mut reverts, mut helpers] = [const { Vec::new() }; 4];
    let (mut agent, probes) = (Agent::start(), Probes::start(far));
    // The agent finds out what the kernel can do before its first fault, once.
    agent.ask(serde_json::json!({ "op": "facts" })).unwrap();
    for cycle in 0..CYCLES {
        let applied = if cycle % 2 == 0 { &mut applies } else { &mut hurried };
        applied.push(probes.until(|| drop(agent.apply(&fault(&latency(DELAY_MS), &[FAR], &[], "out"))), Probe::was_delayed));
        reverts.push(probes.until(|| drop(agent.revert("f")), Probe::arrived_early));
        if cycle % 2 == 1 {
            rest(PAUSE);
        }
        if let Some(image) = image.as_ref().filter(|_| cycle % CYCLES_FOR_ONE_OF_A_HELPER == 1) {
            let begun = Instant::now();
            engine::helper_cycle(image).unwrap();
            helpers.push(millis(begun.elapsed()));
        }
    }
    println!("\n| what | times | median ms | P99 ms | worst ms | aim: median, P99 |\n|---|---|---|---|---|---|");
    row("latency: apply to first packet delayed", &applies, Some(AIM_MS));
    row("the same, right after a revert", &hurried, None);
    row("latency: revert to first packet not delayed", &reverts, Some(AIM_MS));
    if helpers.is_empty() {
        println!("\nSKIPPED: no SHAKEDOWN_BENCH_IMAGE, hence no cycle of a helper container to compare with");
    } else {
        row("a helper container: create, start, exec, remove", &helpers, None);
        println!("\nratio of the medians, helper to apply: {:.0}", quantile(&helpers, 0.5) / quantile(&applies, 0.5));
    }
}

/// A pause between two measurements; nothing waits for its end.
fn rest(time: Duration) {
    let begun = Instant::now();
    while let Some(left) = time.checked_sub(begun.elapsed()) {
        std::thread::park_timeout(left);
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn row(name: &str, times: &[f64], aim: Option<f64>) {
    let [median, late, worst] = [0.5, 0.99, 1.0].map(|share| quantile(times, share));
    let aim = aim.map_or_else(|| "–".to_owned(), |aim| format!("{aim} ms: {}, {}", word(median <= aim), word(late <= aim)));
    println!("| {name} | {} | {median:.2} | {late:.2} | {worst:.2} | {aim} |", times.len());
}

/// A datagram that has arrived.
#[derive(Clone, Copy)]
struct Probe {
    sent: Instant,
    arrived: Instant,
}

impl Probe {
    fn is_late(self) -> bool {
        self.arrived - self.sent >= Duration::from_millis(DELAY_MS)
    }

    /// When it shows that a fault is in force.
    fn was_delayed(self) -> Option<Instant> {
        self.is_late().then_some(self.sent)
    }

    /// When it shows that no fault is in force.
    fn arrived_early(self) -> Option<Instant> {
        (!self.is_late()).then_some(self.arrived)
    }
}

/// The stream of datagrams.
struct Probes {
    arrived: Receiver<Probe>,
    stop: Arc<AtomicBool>,
}

impl Probes {
    fn start(far: &Far) -> Self {
        let there = far.errand(|| UdpSocket::bind((FAR, 0)).unwrap());
        there.set_read_timeout(Some(PATIENCE)).unwrap();
        let here = UdpSocket::bind("0.0.0.0:0").unwrap();
        here.connect(there.local_addr().unwrap()).unwrap();
        let (stop, origin) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let (stopping, (arrivals, arrived)) = (Arc::clone(&stop), channel());
        std::thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                let _ = here.send(&(origin.elapsed().as_nanos() as u64).to_be_bytes());
                rest(BETWEEN_PROBES);
            }
        });
        std::thread::spawn(move || {
            let mut words = [0; 8];
            while there.recv(&mut words).is_ok() {
                let sent = origin + Duration::from_nanos(u64::from_be_bytes(words));
                if arrivals.send(Probe { sent, arrived: Instant::now() }).is_err() {
                    return;
                }
            }
        });
        Self { arrived, stop }
    }

    /// How long after the command the first datagram shows its effect, of those that were sent after it.
    fn until(&self, command: impl FnOnce(), shows: impl Fn(Probe) -> Option<Instant>) -> f64 {
        let begun = Instant::now();
        command();
        loop {
            let probe = self.arrived.recv_timeout(PATIENCE).unwrap();
            if probe.sent >= begun
                && let Some(at) = shows(probe)
            {
                return millis(at - begun);
            }
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
