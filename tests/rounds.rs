//! Rounds and episodes on plain processes: fresh instances in each round, an end as soon as there is nothing more to learn, nothing left.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use shakedown_tests::{Folder, Ran, findings, result, shop, signal, wait_for_each};
use std::collections::BTreeSet;

/// The shop, committed: candidate and baseline are the same commit, each with instances of its own.
fn shop_folder(baseline: &str, scenario: &str) -> Folder {
    let folder = Folder::new();
    folder.copy(&shop());
    let config = format!(
        r#"
services:
  process:
    payment: {{ run: [./shop, payment], env: {{ LISTEN: "{{{{ listen }}}}", PAYMENT_WORK_MS: "1" }}, ready: {{ http: /readyz }} }}
    orders: {{ run: [./shop, orders], env: {{ LISTEN: "{{{{ listen }}}}", DATABASE_URL: "memory:", PAYMENT_URL: "http://{{{{ payment }}}}" }}, ready: {{ http: /readyz }} }}
    catalog: {{ run: [./shop, catalog], env: {{ LISTEN: "{{{{ listen }}}}", DATABASE_URL: "memory:", REDIS_URL: "memory:" }}, ready: {{ http: /readyz }} }}
    gateway: {{ run: [./shop, gateway], env: {{ LISTEN: "{{{{ listen }}}}", CATALOG_URL: "http://{{{{ catalog }}}}", ORDERS_URL: "http://{{{{ orders }}}}" }}, ready: {{ http: /readyz }} }}
load:
  checkout: {{ to: "gateway:8080", request: POST /checkout, body: '{{"sku": 17, "quantity": 1}}', rate: 80/s, timeout: 2s }}
steady_state: [{{ load: checkout, success: ">= 95%", p99: "<= 1s" }}]
baseline: {baseline}
gate: {{ tolerance: 100%, harmful: 900% }}
phases: {{ warmup: 1s, steady: 5s, recovery: 2s }}
scenarios: [{scenario}]
"#
    );
    folder.write("shakedown.yaml", &config);
    folder.git(&["init", "-q"]);
    commit(&folder);
    folder
}

fn commit(folder: &Folder) {
    folder.git(&["add", "-A"]);
    folder.git(&["commit", "-q", "-m", "the shop"]);
}

fn slow(limit: &str) -> String {
    format!(
        r#"{{ scenario: slow, faults: [{{ for: 5s, on: "orders -> payment", latency: {{ delay: 60ms }} }}], expect: {{ fault: [{{ load: checkout, p99: "{limit}" }}] }} }}"#
    )
}

const RUN: [&str; 7] = ["run", "--runtime", "process", "--base", "HEAD", "--out", "out"];

fn json(folder: &Folder, name: &str) -> Value {
    serde_json::from_str(&folder.read(name)).unwrap()
}

