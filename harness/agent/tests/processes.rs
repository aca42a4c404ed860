//! Faults on processes, done by the binary to real ones: what they meet, and that it ends.

mod support;
#[path = "support/victim.rs"]
mod victim;

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use shakedown_agent::wire::{Answer, Event};
use support::{Agent, in_two_namespaces};
use victim::{Victim, vdso};

const HOUR_US: i64 = 3_600_000_000;

/// Not a test of ours: what other tests start as their victim.
#[test]
fn victim() {
    victim::serve();
}

fn fault(name: &str, kind: &Value, group: i32) -> Value {
    json!({ "name": name, "ttl_ms": 600_000, "kind": kind, "to": { "processes": { "group": group } } })
}

fn clock(offset_us: i64) -> Value {
    json!({ "clock": { "offset_us": offset_us } })
}

fn files(leave: u32) -> Value {
    json!({ "files": { "leave": leave } })
}

/// Asks the agent again and again until it has met so many processes: it looks every 50 ms.
fn await_met(agent: &mut Agent, name: &str, processes: u64) {
    while agent.dose(name).processes < processes {}
}

#[test]
fn the_wall_clock_of_a_process_is_off_while_the_fault_is_in_force_and_its_code_is_the_kernels_afterwards() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        for offset_us in [-HOUR_US, HOUR_US, -1_700_000, 250_000] {
            victim.assert_skew(0);
            agent.apply(&fault("f", &clock(offset_us), victim.pid()));
            victim.assert_skew(offset_us);
            let dose = agent.dose("f");
            assert_eq!((dose.processes, dose.missed, dose.offset_us, dose.trouble), (1, 0, Some(offset_us), None));
            let reverted = agent.revert("f");
            victim.assert_skew(0);
            assert_eq!(reverted.dose.unwrap().processes, 1);
            // The last of ours may wait for a thread that seems to be in it.
            while vdso(&victim.pid().to_string()) != vdso("self") {}
        }
    });
}

#[test]
fn threads_that_do_nothing_but_read_clocks_survive_two_hundred_changes_under_a_storm_of_signals() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        victim.ask(&format!("hammer {}", -HOUR_US));
        for _ in 0..200 {
            agent.apply(&fault("f", &clock(-HOUR_US), victim.pid()));
            (0..5).for_each(|_| kill(Pid::from_raw(victim.pid()), Signal::SIGWINCH).unwrap());
            victim.assert_skew(-HOUR_US);
            agent.revert("f");
            victim.assert_skew(0);
        }
        let counts = victim.ask("rest");
        let (right, off) = counts.split_once(' ').unwrap();
        assert!(right.parse::<u64>().unwrap() > 1_000 && off.parse::<u64>().unwrap() > 1_000, "{counts}");
    });
}

#[test]
fn a_program_that_is_started_during_the_fault_meets_it_statically_linked_as_it_is() {
    in_two_namespaces(|_| {
        let (mut agent, victim) = (Agent::start(), Victim::start());
        agent.apply(&fault("f", &clock(-HOUR_US), victim.pid()));
        let mut command = Command::new("/usr/bin/busybox");
        command.args(["awk", "{ print systime(); fflush() }"]);
        let mut late = Victim::run(command, victim.pid());
        await_met(&mut agent, "f", 2);
        let told: i64 = late.ask_stranger("?").parse().unwrap();
        let now = i64::try_from(support::unix_seconds()).unwrap();
        assert!((told - now + 3_600).abs() <= 1, "{told} at {now}");
        agent.revert("f");
        let told: i64 = late.ask_stranger("?").parse().unwrap();
        assert!(told.abs_diff(now) <= 20, "{told} at {now}");
    });
}

#[test]
fn a_process_that_starts_another_program_in_its_place_meets_the_fault_again() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let mut command = Command::new("/usr/bin/busybox");
        command.args(["sh", "-c", "read go; exec /usr/bin/busybox awk '{ print systime(); fflush() }'"]);
        let mut victim = Victim::run(command, 0);
        agent.apply(&fault("f", &clock(-HOUR_US), victim.pid()));
        victim.tell("go");
        let now = i64::try_from(support::unix_seconds()).unwrap();
        while victim.ask_stranger("?").parse::<i64>().unwrap() >= now {}
        agent.revert("f");
        assert!(victim.ask_stranger("?").parse::<i64>().unwrap() >= now);
    });
}

