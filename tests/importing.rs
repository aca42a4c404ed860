//! Telemetry of others through the binary: imported or put together by hand, judged, and told who is to blame.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use shakedown_tests::{Folder, binary, repository};
use std::{path::Path, process::Command};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

/// A line of OTLP for each of many requests: gateway calls orders, which calls payment, which takes so many milliseconds.
fn traces(start: u64, payment_ms: impl Fn(u64) -> u64) -> String {
    let of = |service: &str, spans: Value| {
        let name = json!({"key": "service.name", "value": {"stringValue": service}});
        json!({"resource": {"attributes": [name]}, "scopeSpans": [{"spans": spans}]})
    };
    let mut lines = String::new();
    for number in 0..2_400_u64 {
        let begin = start + number * SECOND / 40;
        // A little of its own in each, as requests have.
        let took = (payment_ms(number) + 1) * 1_000_000 + number % 97 * 20_000;
        let span = |id: u64, parent: &str, name: &str, kind: u64, margin: u64| {
            json!({
                "traceId": format!("{:032x}", (0xa_u128 << 100) + u128::from(begin)), "spanId": format!("{id:016x}"), "parentSpanId": parent,
                "name": name, "kind": kind, "startTimeUnixNano": (begin + margin).to_string(),
                "endTimeUnixNano": (begin + took + 10_000_000 - margin).to_string(),
            })
        };
        let resources = [
            of(
                "gateway",
                json!([span(1, "", &format!("POST /checkout/{number}"), 2, 0), span(2, "0000000000000001", "POST /orders", 3, 1_000_000)]),
            ),
            of(
                "orders",
                json!([
                    span(3, "0000000000000002", "POST /orders", 2, 2_000_000),
                    span(4, "0000000000000003", "POST /charge", 3, 3_000_000)
                ]),
            ),
            of("payment", json!([span(5, "0000000000000004", "charge", 2, 4_000_000)])),
        ];
        lines.push_str(&json!({ "resourceSpans": resources }).to_string());
        lines.push('\n');
    }
    lines
}

fn result(folder: &Folder) -> Value {
    serde_json::from_str(&folder.read("run/result.json")).unwrap()
}

#[test]
fn two_recordings_are_imported_and_judged_and_the_culprit_is_named() {
    let folder = Folder::new();
    folder.write("faulty/traces.jsonl", &traces(START, |_| 80));
    folder.write("calm.jsonl", &traces(START - 86_400 * SECOND, |_| 5));
    let ran = folder.shakedown(&["import", "otlp", "faulty", "--baseline", "calm.jsonl", "--fault-on", "payment", "--out", "run"]);
    ran.expect_code(0).expect_stderr("12000 spans of 3 services, 2400 requests");
    assert_eq!(ran.stdout.trim(), folder.path().join("run").display().to_string());
    folder.shakedown(&["judge", "run"]).expect_code(0);
    let result = result(&folder);
    assert_eq!((&result["verdict"], &result["exit_code"]), (&json!("inconclusive"), &json!(0)), "{}", result["headline"]);
    let scenario = &result["scenarios"][0];
    assert_eq!(scenario["culprits"][0]["service"], json!("payment"), "{}", scenario["culprits"]);
    assert!(result["headline"].as_str().unwrap().contains("culprit payment / charge"), "{}", result["headline"]);
    let findings = scenario["findings"].as_array().unwrap();
    let tail = findings.iter().find(|finding| finding["check"] == "p99-vs-baseline").unwrap();
    assert_eq!((&tail["verdict"], &tail["advisory"]), (&json!("fail"), &json!(true)), "{tail}");
    // What does not apply to recordings of others is not told of them.
    assert!(!findings.iter().any(|finding| ["generator", "dose"].contains(&finding["check"].as_str().unwrap())), "{findings:#?}");
    assert_eq!(scenario["faults"][0]["target"], json!("payment"));
    folder.shakedown(&["report", "run"]).expect_code(0);
    assert!(folder.read("run/report.html").contains("payment"));
}

#[test]
fn an_import_without_anything_to_compare_with_says_what_to_add() {
    let folder = Folder::new();
    folder.write("traces.jsonl", &traces(START, |_| 5));
    folder
        .shakedown(&["import", "otlp", "traces.jsonl", "--out", "run"])
        .expect_code(2)
        .expect_stderr("--fault-from")
        .expect_stderr("--baseline");
    folder
        .shakedown(&["import", "otlp", "nothing.jsonl", "--fault-from", "1", "--fault-to", "2", "--out", "run"])
        .expect_code(2)
        .expect_stderr("nothing.jsonl");
    folder.shakedown(&["import", "otlp", "https://tempo", "--fault-from", "1", "--fault-to", "2"]).expect_code(2).expect_stderr("curl");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_directory_made_as_the_page_says_is_judged() {
    let folder = Folder::new();
    let page = std::fs::read_to_string(repository().join("docs/evidence.md")).unwrap();
    let blocks: Vec<&str> = page.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3, "the page changed: look at what it says now");
    let paths = [binary().parent().unwrap().to_owned(), Path::new("/usr/bin").to_owned(), Path::new("/bin").to_owned()];
    for block in &blocks {
        let script = format!("set -e\n{block}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .env("PATH", std::env::join_paths(&paths).unwrap())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{block}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let result = result(&folder);
    let scenario = &result["scenarios"][0];
    let phases: Vec<&Value> = scenario["phases"].as_array().unwrap().iter().map(|phase| &phase["name"]).collect();
    assert_eq!(phases, ["steady", "fault"]);
    let subjects: Vec<&str> = scenario["findings"].as_array().unwrap().iter().map(|finding| finding["subject"].as_str().unwrap()).collect();
    assert!(subjects.contains(&"gateway POST /checkout"), "{subjects:?}");
}
