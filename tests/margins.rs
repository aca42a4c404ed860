//! The largest dose that is borne, searched on plain processes: each commit's boundary is bracketed, and the one that bears less fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use shakedown_tests::{Folder, result, shop};

/// The shop in which `orders` waits so long for `payment`.
fn config(timeout_ms: u32) -> String {
    format!(
        r#"
services:
  process:
    payment: {{ run: [./shop, payment], env: {{ LISTEN: "{{{{ listen }}}}", PAYMENT_WORK_MS: "1" }}, ready: {{ http: /readyz }} }}
    orders: {{ run: [./shop, orders], env: {{ LISTEN: "{{{{ listen }}}}", DATABASE_URL: "memory:", PAYMENT_URL: "http://{{{{ payment }}}}", PAYMENT_TIMEOUT_MS: "{timeout_ms}", BREAKER_OPEN_MS: "200" }}, ready: {{ http: /readyz }} }}
    catalog: {{ run: [./shop, catalog], env: {{ LISTEN: "{{{{ listen }}}}", DATABASE_URL: "memory:", REDIS_URL: "memory:" }}, ready: {{ http: /readyz }} }}
    gateway: {{ run: [./shop, gateway], env: {{ LISTEN: "{{{{ listen }}}}", CATALOG_URL: "http://{{{{ catalog }}}}", ORDERS_URL: "http://{{{{ orders }}}}" }}, ready: {{ http: /readyz }} }}
load:
  checkout: {{ to: "gateway:8080", request: POST /checkout, body: '{{"sku": 17, "quantity": 1}}', rate: 100/s, timeout: 2s, success: [201] }}
steady_state: [{{ load: checkout, success: ">= 80%" }}]
baseline: {{ rounds: 4 }}
phases: {{ warmup: 0s, steady: 1s, recovery: 500ms }}
scenarios:
  - scenario: how-slow-may-payment-be
    faults: [{{ for: 2s, on: "orders -> payment", latency: {{ delay: 200ms }}, search: {{ latency.delay: "0ms..1400ms by 200ms" }} }}]
    expect: {{ fault: [{{ load: checkout, p95: "<= 1200ms" }}] }}
"#
    )
}

/// A repository in which the baseline waits 900 ms and the candidate 300 ms.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.copy(&shop());
    folder.git(&["init", "-q"]);
    for timeout_ms in [900, 300] {
        folder.write("shakedown.yaml", &config(timeout_ms));
        folder.git(&["add", "-A"]);
        folder.git(&["commit", "-q", "-m", "orders: how long it waits"]);
    }
    folder
}

/// The bracket of a variant, which must hold the boundary.
fn bracket(margin: &Value, variant: &str, boundary: f64) -> (f64, f64) {
    let found = margin["variants"].as_array().unwrap().iter().find(|found| found["variant"] == variant).unwrap();
    assert!(found["open"].is_null(), "{found:#}");
    let (low, high) = (found["holds_up_to"].as_f64().unwrap(), found["breaks_at"].as_f64().unwrap());
    // A timeout also covers the few milliseconds that a call takes by itself.
    assert!(low < boundary && boundary - 0.03 < high && high - low <= 0.200_001, "{variant}: {low}..{high}\n{found:#}");
    (low, high)
}

#[test]
fn the_commit_that_bears_less_fails_and_the_boundaries_of_both_are_bracketed() {
    let folder = folder();
    let ran = folder.shakedown(&["run", "--runtime", "process", "--base", "HEAD^", "--out", "out"]);
    ran.expect_code(1).expect_stderr("does not hold for the candidate, holds for the baseline");
    let run: Value = serde_json::from_str(&folder.read("out/run.json")).unwrap();
    assert_eq!(run["rounds"], serde_json::json!({ "planned": 1, "most": 1, "done": 1 }), "a search alone needs one round");
    let margin = &run["margins"][0];
    assert_eq!((&margin["path"], &margin["unit"], &margin["target"]), (&"latency.delay".into(), &"s".into(), &"orders -> payment".into()));
    let (ours, _) = bracket(margin, "candidate", 0.3);
    let (theirs, _) = bracket(margin, "baseline", 0.9);

    let result = result(&folder.path().join("out"));
    let findings = result["scenarios"][0]["findings"].as_array().unwrap();
    let checks: Vec<&str> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    assert_eq!(checks, ["margin-vs-baseline"], "limits and comparisons are not for doses that differ");
    let finding = &findings[0];
    assert_eq!((finding["verdict"].as_str(), finding["unit"].as_str()), (Some("fail"), Some("s")), "{finding:#}");
    assert_eq!((finding["observed"].as_f64(), finding["baseline"].as_f64()), (Some(ours), Some(theirs)));
    assert!(finding["reason"].as_str().unwrap().contains("more than the harmful"), "{finding:#}");

    let events = folder.read("out/events.jsonl");
    let asked = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|event| event["event"] == "searched");
    let plays = run["scenarios"].as_array().unwrap().len();
    assert_eq!(asked.count(), plays, "an event for each play");
    let before = folder.read("out/result.json");
    folder.shakedown(&["judge", "out"]).expect_code(1);
    assert_eq!(before, folder.read("out/result.json"), "judging again comes to the same, to the byte");
    assert_eq!(folder.processes(), [""; 0]);
}

#[test]
fn the_plan_tells_the_range_the_plays_and_their_time() {
    let folder = folder();
    let planned = folder.shakedown(&["plan", "--runtime", "process", "--base", "HEAD^"]).stdout;
    let search = "searches latency.delay from 200 ms to 1.4 s in steps of 200 ms: about 11 plays, at most 19";
    assert!(planned.contains(search) && planned.contains("about 38 s"), "{planned}");
    assert!(!planned.contains(" ! "), "{planned}");
}
