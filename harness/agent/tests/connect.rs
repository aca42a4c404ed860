//! Connecting through the fault of that name, seen from the one who connects. A part of the timing suite: it reads the
//! clock.

mod support;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Agent, FAR, FAR_6, Far, NEAR, PATIENCE, connect, fault, in_two_namespaces, round_trip, tables};

/// Time for two attempts: the kernel sends a SYN again after a second.
const SHORT: Duration = Duration::from_millis(1_500);
const DELAY: Duration = Duration::from_millis(300);
/// What connecting takes beyond the delay, with room for a busy machine.
const ROOM: Duration = Duration::from_millis(150);
/// A busy machine only ever adds to a time: what is said of times is said of the least of so many attempts, at most.
const ATTEMPTS: usize = 20;

/// Connects from the end that `direction` says to a listener at the other, and says how long it took.
fn attempt(far: &Far, direction: &str, to: SocketAddr, patience: Duration) -> std::io::Result<(TcpStream, Duration)> {
    let connect = move || {
        let begun = Instant::now();
        TcpStream::connect_timeout(&to, patience).map(|stream| (stream, begun.elapsed()))
    };
    if direction == "in" { far.errand(connect) } else { connect() }
}

fn is_quick(stream: &TcpStream) -> bool {
    (0..ATTEMPTS).any(|_| round_trip(stream).expect("an answer") < DELAY)
}

/// Whether an attempt soon takes no longer than it has to.
fn connects_again(far: &Far, direction: &str, to: SocketAddr) -> bool {
    (0..ATTEMPTS).any(|_| attempt(far, direction, to, PATIENCE).expect("a connection").1 < ROOM)
}

/// A listener at the end that is connected to in this direction.
fn listener(far: &Far, address: &'static str, direction: &str) -> TcpListener {
    let near = if address == FAR { NEAR } else { "fd77::1" };
    let bind = |address: &str| TcpListener::bind((address.parse::<IpAddr>().expect("an address"), 0)).expect("a free port");
    if direction == "in" { bind(near) } else { far.errand(move || bind(address)) }
}

#[test]
fn dropped_attempts_time_out_and_open_connections_do_not_notice() {
    for (address, direction) in [(FAR, "out"), (FAR_6, "out"), (FAR, "in"), (FAR_6, "in"), (FAR, "both")] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let (open, listener) = (connect(address, far.echo()), listener(far, address, direction));
            let to = listener.local_addr().unwrap();
            round_trip(&open).unwrap();
            agent.apply(&fault(&json!({ "connect": { "drop": {} } }), &[address], &[], direction));
            for _ in 0..20 {
                round_trip(&open).unwrap();
            }
            assert_eq!(agent.dose("f").packets, 0, "open connections are left alone");
            let error = attempt(far, direction, to, SHORT).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{direction} {address}");
            let dose = agent.revert("f").dose.unwrap();
            // The attempt, and the one that the kernel made by itself after a second.
            assert_eq!((dose.packets, dose.judged, dose.lost, dose.connections), (2, 2, 2, Some(1)), "{direction} {address}");
            assert_eq!((dose.dropped_by_queue, dose.trouble), (0, None));
            assert_eq!(tables(), []);
            assert!(connects_again(far, direction, to), "{direction} {address}");
        });
    }
}

#[test]
fn delayed_attempts_succeed_late_and_what_follows_them_is_not_late() {
    for (address, direction) in [(FAR, "out"), (FAR_6, "out"), (FAR, "in"), (FAR_6, "both")] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let (open, listener) = (connect(address, far.echo()), listener(far, address, direction));
            let to = listener.local_addr().unwrap();
            let kind = json!({ "connect": { "delay_us": DELAY.as_micros() as u64 } });
            agent.apply(&fault(&kind, &[address], &[], direction));
            let took = [(); 5].map(|()| attempt(far, direction, to, PATIENCE).unwrap().1);
            assert!(took.iter().all(|took| *took >= DELAY), "{direction} {address}: {took:?}");
            assert!(took.iter().any(|took| *took < DELAY + ROOM), "{direction} {address}: {took:?}");
            // Counted a moment after they went on.
            while agent.dose("f").delayed < 5 {}
            let dose = agent.dose("f");
            assert_eq!((dose.judged, dose.delayed, dose.lost, dose.connections), (5, 5, 0, Some(5)));
            if direction != "in" {
                let echo = connect(address, far.echo());
                assert!(is_quick(&echo), "the new connection is not slow");
            }
            assert!(is_quick(&open), "nor is the old one");
            agent.revert("f");
            assert_eq!(tables(), []);
            assert!(connects_again(far, direction, to), "{direction} {address}");
        });
    }
}

#[test]
fn an_attempt_that_is_held_longer_than_a_retransmission_is_made_once() {
    in_two_namespaces(|far| {
        let mut agent = Agent::start();
        let listener = listener(far, FAR, "out");
        agent.apply(&fault(&json!({ "connect": { "delay_us": 1_500_000 } }), &[FAR], &[], "out"));
        let (_, took) = attempt(far, "out", listener.local_addr().unwrap(), PATIENCE).unwrap();
        assert!(took >= Duration::from_millis(1_500) && took < Duration::from_millis(2_500), "{took:?}");
        let dose = agent.revert("f").dose.unwrap();
        assert_eq!((dose.judged, dose.delayed), (1, 1), "{dose:?}");
    });
}

#[test]
fn an_attempt_that_is_held_goes_on_when_the_fault_ends() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        agent.apply(&fault(&json!({ "connect": { "delay_us": 60_000_000 } }), &[FAR], &[port], "out"));
        let stream = std::thread::spawn(move || connect(FAR, port));
        while agent.dose("f").held == 0 {}
        let dose = agent.revert("f").dose.unwrap();
        assert_eq!((dose.released_early, dose.delayed), (1, 0));
        round_trip(&stream.join().unwrap()).unwrap();
    });
}

#[test]
fn datagrams_are_no_attempts() {
    in_two_namespaces(|far| {
        let mut agent = Agent::start();
        let there = far.errand(|| UdpSocket::bind((FAR, 0)).unwrap());
        there.set_read_timeout(Some(PATIENCE)).unwrap();
        agent.apply(&fault(&json!({ "connect": { "drop": {} } }), &[FAR], &[], "both"));
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"heard", there.local_addr().unwrap()).unwrap();
        assert_eq!(there.recv(&mut [0; 8]).unwrap(), 5);
        assert_eq!(agent.revert("f").dose.unwrap().packets, 0);
    });
}
