//! A service's queries, led to the relay by the agent: over UDP and TCP, of both families, to a resolver far away.

use crate::{
    speaker::{RELAY, Speaker},
    world::{FAR, FAR_6, Far, PATIENCE, connect, in_two_namespaces},
};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream, UdpSocket},
};

const NXDOMAIN: u8 = 3;

/// A resolver at the far end that knows every name (and says nothing about it), over UDP and TCP.
fn resolver(far: &Far) {
    let (udp, tcp) = far.errand(|| (UdpSocket::bind("[::]:53").unwrap(), TcpListener::bind("[::]:53").unwrap()));
    std::thread::spawn(move || {
        let mut message = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut message) {
            message[2] |= 0x80;
            udp.send_to(&message[..length], from).unwrap();
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            while let Some(mut message) = next(&stream) {
                message[2] |= 0x80;
                say(&stream, &message);
            }
        }
    });
}

fn query(id: u8, name: &str) -> Vec<u8> {
    let head = [0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() as u8];
    [&head[..], name.as_bytes(), &[0, 0, 1, 0, 1]].concat()
}

fn say(mut stream: &TcpStream, message: &[u8]) {
    stream.write_all(&[&(message.len() as u16).to_be_bytes(), message].concat()).unwrap();
}

fn next(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// The rcode of the answer, from the address that was asked and from nowhere else.
fn over_udp(address: &str, name: &str) -> u8 {
    let address: IpAddr = address.parse().unwrap();
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect((address, 53)).unwrap();
    socket.send(&query(7, name)).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).unwrap();
    assert!(length > 12 && answer[1] == 7 && answer[2] & 0x80 != 0);
    answer[3] & 0x0f
}

fn over_tcp(address: &str, name: &str) -> u8 {
    let stream = connect(address, 53);
    say(&stream, &query(8, name));
    next(&stream).unwrap()[3] & 0x0f
}

#[test]
fn a_name_is_gone_for_a_service_that_was_not_rewired_and_comes_back() {
    in_two_namespaces(|far| {
        resolver(far);
        let (mut agent, mut relay) = (Speaker::agent(), Speaker::relay());
        let opened = relay.demand(json!({ "op": "open_dns", "name": "dns", "upstream": format!("{FAR}:53") }), "opened");
        let kind = json!({ "redirect": { "port": opened["port"], "except_uid": RELAY, "udp": true } });
        let to = json!({ "addresses": [FAR, FAR_6], "ports": [53] });
        let fault = json!({ "name": "dns", "ttl_ms": 86_400_000, "kind": kind, "to": to, "direction": "out" });
        agent.demand(json!({ "op": "apply", "fault": fault }), "applied");
        let rule = json!({ "match": { "name": "payment" }, "effect": "nxdomain" });
        relay.demand(json!({ "op": "set_dns", "name": "dns", "rule": rule, "ttl_ms": 600_000 }), "set");
        for address in [FAR, FAR_6] {
            assert_eq!([over_udp(address, "payment"), over_udp(address, "cart")], [NXDOMAIN, 0], "{address}");
            assert_eq!([over_tcp(address, "payment"), over_tcp(address, "cart")], [NXDOMAIN, 0], "{address}");
        }
        let dose = relay.demand(json!({ "op": "clear", "name": "dns" }), "cleared")["dose"]["dns"].take();
        let counts = ["queries", "matched", "nxdomain", "passed", "looped"].map(|count| dose[count].as_u64().unwrap());
        assert_eq!(counts, [8, 4, 4, 4, 0], "{dose}");
        assert_eq!([over_udp(FAR, "payment"), over_tcp(FAR_6, "payment")], [0, 0], "the relay passes them");
        agent.demand(json!({ "op": "revert", "name": "dns" }), "reverted");
        relay.kill();
        assert_eq!([over_udp(FAR, "payment"), over_tcp(FAR_6, "payment")], [0, 0], "nobody is needed any more");
    });
}

#[test]
fn a_relay_that_is_not_exempt_says_that_it_hears_itself() {
    in_two_namespaces(|far| {
        resolver(far);
        let (mut agent, mut relay) = (Speaker::agent(), Speaker::relay());
        let opened = relay.demand(json!({ "op": "open_dns", "name": "dns", "upstream": format!("{FAR}:53") }), "opened");
        let kind = json!({ "redirect": { "port": opened["port"], "except_uid": RELAY + 1, "udp": true } });
        let fault =
            json!({ "name": "dns", "ttl_ms": 86_400_000, "kind": kind, "to": { "addresses": [FAR], "ports": [53] }, "direction": "out" });
        agent.demand(json!({ "op": "apply", "fault": fault }), "applied");
        let rule = json!({ "match": { "name": "none" }, "effect": "refused" });
        relay.demand(json!({ "op": "set_dns", "name": "dns", "rule": rule, "ttl_ms": 600_000 }), "set");
        let stream = connect(FAR, 53);
        say(&stream, &query(1, "payment"));
        assert_eq!(next(&stream), None);
        let dose = relay.demand(json!({ "op": "dose", "name": "dns" }), "dose")["dns"].take();
        assert_eq!((&dose["queries"], &dose["looped"]), (&json!(1), &json!(1)), "{dose}");
    });
}