fn lines(folder: &Folder, name: &str) -> Vec<Value> {
    folder.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Round and episode of each play, in order.
fn plays(run: &Value) -> Vec<(u64, u64)> {
    let number = |played: &Value, name: &str| played["play"][name].as_u64().unwrap();
    run["scenarios"].as_array().unwrap().iter().map(|played| (number(played, "round"), number(played, "episode"))).collect()
}

/// When each request of a file of evidence was due that belongs to a first phase, in Unix nanoseconds.
fn first_dues(folder: &Folder, name: &str) -> Vec<u64> {
    let packed = std::fs::read(folder.path().join(name)).unwrap();
    let text = String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap();
    let requests = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    requests.filter(|request| request["phase"] == "warmup").map(|request| request["due"].as_u64().unwrap()).collect()
}

/// First instant of each play's first phase, and the first after it.
fn first_phases(run: &Value) -> Vec<(u64, u64)> {
    let phases = run["scenarios"].as_array().unwrap().iter().map(|played| &played["phases"][0]);
    phases.map(|phase| (phase["start"].as_u64().unwrap(), phase["end"].as_u64().unwrap())).collect()
}

/// What the looks between rounds said.
fn looks(folder: &Folder) -> Vec<(bool, String)> {
    let looked = lines(folder, "out/events.jsonl").into_iter().filter(|event| event["event"] == "looked");
    looked.map(|event| (event["enough"].as_bool().unwrap(), event["reason"].as_str().unwrap().to_owned())).collect()
}

/// Pids of the process groups that were started, and how many had been taken back before each.
fn started(folder: &Folder) -> Vec<(u64, usize)> {
    let mut settled = 0;
    let mut started = Vec::new();
    for record in lines(folder, "out/journal.jsonl") {
        match record["change"]["group"]["pid"].as_u64() {
            Some(pid) if record["change"]["undo"] == "kill_process_group" => started.push((pid, settled)),
            _ => settled += usize::from(!record["settle"].is_null()),
        }
    }
    started
}

#[test]
fn when_everything_passes_the_run_ends_after_the_second_round_and_each_round_has_fresh_instances() {
    let folder = shop_folder("{ rounds: 4 }", &slow("<= 1500ms"));
    let ran = folder.shakedown(&RUN);
    ran.expect_code(0).expect_stderr("4 rounds with fresh instances").expect_stderr("round 2/4");
    let run = json(&folder, "out/run.json");
    assert_eq!(run["rounds"], serde_json::json!({ "planned": 4, "most": 4, "done": 2 }));
    assert_eq!(plays(&run), [(1, 1), (2, 1)]);
    let looks = looks(&folder);
    assert!(matches!(&looks[..], [(false, _), (true, why)] if why.contains("everything has passed")), "{looks:?}");

    let started = started(&folder);
    let pids: BTreeSet<u64> = started.iter().map(|(pid, _)| *pid).collect();
    assert_eq!((started.len(), pids.len()), (16, 16), "two variants of four services in each of two rounds: {started:?}");
    assert!(started[..8].iter().all(|(_, before)| *before == 0), "{started:?}");
    assert!(started[8..].iter().all(|(_, before)| *before == 8), "the first round is gone before the second begins: {started:?}");
    assert_eq!(folder.processes(), [""; 0]);

    let first = first_phases(&run);
    for evidence in ["out/evidence/requests.jsonl.zst", "out/baseline/evidence/requests.jsonl.zst"] {
        let dues = first_dues(&folder, evidence);
        let early = dues.iter().filter(|due| !first.iter().any(|(start, end)| (start..=end).contains(due)));
        assert!(dues.len() > 50, "{evidence}: {}", dues.len());
        assert_eq!(early.count(), 0, "no request is due before the play that it belongs to: {first:?}");
    }

    let before = folder.read("out/result.json");
    folder.shakedown(&["judge", "out"]).expect_code(0);
    assert_eq!(before, folder.read("out/result.json"), "judging again comes to the same, to the byte");
}

#[test]
fn a_broken_limit_ends_the_run_after_the_first_round() {
    let folder = shop_folder("{ rounds: 4 }", &slow("<= 20ms"));
    folder.shakedown(&RUN).expect_code(1).expect_stderr("enough: slow/fault/checkout/p99 is broken");
    let run = json(&folder, "out/run.json");
    assert_eq!((&run["rounds"]["done"], plays(&run)), (&Value::from(1), vec![(1, 1)]));
    assert!(findings(&result(&folder.path().join("out")), "fail").iter().any(|finding| finding.contains("checkout/p99")));
    assert_eq!(folder.processes(), [""; 0]);
}

#[test]
fn a_stop_condition_ends_the_run_with_its_round() {
    let scenario = slow("<= 1500ms").replace("faults:", "stop_when: [{ load: checkout, success: \"<= 100%\", for: 500ms }], faults:");
    let folder = shop_folder("{ rounds: 4 }", &scenario);
    folder.shakedown(&RUN).expect_code(3).expect_stderr("stopped early");
    let looks = looks(&folder);
    assert!(matches!(&looks[..], [(true, why)] if why.contains("slow was stopped early")), "{looks:?}");
    assert_eq!(json(&folder, "out/run.json")["rounds"]["done"], 1);
}

#[test]
fn a_run_in_which_nothing_is_to_be_played_has_one_round() {
    let folder = shop_folder("{ rounds: 4 }", &slow("<= 1500ms"));
    folder.shakedown(&[&RUN[..], &["--budget", "1s"]].concat()).expect_code(3);
    assert_eq!(json(&folder, "out/run.json")["rounds"], serde_json::json!({ "planned": 1, "most": 1, "done": 1 }));
}

#[test]
fn ctrl_c_in_the_second_round_leaves_the_machine_clean_and_the_round_is_not_done() {
    let folder = shop_folder("{ rounds: 2 }", &slow("<= 1500ms"));
    let mut child = folder.spawn(&RUN);
    wait_for_each(&mut child, &["round 2/2", "latency on orders -> payment"]);
    signal(&child, libc::SIGINT);
    Ran::of(&child.wait_with_output().unwrap()).expect_code(130);
    assert_eq!(folder.processes(), [""; 0]);
    let run = json(&folder, "out/run.json");
    assert_eq!((&run["rounds"]["done"], &run["clean"], plays(&run)), (&Value::from(1), &Value::from(true), vec![(1, 1), (2, 1)]));
    assert_eq!(result(&folder.path().join("out"))["verdict"], "inconclusive");
}

#[test]
fn a_second_round_that_cannot_start_is_an_environment_error_and_the_machine_is_clean() {
    // The first start of each variant leaves a mark, the next one finds it.
    let folder = shop_folder("{ rounds: 2 }", &slow("<= 1500ms"));
    let config = folder.read("shakedown.yaml").replace(
        "run: [./shop, payment]",
        r#"run: [sh, -c, "echo x >> starts; [ $(wc -l < starts) -le 2 ] && exec ./shop payment; echo no third time >&2; exit 7"]"#,
    );
    folder.write("shakedown.yaml", &config);
    commit(&folder);
    folder.shakedown(&RUN).expect_code(4);
    let run = json(&folder, "out/run.json");
    assert!(run["aborted"]["reason"].as_str().unwrap().contains("no third time"), "{run:#}");
    assert_eq!((&run["rounds"]["done"], &run["clean"]), (&Value::from(1), &Value::from(true)));
    assert_eq!(folder.processes(), [""; 0]);
}

#[test]
fn episodes_play_the_fault_again_on_the_same_instances() {
    let scenario = "{ scenario: frozen, episodes: 3, phases: { warmup: 0s, steady: 2s, recovery: 1s }, faults: [{ for: 500ms, on: payment, pause: {} }], expect: { fault: [{ load: checkout, success: \">= 1%\" }] } }";
    let folder = shop_folder("{ rounds: 4 }", scenario);
    let ran = folder.shakedown(&["run", "--runtime", "process", "--baseline-mode", "none", "--out", "out"]);
    assert!([0, 3].contains(&ran.code), "{}\n{}", ran.stdout, ran.stderr);
    let run = json(&folder, "out/run.json");
    assert_eq!(run["rounds"], serde_json::json!({ "planned": 1, "most": 1, "done": 1 }), "alone there is one round");
    assert_eq!(plays(&run), [(1, 1), (1, 2), (1, 3)]);
    assert_eq!(started(&folder).len(), 4);
    let reverted = lines(&folder, "out/events.jsonl").into_iter().filter(|event| event["event"] == "fault_reverted");
    let episodes: Vec<u64> = reverted
        .map(|event| {
            assert!(event["fault"]["dose"]["touched"].as_u64().unwrap() > 0, "{event:#}");
            event["fault"]["play"]["episode"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(episodes, [1, 2, 3]);
    assert_eq!(folder.processes(), [""; 0]);
}

#[test]
fn a_sigkill_in_the_second_round_is_recovered() {
    let folder = shop_folder("{ rounds: 2 }", &slow("<= 1500ms"));
    let mut child = folder.spawn(&RUN[..5]);
    wait_for_each(&mut child, &["round 2/2", "latency on orders -> payment"]);
    signal(&child, libc::SIGKILL);
    child.wait().unwrap();
    assert_eq!(folder.processes().len(), 8, "the services of this round outlive the harness: {:?}", folder.processes());
    folder.shakedown(&["recover"]).expect_code(0);
    assert_eq!(folder.processes(), [""; 0]);
}

#[test]
fn the_plan_tells_rounds_and_their_time_and_what_can_prove_little() {
    let folder = shop_folder("{ rounds: 4 }", &slow("<= 1500ms"));
    let plan = |arguments: &[&str]| folder.shakedown(&[&["plan", "--runtime", "process", "--base", "HEAD"], arguments].concat()).stdout;
    let planned = plan(&[]);
    assert!(planned.contains("4 rounds with fresh instances; about 60 s"), "13 s and a restart, four times: {planned}");
    assert!(!planned.contains(" ! "), "20 pairs of slots are enough: {planned}");
    assert!(plan(&["--budget", "90s"]).contains("4 rounds with fresh instances, up to 6 within the budget; about 60 s"));
    let too_much = plan(&["--budget", "50s"]);
    assert!(too_much.contains("slow  left out: its 13 s do not fit"), "{too_much}");
    let alone = plan(&["--baseline-mode", "none"]);
    assert!(alone.contains("about 13 s") && !alone.contains("round"), "{alone}");

    let short = shop_folder("{ rounds: 1 }", &slow("<= 1500ms"));
    let planned = short.shakedown(&["plan", "--runtime", "process", "--base", "HEAD"]).stdout;
    assert!(
        planned.contains("! one round") && planned.contains("hold 5 pairs of slots") && planned.contains("make them 12 s"),
        "{planned}"
    );
}

/// Answers 503 to the first question for its steady state, where `cold` says so.
const COLD: &str = r#"
import os, pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
cold = [pathlib.Path("cold").read_text().strip() == "yes"]
class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        status = 503 if self.path == "/steady" and cold[0] else 200
        if self.path == "/steady":
            cold[0] = False
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
host, port = os.environ["LISTEN"].rsplit(":", 1)
ThreadingHTTPServer((host, int(port)), Web).serve_forever()
"#;

#[test]
fn a_baseline_that_is_cold_at_first_is_asked_again_as_a_candidate_is() {
    let folder = Folder::new();
    let config = r#"
services:
  process:
    web: { run: [python3, web.py], env: { LISTEN: "{{ listen }}" }, ready: { http: /readyz } }
load:
  main: { to: "web:8080", request: GET /, rate: 40/s, timeout: 2s }
steady_state: [{ http: "GET web:8080/steady", status: 200 }]
baseline: { rounds: 1 }
phases: { warmup: 1s, steady: 2s, recovery: 1s }
scenarios: [{ scenario: frozen, faults: [{ for: 1s, on: web, pause: {} }] }]
"#;
    folder.write("shakedown.yaml", config);
    folder.write("web.py", COLD);
    folder.git(&["init", "-q"]);
    for cold in ["yes", "no"] {
        folder.write("cold", cold);
        commit(&folder);
    }
    folder.shakedown(&["run", "--runtime", "process", "--base", "HEAD^", "--out", "out", "--mode", "warn"]).expect_code(0);
    let asked: Vec<(Value, Value)> = lines(&folder, "out/events.jsonl")
        .into_iter()
        .filter(|event| event["event"] == "steady_state")
        .map(|event| (event["variant"].clone(), event["holds"].clone()))
        .collect();
    let of = |variant: &str| asked.iter().filter(|(other, _)| other == variant).map(|(_, holds)| holds == true).collect::<Vec<_>>();
    assert_eq!((of("candidate"), of("baseline")), (vec![true, true], vec![false, true]), "{asked:?}");
    let steady =
        |verdict| findings(&result(&folder.path().join("out")), verdict).into_iter().filter(|id| id.contains("steady-state")).count();
    assert_eq!((steady("pass"), steady("inconclusive")), (2, 0));
}
