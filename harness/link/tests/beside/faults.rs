//! Between two namespaces: a service whose connections are led to the relay, the relay as its own user, and the server far away.

use crate::{
    speaker::{RELAY, Speaker},
    world::{FAR, FAR_6, Far, PATIENCE, connect, in_two_namespaces, round_trip},
};
use serde_json::{Value, json};
use shakedown_agent::Nftables;
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
};

const FAMILIES: [&str; 2] = [FAR, FAR_6];

/// Agent and relay beside a service, and where its connections go.
struct Beside {
    agent: Speaker,
    relay: Speaker,
}

impl Beside {
    /// Leads what goes to the far end's `port` through the relay.
    fn at(port: u16) -> Beside {
        let (mut agent, mut relay) = (Speaker::agent(), Speaker::relay());
        let to = json!({ "addresses": FAMILIES, "ports": [port] });
        let opened = relay.demand(json!({ "op": "open", "name": "far", "to": to }), "opened");
        let kind = json!({ "redirect": { "port": opened["port"], "except_uid": RELAY, "reset_established": true } });
        let fault = json!({ "name": "far", "ttl_ms": 86_400_000, "kind": kind, "to": to, "direction": "out" });
        agent.demand(json!({ "op": "apply", "fault": fault }), "applied");
        Beside { agent, relay }
    }

    fn set(&mut self, behaviour: &Value) {
        self.relay.demand(json!({ "op": "set", "name": "far", "behaviour": behaviour, "ttl_ms": 600_000 }), "set");
    }

    /// The dose of what is cleared.
    fn clear(&mut self) -> Value {
        self.relay.demand(json!({ "op": "clear", "name": "far" }), "cleared")["dose"].take()
    }

    fn redirected(&mut self) -> u64 {
        self.agent.demand(json!({ "op": "dose", "name": "far" }), "dose")["redirected"].as_u64().unwrap()
    }
}

/// A server of HTTP/1.1 at the far end that says `ok`, and whose connections stay open.
fn server(far: &Far) -> u16 {
    let listener = far.errand(|| TcpListener::bind("[::]:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || while head(&stream).is_ok_and(|head| !head.is_empty()) && tell(&stream, "200 OK", "ok").is_ok() {});
        }
    });
    port
}

fn tell(mut stream: &TcpStream, status: &str, body: &str) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

/// Up to the empty line.
fn head(mut stream: &TcpStream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The status of the answer.
fn get(mut stream: &TcpStream, path: &str) -> io::Result<u16> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: far\r\n\r\n").as_bytes())?;
    let head = head(stream)?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    stream.read_exact(&mut vec![0; length])?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| ErrorKind::UnexpectedEof.into())
}

fn attempt(address: &str, port: u16) -> io::Result<TcpStream> {
    TcpStream::connect((address.parse::<IpAddr>().unwrap(), port))
}

#[test]
fn an_abort_by_path_meets_a_service_that_was_not_rewired() {
    for address in FAMILIES {
        in_two_namespaces(move |far| {
            let port = server(far);
            let before = connect(address, port);
            assert_eq!(get(&before, "/").unwrap(), 200);
            let mut beside = Beside::at(port);
            let heard = get(&before, "/").unwrap_err().kind();
            assert!(
                [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted].contains(&heard),
                "it would have passed by the relay: {heard:?}"
            );
            let led = connect(address, port);
            assert_eq!(get(&led, "/pay/1").unwrap(), 200, "a relay that was told nothing does nothing");
            beside.set(&json!({ "http": { "match": { "path": { "glob": "/pay/*" } }, "action": { "abort": { "status": 503 } } } }));
            let new = connect(address, port);
            for stream in [&led, &new] {
                assert_eq!([get(stream, "/pay/1").unwrap(), get(stream, "/cart").unwrap()], [503, 200]);
            }
            let dose = beside.clear();
            assert_eq!((&dose["http"]["requests"], &dose["http"]["aborted"]), (&json!(4), &json!(2)), "{dose}");
            assert_eq!(get(&new, "/pay/1").unwrap(), 200);
            assert_eq!(beside.redirected(), 2);
        });
    }
}

