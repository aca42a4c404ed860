//! How the delays of many flows are spread, measured where the packets arrive. A part of the timing suite: it reads the
//! clock.

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
    let mut sent: Vec<Instant> = Vec::new();
    for number in 0..FLOWS {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
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

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    (mean, variance.sqrt())
}

#[test]
fn long_tails_keep_the_mean_and_the_spread_and_end_where_they_should() {
    for (distribution, least, greatest) in [("pareto", 84.5, 198.3), ("paretonormal", 67.3, 196.9)] {
        in_two_namespaces(move |far| {
            let latency = json!({ "delay_us": 100_000, "jitter_us": 20_000, "distribution": distribution, "seed": 5 });
            let (delays, dose) = delays(far, &latency);
            let (mean, deviation) = mean_and_deviation(&delays);
            let (shortest, longest) = (delays.iter().copied().fold(f64::MAX, f64::min), delays.iter().copied().fold(0.0, f64::max));
            // Of 400 draws the mean is known to 1 ms, the deviation to 2 ms; a busy machine adds a little.
            assert!((96.0..108.0).contains(&mean), "{distribution}: mean {mean}");
            assert!((15.0..26.0).contains(&deviation), "{distribution}: deviation {deviation}");
            assert!(shortest > least && longest > 160.0 && longest < greatest + 25.0, "{distribution}: {shortest} to {longest}");
            let median = {
                let mut sorted = delays.clone();
                sorted.sort_by(f64::total_cmp);
                sorted[FLOWS / 2]
            };
            assert!(mean - median > 2.0, "the tail is on the far side: {distribution}: {median} {mean}");
            assert_eq!((dose.delayed, dose.lost, dose.dropped_by_queue), (FLOWS as u64, 0, 0), "{dose:?}");
        });
    }
}

#[test]
fn correlated_delays_follow_each_other_and_are_spread_as_far_as_others() {
    in_two_namespaces(|far| {
        let latency = json!({ "delay_us": 100_000, "jitter_us": 20_000, "distribution": "normal", "correlation_ppm": 700_000, "seed": 5 });
        let (delays, dose) = delays(far, &latency);
        let (mean, deviation) = mean_and_deviation(&delays);
        let products: f64 = delays.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
        let correlation = products / FLOWS as f64 / deviation.powi(2);
        // 400 such draws are worth 70 for the mean; what netem does would have a deviation of 8 ms.
        assert!((92.0..112.0).contains(&mean), "{mean}");
        assert!((15.0..26.0).contains(&deviation), "{deviation}");
        assert!((0.55..0.85).contains(&correlation), "{correlation}");
        assert_eq!((dose.delayed, dose.dropped_by_queue), (FLOWS as u64, 0));
    });
}
