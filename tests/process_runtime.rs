//! Whole runs on plain processes: the shop under faults, interrupted, killed, and wrong from the start.

use shakedown_tests::{Folder, Ran, faults_that_held, findings, result, shop, signal, validate_junit, wait_for};

/// The shop on processes with one short scenario. `faults` and `expect` are YAML flow.
fn shop_folder(defect: &str, faults: &str, expect: &str) -> Folder {
    let folder = Folder::new();
    folder.copy(&shop());
    let service = |name: &str, environment: &str| {
        format!(
            "    {name}:\n      run: [./shop, {name}]\n      env: {{ LISTEN: \"{{{{ listen }}}}\", SHOP_DEFECT: \"{defect}\", {environment} }}\n      ready: {{ http: /readyz }}\n"
        )
    };
    let config = [
        "services:\n  process:\n".to_owned(),
        service("payment", "PAYMENT_WORK_MS: \"1\""),
        service("orders", "DATABASE_URL: \"memory:\", PAYMENT_URL: \"http://{{ payment }}\", PAYMENT_TIMEOUT_MS: \"500\""),
        service("catalog", "DATABASE_URL: \"memory:\", REDIS_URL: \"memory:\""),
        service("gateway", "CATALOG_URL: \"http://{{ catalog }}\", ORDERS_URL: \"http://{{ orders }}\""),
        "telemetry: { metrics: { gateway: \":8080/metrics\" } }\n".to_owned(),
        "load:\n  checkout: { to: \"gateway:8080\", request: POST /checkout, body: '{\"sku\": 17, \"quantity\": 1}', rate: 60/s, timeout: 2s }\n"
            .to_owned(),
        "steady_state: [{ load: checkout, success: \">= 95%\", p99: \"<= 1s\" }]\n".to_owned(),
        "phases: { warmup: 1s, steady: 3s, recovery: 4s }\n".to_owned(),
        format!("scenarios:\n  - {{ scenario: short, faults: {faults}, expect: {expect} }}\n"),
    ];
    folder.write("shakedown.yaml", &config.concat());
    folder
}

const SLOW: &str = r#"[{ for: 4s, on: "orders -> payment", latency: { delay: 100ms } }]"#;
const MILD: &str =
    r#"{ fault: [{ load: checkout, success: ">= 95%", p99: "<= 1500ms" }], recovery: { within: 3s }, logs: { forbid: ["panicked at"] } }"#;
const RUN: [&str; 7] = ["run", "--runtime", "process", "--baseline-mode", "none", "--out", "out"];

