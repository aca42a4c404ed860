//! What is different where the kernel's own queueing disciplines do a fault: whom they spare, and how they go.
//!
//! `tests/netem.sh` runs it, and the other suites, in a kernel that has sch_netem. Elsewhere the tests that need it say so.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "as in any test: the settings in clippy.toml see only #[test]")]

mod support;

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shakedown_agent::wire::Answer;
use support::{Agent, FAR, FAR_6, Far, PATIENCE, connect, disciplines, fault, in_two_namespaces, latency, round_trip, tables};

/// More than a round trip that nobody delays takes, less than the delays here.
const SOON: Duration = Duration::from_millis(250);
const HELD_MS: u64 = 600;

fn agent() -> Agent {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shakedown-agent"));
    command.arg("--netem");
    Agent::start_by(command)
}

fn tc(arguments: &[&str]) {
    assert!(Command::new("tc").args(arguments).status().unwrap().success(), "tc {arguments:?}");
}

/// Whether the kernel has netem; where the tests are meant to have it, it must.
fn has_netem(agent: &mut Agent) -> bool {
    let Ok(Answer::Facts(facts)) = agent.ask(json!({ "op": "facts" })) else { panic!("no facts") };
    let has = facts.powers.netem && facts.powers.tbf;
    assert!(has || !support::prefers_netem(), "{:?}", facts.powers);
    has
}

/// A test that needs netem.
fn with_netem(body: impl FnOnce(&Far, Agent) + Send + 'static) {
    in_two_namespaces(|far| {
        let mut agent = agent();
        if has_netem(&mut agent) {
            body(far, agent);
        } else {
            eprintln!("SKIPPED: this kernel has no sch_netem; tests/netem.sh brings one that has");
        }
    });
}

#[test]
fn a_kernel_without_netem_is_no_obstacle_and_the_mechanism_says_which_means_it_was() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (agent(), far.echo());
        let has = has_netem(&mut agent);
        let applied = agent.apply(&fault(&latency(20), &[FAR], &[port], "out"));
        let words = if has { "netem (led to by an owned nft table)" } else { "no discipline: this kernel has none" };
        assert!(applied.mechanism.contains(words), "{}", applied.mechanism);
        assert!(round_trip(&connect(FAR, port)).unwrap() >= Duration::from_millis(20));
        agent.revert("f");
        assert_eq!(tables(), []);
    });
}

#[test]
fn what_was_tried_out_leaves_the_loopback_as_it_was() {
    in_two_namespaces(|_| {
        let loopback = || {
            let said = Command::new("tc").args(["qdisc", "show", "dev", "lo"]).output().unwrap();
            String::from_utf8_lossy(&said.stdout).into_owned()
        };
        let before = loopback();
        has_netem(&mut agent());
        assert_eq!(loopback(), before);
    });
}

#[test]
fn packets_of_other_ports_and_of_nobodys_fault_are_spared() {
    with_netem(|far, mut agent| {
        let (hurt, spared) = (far.echo(), far.echo());
        let (slow, quick) = (connect(FAR, hurt), connect(FAR, spared));
        agent.apply(&fault(&latency(HELD_MS), &[FAR], &[hurt], "out"));
        assert!(round_trip(&quick).unwrap() < SOON);
        assert!(round_trip(&connect(FAR_6, hurt)).unwrap() < SOON, "the target is the other family's address");
        let trip = round_trip(&slow).unwrap();
        assert!(trip >= Duration::from_millis(HELD_MS), "{trip:?}");
        let dose = agent.revert("f").dose.unwrap();
        assert_eq!((dose.connections, dose.mean_delay_us, dose.trouble), (Some(1), None, None));
        assert!(dose.delayed > 0 && dose.delayed <= dose.packets, "the question and what acknowledges the answer");
    });
}

#[test]
fn a_discipline_that_somebody_has_chosen_is_never_touched() {
    with_netem(|far, mut agent| {
        let port = far.echo();
        tc(&["qdisc", "add", "dev", "near", "root", "handle", "77:", "pfifo", "limit", "333"]);
        let chosen = disciplines();
        let applied = agent.apply(&fault(&latency(50), &[FAR], &[port], "out"));
        assert!(applied.mechanism.starts_with("nfqueue (") && applied.mechanism.ends_with("somebody has chosen"), "{applied:?}");
        assert!(round_trip(&connect(FAR, port)).unwrap() >= Duration::from_millis(50));
        assert!(disciplines().contains("qdisc pfifo 77: root"));
        agent.revert("f");
        assert!(disciplines().contains("limit 333p"), "{chosen}");
    });
}

#[test]
fn one_that_has_come_in_the_place_of_ours_stays() {
    with_netem(|_, mut agent| {
        agent.apply(&fault(&latency(50), &[FAR], &[], "out"));
        tc(&["qdisc", "replace", "dev", "near", "root", "handle", "77:", "pfifo"]);
        assert!(!agent.revert("f").already_gone);
        assert!(disciplines().contains("qdisc pfifo 77: root"), "{}", disciplines());
        assert_eq!(tables(), []);
    });
}