#[test]
fn offsets_add_up_and_each_fault_takes_back_its_own() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        agent.apply(&fault("one", &clock(-HOUR_US), victim.pid()));
        agent.apply(&fault("other", &clock(5_500_000), victim.pid()));
        victim.assert_skew(-HOUR_US + 5_500_000);
        agent.revert("one");
        victim.assert_skew(5_500_000);
        agent.revert("other");
        victim.assert_skew(0);
    });
}

#[test]
fn the_end_of_stdin_and_the_end_of_its_time_take_a_fault_on_processes_back() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        let was = victim.ask("limit");
        let mut short = fault("short", &clock(HOUR_US), victim.pid());
        short["ttl_ms"] = json!(100);
        agent.apply(&short);
        let event = agent.read().event.unwrap();
        assert!(matches!(&event, Event::Expired(reverted) if reverted.name == "short"), "{event:?}");
        victim.assert_skew(0);
        agent.apply(&fault("clock", &clock(HOUR_US), victim.pid()));
        agent.apply(&fault("files", &files(0), victim.pid()));
        agent.hang_up();
        let (lines, status) = agent.last_words();
        assert!(status.success() && lines.len() == 2, "{lines:?}");
        victim.assert_skew(0);
        assert_eq!(victim.ask("limit"), was);
    });
}

#[test]
fn the_skew_that_a_killed_agent_left_is_taken_over_and_back_by_the_next() {
    in_two_namespaces(|_| {
        let (mut killed, mut victim) = (Agent::start(), Victim::start());
        killed.apply(&fault("f", &clock(HOUR_US), victim.pid()));
        let mut living = Agent::start();
        let refusal = living.ask(json!({ "op": "apply", "fault": fault("f", &clock(-HOUR_US), victim.pid()) })).unwrap_err();
        assert!(refusal.message.contains("another agent"), "{refusal:?}");
        killed.child.kill().unwrap();
        killed.child.wait().unwrap();
        victim.assert_skew(HOUR_US);
        living.apply(&fault("f", &clock(-HOUR_US), victim.pid()));
        victim.assert_skew(-HOUR_US);
        living.revert("f");
        victim.assert_skew(0);
    });
}

#[test]
fn a_process_that_was_stopped_stays_so_and_finds_its_clock_off_when_it_goes_on() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        let pid = Pid::from_raw(victim.pid());
        kill(pid, Signal::SIGSTOP).unwrap();
        agent.apply(&fault("f", &clock(HOUR_US), victim.pid()));
        // The kernel lets it run just so far as to stop again.
        while !fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ") {}
        kill(pid, Signal::SIGCONT).unwrap();
        victim.assert_skew(HOUR_US);
        kill(pid, Signal::SIGSTOP).unwrap();
        agent.revert("f");
        kill(pid, Signal::SIGCONT).unwrap();
        victim.assert_skew(0);
    });
}

#[test]
fn a_fault_that_meets_no_process_is_refused_and_so_is_the_whole_machine() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        for kind in [clock(HOUR_US), files(4)] {
            let nobody = fault("f", &kind, i32::MAX);
            let mut everybody = nobody.clone();
            everybody["to"] = json!({ "processes": "namespace" });
            for (fault, words) in [(nobody, "no process of the group"), (everybody, "the machine's own")] {
                let refusal = agent.ask(json!({ "op": "apply", "fault": fault })).unwrap_err();
                assert!(refusal.code == "kernel" && refusal.message.contains(words), "{refusal:?}");
            }
        }
        let Ok(Answer::Beat(beat)) = agent.ask(json!({ "op": "beat" })) else { panic!() };
        assert_eq!(beat.faults, Vec::<String>::new());
    });
}

#[test]
fn a_process_opens_as_many_files_as_are_left_to_it_and_as_it_likes_afterwards() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        let was = victim.ask("limit");
        agent.apply(&fault("f", &files(4), victim.pid()));
        assert_eq!(agent.dose("f").exhausted, 0);
        let answers: Vec<String> = (0..6).map(|_| victim.ask("open")).collect();
        assert!(answers[..4].iter().all(|answer| answer == "ok"), "{answers:?}");
        assert!(answers[4..].iter().all(|answer| answer.contains("os error 24")), "{answers:?}");
        while agent.dose("f").exhausted == 0 {}
        let dose = agent.revert("f").dose.unwrap();
        assert_eq!((dose.processes, dose.missed, dose.exhausted), (1, 0, 1));
        assert_eq!((victim.ask("open"), victim.ask("limit")), ("ok".to_owned(), was));
    });
}

