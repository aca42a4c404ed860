//! The proof of clean: what somebody leaves behind during a run, by whatever hand, ends it with exit code 5 and is named; and the kill switch.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use shakedown_tests::{Folder, Ran, engine_answers, labelled, repository, result, shop, signal, skip, wait_for};
use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command},
};

const LOAD: &str = r#"
load:
  checkout: { to: "gateway:8080", request: POST /checkout, body: '{"sku": 17, "quantity": 1}', rate: 40/s, timeout: 3s }
steady_state: [{ load: checkout, success: ">= 95%", p99: "<= 1s" }]
phases: { warmup: 1s, steady: 3s, recovery: 3s }
scenarios:
  - { scenario: slow, faults: [{ for: 5s, on: "orders -> payment", latency: { delay: 50ms } }] }
"#;

fn in_containers() -> Folder {
    let folder = Folder::new();
    let shop = repository().join("fixtures/shop");
    for part in ["compose.yaml", "image", "postgres", "redis", "Dockerfile", ".dockerignore"] {
        let copied = Command::new("cp").arg("-R").arg(shop.join(part)).arg(folder.path()).status().unwrap();
        assert!(copied.success(), "{part}");
    }
    folder.write("shakedown.yaml", &format!("services: {{ compose: compose.yaml }}{LOAD}"));
    folder
}

fn as_processes() -> Folder {
    let folder = Folder::new();
    folder.copy(&shop());
    let service = |name: &str, environment: &str| {
        format!(
            "    {name}:\n      run: [./shop, {name}]\n      env: {{ LISTEN: \"{{{{ listen }}}}\", {environment} }}\n      ready: {{ http: /readyz }}\n"
        )
    };
    let services = [
        service("payment", "PAYMENT_WORK_MS: \"1\""),
        service("orders", "DATABASE_URL: \"memory:\", PAYMENT_URL: \"http://{{ payment }}\""),
        service("catalog", "DATABASE_URL: \"memory:\", REDIS_URL: \"memory:\""),
        service("gateway", "CATALOG_URL: \"http://{{ catalog }}\", ORDERS_URL: \"http://{{ orders }}\""),
    ];
    folder.write("shakedown.yaml", &format!("services:\n  process:\n{}{LOAD}", services.concat()));
    folder
}