#[test]
fn after_a_sigkill_no_packet_is_hurt_although_the_discipline_is_still_there() {
    let kinds = [latency(60_000), json!({ "loss": { "share_ppm": 1_000_000 } }), json!({ "bandwidth": { "bytes_per_second": 1 } })];
    for kind in kinds {
        with_netem(move |far, mut agent| {
            let port = far.echo();
            let stream = connect(FAR, port);
            agent.apply(&fault(&kind, &[FAR, FAR_6], &[], "out"));
            agent.child.kill().unwrap();
            agent.child.wait().unwrap();
            assert_eq!(tables(), []);
            assert!(disciplines().contains("qdisc prio"), "{}", disciplines());
            assert!(round_trip(&stream).unwrap() < SOON);
            // A next agent finds a discipline that is not its own, and does without.
            let mut next = self::agent();
            let applied = next.apply(&fault(&latency(50), &[FAR], &[port], "out"));
            assert!(applied.mechanism.starts_with("nfqueue ("), "{applied:?}");
            assert!(round_trip(&stream).unwrap() >= Duration::from_millis(50));
        });
    }
}

#[test]
fn what_is_held_when_the_fault_ends_arrives_when_it_is_due_and_then_the_discipline_goes() {
    for hang_up in [false, true] {
        with_netem(move |far, mut agent| {
            let (here, there) = (UdpSocket::bind("0.0.0.0:0").unwrap(), far.errand(|| UdpSocket::bind((FAR, 0)).unwrap()));
            here.connect(there.local_addr().unwrap()).unwrap();
            there.set_read_timeout(Some(PATIENCE)).unwrap();
            agent.apply(&fault(&latency(HELD_MS), &[FAR], &[], "out"));
            let begun = Instant::now();
            here.send(b"held").unwrap();
            while agent.dose("f").held == 0 {}
            if hang_up {
                agent.hang_up();
                assert!(agent.last_words().1.success());
            } else {
                assert_eq!(agent.revert("f").dose.unwrap().held, 1);
                assert!(disciplines().contains("qdisc prio"), "it still holds a packet");
                here.send(b"free").unwrap();
                assert_eq!(there.recv(&mut [0; 8]).unwrap(), 4);
                assert!(begun.elapsed() < Duration::from_millis(HELD_MS));
            }
            assert_eq!(there.recv(&mut [0; 8]).unwrap(), 4);
            assert!(begun.elapsed() >= Duration::from_millis(HELD_MS));
            while disciplines().contains("qdisc prio") {
                assert!(begun.elapsed() < PATIENCE);
            }
        });
    }
}

#[test]
fn a_second_fault_on_the_same_packets_adds_to_the_first() {
    with_netem(|far, mut agent| {
        let port = far.echo();
        let stream = connect(FAR, port);
        let named = |name: &str| {
            let mut fault = fault(&latency(100), &[FAR], &[port], "out");
            fault["name"] = json!(name);
            fault
        };
        assert!(agent.apply(&named("one")).mechanism.starts_with("netem ("));
        assert!(agent.apply(&named("two")).mechanism.starts_with("nfqueue ("));
        let trip = round_trip(&stream).unwrap();
        assert!(trip >= Duration::from_millis(200), "{trip:?}");
        agent.revert("two");
        agent.revert("one");
        assert!(round_trip(&stream).unwrap() < SOON);
    });
}

#[test]
fn a_target_that_is_reached_by_several_interfaces_is_left_to_the_queue() {
    with_netem(|_, mut agent| {
        let applied = agent.apply(&fault(&latency(50), &[FAR, "127.0.0.1"], &[], "out"));
        assert!(applied.mechanism.ends_with("several interfaces lead to the target"), "{applied:?}");
    });
}

#[test]
fn packets_that_leave_by_another_interface_than_the_target_is_reached_by_are_trouble() {
    with_netem(|_, mut agent| {
        agent.apply(&fault(&latency(50), &[FAR], &[], "out"));
        // From now on the target's address is this namespace's own: what is sent to it goes over the loopback.
        assert!(Command::new("ip").args(["addr", "add", FAR, "dev", "lo"]).status().unwrap().success());
        let here = UdpSocket::bind("0.0.0.0:0").unwrap();
        here.send_to(b"?", (FAR, 9)).unwrap();
        let dose = agent.revert("f").dose.unwrap();
        assert!(dose.packets > 0 && dose.trouble.unwrap().contains("another interface"));
    });
}

#[test]
fn what_netem_does_otherwise_or_cannot_prove_is_left_to_the_queue() {
    let cases: [(Value, &str); 6] = [
        (latency(50), "in"),
        (json!({ "loss": { "share_ppm": 5 } }), "both"),
        (json!({ "latency": { "delay_us": 9, "jitter_us": 3, "correlation_ppm": 5 } }), "out"),
        (json!({ "corrupt": { "share_ppm": 5 } }), "out"),
        (json!({ "duplicate": { "share_ppm": 5 } }), "out"),
        (json!({ "reorder": { "share_ppm": 5, "delay_us": 5 } }), "out"),
    ];
    with_netem(move |_, mut agent| {
        for (kind, direction) in cases {
            let applied = agent.apply(&fault(&kind, &[FAR], &[], direction));
            assert!(applied.mechanism.starts_with("nfqueue (") && applied.mechanism.contains("; no discipline: "), "{applied:?}");
            agent.revert("f");
        }
    });
}
