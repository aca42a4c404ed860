//! How a fault ends, on purpose or not, and how the agent bears what it is told.

mod support;

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use shakedown_agent::wire::{Answer, Event, MAX_LINE_BYTES};
use support::{Agent, FAR, connect, fault, in_two_namespaces, latency, round_trip, tables};

/// More than any machine needs for a round trip that nobody delays, less than the faults here.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn the_end_of_stdin_takes_everything_back() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        let stream = connect(FAR, port);
        agent.apply(&fault(&latency(60_000), &[FAR], &[], "both"));
        assert_eq!(tables().len(), 1);
        agent.hang_up();
        let (words, status) = agent.last_words();
        assert!(status.success());
        assert!(matches!(&words[..], [line] if matches!(line.event, Some(Event::TakenBack(_)))), "{words:?}");
        assert_eq!(tables(), []);
        assert!(round_trip(&stream).unwrap() < SOON);
    });
}

#[test]
fn sigterm_takes_everything_back() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        agent.apply(&fault(&json!({ "reset": {} }), &[FAR], &[], "both"));
        kill(Pid::from_raw(agent.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        let (words, status) = agent.last_words();
        assert_eq!((words.len(), status.code()), (1, Some(0)));
        assert_eq!(tables(), []);
    });
}

#[test]
fn sigkill_leaves_no_table_and_traffic_flows() {
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
        in_two_namespaces(move |far| {
            let (mut agent, port) = (Agent::start(), far.echo());
            let stream = connect(FAR, port);
            agent.apply(&fault(&kind, &[FAR, "fd77::2"], &[], "both"));
            assert_eq!(tables().len(), 2);
            agent.child.kill().unwrap();
            agent.child.wait().unwrap();
            assert_eq!(tables(), []);
            assert!(round_trip(&stream).unwrap() < SOON);
        });
    }
}

#[test]
fn a_fault_ends_by_itself_when_its_time_is_over() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        let stream = connect(FAR, port);
        let mut fault = fault(&json!({ "partition": {} }), &[FAR], &[], "both");
        fault["ttl_ms"] = json!(50);
        agent.apply(&fault);
        let event = agent.read().event.unwrap();
        assert!(matches!(&event, Event::Expired(reverted) if reverted.name == "f"), "{event:?}");
        assert_eq!(tables(), []);
        round_trip(&stream).unwrap();
        assert!(agent.revert("f").already_gone);
    });
}

#[test]
fn a_harness_that_stops_reading_does_not_keep_a_fault_alive() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let mut fault = fault(&json!({ "reset": {} }), &[FAR], &[], "out");
        fault["ttl_ms"] = json!(300);
        agent.apply(&fault);
        // Each of these is answered with some 200 bytes: far more than a pipe holds, less than makes the agent give up.
        (0..2_000).for_each(|_| agent.write(b"?"));
        while !tables().is_empty() {}
        assert!(agent.child.try_wait().unwrap().is_none());
    });
}

#[test]
fn a_revert_may_be_repeated_and_may_name_what_never_was() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        agent.apply(&fault(&latency(50), &[FAR], &[], "out"));
        let first = agent.revert("f");
        let second = agent.revert("f");
        assert_eq!((first.already_gone, second.already_gone), (false, true));
        assert_eq!((first.dose, first.reverted_at_unix_ns), (second.dose, second.reverted_at_unix_ns));
        let never = agent.revert("never");
        assert_eq!((never.already_gone, never.dose), (true, None));
    });
}

#[test]
fn a_name_in_force_is_taken_until_its_fault_ends() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let fault = fault(&json!({ "partition": {} }), &[FAR], &[], "out");
        agent.apply(&fault);
        assert_eq!(agent.ask(json!({ "op": "apply", "fault": fault })).unwrap_err().code, "name_taken");
        agent.revert("f");
        agent.apply(&fault);
    });
}

#[test]
fn nonsense_is_answered_and_then_the_conversation_goes_on() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let too_long = vec![b'x'; MAX_LINE_BYTES + 1];
        let cases: [(&[u8], Option<u64>, &str); 7] = [
            (b"nonsense", None, "malformed"),
            (b"\xff\xfe", None, "malformed"),
            (&too_long, None, "malformed"),
            (br#"{"id":7,"op":"dance"}"#, Some(7), "malformed"),
            (br#"{"id":8,"op":"dose","name":"f","extra":1}"#, Some(8), "malformed"),
            (br#"{"id":9,"op":"dose","name":"f"}"#, Some(9), "unknown_fault"),
            (br#"{"id":-1,"op":"facts"}"#, None, "malformed"),
        ];
        for (line, id, code) in cases {
            agent.write(line);
            let reply = agent.read();
            assert_eq!((reply.id, reply.error.unwrap().code.as_str()), (id, code));
        }
        assert!(matches!(agent.ask(json!({ "op": "beat" })), Ok(Answer::Beat(_))));
    });
}

#[test]
fn two_agents_beside_one_service_do_not_meet() {
    in_two_namespaces(|_| {
        let (mut one, mut other) = (Agent::start(), Agent::start());
        one.apply(&fault(&latency(50), &[FAR], &[], "out"));
        other.apply(&fault(&latency(50), &[FAR], &[], "out"));
        assert_eq!(tables().len(), 2);
        one.revert("f");
        assert_eq!(tables().len(), 1);
        assert_eq!(other.revert("f").dose.unwrap().trouble, None);
    });
}

#[test]
fn facts_tell_what_works() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let Ok(Answer::Facts(facts)) = agent.ask(json!({ "op": "facts" })) else { panic!("no facts") };
        assert!(facts.powers.nft, "{facts:?}");
        assert!(facts.interfaces.contains(&"near".to_owned()));
        assert_eq!(tables(), [], "what was tried out is gone");
    });
}
