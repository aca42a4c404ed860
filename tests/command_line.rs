//! The commands that start nothing, and the ways to get them wrong.

use serde_json::Value;
use shakedown_tests::{Folder, repository};
use std::process::Command;

const PROCESS_CONFIG: &str = r#"
services:
  process:
    web: { run: [./web], env: { LISTEN: "{{ listen }}" } }
load:
  main: { to: "web:8080", request: GET /, rate: 50/s }
scenarios:
  - scenario: freeze
    faults: [{ for: 2s, on: web, pause: {} }]
"#;

#[test]
fn all_mistakes_are_shown_at_once_with_line_caret_and_hint() {
    let folder = Folder::new();
    folder.write(
        "shakedown.yaml",
        &PROCESS_CONFIG.replace("rate: 50/s", "rat: 50/s").replace("on: web", "on: wbe").replace("for: 2s", "for: 2"),
    );
    let ran = folder.shakedown(&["validate"]);
    ran.expect_code(2).expect_stderr("rat").expect_stderr("wbe").expect_stderr("did you mean").expect_stderr("^");
    assert!(ran.stderr.contains("shakedown.yaml:6:") && ran.stderr.contains("shakedown.yaml:9:"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty(), "stdout is the result, and there is none: {}", ran.stdout);
}

#[test]
fn a_template_that_cannot_be_filled_is_found_before_anything_starts() {
    let folder = Folder::new();
    folder.write("shakedown.yaml", &PROCESS_CONFIG.replace("request: GET /,", "request: \"GET /{{ sku }}\","));
    folder.shakedown(&["validate"]).expect_code(2).expect_stderr("shakedown.yaml:6").expect_stderr("undefined value");
}

#[test]
fn a_missing_config_names_the_way_out() {
    Folder::new().shakedown(&["validate"]).expect_code(2).expect_stderr("shakedown.yaml").expect_stderr("shakedown init");
}

#[test]
fn a_wrong_flag_is_a_usage_error_and_help_is_not() {
    let folder = Folder::new();
    folder.shakedown(&["run", "--no-such-flag"]).expect_code(2);
    folder.shakedown(&["run", "--shard", "3/2"]).expect_code(2);
    let help = folder.shakedown(&["--help"]);
    help.expect_code(0);
    assert!(help.stdout.contains("Exit codes"), "{}", help.stdout);
}

#[test]
fn init_writes_what_validate_accepts_and_does_not_write_over_it() {
    let folder = Folder::new();
    folder.copy(&repository().join("fixtures/shop/compose.yaml"));
    folder.shakedown(&["init"]).expect_code(0);
    folder.shakedown(&["validate"]).expect_code(0);
    let config = folder.read("shakedown.yaml");
    assert!(config.contains("gateway:8080") && config.contains("/readyz"), "{config}");
    assert!(folder.read(".github/workflows/shakedown.yml").contains("fetch-depth: 0"));
    folder.shakedown(&["init"]).expect_code(2).expect_stderr("--force");
    folder.shakedown(&["init", "--force"]).expect_code(0);
}

#[test]
fn init_without_a_compose_file_says_what_it_looked_for() {
    Folder::new().shakedown(&["init"]).expect_code(2).expect_stderr("compose.yaml").expect_stderr("--compose");
}

#[test]
fn a_plan_says_why_and_starts_nothing() {
    let folder = Folder::new();
    folder.write("shakedown.yaml", PROCESS_CONFIG);
    let ran = folder.shakedown(&["plan"]);
    ran.expect_code(0);
    for text in ["runs for every commit", "not a git repository", "pause on web", "SIGSTOP"] {
        assert!(ran.stdout.contains(text), "{text:?} is not in\n{}", ran.stdout);
    }
    let json = folder.shakedown(&["plan", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(plan["scenarios"][0]["scenario"]["name"], "freeze");
    assert!(!folder.path().join(".shakedown").exists());
    folder.shakedown(&["plan", "--scenario", "freze"]).expect_code(2).expect_stderr("freeze");
}

#[test]
fn a_base_outside_a_repository_is_a_usage_error() {
    let folder = Folder::new();
    folder.write("shakedown.yaml", PROCESS_CONFIG);
    folder.shakedown(&["plan", "--base", "main"]).expect_code(2).expect_stderr("not in a git repository");
}

#[test]
fn an_engine_that_is_not_there_is_an_environment_error_with_the_way_out() {
    let folder = Folder::new();
    folder.copy(&repository().join("fixtures/shop/compose.yaml"));
    folder.shakedown(&["init"]).expect_code(0);
    let output = folder.command(&["run", "--runtime", "docker"]).env("DOCKER_HOST", "tcp://127.0.0.1:1").output().unwrap();
    let ran = shakedown_tests::Ran::of(&output);
    ran.expect_code(4).expect_stderr("127.0.0.1:1").expect_stderr("--runtime process");
}

#[test]
fn judging_what_is_no_run_says_so() {
    let folder = Folder::new();
    folder.shakedown(&["judge", "nowhere"]).expect_code(2).expect_stderr("nowhere").expect_stderr("run");
}

#[test]
fn recorded_gates_are_judged_as_they_were() {
    for (name, verdict) in [("gate-equal", "pass"), ("gate-slower", "fail")] {
        let folder = Folder::new();
        let recorded = repository().join("fixtures/runs").join(name);
        assert!(Command::new("cp").arg("-r").arg(recorded).arg(folder.path().join("run")).status().unwrap().success());
        // They ran with --mode warn.
        folder.shakedown(&["judge", "run"]).expect_code(0);
        let result: Value = serde_json::from_str(&folder.read("run/result.json")).unwrap();
        assert_eq!(result["verdict"], verdict, "{name}: {}", result["headline"]);
    }
}

#[test]
fn two_runs_are_put_side_by_side_and_nothing_is_decided() {
    let folder = Folder::new();
    let sample = std::fs::read_to_string(repository().join("fixtures/runs/sample-result.json")).unwrap();
    folder.write("a/result.json", &sample);
    folder.write("b/result.json", &sample.replace("payment-killed", "payment-shot"));
    let ran = folder.shakedown(&["diff", "a", "b", "--html", "pages/diff.html", "--json", "diff.json"]);
    ran.expect_code(0);
    assert!(ran.stdout.contains("payment-shot") && ran.stdout.contains("in one run only"), "{}", ran.stdout);
    assert!(folder.read("pages/diff.html").contains("payment-shot") && folder.read("diff.json").contains("shakedown.diff/1"));
    folder.shakedown(&["diff", "a", "nowhere"]).expect_code(2).expect_stderr("nowhere");
}

#[test]
fn a_release_of_which_nothing_is_known_is_not_ready_and_says_what_to_do() {
    let folder = Folder::new();
    folder.write("shakedown.yaml", PROCESS_CONFIG);
    folder.git(&["init", "-q"]);
    for subject in ["first", "second"] {
        folder.write("note", subject);
        folder.git(&["add", "-A"]);
        folder.git(&["commit", "-qm", subject]);
    }
    let ran = folder.shakedown(&["release", "HEAD^..HEAD", "--html", "release.html", "--markdown", "release.md", "--json", "release.json"]);
    ran.expect_code(3);
    assert!(ran.stdout.contains("freeze was not exercised") && ran.stdout.contains("shakedown run --all"), "{}", ran.stdout);

    // A run of the tip that is here counts.
    let sample = std::fs::read_to_string(repository().join("fixtures/runs/sample-result.json")).unwrap();
    let mut result: Value = serde_json::from_str(&sample).unwrap();
    result["commit"]["candidate"] = folder.git(&["rev-parse", "HEAD"]).into();
    folder.write(".shakedown/runs/20260101-000000-x/result.json", &result.to_string());
    folder.write(".shakedown/runs/20260102-000000-y/result.json", "{");
    let ran = folder.shakedown(&["release", "HEAD^", "--html", "release.html", "--markdown", "release.md", "--json", "release.json"]);
    ran.expect_code(1).expect_stderr("1 results below");
    assert!(ran.stdout.contains("not ready: slow-payment failed at"), "{}", ran.stdout);
    assert!(folder.read("release.html").contains("orders → payment") && folder.read("release.md").contains("| slow-payment"));
    assert!(folder.read("release.json").contains("shakedown.release/1"));
    folder.shakedown(&["release", "HEAD..HEAD"]).expect_code(2).expect_stderr("holds no commit");
    folder.shakedown(&["release", "v9..HEAD"]).expect_code(2).expect_stderr("v9");
}

#[test]
fn recovering_where_nothing_ran_is_clean() {
    let ran = Folder::new().shakedown(&["recover"]);
    ran.expect_code(0);
    assert!(ran.stdout.contains("clean"), "{}", ran.stdout);
}

#[test]
fn the_store_of_baselines_is_empty_at_first_and_says_how_to_fill_it() {
    let folder = Folder::new();
    let list = folder.shakedown(&["baseline", "list"]);
    list.expect_code(0);
    assert!(list.stdout.contains("baseline save"), "{}", list.stdout);
    folder.shakedown(&["baseline", "show", "abc"]).expect_code(2);
}

#[test]
fn the_doctor_names_every_fault_kind() {
    let ran = Folder::new().shakedown(&["doctor"]);
    for kind in ["pause", "term", "kill", "restart", "latency", "loss", "bandwidth", "partition", "reset", "slicer"] {
        assert!(ran.stdout.contains(kind), "{kind} is not in\n{}", ran.stdout);
    }
}
