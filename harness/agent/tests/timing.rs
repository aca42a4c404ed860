//! The marked timing suite: these tests read the clock. Their lower bounds are exact, since a packet must never be
//! early; their upper bounds leave room for a busy machine, and hold for the least of several tries, since such a machine
//! only ever adds. `benches/measure.rs` measures without mercy.

#![expect(clippy::unwrap_used, reason = "as in any test: the settings in clippy.toml see only #[test]")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Agent, FAR, FAR_6, PATIENCE, connect, fault, in_two_namespaces, is_shaped, latency, round_trip};

const ASKED: Duration = Duration::from_millis(50);
const BULK: usize = 1024 * 1024;
const ROOM: Duration = Duration::from_millis(25);
const TRIES: usize = 10;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Measures some times at least, and on a busy machine until it has let one go on in time. None may be shorter than was asked.
fn measured(asked: Duration, times: usize, mut once: impl FnMut() -> Duration) -> Vec<Duration> {
    let mut found = Vec::new();
    while found.len() < times || found.iter().all(|found| *found >= asked + ROOM) {
        found.push(once());
        assert!(found.iter().all(|found| *found >= asked) && found.len() < 10 * TRIES, "{found:?} for {asked:?}");
    }
    found
}

#[test]
fn latency_delays_an_established_connection_a_new_one_and_both_families() {
    for (address, direction, times) in [(FAR, "out", 1), (FAR_6, "out", 1), (FAR, "in", 1), (FAR_6, "both", 2)] {
        in_two_namespaces(move |far| {
            let (mut agent, port) = (Agent::start(), far.echo());
            let stream = connect(address, port);
            round_trip(&stream).unwrap();
            let applied = agent.apply(&fault(&latency(50), &[address], &[port], direction));
            let shaped = is_shaped(&latency(50), direction);
            assert!(applied.mechanism.starts_with(if shaped { "netem (" } else { "nfqueue (" }), "{applied:?}");
            let trips = measured(ASKED * times, 11, || round_trip(&stream).unwrap());
            let connects = measured(ASKED * times, 5, || {
                let begun = Instant::now();
                connect(address, port);
                begun.elapsed()
            });
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.connections, dose.dropped_by_queue, dose.trouble), (Some(1 + connects.len() as u64), 0, None));
            let longest = trips.into_iter().chain(connects).max().unwrap();
            match dose.mean_delay_us.map(Duration::from_micros) {
                Some(mean) => assert!(mean >= ASKED && mean < longest + ROOM, "{mean:?}, and no trip took longer than {longest:?}"),
                None => assert!(shaped, "only a discipline does not measure"),
            }
            assert!((0..TRIES).any(|_| round_trip(&stream).unwrap() < ROOM), "it does not go on undelayed");
        });
    }
}

#[test]
fn latency_delays_loopback() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let (here, there) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        here.connect(there.local_addr().unwrap()).unwrap();
        let port = there.local_addr().unwrap().port();
        agent.apply(&fault(&latency(50), &["127.0.0.1"], &[port], "out"));
        measured(ASKED, 5, || {
            let begun = Instant::now();
            here.send(b"?").unwrap();
            there.recv(&mut [0]).unwrap();
            begun.elapsed()
        });
    });
}

#[test]
fn jitter_spreads_the_delay_around_its_mean() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        let stream = connect(FAR, port);
        let kind = json!({ "latency": { "delay_us": 20_000, "jitter_us": 8_000, "distribution": "uniform", "seed": 3 } });
        agent.apply(&fault(&kind, &[FAR], &[port], "out"));
        let is_spread = |_| {
            let trips: Vec<Duration> = (0..60).map(|_| round_trip(&stream).unwrap()).collect();
            let (low, high) = (trips.iter().min().unwrap(), trips.iter().max().unwrap());
            assert!(*low >= Duration::from_millis(12), "{low:?}");
            assert!(*high > Duration::from_millis(24), "{high:?}");
            let middle = median(trips.clone());
            assert!(middle >= Duration::from_millis(16), "{middle:?}");
            *low < Duration::from_millis(17) && middle < Duration::from_millis(20) + ROOM
        };
        assert!((0..TRIES).any(is_spread));
    });
}

#[test]
fn bulk_that_is_sent_through_latency_is_not_throttled_further() {
    for address in [FAR, FAR_6] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let listener = far.errand(|| TcpListener::bind("[::]:0").unwrap());
            let port = listener.local_addr().unwrap().port();
            agent.apply(&fault(&latency(50), &[address], &[port], "out"));
            // A line of 50 ms takes some seven trips to open the window; TCP small queues made it 18 s.
            let is_quick = |_: &usize| upload(&listener, address, port) < Duration::from_secs(3);
            let tries = (1..=TRIES).find(is_quick).expect("one that is not throttled") as u64;
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.connections, dose.trouble), (Some(tries), None));
        });
    }
}

