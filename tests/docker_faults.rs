//! Every kind of fault that containers know, on the shop: each must have met something, be gone afterwards, and leave nothing behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use shakedown_tests::{Folder, engine_answers, faults_that_held, labelled, repository, result, skip};
use std::process::Command;

/// The shop with one scenario of these faults.
fn shop(faults: &str) -> Folder {
    let folder = Folder::new();
    let shop = repository().join("fixtures/shop");
    for part in ["compose.yaml", "image", "postgres", "redis", "Dockerfile", ".dockerignore"] {
        let copied = Command::new("cp").arg("-R").arg(shop.join(part)).arg(folder.path()).status().unwrap();
        assert!(copied.success(), "{part}");
    }
    let config = format!(
        r#"
services: {{ compose: compose.yaml }}
load:
  checkout: {{ to: "gateway:8080", request: POST /checkout, body: '{{"sku": {{{{ rand(0, 499) }}}}, "quantity": 1}}', rate: 40/s, timeout: 3s }}
steady_state: [{{ load: checkout, success: ">= 95%", p99: "<= 1s" }}]
phases: {{ warmup: 2s, steady: 3s, recovery: 3s }}
scenarios:
  - scenario: all-at-once
    faults:
{faults}
"#
    );
    folder.write("shakedown.yaml", &config);
    folder
}

/// Runs the scenario once and returns what its faults did.
fn run(test: &str, faults: &str) -> Option<Vec<Value>> {
    if !engine_answers() {
        skip(test, "no engine answers");
        return None;
    }
    let folder = shop(faults);
    let ran = folder.shakedown(&["run", "--runtime", "docker", "--baseline-mode", "none", "--out", "out"]);
    assert!([0, 1, 3].contains(&ran.code), "{}\n{}", ran.stdout, ran.stderr);
    let out = folder.path().join("out");
    assert_eq!(labelled(&out), [""; 0], "nothing is left on the engine");
    let result = result(&out);
    assert_eq!(result["clean"], true, "{}", ran.stderr);
    Some(faults_that_held(&result).to_vec())
}

