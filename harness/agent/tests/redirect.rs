//! Whose connections a redirect leads away, how, and what is left of it when it ends.

#![expect(clippy::unwrap_used, reason = "as in any test: the settings in clippy.toml see only #[test]")]

mod support;

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use nix::unistd::{Uid, setfsuid};
use serde_json::{Value, json};
use support::{Agent, FAR, FAR_6, PATIENCE, connect, fault, in_two_namespaces, round_trip, tables};

/// The user that is let through.
const RELAY: u32 = 64_317;

/// A redirect of these addresses at this port.
fn redirect(kind: &Value, addresses: &[&str], port: u16) -> Value {
    let mut whole = json!({ "except_uid": RELAY });
    whole.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    fault(&json!({ "redirect": whole }), addresses, &[port], "out")
}

/// A listener on the loopbacks of this namespace that tells every caller that it is the relay. Returns its port.
fn relay() -> u16 {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut callers = Vec::new();
        for mut stream in listener.incoming().flatten() {
            std::io::Write::write_all(&mut stream, b"r").unwrap();
            callers.push(stream);
        }
    });
    port
}

/// Whether this connection ends at the relay, which speaks first. The echo waits to be asked, and answers as it was asked.
fn is_relayed(mut stream: &TcpStream) -> bool {
    std::io::Write::write_all(&mut stream, b"?").unwrap();
    let mut said = [0];
    stream.read_exact(&mut said).unwrap();
    said == *b"r"
}

/// Runs something whose sockets belong to the relay's user.
fn as_relay<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setfsuid(Uid::from_raw(RELAY));
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn new_connections_end_at_the_port_but_for_the_relays_own_and_those_to_other_ports() {
    for address in [FAR, FAR_6] {
        in_two_namespaces(move |far| {
            let (mut agent, hurt, whole, port) = (Agent::start(), far.echo(), far.echo(), relay());
            agent.apply(&redirect(&json!({ "port": port }), &[FAR, FAR_6], hurt));
            let led = connect(address, hurt);
            assert!(is_relayed(&led));
            assert_eq!(led.peer_addr().unwrap().port(), hurt, "the program believes that it talks to the target");
            assert!(!is_relayed(&connect(address, whole)));
            assert!(!as_relay(|| is_relayed(&connect(address, hurt))));
            assert!(is_relayed(&connect(address, hurt)));
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.redirected, dose.connections, dose.packets), (2, Some(2), 2));
            assert_eq!(tables(), []);
            assert!(!is_relayed(&connect(address, hurt)));
        });
    }
}

#[test]
fn connections_from_before_hear_of_their_end_at_once_if_that_is_asked_for_even_if_nobody_speaks() {
    for address in [FAR, FAR_6] {
        in_two_namespaces(move |far| {
            let (mut agent, echo, port) = (Agent::start(), far.echo(), relay());
            let (before, relays_own) = (connect(address, echo), as_relay(|| connect(address, echo)));
            round_trip(&before).unwrap();
            agent.apply(&redirect(&json!({ "port": port, "reset_established": true }), &[FAR, FAR_6], echo));
            let heard = std::io::Read::read(&mut &before, &mut [0]).unwrap_err().kind();
            assert!([ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted].contains(&heard), "{heard:?}");
            round_trip(&relays_own).unwrap();
            let led = connect(address, echo);
            assert!(is_relayed(&led), "what was led away is not reset");
            assert_eq!(agent.revert("f").dose.unwrap().redirected, 1);
        });
    }
}

#[test]
fn connections_from_before_are_left_alone_if_nothing_else_is_asked_for() {
    in_two_namespaces(|far| {
        let (mut agent, echo, port) = (Agent::start(), far.echo(), relay());
        let before = connect(FAR, echo);
        agent.apply(&redirect(&json!({ "port": port }), &[FAR], echo));
        round_trip(&before).unwrap();
        assert_eq!(agent.revert("f").dose.unwrap().packets, 0);
    });
}

/// Sends a question to an address and returns what came back from that very address.
fn ask(address: SocketAddr) -> String {
    ask_again(&asker(address))
}

fn asker(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(address).unwrap();
    socket
}

fn ask_again(socket: &UdpSocket) -> String {
    socket.send(b"?").unwrap();
    let mut answer = [0; 16];
    let length = socket.recv(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// A server that says its name to every datagram.
fn namer(socket: UdpSocket, name: &'static str) -> u16 {
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((_, asker)) = socket.recv_from(&mut [0; 16]) {
            let _ = socket.send_to(name.as_bytes(), asker);
        }
    });
    port
}