/// How long a megabyte takes to get through.
fn upload(listener: &TcpListener, address: &str, port: u16) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut received = Vec::new();
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.read_to_end(&mut received).unwrap();
            received.len()
        });
        // What a closed socket still has to send must not be throttled either.
        connect(address, port).write_all(&vec![0; BULK]).unwrap();
        assert_eq!(reader.join().unwrap(), BULK);
    });
    begun.elapsed()
}

#[test]
fn a_revert_lets_go_of_what_is_held() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        let stream = connect(FAR, port);
        // A discipline holds what it has until it is due.
        let held = latency(if is_shaped(&latency(1), "out") { 2_000 } else { 60_000 });
        agent.apply(&fault(&held, &[FAR], &[port], "out"));
        let trip = std::thread::spawn(move || round_trip(&stream).unwrap());
        while agent.dose("f").held == 0 {}
        agent.revert("f");
        assert!(trip.join().unwrap() < Duration::from_secs(10));
    });
}

const LINE_BYTES_PER_SECOND: usize = 400_000;
/// Fewer than the smallest usual receive buffer takes, if they come all at once to a reader who is late.
const DATAGRAMS: usize = 80;

fn narrow_line() -> serde_json::Value {
    json!({ "bandwidth": { "bytes_per_second": LINE_BYTES_PER_SECOND } })
}

/// That so many bytes take as long as they have to, and in one of a few tries at most a fifth more. Returns the tries it took.
fn assert_at_the_rate(bytes: usize, direction: &str, mut transfer: impl FnMut() -> Duration) -> usize {
    let asked = Duration::from_secs_f64(bytes as f64 / LINE_BYTES_PER_SECOND as f64);
    // tbf has a packet's worth in its bucket to begin with.
    let bucket = if is_shaped(&narrow_line(), direction) { 1_518.0 } else { 0.0 };
    let least = asked.saturating_sub(Duration::from_secs_f64(bucket / LINE_BYTES_PER_SECOND as f64));
    let mut found = Vec::new();
    while found.last().is_none_or(|found| *found >= asked.mul_f64(1.2)) {
        found.push(transfer());
        assert!(found.last().is_some_and(|found| *found >= least), "{found:?} for {asked:?}");
        assert!(found.len() < TRIES, "{found:?} for {asked:?}");
    }
    found.len()
}

#[test]
fn datagrams_arrive_at_the_bandwidth_in_each_direction() {
    for direction in ["out", "in"] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let here = UdpSocket::bind("0.0.0.0:0").unwrap();
            let there = far.errand(|| UdpSocket::bind((FAR, 0)).unwrap());
            here.connect(there.local_addr().unwrap()).unwrap();
            there.connect((support::NEAR, here.local_addr().unwrap().port())).unwrap();
            let (from, to) = if direction == "out" { (here, there) } else { (there, here) };
            to.set_read_timeout(Some(PATIENCE)).unwrap();
            agent.apply(&fault(&narrow_line(), &[FAR], &[], direction));
            // 28 bytes of each are headers.
            let tries = assert_at_the_rate(DATAGRAMS * 1_000, direction, || {
                let begun = Instant::now();
                // A thread of its own, since held datagrams fill their sender's buffer.
                std::thread::scope(|scope| {
                    scope.spawn(|| (0..DATAGRAMS).for_each(|_| assert_eq!(from.send(&[0; 972]).unwrap(), 972)));
                    (0..DATAGRAMS).for_each(|_| assert_eq!(to.recv(&mut [0; 1_000]).unwrap(), 972));
                });
                begun.elapsed()
            });
            let dose = agent.revert("f").dose.unwrap();
            let sent = (DATAGRAMS * tries) as u64;
            assert_eq!((dose.packets, dose.delayed, dose.lost, dose.bytes), (sent, sent, 0, 1_000 * sent), "{direction}");
            from.send(b"free").unwrap();
            to.recv(&mut [0; 8]).unwrap();
        });
    }
}

#[test]
fn bulk_arrives_at_the_bandwidth_in_each_direction_and_family() {
    for (address, direction) in [(FAR, "out"), (FAR, "in"), (FAR_6, "out"), (FAR_6, "in")] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let listener = far.errand(|| TcpListener::bind("[::]:0").unwrap());
            let here = connect(address, listener.local_addr().unwrap().port());
            let there = listener.accept().unwrap().0;
            there.set_read_timeout(Some(PATIENCE)).unwrap();
            let (mut from, mut to) = if direction == "out" { (here, there) } else { (there, here) };
            agent.apply(&fault(&narrow_line(), &[address], &[], direction));
            let mut transfer = |bytes: usize| {
                let begun = Instant::now();
                std::thread::scope(|scope| {
                    scope.spawn(|| from.write_all(&vec![0; bytes]).unwrap());
                    to.read_exact(&mut vec![0; bytes]).unwrap();
                });
                begun.elapsed()
            };
            assert_at_the_rate(BULK / 2, direction, || transfer(BULK / 2));
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.connections, dose.dropped_by_queue, dose.trouble), (Some(1), 0, None));
            assert!((0..TRIES).any(|_| transfer(BULK / 16) < Duration::from_millis(100)), "it does not go on undelayed");
        });
    }
}