fn achieved(faults: &[Value], kind: &str, name: &str) -> f64 {
    let fault = faults.iter().find(|fault| fault["kind"] == kind).unwrap_or_else(|| panic!("no {kind} in {faults:#?}"));
    fault["achieved"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {fault:#}"))
}

#[test]
fn connections_that_were_open_go_through_the_relay_and_meet_every_kind_of_stream_fault() {
    let faults = r#"
      - { for: 3s, on: "gateway -> orders", latency: { delay: 50ms }, connections: 50% }
      - { for: 2s, on: "orders -> payment", slicer: { size: 64B, delay: 5ms } }
      - { at: 3s, for: 2s, on: "orders -> payment", http: { path: "/charges**", share: 20%, delay: 50ms } }
      - { at: 6s, for: 2s, on: "orders -> payment", slow_close: { delay: 100ms } }
      - { at: 6s, for: 2s, on: payment, restart: {} }
      - { at: 9s, for: 2s, on: "gateway -> catalog", timeout: { after: 200ms } }
      - { at: 12s, for: 2s, on: "gateway -> catalog", limit_data: { bytes: 4KiB } }
      - { at: 15s, for: 2s, on: "gateway -> catalog", down: {} }"#;
    let Some(faults) = run("connections_that_were_open_go_through_the_relay", faults) else { return };
    assert!((45.0..=75.0).contains(&achieved(&faults, "latency", "delay_ms")), "{faults:#?}");
    assert!(achieved(&faults, "latency", "connections_spared") > 0.0, "{faults:#?}");
    assert!((45.0..=75.0).contains(&achieved(&faults, "http", "delay_ms")), "{faults:#?}");
    assert!(achieved(&faults, "down", "refused_ms") > 1_500.0, "{faults:#?}");
    assert!(faults.iter().all(|fault| fault["kind"] == "restart" || fault["mechanism"].as_str().unwrap().starts_with("relay")));
}

#[test]
fn queries_and_commands_of_the_shops_own_database_and_cache_fail_in_their_own_words() {
    let faults = r#"
      - { for: 3s, on: "orders -> postgres", postgres: { error: serialization_failure, share: 20% } }
      - { at: 4s, for: 3s, on: "orders -> postgres", postgres: { delay: 50ms } }
      - { for: 3s, on: "catalog -> redis", redis: { miss: true, command: GET } }
      - { at: 4s, for: 3s, on: "catalog -> redis", redis: { error: LOADING } }"#;
    let Some(faults) = run("queries_and_commands_fail_in_their_own_words", faults) else { return };
    assert!(achieved(&faults, "postgres", "errors") > 0.0, "{faults:#?}");
    assert!(achieved(&faults, "redis", "missed") > 0.0, "{faults:#?}");
}

#[test]
fn what_a_service_needs_becomes_scarce_and_is_given_back() {
    let faults = r"
      - { for: 3s, on: orders, cpu: { quota: 5% } }
      - { for: 3s, on: payment, cpu: { load: 30%, workers: 1 } }
      - { for: 3s, on: gateway, memory: { use: 64MiB } }
      - { for: 3s, on: postgres, io: { path: /var/lib/postgresql, workers: 1 } }
      - { for: 3s, on: redis, pids: { limit: 3 } }
      - { at: 4s, for: 3s, on: postgres, disk: { path: /var/lib/postgresql, ops: [read, write, fsync], delay: 5ms } }
      - { at: 4s, for: 2s, on: gateway, files: { leave: 1 } }
      - { at: 4s, for: 2s, on: catalog, clock: { offset: -1h } }
      - { at: 4s, for: 2s, on: payment, stop: {} }";
    let Some(faults) = run("what_a_service_needs_becomes_scarce", faults) else { return };
    assert!(achieved(&faults, "cpu", "throttled_ms") > 0.0, "{faults:#?}");
    assert!((achieved(&faults, "memory", "held_bytes") - 67_108_864.0).abs() < 1.0, "{faults:#?}");
    assert!((5.0..50.0).contains(&achieved(&faults, "disk", "delay_ms")), "{faults:#?}");
    assert!((achieved(&faults, "clock", "offset_ms") + 3_600_000.0).abs() < 1_000.0, "{faults:#?}");
}

#[test]
fn names_are_not_found_memory_runs_out_and_a_service_does_not_stay_up() {
    let faults = r"
      - { for: 3s, on: orders, dns: { name: payment, answer: nxdomain } }
      - { at: 0s, for: 5s, on: payment, crash_loop: { every: 2s } }
      - { for: 2s, on: catalog, oom: {} }";
    let Some(faults) = run("names_are_not_found", faults) else { return };
    assert!(achieved(&faults, "dns", "nxdomain") > 0.0, "{faults:#?}");
    assert!(achieved(&faults, "crash_loop", "kills") >= 2.0, "{faults:#?}");
}

#[test]
fn a_group_is_cut_off_in_one_direction_at_the_ports_that_were_named() {
    let faults = r#"
      - { for: 2s, on: "gateway -> catalog, orders", partition: { direction: out }, ports: [8080] }"#;
    let Some(faults) = run("a_group_is_cut_off", faults) else { return };
    let targets: Vec<&str> = faults.iter().filter_map(|fault| fault["target"].as_str()).collect();
    assert_eq!(targets, ["gateway -> catalog", "gateway -> orders"]);
}

#[test]
fn a_fault_on_ports_that_nobody_uses_touches_nothing_by_packets_or_by_relay() {
    if !engine_answers() {
        return skip("a_fault_on_ports_that_nobody_uses_touches_nothing", "no engine answers");
    }
    let folder = shop(
        r#"
      - { for: 2s, on: "gateway -> orders", partition: {}, ports: [9] }
      - { for: 2s, on: "orders -> payment", http: { abort: 503 }, ports: [9] }"#,
    );
    folder.shakedown(&["run", "--runtime", "docker", "--baseline-mode", "none", "--out", "out"]).expect_code(3);
    let result = result(&folder.path().join("out"));
    for fault in result["scenarios"][0]["faults"].as_array().unwrap() {
        assert!(fault["touched"] == 0 && fault["error"].is_null() && !fault["reverted_at"].is_null(), "{fault:#}");
    }
}