#[test]
fn a_limit_that_is_no_lower_than_the_one_there_is_has_met_nobody() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        assert_eq!(victim.ask("limit 100"), "ok");
        let refusal = agent.ask(json!({ "op": "apply", "fault": fault("f", &files(100), victim.pid()) })).unwrap_err();
        assert!(refusal.message.contains("its own limit of 100"), "{refusal:?}");
        assert_eq!(victim.ask("limit"), "100");
    });
}

#[test]
fn a_process_that_raises_its_limit_is_met_again_and_gets_back_what_it_raised_it_to() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        agent.apply(&fault("f", &files(0), victim.pid()));
        assert!(victim.ask("open").contains("os error 24"));
        assert_eq!(victim.ask("limit 300"), "ok");
        while victim.ask("limit") == "300" {}
        assert!(victim.ask("open").contains("os error 24"));
        agent.revert("f");
        assert_eq!(victim.ask("limit"), "300");
    });
}

#[test]
fn a_child_has_its_parents_limit_and_gets_back_what_its_parent_had() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        let was = victim.ask("limit");
        // Room for what starting a child takes.
        agent.apply(&fault("f", &files(20), victim.pid()));
        let soft = |pid: &str| {
            let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
            line.split_whitespace().next().unwrap().to_owned()
        };
        // One that was met by itself, and one that is so young that only its birth tells whose limit it has.
        let older = victim.ask("child");
        await_met(&mut agent, "f", 2);
        let younger = victim.ask("child");
        assert_ne!(soft(&younger), was);
        agent.revert("f");
        assert_eq!((soft(&older), soft(&younger)), (was.clone(), was));
        for pid in [older, younger] {
            kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
        }
    });
}

#[test]
fn a_process_of_another_user_is_met_and_let_go() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start_as(1_234));
        let was = victim.ask("limit");
        agent.apply(&fault("files", &files(0), victim.pid()));
        agent.apply(&fault("clock", &clock(HOUR_US), victim.pid()));
        assert!(victim.ask("open").contains("os error 24"));
        victim.assert_skew(HOUR_US);
        agent.revert("files");
        agent.revert("clock");
        victim.assert_skew(0);
        assert_eq!(victim.ask("limit"), was);
    });
}

#[test]
fn of_two_limits_the_lower_holds_and_then_the_other() {
    in_two_namespaces(|_| {
        let (mut agent, mut victim) = (Agent::start(), Victim::start());
        let was = victim.ask("limit");
        agent.apply(&fault("wide", &files(10), victim.pid()));
        let wide = victim.ask("limit");
        agent.apply(&fault("narrow", &files(1), victim.pid()));
        let number = |limit: &str| limit.parse::<u64>().unwrap();
        assert!(number(&victim.ask("limit")) < number(&wide));
        agent.revert("narrow");
        assert_eq!(victim.ask("limit"), wide);
        agent.revert("wide");
        assert_eq!(victim.ask("limit"), was);
    });
}

#[test]
fn the_namespace_is_everybody_in_it_but_the_agent() {
    in_two_namespaces(|_| {
        let script = format!("/usr/bin/busybox sleep 1000 & exec {}", env!("CARGO_BIN_EXE_shakedown-agent"));
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "/usr/bin/busybox", "sh", "-c", &script]);
        let mut agent = Agent::start_by(command);
        for kind in [clock(-HOUR_US), files(0)] {
            let mut fault = fault("f", &kind, 2);
            fault["to"] = json!({ "processes": "namespace" });
            agent.apply(&fault);
            let Ok(Answer::Beat(beat)) = agent.ask(json!({ "op": "beat" })) else { panic!() };
            assert!((beat.at_unix_ns / 1_000_000_000).abs_diff(support::unix_seconds()) <= 1, "its own clock is right");
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.processes, dose.missed), (1, 0));
        }
    });
}

#[test]
fn facts_tell_that_both_work_here() {
    in_two_namespaces(|_| {
        let Ok(Answer::Facts(facts)) = Agent::start().ask(json!({ "op": "facts" })) else { panic!("no facts") };
        assert!(facts.powers.clock && facts.powers.files, "{facts:?}");
    });
}
