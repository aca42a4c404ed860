//! Whether the victim gets the dose that was asked for, measured from its side and not by the agent.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::statistics::{clopper_pearson, mean_and_deviation, quantile, word};
use crate::support::{Agent, FAR, Far, PATIENCE, connect, fault, round_trip};

/// Connections at once, each a flow that draws its own delays, and the round trips of each.
const CONNECTIONS: usize = 20;
const TRIPS: usize = 20;
const DATAGRAMS: usize = 20_000;
/// Datagrams at a time: fewer than the smallest usual receive buffer takes.
const BATCH: usize = 50;
const WARM_UP: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(5);

/// The caller's round trips, beyond those without a fault.
pub(crate) fn latency(far: &Far) {
    println!(
        "\n| latency asked, ms | mean of 400 ms | off by ms | deviation, asked ms | P99 ms | aim (mean within 2 % or 0.5 ms) |\n|---|---|---|---|---|---|"
    );
    let (undelayed, _) = mean_and_deviation(&trips(far, &mut Agent::start(), None));
    for delay_ms in [10.0, 50.0, 200.0] {
        for (distribution, share, width) in [("none", 0.0, 0.0), ("uniform", 0.1, 1.0 / 3_f64.sqrt()), ("normal", 0.1, 1.0)] {
            let jitter_ms = delay_ms * share;
            let named = if distribution == "none" { "uniform" } else { distribution };
            let [delay_us, jitter_us] = [delay_ms, jitter_ms].map(|millis| (millis * 1e3) as u64);
            let kind = json!({ "latency": { "delay_us": delay_us, "jitter_us": jitter_us, "distribution": named, "seed": 1 } });
            let trips: Vec<f64> = trips(far, &mut Agent::start(), Some(&kind)).iter().map(|trip| trip - undelayed).collect();
            let (mean, deviation) = mean_and_deviation(&trips);
            let (off, late) = (mean - delay_ms, quantile(&trips, 0.99));
            let met = word(off.abs() <= (delay_ms * 0.02).max(0.5));
            println!(
                "| {delay_ms} ± {jitter_ms} {distribution} | {mean:.2} | {off:+.2} | {deviation:.2}, {:.2} | {late:.2} | {met} |",
                jitter_ms * width
            );
        }
    }
    println!("\nwithout a fault a round trip took {undelayed:.3} ms; it is subtracted");
}

/// Round trips in milliseconds, of all connections.
fn trips(far: &Far, agent: &mut Agent, kind: Option<&serde_json::Value>) -> Vec<f64> {
    let port = far.echo();
    let streams: Vec<_> = (0..CONNECTIONS).map(|_| connect(FAR, port)).collect();
    if let Some(kind) = kind {
        agent.apply(&fault(kind, &[FAR], &[port], "out"));
    }
    let callers = streams.into_iter().map(|stream| {
        std::thread::spawn(move || (0..TRIPS).map(|_| round_trip(&stream).unwrap().as_secs_f64() * 1e3).collect::<Vec<f64>>())
    });
    // All of them are started before the first is waited for.
    let callers: Vec<_> = callers.collect();
    callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
}

/// Datagrams offered, and those that did not arrive.
pub(crate) fn loss(far: &Far) {
    println!("\n| loss asked | lost of offered | share | 99 % interval | aim (asked within it) |\n|---|---|---|---|---|");
    for (share_ppm, burst) in [(10_000, 1), (100_000, 1), (300_000, 1)] {
        let kind = json!({ "loss": { "share_ppm": share_ppm, "burst_packets": burst, "seed": 1 } });
        let lost = (DATAGRAMS - arrived(far, &kind)) as u64;
        let (low, high) = clopper_pearson(lost, DATAGRAMS as u64);
        let asked = f64::from(share_ppm) / 1e6;
        println!(
            "| {} % | {lost} of {DATAGRAMS} | {:.2} % | {:.2} to {:.2} % | {} |",
            asked * 1e2,
            lost as f64 / DATAGRAMS as f64 * 1e2,
            low * 1e2,
            high * 1e2,
            word((low..=high).contains(&asked))
        );
    }
}

fn arrived(far: &Far, kind: &serde_json::Value) -> usize {
    let mut agent = Agent::start();
    let here = UdpSocket::bind("0.0.0.0:0").unwrap();
    let there = far.errand(|| UdpSocket::bind((FAR, 0)).unwrap());
    here.connect(there.local_addr().unwrap()).unwrap();
    there.set_nonblocking(true).unwrap();
    agent.apply(&fault(kind, &[FAR], &[], "out"));
    let mut arrived = 0;
    for sent in (BATCH..=DATAGRAMS).step_by(BATCH) {
        for _ in 0..BATCH {
            here.send(b"?").unwrap();
        }
        // What was sent has passed or is lost before more is sent: the receiver's buffer loses nothing.
        while agent.dose("f").judged < sent as u64 {}
        arrived += std::iter::from_fn(|| there.recv(&mut [0; 8]).ok()).count();
    }
    agent.revert("f");
    arrived + std::iter::from_fn(|| there.recv(&mut [0; 8]).ok()).count()
}

/// What a receiver gets of one upload.
pub(crate) fn bandwidth(far: &Far) {
    println!(
        "\n| bandwidth asked, KiB/s | received in 5 s, KiB/s | of what was asked | with headers | aim (within 3 %) |\n|---|---|---|---|---|"
    );
    for kibibytes in [256_u64, 2 * 1_024, 20 * 1_024] {
        let asked = (kibibytes * 1_024) as f64;
        let (goodput, wire) = upload(far, kibibytes * 1_024);
        println!(
            "| {kibibytes} | {:.1} | {:.2} % | {:.2} % | {} |",
            goodput / 1_024.0,
            goodput / asked * 1e2,
            wire / asked * 1e2,
            word((wire / asked - 1.0).abs() <= 0.03)
        );
    }
}

/// Bytes per second: what the receiver read, and that with the headers of the packets that carried it.
fn upload(far: &Far, bytes_per_second: u64) -> (f64, f64) {
    let mut agent = Agent::start();
    let listener = far.errand(|| TcpListener::bind((FAR, 0)).unwrap());
    let mut here = connect(FAR, listener.local_addr().unwrap().port());
    let mut there = listener.accept().unwrap().0;
    there.set_read_timeout(Some(PATIENCE)).unwrap();
    agent.apply(&fault(&json!({ "bandwidth": { "bytes_per_second": bytes_per_second } }), &[FAR], &[], "out"));
    // It ends when the receiver hangs up.
    let chunk = vec![7; 64 * 1_024];
    let writer = std::thread::spawn(move || while here.write_all(&chunk).is_ok() {});
    let mut read_for = |time: Duration| {
        let (begun, mut bytes, mut buffer) = (Instant::now(), 0, vec![0; 64 * 1_024]);
        while begun.elapsed() < time {
            bytes += there.read(&mut buffer).unwrap();
        }
        bytes as f64 / begun.elapsed().as_secs_f64()
    };
    read_for(WARM_UP);
    let goodput = read_for(WINDOW);
    let dose = agent.revert("f").dose.unwrap();
    drop(there);
    writer.join().unwrap();
    // 20 bytes of IPv4 and 32 of TCP with timestamps: of each packet that the line saw, which may be cut into segments behind it.
    let headers = 52.0 * dose.packets as f64;
    (goodput, goodput * dose.bytes as f64 / (dose.bytes as f64 - headers))
}
