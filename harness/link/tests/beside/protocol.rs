//! How the relay bears what it is told, and how it ends. No privilege is needed here.

use crate::speaker::Speaker;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{io::ErrorKind, net::TcpStream};

fn open(name: &str) -> Value {
    json!({ "op": "open", "name": name, "to": { "addresses": ["10.9.9.9", "fd00::9"], "ports": [80] } })
}

fn set(name: &str, behaviour: &Value, ttl_ms: u64) -> Value {
    json!({ "op": "set", "name": name, "behaviour": behaviour, "ttl_ms": ttl_ms })
}

fn code(outcome: Result<Value, Value>) -> String {
    outcome.unwrap_err()["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_relay_is_opened_at_one_port_of_both_loopbacks_and_closed_once() {
    let mut relay = Speaker::relay();
    let opened = relay.demand(open("shop"), "opened");
    let port = opened["port"].as_u64().unwrap();
    assert_eq!(opened["listens"], json!([format!("127.0.0.1:{port}"), format!("[::1]:{port}")]));
    assert_eq!(code(relay.ask(open("shop"))), "name_taken");
    assert_eq!(relay.demand(json!({ "op": "beat" }), "beat")["relays"], json!(["shop"]));
    let closed = relay.demand(json!({ "op": "close", "name": "shop" }), "closed");
    assert_eq!((&closed["already_gone"], closed["dose"].is_object()), (&json!(false), true));
    let error = TcpStream::connect(("127.0.0.1", port as u16)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "what is closed listens no more");
    let closed = relay.demand(json!({ "op": "close", "name": "shop" }), "closed");
    assert_eq!(closed, json!({ "name": "shop", "already_gone": true, "dose": null }));
    relay.demand(open("shop"), "opened");
}

#[test]
fn a_connection_that_was_not_redirected_is_reset_and_no_other_is_made_for_it() {
    let mut relay = Speaker::relay();
    // Its own address among the target's: a relay that believed it would call itself without end.
    let to = json!({ "addresses": ["127.0.0.1"], "ports": [] });
    let port = relay.demand(json!({ "op": "open", "name": "self", "to": to }), "opened")["port"].as_u64().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
    stream.set_read_timeout(Some(crate::world::PATIENCE)).unwrap();
    let error = std::io::Read::read(&mut stream, &mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let closed = relay.demand(json!({ "op": "close", "name": "self" }), "closed");
    assert_eq!(closed["dose"]["connections_touched"], json!(0));
}

#[test]
fn a_behaviour_ends_by_itself_when_its_time_is_over_and_its_dose_is_kept() {
    let mut relay = Speaker::relay();
    relay.demand(open("shop"), "opened");
    let put = relay.demand(set("shop", &json!("down"), 50), "set");
    assert_eq!(put["expires_at_unix_ns"].as_u64().unwrap() - put["set_at_unix_ns"].as_u64().unwrap(), 50_000_000);
    let line = relay.read();
    let expired = &line["event"]["expired"];
    assert_eq!((&line["id"], &expired["name"], &expired["already_clear"]), (&Value::Null, &json!("shop"), &json!(false)));
    assert!(expired["dose"]["refused_us"].as_u64().unwrap() > 0, "{expired}");
    assert_eq!(relay.demand(json!({ "op": "beat" }), "beat")["behaving"], json!([]));
    let cleared = relay.demand(json!({ "op": "clear", "name": "shop" }), "cleared");
    assert_eq!((&cleared["already_clear"], &cleared["cleared_at_unix_ns"]), (&json!(true), &expired["cleared_at_unix_ns"]));
}

#[test]
fn a_behaviour_that_is_set_again_has_its_time_from_then_on() {
    let mut relay = Speaker::relay();
    relay.demand(open("shop"), "opened");
    relay.demand(set("shop", &json!("partition"), 200), "set");
    relay.demand(set("shop", &json!("reset"), 3_600_000), "set");
    relay.demand(open("other"), "opened");
    relay.demand(set("other", &json!("partition"), 400), "set");
    // The first time to be over is the other's, although that of the first behaviour would have been over before.
    assert_eq!(relay.read()["event"]["expired"]["name"], json!("other"));
    assert_eq!(relay.demand(json!({ "op": "beat" }), "beat")["behaving"], json!(["shop"]));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason_and_a_way_out() {
    let mut relay = Speaker::relay();
    relay.demand(open("shop"), "opened");
    let to = |to: Value| json!({ "op": "open", "name": "x", "to": to });
    let cases = [
        (open("no spaces"), "invalid"),
        (open(""), "invalid"),
        (to(json!({ "addresses": [] })), "invalid"),
        (to(json!({ "addresses": ["10.0.0.1"], "ports": [0] })), "invalid"),
        (set("shop", &json!("down"), 0), "invalid"),
        (set("shop", &json!("down"), 86_400_001), "invalid"),
        (set("shop", &json!("pass"), 1), "invalid"),
        (set("none", &json!("down"), 1), "unknown_relay"),
        (json!({ "op": "dose", "name": "none" }), "unknown_relay"),
        (json!({ "op": "clear", "name": "none" }), "unknown_relay"),
        (set("shop", &json!({ "latency": { "delay_ms": 1 } }), 1), "malformed"),
        (set("shop", &json!({ "http": { "action": { "abort": { "status": 99 } } } }), 1), "malformed"),
        (json!({ "op": "open", "name": "x", "to": { "addresses": ["10.0.0.1"] }, "port": 1 }), "malformed"),
        (json!({ "op": "dance" }), "malformed"),
    ];
    for (request, expected) in cases {
        let error = relay.ask(request.clone()).unwrap_err();
        assert_eq!(error["code"], json!(expected), "{request}");
        assert!(!error["message"].as_str().unwrap().is_empty() && !error["hint"].as_str().unwrap().is_empty());
    }
    assert_eq!(relay.demand(json!({ "op": "beat" }), "beat")["behaving"], json!([]));
}

#[test]
fn lines_that_are_no_requests_are_answered_and_the_next_is_heard() {
    let mut relay = Speaker::relay();
    let long = vec![b'x'; shakedown_link::wire::MAX_LINE_BYTES + 1];
    for line in [b"".as_slice(), b"nonsense", &long, b"{\"id\":7}"] {
        relay.write(line);
    }
    let replies = [(); 3].map(|()| relay.read());
    assert!(replies.iter().all(|reply| reply["error"]["code"] == json!("malformed")), "{replies:?}");
    assert_eq!(replies.map(|mut reply| reply["id"].take()), [Value::Null, Value::Null, json!(7)]);
    relay.demand(json!({ "op": "beat" }), "beat");
}

#[test]
fn the_end_of_stdin_and_every_polite_signal_take_back_what_is_set_and_end_it() {
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGINT), Some(Signal::SIGHUP), Some(Signal::SIGQUIT)] {
        let mut relay = Speaker::relay();
        relay.demand(open("shop"), "opened");
        relay.demand(set("shop", &json!("reset"), 60_000), "set");
        match signal {
            None => relay.hang_up(),
            Some(signal) => relay.signal(signal),
        }
        let (words, status) = relay.last_words();
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert!(matches!(&words[..], [word] if word["event"]["taken_back"]["name"] == json!("shop")), "{words:?}");
    }
}

#[test]
fn a_harness_that_stopped_reading_does_not_keep_a_behaviour_on() {
    let mut relay = Speaker::relay();
    let port = relay.demand(open("shop"), "opened")["port"].as_u64().unwrap() as u16;
    relay.demand(set("shop", &json!("down"), 300), "set");
    let beat = br#"{"id":1,"op":"beat"}"#;
    // Replies fill the pipe, and nobody reads them.
    for _ in 0..2_000 {
        relay.write(beat);
    }
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::yield_now();
    }
    relay.hang_up();
    let (_, status) = relay.last_words();
    assert_eq!(status.code(), Some(0));
}