#[test]
fn datagrams_are_led_there_too_and_the_answer_comes_from_whom_was_asked() {
    for address in [FAR, FAR_6] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            let there = namer(far.errand(|| UdpSocket::bind("[::]:0").unwrap()), "target");
            // Bound to the address that datagrams are led to: else the kernel would choose another one for the answers.
            let loopback = if address == FAR { "127.0.0.1:0" } else { "[::1]:0" };
            let here = namer(UdpSocket::bind(loopback).unwrap(), "relay");
            let to = SocketAddr::new(address.parse::<IpAddr>().unwrap(), there);
            agent.apply(&redirect(&json!({ "port": here }), &[FAR, FAR_6], there));
            assert_eq!(ask(to), "target", "without being asked for, UDP is left alone");
            agent.revert("f");
            agent.apply(&redirect(&json!({ "port": here, "udp": true }), &[FAR, FAR_6], there));
            assert_eq!((ask(to), as_relay(|| ask(to))), ("relay".into(), "target".into()));
            assert_eq!(agent.revert("f").dose.unwrap().redirected, 1);
            assert_eq!(ask(to), "target");
        });
    }
}

#[test]
fn a_name_server_whose_address_somebody_else_translates_is_redirected_all_the_same() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        // As in a container on a network of Docker's: the name server listens at a port of its own, and rules lead there.
        let docker = namer(UdpSocket::bind("127.0.0.11:0").unwrap(), "docker").to_string();
        let to = format!("127.0.0.11:{docker}");
        let rule = ["-t", "nat", "-A", "OUTPUT", "-d", "127.0.0.11", "-p", "udp", "--dport", "53", "-j", "DNAT", "--to-destination", &to];
        let status = Command::new("iptables").args(rule).status().expect("iptables is installed");
        assert!(status.success());
        let here = namer(UdpSocket::bind("127.0.0.1:0").unwrap(), "relay");
        let server: SocketAddr = "127.0.0.11:53".parse().unwrap();
        let (before, relays_own) = (asker(server), as_relay(|| asker(server)));
        assert_eq!((ask_again(&before), ask_again(&relays_own)), ("docker".into(), "docker".into()));
        agent.apply(&redirect(&json!({ "port": here, "udp": true }), &["127.0.0.11"], 53));
        assert_eq!((ask(server), as_relay(|| ask(server))), ("relay".into(), "docker".into()));
        // Resolvers that keep their socket: its flow was decided before.
        assert_eq!((ask_again(&before), ask_again(&relays_own)), ("relay".into(), "docker".into()));
        agent.revert("f");
        assert_eq!((ask(server), ask_again(&before)), ("docker".into(), "docker".into()));
    });
}

#[test]
fn nobody_listening_is_a_refusal_to_the_program() {
    for address in [FAR, FAR_6] {
        in_two_namespaces(move |far| {
            let (mut agent, echo) = (Agent::start(), far.echo());
            let nobody = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
            agent.apply(&redirect(&json!({ "port": nobody, "reset_established": true }), &[FAR, FAR_6], echo));
            let error = TcpStream::connect((address.parse::<IpAddr>().unwrap(), echo)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        });
    }
}

#[test]
fn after_sigkill_new_connections_are_direct() {
    for address in [FAR, FAR_6] {
        in_two_namespaces(move |far| {
            let (mut agent, echo, port) = (Agent::start(), far.echo(), relay());
            agent.apply(&redirect(&json!({ "port": port, "reset_established": true }), &[FAR, FAR_6], echo));
            assert!(is_relayed(&connect(address, echo)));
            assert_eq!(tables().len(), 2);
            agent.child.kill().unwrap();
            agent.child.wait().unwrap();
            assert_eq!(tables(), []);
            let direct = connect(address, echo);
            assert!(!is_relayed(&direct));
            round_trip(&direct).unwrap();
        });
    }
}

#[test]
fn what_is_redirected_is_out_of_reach_of_other_faults_on_the_target_and_the_relays_own_is_not() {
    in_two_namespaces(|far| {
        let (mut agent, echo, port) = (Agent::start(), far.echo(), relay());
        agent.apply(&redirect(&json!({ "port": port, "reset_established": true }), &[FAR], echo));
        let mut reset = fault(&json!({ "reset": {} }), &[FAR], &[echo], "out");
        reset["name"] = json!("reset");
        agent.apply(&reset);
        assert!(is_relayed(&connect(FAR, echo)));
        let refused = as_relay(|| TcpStream::connect((FAR, echo)).unwrap_err().kind());
        assert_eq!(refused, ErrorKind::ConnectionRefused);
        assert_eq!(agent.revert("reset").dose.unwrap().packets, 1);
    });
}