fn run_id(out: &Path) -> String {
    let meta: Value = serde_json::from_str(&fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
    meta["run"].as_str().unwrap().to_owned()
}

fn must(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What a result says was left, which must be all that its files and its exit code say as well.
fn left(out: &Path) -> Vec<String> {
    let result = result(out);
    assert_eq!((&result["clean"], &result["exit_code"]), (&Value::from(false), &Value::from(5)));
    let left: Vec<String> = result["left"].as_array().unwrap().iter().map(|what| what.as_str().unwrap().to_owned()).collect();
    let meta: Value = serde_json::from_str(&fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(meta["left"].as_array().unwrap().len(), left.len());
    assert!(fs::read_to_string(out.join("summary.md")).unwrap().contains("left behind"), "the report says so");
    left
}

#[track_caller]
fn assert_named(left: &[String], beginning: &str, words: &[&str]) {
    let found = left.iter().any(|what| what.starts_with(beginning) && words.iter().all(|word| what.contains(word)));
    assert!(found, "{beginning} {words:?} is not in {left:#?}");
}

/// A shell, which carries no mark, with a child that does, and has another one as soon as that is killed.
fn undying(run: &str) -> Child {
    let script = r#"while :; do SHAKEDOWN_RUN="$1" sleep 1000; done"#;
    Command::new("sh").args(["-c", script, "sh", run]).process_group(0).spawn().unwrap()
}

/// The shell and its child.
fn end_all(mut shell: Child) {
    must(&format!("kill -KILL -- -{}", shell.id()));
    shell.wait().unwrap();
}

#[test]
fn what_is_left_in_a_service_or_on_the_engine_by_whatever_hand_is_named_and_ends_with_5() {
    if !engine_answers() {
        return skip("what_is_left_in_a_service_or_on_the_engine_is_named", "no engine answers");
    }
    let folder = in_containers();
    let out = folder.path().join("out");
    let mut child = folder.spawn(&["run", "--runtime", "docker", "--baseline-mode", "none", "--out", "out"]);
    wait_for(&mut child, "latency on orders -> payment");
    let run = run_id(&out);
    let container = format!("sd-{run}-c-orders");
    let pid = must(&format!("docker inspect --format {{{{.State.Pid}}}} {container}"));
    let before = must(&format!("nsenter --target {pid} --net tc qdisc show dev eth0"));
    must(&format!("nsenter --target {pid} --net tc qdisc add dev eth0 root handle 77: tbf rate 100mbit burst 100kb latency 50ms"));
    must(&format!("nsenter --target {pid} --net nft add table ip shakedown_of_nobody"));
    must(&format!("nsenter --target {pid} --net ip route add blackhole 10.254.0.0/16"));
    must(&format!("docker update --cpus 1.5 sd-{run}-c-payment"));
    let image = must(&format!("docker inspect --format {{{{.Config.Image}}}} {container}"));
    must(&format!("docker create --name sd-{run}-forgotten --label dev.shakedown.run={run} {image}"));
    let ran = Ran::of(&child.wait_with_output().unwrap());
    must(&format!("docker rm --force sd-{run}-forgotten"));
    ran.expect_code(5);
    let left = left(&out);
    assert_named(&left, "service orders: qdiscs: ", &[" → eth0 root tbf 77:", "(after slow)"]);
    assert_named(&left, "service orders: nft tables: none → ip shakedown_of_nobody", &[]);
    assert_named(&left, "service orders: routes: none → ip 10.254.0.0/16", &[]);
    assert_named(&left, "service payment: limit of billionths of cores: none → 1500000000", &[]);
    assert_named(&left, &format!("container sd-{run}-forgotten is still there"), &[]);
    assert_eq!(left.len(), 5, "and nothing else: {left:#?}; qdiscs were {before}");
    assert_eq!(labelled(&out), [""; 0]);
}

#[test]
fn a_process_that_outlives_an_interrupted_run_is_named_and_ends_it_with_5() {
    let folder = as_processes();
    let out = folder.path().join("out");
    let mut child = folder.spawn(&["run", "--runtime", "process", "--baseline-mode", "none", "--out", "out"]);
    wait_for(&mut child, "latency on orders -> payment");
    signal(&child, libc::SIGINT);
    // Ctrl-C takes back what the journal knows and whatever carries the mark by then: these begin again and again.
    let run = run_id(&out);
    let strays: Vec<Child> = (0..4).map(|_| undying(&run)).collect();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    strays.into_iter().for_each(end_all);
    ran.expect_code(5);
    let left = left(&out);
    assert!(left.iter().any(|what| what.starts_with("process ") && what.ends_with(" still runs")), "{left:#?}");
}

/// In a pid namespace of its own, where there is no other run, and with no engine: the switch must not meet anybody else's.
#[test]
fn recover_spares_a_run_that_lives_and_the_kill_switch_asks_and_ends_it() {
    let folder = as_processes();
    let script = r#"
        shakedown=$0
        "$shakedown" run --runtime process --baseline-mode none --out out 2> run.log > run.out &
        run=$!
        until grep -q 'latency on orders' run.log; do sleep 0.1; done
        "$shakedown" recover > spared.log 2>&1; echo "plain $?"
        echo "living $(grep -l '/sho[p]' /proc/[0-9]*/cmdline 2> /dev/null | wc -l)"
        "$shakedown" recover --all > asked.log 2>&1 < /dev/null; echo "asked $?"
        "$shakedown" recover --all --yes > ended.log 2>&1; echo "switch $?"
        echo "living $(grep -l '/sho[p]' /proc/[0-9]*/cmdline 2> /dev/null | wc -l)"
        wait $run; echo "run $?"
    "#;
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]).arg(shakedown_tests::binary());
    command.current_dir(folder.path()).env("DOCKER_HOST", "unix:///nonexistent.sock").env("NO_COLOR", "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let logs =
        ["run.log", "spared.log", "asked.log", "ended.log"].map(|name| fs::read_to_string(folder.path().join(name)).unwrap_or_default());
    let expected = ["plain 0", "living 4", "asked 2", "switch 0", "living 0", "run 143"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{logs:#?}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(logs[2].contains("--yes"), "{logs:#?}");
    assert!(logs[3].contains("ended process ") && logs[3].contains("clean: nothing of any run is left"), "{logs:#?}");
}
