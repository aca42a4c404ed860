//! What a survey sees, of whom it does not matter: things that others left in the namespaces, and that a fault leaves nothing.

mod support;

use std::process::Command;

use serde_json::json;
use shakedown_agent::wire::{Answer, Survey};
use support::{Agent, FAR, fault, in_two_namespaces, latency};

fn survey(agent: &mut Agent) -> Survey {
    match agent.ask(json!({ "op": "survey" })) {
        Ok(Answer::Survey(survey)) => survey,
        other => panic!("{other:?}"),
    }
}

fn run(line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let output = Command::new(words[0]).args(&words[1..]).output().expect("the command runs");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn added(before: &[String], after: &[String]) -> Vec<String> {
    after.iter().filter(|row| !before.contains(row)).cloned().collect()
}

#[test]
fn what_somebody_left_in_the_network_namespace_is_seen_and_nothing_else() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let before = survey(&mut agent);
        assert_eq!(before.unseen, [""; 0]);
        assert!(before.links.contains(&"near up mtu 1500".to_owned()), "{before:?}");
        run("nft add table inet left");
        run("ip route add blackhole 10.99.0.0/16");
        run("ip rule add from 10.98.0.0/15 table 77");
        run("ip link set near mtu 1400");
        let after = survey(&mut agent);
        assert_eq!(added(&before.nft_tables, &after.nft_tables), ["inet left"]);
        assert_eq!(added(&before.routes, &after.routes), ["ip 10.99.0.0/16 type 6 table 254"]);
        assert_eq!(added(&before.rules, &after.rules), ["ip 32765 table 77 from 10.98.0.0/15"]);
        assert_eq!(added(&before.links, &after.links), ["near up mtu 1400"]);
        assert_eq!(before.qdiscs, after.qdiscs);
    });
}

#[test]
fn a_queueing_discipline_is_seen_where_the_kernel_has_one_to_add() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let before = survey(&mut agent);
        let kinds = ["tbf rate 1mbit burst 10kb latency 50ms", "pfifo limit 9", "prio"];
        let add = |kind: &str| {
            let line = format!("qdisc add dev near root handle 77: {kind}");
            Command::new("tc").args(line.split(' ')).output().unwrap().status.success()
        };
        let Some(kind) = kinds.into_iter().find(|kind| add(kind)) else { return eprintln!("SKIPPED: this kernel has none") };
        let rows = added(&before.qdiscs, &survey(&mut agent).qdiscs);
        let word = kind.split(' ').next().unwrap();
        assert!(rows.contains(&format!("near root {word} 77:")), "{rows:?}");
    });
}

#[test]
fn a_fault_is_seen_while_it_is_in_force_and_leaves_no_trace() {
    in_two_namespaces(|_| {
        let (mut agent, mut looker) = (Agent::start(), Agent::start());
        let before = survey(&mut agent);
        agent.apply(&fault(&latency(50), &[FAR], &[], "both"));
        let during = survey(&mut looker);
        let tables = added(&before.nft_tables, &during.nft_tables);
        assert!(tables.len() == 1 && tables[0].starts_with("ip shakedown_"), "another's tables are seen, too: {tables:?}");
        agent.revert("f");
        assert_eq!(survey(&mut agent), before);
        assert_eq!(survey(&mut looker), before);
    });
}

#[test]
fn clocks_that_are_off_limits_that_were_lowered_and_processes_that_stand_still_are_seen() {
    in_two_namespaces(|_| {
        let agent = env!("CARGO_BIN_EXE_shakedown-agent");
        let script = format!("/usr/bin/busybox sleep 1000 & kill -STOP $!; /usr/bin/busybox sleep 1001 & exec {agent}");
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "/usr/bin/busybox", "sh", "-c", &script]);
        let mut agent = Agent::start_by(command);
        let before = survey(&mut agent).processes.unwrap();
        assert_eq!((before.count, before.skewed.len(), before.file_limits.len()), (2, 0, 1));
        assert_eq!(before.stopped.len(), 1, "{before:?}");
        let everybody = |name: &str, kind: serde_json::Value| json!({ "name": name, "ttl_ms": 600_000, "kind": kind, "to": { "processes": "namespace" } });
        agent.apply(&everybody("files", json!({ "files": { "leave": 4 } })));
        let lowered = survey(&mut agent).processes.unwrap();
        assert!(lowered.file_limits.keys().all(|limit| *limit < 64), "{lowered:?}");
        agent.apply(&everybody("clock", json!({ "clock": { "offset_us": -3_600_000_000_i64 } })));
        let skewed = survey(&mut agent).processes.unwrap();
        assert!(skewed.skewed.iter().any(|row| row.ends_with(" busybox")), "{skewed:?}");
        agent.revert("clock");
        agent.revert("files");
        assert_eq!(survey(&mut agent).processes.unwrap(), before);
    });
}
