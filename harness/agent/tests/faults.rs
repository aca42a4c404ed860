//! What each kind does to real sockets over a real cable, and what it leaves alone.

#![expect(clippy::unwrap_used, reason = "as in any test: the settings in clippy.toml see only #[test]")]

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::json;
use support::{Agent, FAR, FAR_6, connect, fault, in_two_namespaces, latency, round_trip, tables};

/// Long enough for an answer to come if it were to come; the kernel's first retransmission is at 200 ms.
const SILENCE: Duration = Duration::from_millis(700);

fn is_silent(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    stream.write_all(b"?").unwrap();
    let silent = stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    silent
}

#[test]
fn a_partition_stalls_a_connection_in_every_direction_and_it_resumes() {
    for direction in ["out", "in", "both"] {
        for address in [FAR, FAR_6] {
            in_two_namespaces(move |far| {
                let (mut agent, port) = (Agent::start(), far.echo());
                let stream = connect(address, port);
                round_trip(&stream).unwrap();
                agent.apply(&fault(&json!({ "partition": {} }), &[address], &[port], direction));
                assert!(is_silent(&stream), "{direction} {address}");
                let reverted = agent.revert("f");
                (&stream).read_exact(&mut [0]).unwrap();
                round_trip(&stream).unwrap();
                let dose = reverted.dose.unwrap();
                assert!(dose.packets >= 1, "{dose:?}");
                assert_eq!((dose.connections, dose.dropped_by_queue, dose.trouble), (Some(1), 0, None));
                assert_eq!(tables(), []);
            });
        }
    }
}

#[test]
fn a_partition_is_silent_to_a_local_udp_sender() {
    in_two_namespaces(|far| {
        let mut agent = Agent::start();
        let there = far.errand(|| UdpSocket::bind((FAR, 0)).unwrap());
        there.set_read_timeout(Some(SILENCE)).unwrap();
        let here = UdpSocket::bind("0.0.0.0:0").unwrap();
        here.connect(there.local_addr().unwrap()).unwrap();
        agent.apply(&fault(&json!({ "partition": {} }), &[FAR], &[], "out"));
        assert_eq!(here.send(b"lost").unwrap(), 4);
        assert!(there.recv(&mut [0; 8]).is_err());
        assert_eq!(agent.revert("f").dose.unwrap().packets, 1);
        here.send(b"heard").unwrap();
        assert_eq!(there.recv(&mut [0; 8]).unwrap(), 5);
    });
}

#[test]
fn a_reset_ends_an_established_connection_and_refuses_new_ones() {
    for address in [FAR, FAR_6] {
        in_two_namespaces(move |far| {
            let (mut agent, port) = (Agent::start(), far.echo());
            let stream = connect(address, port);
            round_trip(&stream).unwrap();
            agent.apply(&fault(&json!({ "reset": {} }), &[address], &[port], "out"));
            assert_eq!(agent.dose("f").packets, 0, "an idle connection is left alone until it speaks");
            let error = round_trip(&stream).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            let error = TcpStream::connect((address.parse::<std::net::IpAddr>().unwrap(), port)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.packets, dose.connections), (2, Some(2)));
            round_trip(&connect(address, port)).unwrap();
        });
    }
}

#[test]
fn a_reset_of_what_comes_in_reaches_both_ends() {
    for direction in ["in", "both"] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let listener = far.errand(|| std::net::TcpListener::bind((FAR, 0)).unwrap());
            let port = listener.local_addr().unwrap().port();
            let here = connect(FAR, port);
            let (mut there, _) = listener.accept().unwrap();
            agent.apply(&fault(&json!({ "reset": {} }), &[FAR], &[port], direction));
            there.set_read_timeout(Some(support::PATIENCE)).unwrap();
            there.write_all(b"hello").unwrap();
            assert_eq!(there.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset, "{direction}");
            assert_eq!(round_trip(&here).unwrap_err().kind(), ErrorKind::ConnectionReset, "{direction}");
        });
    }
}

#[test]
fn other_ports_and_other_addresses_are_left_alone() {
    in_two_namespaces(|far| {
        let (mut agent, hurt, whole) = (Agent::start(), far.echo(), far.echo());
        let (over_4, over_6) = (connect(FAR, whole), connect(FAR_6, hurt));
        let kinds = [
            latency(60_000),
            json!({ "partition": {} }),
            json!({ "reset": {} }),
            json!({ "loss": { "share_ppm": 1_000_000 } }),
            json!({ "reorder": { "share_ppm": 999_999, "delay_us": 60_000_000 } }),
            json!({ "bandwidth": { "bytes_per_second": 1 } }),
            json!({ "corrupt": { "share_ppm": 1_000_000 } }),
            json!({ "duplicate": { "share_ppm": 1_000_000 } }),
            json!({ "connect": { "drop": {} } }),
            json!({ "mtu": { "bytes": 1280 } }),
        ];
        for kind in kinds {
            agent.apply(&fault(&kind, &[FAR], &[hurt], "both"));
            round_trip(&over_4).unwrap();
            round_trip(&over_6).unwrap();
            round_trip(&connect(FAR, whole)).unwrap();
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.packets, dose.bytes, dose.connections, dose.judged), (0, 0, Some(0), 0));
        }
    });
}

#[test]
fn neighbour_discovery_survives_a_partition_of_everything() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        agent.apply(&fault(&json!({ "partition": {} }), &[FAR_6], &[], "both"));
        let stream = std::thread::spawn(move || connect(FAR_6, port));
        // The first thing the far end's address needs is neighbour discovery; only then is there a SYN to count.
        while agent.dose("f").packets == 0 {}
        agent.revert("f");
        round_trip(&stream.join().unwrap()).unwrap();
    });
}

#[test]
fn faults_that_overlap_do_not_disturb_each_other() {
    in_two_namespaces(|far| {
        let mut agent = Agent::start();
        // A datagram, since nobody sends it again if it is lost.
        let there = far.errand(|| UdpSocket::bind((FAR, 0)).unwrap());
        there.set_read_timeout(Some(support::PATIENCE)).unwrap();
        let here = UdpSocket::bind("0.0.0.0:0").unwrap();
        here.connect(there.local_addr().unwrap()).unwrap();
        let named = |name: &str, mut fault: serde_json::Value| {
            fault["name"] = json!(name);
            fault
        };
        agent.apply(&named("long", fault(&latency(400), &[FAR], &[], "out")));
        agent.apply(&named("short", fault(&latency(40), &[FAR], &[], "out")));
        here.send(b"once").unwrap();
        while agent.dose("long").held == 0 {}
        // The table of `short` cannot go yet: the kernel would throw away the datagram that `long` holds.
        agent.revert("short");
        assert_eq!(there.recv(&mut [0; 8]).unwrap(), 4);
        assert_eq!(agent.revert("long").dose.unwrap().packets, 1);
        while !tables().is_empty() {}
    });
}
