//! DNS through `shakedown-relay`, which is told what to do as in a service's namespace.

use crate::{
    TRUE, rcode,
    rig::{Rig, answer, client_of, hear, next, query, say, soon},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A relay that runs by itself, and the pipe to it.
struct Binary {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Binary {
    fn start() -> Binary {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shakedown-relay"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Binary { input: child.stdin.take(), child, output }
    }

    /// What it answers to a request.
    async fn ask(&mut self, request: Value) -> Value {
        let line = format!("{request}\n");
        self.input.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
        let reply = self.hear().await;
        assert_eq!(reply["id"], request["id"], "{reply}");
        reply
    }

    async fn hear(&mut self) -> Value {
        let line = soon(self.output.next_line()).await.unwrap().expect("it still speaks");
        serde_json::from_str(&line).unwrap()
    }

    /// Opens a relay in front of this resolver.
    async fn open(&mut self, upstream: SocketAddr) -> Vec<SocketAddr> {
        let reply = self.ask(json!({"id": 1, "op": "open_dns", "name": "dns", "upstream": upstream})).await;
        let listens: Vec<SocketAddr> = serde_json::from_value(reply["ok"]["opened"]["listens"].clone()).unwrap();
        assert_eq!(reply["ok"]["opened"]["port"], listens[0].port());
        listens
    }

    async fn set(&mut self, rule: Value, ttl_ms: u64) -> Value {
        self.ask(json!({"id": 2, "op": "set_dns", "name": "dns", "rule": rule, "ttl_ms": ttl_ms})).await
    }

    async fn end(mut self) {
        self.input = None;
        assert!(soon(self.child.wait()).await.unwrap().success());
    }
}

#[tokio::test]
async fn a_rule_that_is_told_holds_until_it_is_cleared_and_its_dose_is_told() {
    let (rig, mut binary) = (Rig::new().await, Binary::start());
    let listens = binary.open(rig.udp.local_addr().unwrap()).await;
    let rule = json!({"match": {"name": "payment", "types": ["A"]}, "effect": "nxdomain"});
    assert_eq!(binary.set(rule, 60_000).await["ok"]["set"]["name"], "dns");
    for address in &listens {
        let client = client_of(*address).await;
        client.send(&query(1, "payment", 1)).await.unwrap();
        assert_eq!(rcode(&hear(&client).await), 3);
    }
    let mut caller = TcpStream::connect(listens[0]).await.unwrap();
    say(&mut caller, &query(2, "PAYMENT", 1)).await;
    assert_eq!(rcode(&next(&mut caller).await.unwrap()), 3);
    let (client, other) = (client_of(listens[0]).await, query(3, "payment", 28));
    client.send(&other).await.unwrap();
    assert_eq!(rig.resolve(&answer(&other, 0, TRUE)).await, other);
    assert_eq!(hear(&client).await, answer(&other, 0, TRUE));
    let told = binary.ask(json!({"id": 3, "op": "clear", "name": "dns"})).await["ok"]["cleared"]["dose"]["dns"].clone();
    let matched = listens.len() as u64 + 1;
    assert_eq!((&told["matched"], &told["nxdomain"], &told["passed"]), (&json!(matched), &json!(matched), &json!(1)));
    let asked = query(4, "payment", 1);
    client.send(&asked).await.unwrap();
    rig.resolve(&answer(&asked, 0, TRUE)).await;
    assert_eq!(rcode(&hear(&client).await), 0);
    let closed = binary.ask(json!({"id": 5, "op": "close", "name": "dns"})).await;
    assert_eq!(closed["ok"]["closed"]["dose"]["dns"], told);
    assert!(TcpStream::connect(listens[0]).await.is_err());
    binary.end().await;
    rig.shut().await;
}

#[tokio::test]
async fn a_rule_ends_with_its_time_and_with_the_pipe() {
    let (rig, mut binary) = (Rig::new().await, Binary::start());
    binary.open(rig.udp.local_addr().unwrap()).await;
    binary.set(json!({"effect": "silence"}), 1).await;
    assert_eq!(binary.hear().await["event"]["expired"]["already_clear"], false);
    assert_eq!(binary.ask(json!({"id": 3, "op": "beat"})).await["ok"]["beat"]["behaving"], json!([]));
    binary.set(json!({"effect": "silence"}), 60_000).await;
    assert_eq!(binary.ask(json!({"id": 4, "op": "beat"})).await["ok"]["beat"]["behaving"], json!(["dns"]));
    binary.input = None;
    assert_eq!(binary.hear().await["event"]["taken_back"]["name"], "dns");
    binary.end().await;
    rig.shut().await;
}

#[tokio::test]
async fn what_is_meant_for_the_other_kind_of_relay_or_for_none_is_refused() {
    let mut binary = Binary::start();
    binary.open("127.0.0.1:53".parse().unwrap()).await;
    let target = json!({"addresses": ["127.0.0.1"], "ports": [5432]});
    binary.ask(json!({"id": 2, "op": "open", "name": "db", "to": target})).await;
    let rule = json!({"effect": "refused"});
    let wrong = [
        (json!({"id": 3, "op": "set", "name": "dns", "behaviour": "reset", "ttl_ms": 1_000}), "invalid"),
        (json!({"id": 4, "op": "set_dns", "name": "db", "rule": rule, "ttl_ms": 1_000}), "invalid"),
        (json!({"id": 5, "op": "set_dns", "name": "none", "rule": rule, "ttl_ms": 1_000}), "unknown_relay"),
        (json!({"id": 6, "op": "set_dns", "name": "dns", "rule": rule, "ttl_ms": 0}), "invalid"),
        (json!({"id": 7, "op": "set_dns", "name": "dns", "rule": {"effect": {"address": {}}}, "ttl_ms": 1_000}), "malformed"),
        (json!({"id": 8, "op": "open_dns", "name": "dns", "upstream": "127.0.0.1:53"}), "name_taken"),
        (json!({"id": 9, "op": "open_dns", "name": "a b", "upstream": "127.0.0.1:53"}), "invalid"),
        (json!({"id": 10, "op": "open_dns", "name": "two", "upstream": "0.0.0.0:53"}), "invalid"),
        (json!({"id": 11, "op": "open_dns", "name": "two", "upstream": "127.0.0.1:0"}), "invalid"),
    ];
    for (request, code) in wrong {
        let reply = binary.ask(request.clone()).await;
        assert_eq!(reply["error"]["code"], code, "{request}: {reply}");
    }
    let beat = binary.ask(json!({"id": 12, "op": "beat"})).await;
    assert_eq!((&beat["ok"]["beat"]["behaving"], &beat["ok"]["beat"]["relays"]), (&json!([]), &json!(["db", "dns"])));
    binary.end().await;
}
