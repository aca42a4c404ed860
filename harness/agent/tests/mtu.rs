//! Packets that are too large, and those that are not, seen from the one who should receive them.

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Agent, FAR, FAR_6, Far, NEAR, PATIENCE, connect, fault, in_two_namespaces, round_trip, tables};

const BULK: usize = 1024 * 1024;
/// What a device takes unless told otherwise, and so what a full segment fills.
const FULL: u32 = 1_500;
/// More than three of the kernel's retransmissions, the first of which comes after 200 ms.
const SILENCE: Duration = Duration::from_millis(1_600);
const WAYS: [(&str, &str); 4] = [(FAR, "out"), (FAR, "in"), (FAR_6, "out"), (FAR_6, "in")];

fn mtu(bytes: u32) -> Value {
    json!({ "mtu": { "bytes": bytes } })
}

/// Puts the two ends in the order in which the bytes go.
fn in_order<T>(here: T, there: T, direction: &str) -> (T, T) {
    if direction == "out" { (here, there) } else { (there, here) }
}

fn datagrams(far: &Far, address: &'static str, direction: &str) -> (UdpSocket, UdpSocket) {
    let near = if address == FAR { NEAR } else { "fd77::1" };
    let bind = |address: &str| UdpSocket::bind((address.parse::<IpAddr>().expect("an address"), 0)).expect("a free port");
    let (here, there) = (bind(near), far.errand(move || bind(address)));
    let (from, to) = in_order(here, there, direction);
    from.connect(to.local_addr().expect("a bound socket")).expect("a route");
    to.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
    (from, to)
}

fn stream(far: &Far, address: &'static str, direction: &str) -> (TcpStream, TcpStream) {
    let listener = far.errand(|| TcpListener::bind("[::]:0").expect("a free port"));
    let here = connect(address, listener.local_addr().expect("a bound socket").port());
    let there = listener.accept().expect("a connection").0;
    there.set_nodelay(true).expect("a socket that lives");
    there.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
    in_order(here, there, direction)
}

#[test]
fn a_datagram_arrives_up_to_the_last_byte_that_fits_and_vanishes_beyond() {
    for (address, direction) in WAYS {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let (from, to) = datagrams(far, address, direction);
            let fits = 1_300 - if address == FAR { 28 } else { 48 };
            agent.apply(&fault(&mtu(1_300), &[address], &[], direction));
            for bytes in [fits + 1, fits, 1_400, 4_000, 1] {
                assert_eq!(from.send(&vec![7; bytes]).unwrap(), bytes, "a sender is never told");
            }
            let mut buffer = [0; 5_000];
            let heard = [(); 2].map(|()| to.recv(&mut buffer).unwrap());
            assert_eq!(heard, [fits, 1], "{direction} {address}");
            let dose = agent.revert("f").dose.unwrap();
            // Over IPv6 a datagram that comes in in fragments is judged fragment by fragment.
            let (packets, lost) = if (address, direction) == (FAR_6, "in") { (7, 4) } else { (5, 3) };
            assert_eq!((dose.packets, dose.judged, dose.lost), (packets, packets, lost), "{direction} {address}");
            assert_eq!((dose.dropped_by_queue, dose.trouble), (0, None));
            assert_eq!(tables(), []);
            from.send(&[7; 4_000]).unwrap();
            assert_eq!(to.recv(&mut buffer).unwrap(), 4_000, "everything arrives again");
        });
    }
}

#[test]
fn a_large_send_hangs_where_small_ones_pass_and_goes_on_when_the_fault_ends() {
    for (address, direction) in WAYS {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let (mut from, mut to) = stream(far, address, direction);
            let echo = connect(address, far.echo());
            agent.apply(&fault(&mtu(FULL - 1), &[address], &[], "both"));
            from.write_all(&[1; 1_000]).unwrap();
            to.read_exact(&mut [0; 1_000]).unwrap();
            // More than a sender's buffer takes at first.
            let writer = std::thread::spawn(move || from.write_all(&vec![2; 100_000]).map(|()| from));
            to.set_read_timeout(Some(SILENCE)).unwrap();
            let error = to.read_exact(&mut [0; 1_448]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "a full segment is a byte too long: {direction} {address}");
            round_trip(&echo).unwrap();
            round_trip(&connect(address, far.echo())).unwrap();
            let dose = agent.revert("f").dose.unwrap();
            assert!(dose.lost >= 2 && dose.lost < dose.judged, "{dose:?}");
            assert_eq!((dose.dropped_by_queue, &dose.trouble), (0, &None));
            assert_eq!(tables(), []);
            to.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut received = vec![0; 100_000];
            to.read_exact(&mut received).unwrap();
            assert!(received.iter().all(|byte| *byte == 2), "nothing is lost in the end");
            let _open = writer.join().unwrap().unwrap();
        });
    }
}

#[test]
fn a_bulk_whose_segments_fit_passes_although_the_kernel_hands_it_around_in_larger_pieces() {
    for (address, direction) in WAYS {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let (mut from, mut to) = stream(far, address, direction);
            agent.apply(&fault(&mtu(FULL), &[address], &[], "both"));
            let sent: Vec<u8> = (0..BULK).map(|n| (n / 7) as u8).collect();
            let writer = std::thread::spawn({
                let sent = sent.clone();
                move || from.write_all(&sent).map(|()| from)
            });
            let mut received = vec![0; BULK];
            to.read_exact(&mut received).unwrap();
            let _open = writer.join().unwrap().unwrap();
            assert!(received == sent, "bytes were changed on the way");
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.lost, dose.dropped_by_queue, &dose.trouble), (0, 0, &None), "{dose:?}");
            assert!(dose.judged > (BULK / FULL as usize) as u64, "{dose:?}");
            assert!(dose.packets < dose.judged, "there was something to cut: {direction} {address}: {dose:?}");
            assert_eq!(tables(), []);
        });
    }
}
