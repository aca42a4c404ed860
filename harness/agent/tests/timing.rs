//! The marked timing suite: these tests read the clock. Their lower bounds are exact, since a packet must never be
//! early; their upper bounds leave room for a busy machine. `benches/measure.rs` measures without mercy.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Agent, FAR, FAR_6, PATIENCE, connect, fault, in_two_namespaces, latency, round_trip};

const ASKED: Duration = Duration::from_millis(50);
const BULK: usize = 1024 * 1024;
const ROOM: Duration = Duration::from_millis(25);

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn assert_near(found: Duration, asked: Duration) {
    assert!(found >= asked && found < asked + ROOM, "{found:?} for {asked:?}");
}

#[test]
fn latency_delays_an_established_connection_a_new_one_and_both_families() {
    for (address, direction, times) in [(FAR, "out", 1), (FAR_6, "out", 1), (FAR, "in", 1), (FAR_6, "both", 2)] {
        in_two_namespaces(move |far| {
            let (mut agent, port) = (Agent::start(), far.echo());
            let stream = connect(address, port);
            round_trip(&stream).unwrap();
            let applied = agent.apply(&fault(&latency(50), &[address], &[port], direction));
            assert!(applied.mechanism.starts_with("nfqueue ("), "{applied:?}");
            let trips = (0..11).map(|_| round_trip(&stream).unwrap()).collect();
            assert_near(median(trips), ASKED * times);
            let connects = (0..5).map(|_| {
                let begun = Instant::now();
                connect(address, port);
                begun.elapsed()
            });
            assert_near(median(connects.collect()), ASKED * times);
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.connections, dose.dropped_by_queue, dose.trouble), (Some(6), 0, None));
            assert_near(Duration::from_micros(dose.mean_delay_us.unwrap()), ASKED);
            assert!(median((0..5).map(|_| round_trip(&stream).unwrap()).collect()) < ROOM, "it goes on undelayed");
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
        let trips = (0..5).map(|_| {
            let begun = Instant::now();
            here.send(b"?").unwrap();
            there.recv(&mut [0]).unwrap();
            begun.elapsed()
        });
        assert_near(median(trips.collect()), ASKED);
    });
}

#[test]
fn jitter_spreads_the_delay_around_its_mean() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        let stream = connect(FAR, port);
        let kind = json!({ "latency": { "delay_us": 20_000, "jitter_us": 8_000, "distribution": "uniform", "seed": 3 } });
        agent.apply(&fault(&kind, &[FAR], &[port], "out"));
        let trips: Vec<Duration> = (0..60).map(|_| round_trip(&stream).unwrap()).collect();
        let (low, high) = (trips.iter().min().unwrap(), trips.iter().max().unwrap());
        assert!(*low >= Duration::from_millis(12) && *low < Duration::from_millis(17), "{low:?}");
        assert!(*high > Duration::from_millis(24), "{high:?}");
        assert_near(median(trips) + Duration::from_millis(4), Duration::from_millis(20));
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
            let reader = std::thread::spawn(move || {
                let mut received = Vec::new();
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.read_to_end(&mut received).unwrap();
                received.len()
            });
            let begun = Instant::now();
            // What a closed socket still has to send must not be throttled either.
            connect(address, port).write_all(&vec![0; BULK]).unwrap();
            assert_eq!(reader.join().unwrap(), BULK);
            // A line of 50 ms takes some seven trips to open the window; TCP small queues made it 18 s.
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.connections, dose.trouble), (Some(1), None));
        });
    }
}

#[test]
fn a_revert_lets_go_of_what_is_held() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        let stream = connect(FAR, port);
        agent.apply(&fault(&latency(60_000), &[FAR], &[port], "out"));
        let trip = std::thread::spawn(move || round_trip(&stream).unwrap());
        while agent.dose("f").held == 0 {}
        agent.revert("f");
        assert!(trip.join().unwrap() < Duration::from_secs(10));
    });
}

const LINE_BYTES_PER_SECOND: usize = 400_000;

fn narrow_line() -> serde_json::Value {
    json!({ "bandwidth": { "bytes_per_second": LINE_BYTES_PER_SECOND } })
}

/// That so many bytes took as long as they have to, and at most a fifth more.
fn assert_at_the_rate(found: Duration, bytes: usize) {
    let asked = Duration::from_secs_f64(bytes as f64 / LINE_BYTES_PER_SECOND as f64);
    assert!(found >= asked && found < asked.mul_f64(1.2), "{found:?} for {asked:?}");
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
            let begun = Instant::now();
            // 28 bytes of each are headers. A thread of its own, since held datagrams fill their sender's buffer.
            let writer = std::thread::spawn(move || {
                for _ in 0..200 {
                    from.send(&[0; 972]).unwrap();
                }
                from
            });
            for _ in 0..200 {
                to.recv(&mut [0; 1_000]).unwrap();
            }
            assert_at_the_rate(begun.elapsed(), 200 * 1_000);
            let from = writer.join().unwrap();
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.packets, dose.delayed, dose.lost, dose.bytes), (200, 200, 0, 200_000), "{direction}");
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
            let begun = Instant::now();
            let writer = std::thread::spawn(move || from.write_all(&vec![0; BULK / 2]).map(|()| from));
            to.read_exact(&mut vec![0; BULK / 2]).unwrap();
            assert_at_the_rate(begun.elapsed(), BULK / 2);
            let from = writer.join().unwrap().unwrap();
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.connections, dose.dropped_by_queue, dose.trouble), (Some(1), 0, None));
            let begun = Instant::now();
            (&from).write_all(&vec![0; BULK / 16]).unwrap();
            to.read_exact(&mut vec![0; BULK / 16]).unwrap();
            assert!(begun.elapsed() < Duration::from_millis(100), "it goes on undelayed: {:?}", begun.elapsed());
        });
    }
}