#[test]
fn a_healthy_shop_passes_and_the_run_directory_holds_everything() {
    let folder = shop_folder("", SLOW, MILD);
    let ran = folder.shakedown(&RUN);
    ran.expect_code(0);
    assert!(ran.stdout.contains("PASS") && ran.stdout.contains("report.html"), "{}", ran.stdout);
    let out = folder.path().join("out");
    for name in ["run.json", "experiment.yaml", "plan.json", "events.jsonl", "journal.jsonl", "report.html", "junit.xml", "summary.md"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    for name in ["traces", "logs", "metrics", "requests"] {
        let path = out.join(format!("evidence/{name}.jsonl.zst"));
        assert!(path.metadata().is_ok_and(|metadata| metadata.len() > 100), "{}", path.display());
    }
    validate_junit(&out.join("junit.xml"));
    let result = result(&out);
    let fault = &result["scenarios"][0]["faults"][0];
    assert!(fault["touched"].as_u64().unwrap() > 0, "{fault}");
    let delay = fault["achieved"]["delay_ms"].as_f64().unwrap();
    assert!((90.0..200.0).contains(&delay), "asked 100 ms, achieved {delay} ms");
    assert_eq!(result["clean"], true);
    assert_eq!(folder.processes(), [""; 0], "nothing is left running");

    let before = folder.read("out/result.json");
    folder.shakedown(&["judge", "out"]).expect_code(0);
    assert_eq!(before, folder.read("out/result.json"), "judging again comes to the same, to the byte");
    folder.shakedown(&["report", "out", "--html", "copy.html"]).expect_code(0);
    assert_eq!(folder.read("out/report.html"), folder.read("copy.html"));
    folder.shakedown(&RUN).expect_code(2).expect_stderr("--out");
}

#[test]
fn shards_are_joined_into_one_verdict_and_one_that_is_missing_is_no_pass() {
    let folder = shop_folder("", SLOW, MILD);
    let second = format!("  - {{ scenario: again, faults: {SLOW}, expect: {MILD} }}\n");
    folder.write("shakedown.yaml", &(folder.read("shakedown.yaml") + &second));
    let shard = |shard: &'static str, out: &'static str| [&RUN[..5], &["--out", out, "--shard", shard]].concat();
    let other = folder.spawn(&shard("2/2", "two"));
    folder.shakedown(&shard("1/2", "one")).expect_code(0);
    Ran::of(&other.wait_with_output().unwrap()).expect_code(0);

    let alone = folder.shakedown(&["merge", "one", "--out", "alone"]);
    alone.expect_code(3);
    assert!(alone.stdout.contains("shard 2 of 2 is missing"), "{}", alone.stdout);
    folder.shakedown(&["merge", "one", "one", "--out", "twice"]).expect_code(2).expect_stderr("shard 1 of 2 is given twice");

    folder.shakedown(&["merge", "two", "one", "--out", "whole"]).expect_code(0);
    let whole = folder.path().join("whole");
    let mut names: Vec<String> =
        result(&whole)["scenarios"].as_array().unwrap().iter().map(|scenario| scenario["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["again", "short"]);
    validate_junit(&whole.join("junit.xml"));
    let before = folder.read("whole/result.json");
    folder.shakedown(&["judge", "whole"]).expect_code(0);
    assert_eq!(before, folder.read("whole/result.json"), "judging again comes to the same, to the byte");
    folder.shakedown(&["merge", "two", "one", "--out", "whole"]).expect_code(2).expect_stderr("exists already");
}

#[test]
fn a_missing_timeout_fails_for_the_right_reason() {
    let folder = shop_folder(
        "no-payment-timeout",
        r#"[{ for: 5s, on: "orders -> payment", partition: {} }]"#,
        r#"{ fault: [{ load: checkout, success: ">= 90%" }] }"#,
    );
    folder.shakedown(&RUN).expect_code(1);
    let failed = findings(&result(&folder.path().join("out")), "fail");
    assert!(failed.iter().any(|finding| finding.contains("short/fault/checkout/success")), "{failed:#?}");
}

#[test]
fn a_fault_that_touched_nothing_is_inconclusive_and_never_a_pass() {
    // Nothing ever goes from catalog to payment.
    let folder = shop_folder("", SLOW, MILD);
    let config = folder.read("shakedown.yaml");
    let config = config.replace("orders -> payment", "catalog -> payment").replace("REDIS_URL", "UNUSED: \"{{ payment }}\", REDIS_URL");
    folder.write("shakedown.yaml", &config);
    folder.shakedown(&RUN).expect_code(3);
    let result = result(&folder.path().join("out"));
    assert_eq!(result["verdict"], "inconclusive");
    assert!(findings(&result, "inconclusive").iter().any(|finding| finding.contains("dose")), "{result:#}");
}

#[test]
fn killed_paused_and_reset_services_come_back() {
    let faults = r#"[{ for: 1s, on: payment, kill: {} }, { at: 2s, for: 1s, on: catalog, pause: {} }, { at: 4s, for: 1s, on: "orders -> payment", reset: {} }, { at: 5s, for: 1s, on: catalog, stop: {} }, { at: 6s, for: 2s, on: payment, crash_loop: { every: 1s } }]"#;
    let folder = shop_folder("", faults, "{ recovery: { within: 4s } }");
    let ran = folder.shakedown(&RUN);
    let result = result(&folder.path().join("out"));
    let faults = faults_that_held(&result);
    assert_eq!(faults[4]["achieved"]["kills"], 2.0, "{:#}", faults[4]);
    ran.expect_code(0);
}

#[test]
fn faults_that_are_drawn_are_those_of_the_plan_and_of_every_run_with_the_seed() {
    let folder = shop_folder("", "[{ for: 1s, on: payment, pause: {} }]", "{}");
    let config = folder.read("shakedown.yaml");
    let drawn = "random: { count: 3, for: 1s, gap: 500ms, kinds: [latency, pause, restart], on: [payment, \"orders -> payment\"] }";
    folder.write("shakedown.yaml", &config.replace("faults: [{ for: 1s, on: payment, pause: {} }]", drawn));
    let seeded = |words: &[&str]| folder.shakedown(&[words, &["--runtime", "process", "--seed", "5"]].concat());
    let planned = seeded(&["plan"]);
    planned.expect_code(0);
    let ran = seeded(&["run", "--baseline-mode", "none", "--out", "out"]);
    assert!([0, 1, 3].contains(&ran.code), "{}\n{}", ran.stdout, ran.stderr);
    let result = result(&folder.path().join("out"));
    let faults = faults_that_held(&result);
    assert_eq!(faults.len(), 3);
    for fault in faults {
        let line = format!(": {} on {} (", fault["kind"].as_str().unwrap(), fault["target"].as_str().unwrap());
        assert!(planned.stdout.contains(&line), "{line} is not in\n{}", planned.stdout);
    }
}

#[test]
fn a_narrow_a_sliced_and_a_cut_line_and_a_polite_end_do_what_was_asked() {
    let faults = r#"[{ for: 3s, on: "orders -> payment", bandwidth: { rate: 4KiB/s } }, { at: 3s, for: 1s, on: "orders -> payment", slicer: { size: 32B, delay: 2ms } }, { at: 4s, for: 1s, on: "orders -> payment", limit_data: { bytes: 64B } }, { at: 5s, for: 1s, on: payment, term: { grace: 4s } }]"#;
    let folder = shop_folder("", faults, "{}");
    let ran = folder.shakedown(&RUN);
    assert!([0, 1, 3].contains(&ran.code), "{}\n{}", ran.stdout, ran.stderr);
    let result = result(&folder.path().join("out"));
    let faults = faults_that_held(&result);
    let achieved = |index: usize, name: &str| faults[index]["achieved"][name].as_f64().unwrap();
    assert!((2_000.0..=5_000.0).contains(&achieved(0, "bytes_per_second")), "{:#}", faults[0]);
    assert_eq!(faults[3]["achieved"]["exit_code"], 0.0, "the shop ends by itself: {:#}", faults[3]);
}

#[test]
fn http_requests_are_refused_held_and_their_answers_changed_and_connections_hang_and_end() {
    let faults = r#"[{ for: 2s, on: "gateway -> orders", http: { method: POST, path: "/orders*", abort: 503 } }, { at: 2s, for: 2s, on: "orders -> payment", http: { path: /charges, share: 50%, delay: 80ms } }, { at: 4s, for: 1s, on: "orders -> payment", http: { patch: { status: 500, body: broken, set: { X-Chaos: "yes" } } } }, { at: 5s, for: 1s, on: "gateway -> orders", timeout: { after: 200ms } }, { at: 6s, for: 2s, on: "gateway -> catalog", down: {} }, { at: 4s, for: 1s, on: "gateway -> catalog", latency: { delay: 50ms }, connections: 90% }]"#;
    let folder = shop_folder("", faults, r#"{ fault: [{ load: checkout, success: ">= 99%" }] }"#);
    folder.shakedown(&RUN).expect_code(1);
    let result = result(&folder.path().join("out"));
    let faults = faults_that_held(&result);
    let achieved = |index: usize, name: &str| faults[index]["achieved"][name].as_f64().unwrap();
    assert!(achieved(0, "aborted") > 0.0 && faults[0]["achieved"]["aborted"] == faults[0]["achieved"]["matched"], "{:#}", faults[0]);
    assert!(faults[0]["mechanism"].as_str().unwrap().contains("POST /orders*: answered with 503"), "{:#}", faults[0]);
    assert!((80.0..200.0).contains(&achieved(1, "delay_ms")) && achieved(1, "matched") < achieved(1, "requests"), "{:#}", faults[1]);
    assert!(achieved(2, "patched") > 0.0 && achieved(3, "closings") > 0.0, "{:#} {:#}", faults[2], faults[3]);
    assert!(achieved(4, "closings") > 0.0 && achieved(4, "refused_ms") > 1_500.0, "{:#}", faults[4]);
    let findings = result["scenarios"][0]["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["check"] == "success" && finding["verdict"] == "fail"), "{findings:#?}");
    assert_eq!(folder.processes(), [""; 0]);
}

#[test]
fn a_kind_that_the_runtime_cannot_do_is_inconclusive_and_says_which_can() {
    let folder = shop_folder("", r#"[{ for: 2s, on: "orders -> payment", loss: { share: 10% } }]"#, MILD);
    folder.shakedown(&RUN).expect_code(3);
    let result = result(&folder.path().join("out"));
    let findings = result["scenarios"][0]["findings"].as_array().unwrap();
    let dose = findings.iter().find(|finding| finding["check"] == "dose").unwrap();
    assert!(dose["verdict"] == "inconclusive" && dose["reason"].as_str().unwrap().contains("--runtime docker"), "{dose:#}");
}

#[test]
fn a_service_that_never_gets_ready_is_named_with_its_last_words() {
    let folder = shop_folder("", SLOW, MILD);
    let config = folder.read("shakedown.yaml").replace("run: [./shop, payment]", "run: [sh, -c, \"echo no card reader >&2; exit 7\"]");
    folder.write("shakedown.yaml", &config);
    folder.shakedown(&RUN).expect_code(4);
    let result = result(&folder.path().join("out"));
    let said = result.to_string();
    assert!(said.contains("payment") && said.contains("no card reader") && said.contains('7'), "{result:#}");
    assert_eq!(folder.processes(), [""; 0]);
}

#[test]
fn a_broken_steady_state_stops_before_any_fault() {
    let folder = shop_folder("", SLOW, MILD);
    let config = folder.read("shakedown.yaml").replace("request: POST /checkout", "request: GET /no-such-page");
    folder.write("shakedown.yaml", &config);
    folder.shakedown(&RUN).expect_code(4);
    let events = folder.read("out/events.jsonl");
    assert!(events.contains("steady_state") && !events.contains("fault_applied"), "{events}");
}

#[test]
fn ctrl_c_in_the_middle_of_a_fault_leaves_the_machine_clean() {
    for (number, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143), (libc::SIGHUP, 143), (libc::SIGQUIT, 143)] {
        let folder = shop_folder("", SLOW, MILD);
        let mut child = folder.spawn(&RUN);
        wait_for(&mut child, "latency on orders -> payment");
        signal(&child, number);
        let ran = Ran::of(&child.wait_with_output().unwrap());
        ran.expect_code(code);
        assert_eq!(folder.processes(), [""; 0]);
        assert_eq!(result(&folder.path().join("out"))["verdict"], "inconclusive");
    }
}

#[test]
fn after_a_sigkill_of_the_harness_recover_takes_everything_back() {
    let folder = shop_folder("", SLOW, MILD);
    let mut child = folder.spawn(&["run", "--runtime", "process", "--baseline-mode", "none"]);
    wait_for(&mut child, "latency on orders -> payment");
    signal(&child, libc::SIGKILL);
    child.wait().unwrap();
    assert_eq!(folder.processes().len(), 4, "the services outlive a SIGKILL of the harness: {:?}", folder.processes());
    folder.shakedown(&["recover"]).expect_code(0);
    assert_eq!(folder.processes(), [""; 0]);
    folder.shakedown(&["recover"]).expect_code(0);
}

#[test]
fn after_a_sigkill_in_the_middle_of_a_build_recover_ends_the_build() {
    let folder = shop_folder("", SLOW, MILD);
    let endless = "services:\n  build: [sh, -c, \"LISTEN=127.0.0.1:0 exec ./shop payment\"]\n  process:\n";
    let config = folder.read("shakedown.yaml").replace("services:\n  process:\n", endless);
    folder.write("shakedown.yaml", &config);
    let mut child = folder.spawn(&["run", "--runtime", "process", "--baseline-mode", "none"]);
    wait_for(&mut child, "building");
    while folder.processes().is_empty() {
        std::thread::yield_now();
    }
    signal(&child, libc::SIGKILL);
    child.wait().unwrap();
    assert_eq!(folder.processes().len(), 1, "the build outlives a SIGKILL of the harness");
    folder.shakedown(&["recover"]).expect_code(0);
    assert_eq!(folder.processes(), [""; 0]);
}