#[test]
fn a_callee_that_is_down_refuses_whoever_is_led_to_it() {
    for address in FAMILIES {
        in_two_namespaces(move |far| {
            let port = server(far);
            let mut beside = Beside::at(port);
            let open = connect(address, port);
            assert_eq!(get(&open, "/").unwrap(), 200);
            beside.set(&json!("down"));
            assert_eq!(get(&open, "/").unwrap_err().kind(), ErrorKind::UnexpectedEof, "it is closed");
            while beside.relay.demand(json!({ "op": "dose", "name": "far" }), "dose")["refused_us"] == json!(0) {}
            assert_eq!(attempt(address, port).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            beside.clear();
            let back = loop {
                if let Ok(stream) = attempt(address, port) {
                    break stream;
                }
            };
            back.set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(get(&back, "/").unwrap(), 200);
        });
    }
}

#[test]
fn bytes_are_limited_and_connections_reset_as_inside_the_harness() {
    for address in FAMILIES {
        in_two_namespaces(move |far| {
            let echo = far.echo();
            let mut beside = Beside::at(echo);
            beside.set(&json!({ "limit_data": { "bytes": 2 } }));
            let mut stream = connect(address, echo);
            stream.write_all(b"abc").unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            assert_eq!(heard, b"ab");
            beside.set(&json!("reset"));
            let reset = connect(address, echo);
            assert_eq!(round_trip(&reset).unwrap_err().kind(), ErrorKind::ConnectionReset);
            // And the one from before, which its caller has not closed yet.
            assert_eq!(beside.clear()["resets"], json!(2));
            round_trip(&connect(address, echo)).unwrap();
        });
    }
}

#[test]
fn the_end_of_both_brings_direct_connections_back_polite_or_not() {
    for (address, is_polite) in FAMILIES.iter().flat_map(|address| [(*address, true), (*address, false)]) {
        in_two_namespaces(move |far| {
            let echo = far.echo();
            let Beside { mut agent, mut relay } = Beside::at(echo);
            let led = connect(address, echo);
            round_trip(&led).unwrap();
            if is_polite {
                agent.hang_up();
                relay.hang_up();
                assert!(agent.last_words().1.success() && relay.last_words().1.success());
            } else {
                relay.kill();
                assert_eq!(attempt(address, echo).unwrap_err().kind(), ErrorKind::ConnectionRefused, "while the agent stands");
                agent.kill();
            }
            assert_eq!(Nftables::open().unwrap().tables().unwrap(), []);
            assert!(round_trip(&led).is_err(), "it ended with its relay");
            let direct = connect(address, echo);
            round_trip(&direct).unwrap();
        });
    }
}

#[test]
fn connections_that_are_led_away_end_when_the_redirect_is_taken_back_alone() {
    for address in FAMILIES {
        in_two_namespaces(move |far| {
            let echo = far.echo();
            let mut beside = Beside::at(echo);
            let led = connect(address, echo);
            round_trip(&led).unwrap();
            beside.agent.demand(json!({ "op": "revert", "name": "far" }), "reverted");
            assert_eq!(round_trip(&led).unwrap_err().kind(), ErrorKind::ConnectionReset);
            round_trip(&connect(address, echo)).unwrap();
        });
    }
}

#[test]
fn what_is_led_to_a_relay_that_does_not_answer_for_it_is_reset() {
    in_two_namespaces(|far| {
        let (echo, other) = (far.echo(), far.echo());
        let mut beside = Beside::at(echo);
        let opened = beside.relay.demand(json!({ "op": "open", "name": "more", "to": { "addresses": [FAR], "ports": [1] } }), "opened");
        let kind = json!({ "redirect": { "port": opened["port"], "except_uid": RELAY } });
        let to = json!({ "addresses": [FAR], "ports": [other] });
        let fault = json!({ "name": "other", "ttl_ms": 60_000, "kind": kind, "to": to, "direction": "out" });
        beside.agent.demand(json!({ "op": "apply", "fault": fault }), "applied");
        assert_eq!(round_trip(&connect(FAR, other)).unwrap_err().kind(), ErrorKind::ConnectionReset);
        round_trip(&connect(FAR, echo)).unwrap();
    });
}

#[test]
fn the_relay_holds_no_capability() {
    in_two_namespaces(|_| {
        let relay = Speaker::relay();
        let status = std::fs::read_to_string(format!("/proc/{}/status", relay.pid())).unwrap();
        let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
        assert_eq!(of("CapEff:"), "0000000000000000");
        assert!(of("Uid:").starts_with(&RELAY.to_string()), "{status}");
    });
}
