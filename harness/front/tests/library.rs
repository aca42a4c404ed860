//! Experiments from `#[tokio::test]` functions.

use shakedown_front::{Experiment, RunError};
use shakedown_model::verdict::Verdict;
use std::{future::Future as _, path::Path, task::Poll};

/// Its run goes to a directory of its own, which goes with the test.
fn experiment(file: &str, scratch: &Path) -> Experiment {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/experiment").join(file);
    Experiment::at(config).runtime("process").against_nothing().out(scratch.join("run"))
}

#[tokio::test]
async fn an_expectation_that_broke_is_asserted_on_by_its_numbers_and_told_in_a_panic() {
    let scratch = tempfile::tempdir().unwrap();
    let outcome = experiment("strict.yaml", scratch.path()).run().await.unwrap();
    assert_eq!(outcome.verdict(), Verdict::Fail);
    let tail = outcome.finding("frozen", "p99").unwrap();
    assert!(tail.verdict == Verdict::Fail && tail.observed.unwrap() > 0.02, "{tail:?}");
    assert!(outcome.finding("frozen", "dose").unwrap().verdict == Verdict::Pass && outcome.finding("thawed", "p99").is_none());
    let panic = std::panic::catch_unwind(|| outcome.assert_no_fail()).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    for text in ["frozen/fault/pages/p99", "again: shakedown run"] {
        assert!(said.contains(text), "{text} is not in\n{said}");
    }
    assert!(scratch.path().join("run/report.html").is_file());
}

#[tokio::test]
async fn what_has_no_outcome_says_why() {
    let scratch = tempfile::tempdir().unwrap();
    let nowhere = experiment("nowhere.yaml", scratch.path()).run().await.unwrap_err();
    assert!(matches!(nowhere, RunError::NoResult { code: 2, .. }) && nowhere.to_string().contains("nowhere.yaml"), "{nowhere}");
    let unknown = experiment("strict.yaml", scratch.path()).scenario("thawed").run().await.unwrap_err();
    assert!(unknown.to_string().contains("thawed"), "{unknown}");
    let missing = experiment("strict.yaml", scratch.path()).binary("/nowhere/shakedown").run().await.unwrap_err();
    assert!(matches!(missing, RunError::Io { .. }) && missing.to_string().contains("/nowhere/shakedown"), "{missing}");
    assert_eq!(experiment("shakedown.yaml", scratch.path()).names().unwrap(), ["frozen", "killed"]);
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_takes_everything_back() {
    let scratch = tempfile::tempdir().unwrap();
    let events = scratch.path().join("run/events.jsonl");
    let experiment = experiment("strict.yaml", scratch.path());
    let mut run = Box::pin(experiment.run());
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(20));
    // Until the fault is on.
    std::future::poll_fn(|context| {
        assert!(run.as_mut().poll(context).is_pending(), "it is not over yet");
        while tick.poll_tick(context).is_ready() {}
        let said = std::fs::read_to_string(&events).unwrap_or_default();
        if said.contains("fault_applied") { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(run);
    let journal = scratch.path().join("run/result.json");
    while !journal.is_file() {
        tick.tick().await;
    }
    let result: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(journal).unwrap()).unwrap();
    assert_eq!((&result["exit_code"], &result["clean"]), (&130.into(), &true.into()));
}
