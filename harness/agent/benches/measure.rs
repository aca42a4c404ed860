//! How exact and how fast the agent is on this machine: `cargo bench -p shakedown-agent`, as root.
//!
//! It asserts nothing. Run it on an idle machine and read.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it prints what it finds, and there is nobody to recover")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Agent, FAR, Far, connect, fault, in_two_namespaces, latency, round_trip};

const TRIPS: usize = 200;
const BULK_BYTES: usize = 4 * 1024 * 1024;

fn main() {
    in_two_namespaces(|far| {
        println!("asked             round trip, minus the undelayed mean: mean, p50, p99, max (ms)");
        let undelayed = mean(&trips(far, None));
        for millis in [1, 10, 50, 200] {
            accuracy(far, undelayed, &format!("{millis} ms"), &latency(millis));
        }
        let jitter = json!({ "latency": { "delay_us": 50_000, "jitter_us": 10_000, "distribution": "normal", "seed": 1 } });
        accuracy(far, undelayed, "50 ± 10 ms normal", &jitter);

        println!("\noffered            passed on, lost by the queue, mean and p99 held (ms)");
        for rate in [20_000, 50_000, 100_000] {
            flood(far, rate);
        }

        println!("\n4 MiB upload       seconds");
        println!("{:<18} {:.3}", "no fault", upload(far, None));
        for direction in ["out", "in"] {
            println!("{:<18} {:.3}", format!("50 ms, {direction}"), upload(far, Some(direction)));
        }

        println!("\nms                 apply, revert (median of 20)");
        for (name, kind) in [("latency", latency(50)), ("partition", json!({ "partition": {} })), ("reset", json!({ "reset": {} }))] {
            cost(name, &kind);
        }
    });
}

fn trips(far: &Far, kind: Option<&Value>) -> Vec<f64> {
    let (mut agent, port) = (Agent::start(), far.echo());
    let stream = connect(FAR, port);
    if let Some(kind) = kind {
        agent.apply(&fault(kind, &[FAR], &[port], "out"));
    }
    (0..TRIPS).map(|_| round_trip(&stream).unwrap().as_secs_f64() * 1e3).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn accuracy(far: &Far, undelayed: f64, name: &str, kind: &Value) {
    let mut trips = trips(far, Some(kind));
    trips.sort_by(f64::total_cmp);
    let at = |share: f64| trips[((TRIPS - 1) as f64 * share) as usize] - undelayed;
    println!("{name:<18} {:.3} {:.3} {:.3} {:.3}", mean(&trips) - undelayed, at(0.5), at(0.99), at(1.0));
}

/// Sends datagrams at a rate for two seconds, in ticks of a millisecond.
fn flood(far: &Far, rate: u64) {
    let mut agent = Agent::start();
    let there = far.errand(|| UdpSocket::bind((FAR, 0)).unwrap());
    there.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let here = UdpSocket::bind("0.0.0.0:0").unwrap();
    here.connect(there.local_addr().unwrap()).unwrap();
    // Held datagrams count against the sending socket's buffer, so that there must be many senders.
    let senders: Vec<UdpSocket> = (0..128).map(|_| UdpSocket::bind("0.0.0.0:0").unwrap()).collect();
    for sender in &senders {
        sender.connect(there.local_addr().unwrap()).unwrap();
    }
    agent.apply(&fault(&latency(50), &[FAR], &[], "out"));
    let reader = std::thread::spawn(move || std::iter::from_fn(|| there.recv(&mut [0; 64]).ok()).count());
    let (begun, mut sent) = (Instant::now(), 0_u64);
    while begun.elapsed() < Duration::from_secs(2) {
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent < due {
            senders[sent as usize % senders.len()].send(b"x").unwrap();
            sent += 1;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    reader.join().unwrap();
    let dose = agent.revert("f").dose.unwrap();
    let millis = |micros: Option<u64>| micros.unwrap_or_default() as f64 / 1e3;
    let (mean, p99) = (millis(dose.mean_delay_us), millis(dose.p99_delay_us));
    println!("{:<18} {} of {sent}, {}, {mean:.2} {p99:.2}", format!("{rate}/s"), dose.delayed, dose.dropped_by_queue);
}

fn upload(far: &Far, direction: Option<&str>) -> f64 {
    let mut agent = Agent::start();
    let listener = far.errand(|| TcpListener::bind((FAR, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    if let Some(direction) = direction {
        agent.apply(&fault(&latency(50), &[FAR], &[port], direction));
    }
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        stream.write_all(b".").unwrap();
    });
    let mut stream = connect(FAR, port);
    let begun = Instant::now();
    stream.write_all(&vec![0; BULK_BYTES]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    reader.join().unwrap();
    begun.elapsed().as_secs_f64()
}

fn cost(name: &str, kind: &Value) {
    let mut agent = Agent::start();
    let (mut applies, mut reverts) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        applies.push(agent.apply(&fault(kind, &[FAR, "fd77::2"], &[80], "both")).took_us);
        reverts.push(agent.revert("f").took_us);
    }
    applies.sort_unstable();
    reverts.sort_unstable();
    println!("{name:<18} {:.1} {:.1}", applies[10] as f64 / 1e3, reverts[10] as f64 / 1e3);
}
