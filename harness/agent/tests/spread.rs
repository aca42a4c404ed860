//! How the delays of many flows are spread, measured where the packets arrive. A part of the timing suite: it reads the
//! clock.
//!
//! A seed fixes the delays that are drawn, and a packet is never early: what a busy machine does to a measured delay is to
//! add to it. So the same draws are measured again where some came late, and the least of each is what counts: it nears the
//! delay that was drawn, and never falls below it, however busy the machine is. One that is always late, or wrong, stays so.

mod support;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shakedown_agent::wire::Dose;
use support::{Agent, FAR, Far, PATIENCE, fault, in_two_namespaces, tables};

/// Each is a flow of its own, and draws a delay of its own.
const FLOWS: usize = 400;
/// How long a flow waits for the one before it, so that no receive buffer has to hold them all.
const APART: Duration = Duration::from_micros(200);
/// How often the same delays are measured at most. On an idle machine once does; with three loops on each of two cores it took eight.
const MEASURED_AT_MOST: usize = 40;

/// What is said of delays, in milliseconds.
#[derive(Debug)]
struct Spread {
    mean: f64,
    deviation: f64,
    median: f64,
    shortest: f64,
    longest: f64,
    /// Of each with the one sent before it.
    correlation: f64,
}

impl Spread {
    fn of(delays: &[f64]) -> Self {
        let mut sorted = delays.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = delays.len() as f64;
        let mean = delays.iter().sum::<f64>() / count;
        let variance = delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>() / count;
        let products: f64 = delays.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
        Self {
            mean,
            deviation: variance.sqrt(),
            median: sorted[sorted.len() / 2],
            shortest: sorted[0],
            longest: sorted[sorted.len() - 1],
            correlation: products / count / variance,
        }
    }
}

/// Measures until the delays are as they should be, or for the last time.
fn spread(far: &Far, latency: &Value, is_right: impl Fn(&Spread) -> bool) -> Spread {
    let mut least = vec![f64::MAX; FLOWS];
    for _ in 1..MEASURED_AT_MOST {
        measure(far, latency, &mut least);
        if is_right(&Spread::of(&least)) {
            break;
        }
    }
    Spread::of(&least)
}

/// Measures once more, and keeps of each delay the least.
fn measure(far: &Far, latency: &Value, least: &mut [f64]) {
    let (delays, dose) = delays(far, latency);
    assert_eq!((dose.delayed, dose.lost, dose.dropped_by_queue), (FLOWS as u64, 0, 0), "{dose:?}");
    for (least, delay) in least.iter_mut().zip(delays) {
        *least = least.min(delay);
    }
}

/// The delays in milliseconds that a packet of each flow has, in the order of sending, and what the fault says.
fn delays(far: &Far, latency: &Value) -> (Vec<f64>, Dose) {
    let mut agent = Agent::start();
    let there = far.errand(|| UdpSocket::bind((FAR, 0)).expect("a free port"));
    there.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
    let address = there.local_addr().expect("a bound socket");
    agent.apply(&fault(&json!({ "latency": latency }), &[FAR], &[], "out"));
    let reader = std::thread::spawn(move || {
        let heard = (0..FLOWS).map(|_| {
            let mut number = [0; 8];
            there.recv(&mut number).expect("nothing is lost");
            (usize::from_be_bytes(number), Instant::now())
        });
        heard.collect::<Vec<_>>()
    });
    // All at once: a port that was given back would be given out again, and a flow of before draws no delay of its own.
    let sockets: Vec<UdpSocket> = (0..FLOWS).map(|_| UdpSocket::bind("0.0.0.0:0").expect("a free port")).collect();
    let mut sent: Vec<Instant> = Vec::new();
    for (number, socket) in sockets.iter().enumerate() {
        while sent.last().is_some_and(|last| last.elapsed() < APART) {}
        sent.push(Instant::now());
        socket.send_to(&number.to_be_bytes(), address).expect("a sender is never told");
    }
    let mut delays = vec![0.0; FLOWS];
    for (number, at) in reader.join().expect("a reader that ends") {
        delays[number] = (at - sent[number]).as_secs_f64() * 1e3;
    }
    let dose = agent.revert("f").dose.expect("a fault that was in force");
    assert_eq!(tables(), []);
    (delays, dose)
}

#[test]
fn long_tails_keep_the_mean_and_the_spread_and_end_where_they_should() {
    for (distribution, least, greatest) in [("pareto", 84.5, 198.3), ("paretonormal", 67.3, 196.9)] {
        in_two_namespaces(move |far| {
            let latency = json!({ "delay_us": 100_000, "jitter_us": 20_000, "distribution": distribution, "seed": 5 });
            // Of 400 draws the mean is known to 1 ms, the deviation to 2 ms.
            let found = spread(far, &latency, |found| found.mean < 104.0 && found.deviation < 26.0 && found.longest < greatest + 5.0);
            assert!((96.0..104.0).contains(&found.mean), "{distribution}: {found:?}");
            assert!((15.0..26.0).contains(&found.deviation), "{distribution}: {found:?}");
            assert!(found.shortest > least, "{distribution}: {found:?}");
            assert!(found.longest > 160.0 && found.longest < greatest + 5.0, "{distribution}: {found:?}");
            assert!(found.mean - found.median > 2.0, "the tail is on the far side: {distribution}: {found:?}");
        });
    }
}

#[test]
fn correlated_delays_follow_each_other_and_are_spread_as_far_as_others() {
    in_two_namespaces(|far| {
        let latency = json!({ "delay_us": 100_000, "jitter_us": 20_000, "distribution": "normal", "correlation_ppm": 700_000, "seed": 5 });
        let is_right = |found: &Spread| found.mean < 108.0 && found.deviation < 26.0 && (0.55..0.85).contains(&found.correlation);
        let found = spread(far, &latency, is_right);
        // 400 such draws are worth 70 for the mean; what netem does would have a deviation of 8 ms.
        assert!((92.0..108.0).contains(&found.mean), "{found:?}");
        assert!((15.0..26.0).contains(&found.deviation), "{found:?}");
        assert!((0.55..0.85).contains(&found.correlation), "{found:?}");
    });
}
