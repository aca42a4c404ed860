//! Whole runs in containers: the shop of six services, both variants at once, faults in network namespaces.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use shakedown_tests::{
    Folder, engine_answers, faults_that_held, findings, labelled, repository, result, signal, skip, validate_junit, wait_for,
};
use std::process::Command;

/// A repository of two commits with the shop's compose file and one short scenario.
fn shop_folder(defect: &str, scenario: &str) -> Folder {
    let folder = Folder::new();
    let shop = repository().join("fixtures/shop");
    for part in ["compose.yaml", "image", "postgres", "redis", "Dockerfile", ".dockerignore"] {
        let copied = Command::new("cp").arg("-R").arg(shop.join(part)).arg(folder.path()).status().unwrap();
        assert!(copied.success(), "{part}");
    }
    let load = r#"
services: { compose: compose.yaml }
telemetry: { metrics: { gateway: ":8080/metrics" } }
load:
  checkout: { to: "gateway:8080", request: POST /checkout, body: '{"sku": {{ rand(0, 499) }}, "quantity": 1}', rate: 40/s, timeout: 3s }
steady_state: [{ load: checkout, success: ">= 95%", p99: "<= 1s" }]
phases: { warmup: 2s, steady: 4s, recovery: 4s }
baseline: { rounds: 1 }
"#;
    folder.write("shakedown.yaml", &format!("{load}scenarios:\n  - {scenario}\n"));
    let git = |arguments: &[&str]| {
        let ran = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(arguments)
            .current_dir(folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A", "-f"]);
    git(&["commit", "-q", "-m", "the shop as it is"]);
    git(&["checkout", "-q", "-b", "change"]);
    folder.write(".env", &format!("SHOP_DEFECT={defect}\n"));
    git(&["add", "-A", "-f"]);
    git(&["commit", "-q", "-m", "a change"]);
    folder
}

const SLOW: &str = r#"{ scenario: slow, faults: [{ for: 6s, on: "orders -> payment", latency: { delay: 100ms } }], expect: { fault: [{ load: checkout, success: ">= 90%" }] } }"#;

#[test]
fn two_stacks_meet_the_same_fault_and_nothing_is_left() {
    if !engine_answers() {
        return skip("two_stacks_meet_the_same_fault_and_nothing_is_left", "no engine answers");
    }
    let folder = shop_folder("", SLOW);
    let ran = folder.shakedown(&["run", "--runtime", "docker", "--out", "out"]);
    assert!([0, 3].contains(&ran.code), "a change that changes nothing never fails\n{}\n{}", ran.stdout, ran.stderr);
    let out = folder.path().join("out");
    let result = result(&out);
    let faults = result["scenarios"][0]["faults"].as_array().unwrap().clone();
    let variants: Vec<&str> = faults.iter().filter_map(|fault| fault["variant"].as_str()).collect();
    assert_eq!(variants, ["candidate", "baseline"]);
    for fault in &faults {
        let delay = fault["achieved"]["delay_ms"].as_f64().unwrap();
        assert!((90.0..150.0).contains(&delay) && fault["touched"].as_u64().unwrap() > 10, "{fault:#}");
    }
    let compared = findings(&result, "pass").into_iter().chain(findings(&result, "inconclusive"));
    assert!(compared.into_iter().any(|finding| finding.contains("p99-vs-baseline")), "{result:#}");
    assert!(out.join("baseline/evidence/requests.jsonl.zst").is_file());
    for variant in [out.clone(), out.join("baseline")] {
        let traces = variant.join("evidence/traces.jsonl.zst");
        assert!(traces.metadata().is_ok_and(|metadata| metadata.len() > 1000), "{}", traces.display());
    }
    validate_junit(&out.join("junit.xml"));
    assert_eq!(labelled(&folder.path().join("out")), [""; 0], "nothing is left on the engine");
}

#[test]
fn rounds_have_containers_networks_and_volumes_of_their_own_and_leave_none() {
    if !engine_answers() {
        return skip("rounds_have_containers_networks_and_volumes_of_their_own_and_leave_none", "no engine answers");
    }
    let folder = shop_folder("", SLOW);
    let config = folder.read("shakedown.yaml").replace("rounds: 1", "rounds: 2").replace("for: 6s", "for: 4s");
    folder.write("shakedown.yaml", &config);
    let ran = folder.shakedown(&["run", "--runtime", "docker", "--out", "out"]);
    assert!([0, 3].contains(&ran.code), "a change that changes nothing never fails\n{}\n{}", ran.stdout, ran.stderr);
    ran.expect_stderr("round 2/2");
    let journal = folder.read("out/journal.jsonl");
    for name in ["-c-orders\"", "-c2-orders\"", "-b-postgres\"", "-b2-postgres\"", "-c2-default\""] {
        assert!(journal.contains(name), "{name} was never made");
    }
    let run: serde_json::Value = serde_json::from_str(&folder.read("out/run.json")).unwrap();
    assert_eq!((&run["rounds"]["done"], &run["clean"]), (&2.into(), &true.into()));
    assert_eq!(labelled(&folder.path().join("out")), [""; 0], "nothing is left on the engine");
}

#[test]
fn a_missing_timeout_in_the_candidate_alone_fails_against_its_baseline() {
    if !engine_answers() {
        return skip("a_missing_timeout_in_the_candidate_alone_fails_against_its_baseline", "no engine answers");
    }
    let folder = shop_folder(
        "no-payment-timeout",
        r#"{ scenario: cut, faults: [{ for: 12s, on: "orders -> payment", partition: {} }], expect: { fault: [{ load: checkout, success: ">= 90%" }] } }"#,
    );
    let ran = folder.shakedown(&["run", "--runtime", "docker", "--out", "out"]);
    ran.expect_code(1);
    let failed = findings(&result(&folder.path().join("out")), "fail");
    assert!(failed.iter().any(|finding| finding.contains("cut/fault/checkout/success")), "{failed:#?}");
    assert_eq!(labelled(&folder.path().join("out")), [""; 0], "nothing is left on the engine");
}

#[test]
fn a_bad_line_loses_corrupts_and_narrows_as_much_as_was_asked_and_a_polite_end_is_one() {
    if !engine_answers() {
        return skip("a_bad_line_loses_corrupts_and_narrows_as_much_as_was_asked_and_a_polite_end_is_one", "no engine answers");
    }
    let folder = shop_folder(
        "",
        r#"{ scenario: bad-line, faults: [{ for: 6s, on: "gateway -> orders", loss: { share: 20% } }, { for: 6s, on: "orders -> postgres", corrupt: { share: 10% } }, { for: 6s, on: "orders -> payment", bandwidth: { rate: 4KiB/s } }, { at: 7s, for: 2s, on: payment, term: { grace: 5s } }] }"#,
    );
    let ran = folder.shakedown(&["run", "--runtime", "docker", "--baseline-mode", "none", "--out", "out"]);
    assert!([0, 1, 3].contains(&ran.code), "{}\n{}", ran.stdout, ran.stderr);
    let result = result(&folder.path().join("out"));
    let faults = faults_that_held(&result);
    let achieved = |index: usize, name: &str| faults[index]["achieved"][name].as_f64().unwrap();
    assert!((10.0..=35.0).contains(&achieved(0, "share_percent")), "{:#}", faults[0]);
    assert!((4.0..=20.0).contains(&achieved(1, "share_percent")), "{:#}", faults[1]);
    assert!(achieved(2, "delay_p99_ms") > 200.0, "{:#}", faults[2]);
    assert_eq!(faults[3]["achieved"]["exit_code"], 0.0, "the shop ends by itself: {:#}", faults[3]);
    assert_eq!(labelled(&folder.path().join("out")), [""; 0], "nothing is left on the engine");
}

#[test]
fn packets_come_twice_connections_are_not_made_and_large_packets_vanish_as_was_asked() {
    if !engine_answers() {
        return skip("packets_come_twice_connections_are_not_made_and_large_packets_vanish_as_was_asked", "no engine answers");
    }
    // A restarted catalog has no open connections: the gateway must make new ones.
    let folder = shop_folder(
        "",
        r#"{ scenario: odd-line, faults: [{ for: 6s, on: "gateway -> orders", duplicate: { share: 20% } }, { at: 1s, for: 1s, on: catalog, restart: {} }, { for: 6s, on: "gateway -> catalog", connect: { delay: 300ms } }, { for: 6s, on: "orders -> postgres", mtu: { size: 120B } }] }"#,
    );
    let ran = folder.shakedown(&["run", "--runtime", "docker", "--baseline-mode", "none", "--out", "out"]);
    assert!([0, 1, 3].contains(&ran.code), "{}\n{}", ran.stdout, ran.stderr);
    let result = result(&folder.path().join("out"));
    let faults = faults_that_held(&result);
    let achieved = |index: usize, name: &str| faults[index]["achieved"][name].as_f64().unwrap();
    assert!((10.0..=35.0).contains(&achieved(0, "share_percent")), "{:#}", faults[0]);
    assert!((300.0..400.0).contains(&achieved(2, "delay_ms")), "{:#}", faults[2]);
    assert!(achieved(3, "lost") > 0.0, "{:#}", faults[3]);
    assert_eq!(labelled(&folder.path().join("out")), [""; 0], "nothing is left on the engine");
}

#[test]
fn after_a_sigkill_in_the_middle_of_a_fault_recover_leaves_nothing_on_the_engine() {
    if !engine_answers() {
        return skip("after_a_sigkill_in_the_middle_of_a_fault_recover_leaves_nothing_on_the_engine", "no engine answers");
    }
    let folder = shop_folder("", SLOW);
    let mut child = folder.spawn(&["run", "--runtime", "docker"]);
    wait_for(&mut child, "latency on orders -> payment");
    signal(&child, libc::SIGKILL);
    child.wait().unwrap();
    let run = std::fs::read_dir(folder.path().join(".shakedown/runs")).unwrap().next().unwrap().unwrap().path();
    assert!(labelled(&run).len() >= 14, "both stacks outlive a SIGKILL of the harness: {:?}", labelled(&run));
    folder.shakedown(&["recover"]).expect_code(0);
    assert_eq!(labelled(&run), [""; 0]);
}

#[test]
fn ctrl_c_while_services_start_leaves_nothing_on_the_engine() {
    if !engine_answers() {
        return skip("ctrl_c_while_services_start_leaves_nothing_on_the_engine", "no engine answers");
    }
    let folder = shop_folder("", SLOW);
    let mut child = folder.spawn(&["run", "--runtime", "docker", "--out", "out"]);
    wait_for(&mut child, "starting catalog");
    signal(&child, libc::SIGINT);
    shakedown_tests::Ran::of(&child.wait_with_output().unwrap()).expect_code(130);
    assert_eq!(labelled(&folder.path().join("out")), [""; 0]);
}

#[test]
fn an_image_that_does_not_build_is_an_environment_error_with_the_builders_words() {
    if !engine_answers() {
        return skip("an_image_that_does_not_build_is_an_environment_error_with_the_builders_words", "no engine answers");
    }
    let folder = shop_folder("", SLOW);
    folder.write("redis/Dockerfile", "FROM debian:bookworm-slim\nRUN echo no such package >&2; exit 9\n");
    let ran = folder.shakedown(&["run", "--runtime", "docker", "--out", "out", "--baseline-mode", "none"]);
    ran.expect_code(4);
    assert!(ran.stdout.contains("redis") || ran.stderr.contains("redis"), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(labelled(&folder.path().join("out")), [""; 0]);
}
