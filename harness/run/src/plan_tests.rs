//! Which scenarios run, and why.

use super::*;
use indexmap::IndexMap;
use shakedown_model::{
    experiment::{BaselineCommit, BaselineSpec, Gate, PhaseLengths, Services, Source, Telemetry},
    fault::{Fault, Target},
    units::{Percent, Span},
    verdict::GateMode,
};
use std::path::PathBuf;

fn scenario(name: &str, when: When, seconds: u64) -> Scenario {
    let second = Span(Duration::from_secs(1));
    Scenario {
        name: name.to_owned(),
        why: None,
        when,
        faults: vec![Fault {
            at: Span::default(),
            lasts: Span(Duration::from_secs(seconds - 3)),
            on: Target::Service("a".to_owned()),
            action: shakedown_model::fault::Action::Pause,
            ports: Vec::new(),
            connections: Percent(1.0),
            source: Source::default(),
        }],
        random: None,
        expect_fault: Vec::new(),
        recover_within: None,
        forbid_logs: Vec::new(),
        stop_when: Vec::new(),
        phases: PhaseLengths { warmup: second, steady: second, recovery: second },
        source: Source::default(),
    }
}

fn experiment() -> Experiment {
    let second = Span(Duration::from_secs(1));
    Experiment {
        config: PathBuf::from("shakedown.yaml"),
        root: PathBuf::from("/"),
        services: Services::default(),
        telemetry: Telemetry { otlp: true, metrics: IndexMap::new() },
        loads: IndexMap::new(),
        steady_state: Vec::new(),
        baseline: BaselineSpec { commit: BaselineCommit::MergeBase, mode: BaselineMode::Paired },
        gate: Gate {
            tolerance: Percent(0.05),
            harmful: Percent(0.3),
            confidence: Percent(0.99),
            inconclusive: GateMode::Block,
            mode: GateMode::Block,
        },
        phases: PhaseLengths { warmup: second, steady: second, recovery: second },
        scenarios: vec![
            scenario("always", When::Always, 10),
            scenario("payment", When::Paths(vec!["services/payment/**".to_owned()]), 20),
            scenario("orders", When::Paths(vec!["services/orders/**".to_owned()]), 30),
        ],
    }
}

fn names(choice: &Choice) -> Vec<String> {
    let plan = plan(&experiment(), CommitInfo::default(), choice, RuntimeKind::Process, String::new()).unwrap();
    assert_eq!(plan.scenarios.len() + plan.left_out.len(), 3, "each scenario is planned or left out with a reason");
    plan.scenarios.into_iter().map(|planned| planned.scenario.name).collect()
}

fn changed(paths: &[&str]) -> Option<Vec<String>> {
    Some(paths.iter().map(|&path| path.to_owned()).collect())
}

#[test]
fn the_change_decides_and_flags_and_trailers_go_before_it() {
    let touched = Choice { changed: changed(&["services/payment/main.rs"]), ..Choice::default() };
    assert_eq!(names(&touched), ["always", "payment"]);
    assert_eq!(names(&Choice { all: true, ..touched.clone() }), ["always", "payment", "orders"]);
    assert_eq!(names(&Choice { names: vec!["orders".to_owned()], ..touched.clone() }), ["orders"]);
    assert_eq!(names(&Choice { trailer: Some(Selection::Skip), ..touched.clone() }), [""; 0]);
    assert_eq!(names(&Choice { trailer: Some(Selection::Skip), all: true, ..touched }), ["always", "payment", "orders"]);
    assert_eq!(names(&Choice::default()), ["always", "payment", "orders"], "without a baseline everything runs");
}

#[test]
fn every_scenario_is_in_exactly_one_shard() {
    let all = |shard| names(&Choice { all: true, shard: Some(shard), ..Choice::default() });
    assert_eq!(all((1, 2)), ["orders"]);
    assert_eq!(all((2, 2)), ["always", "payment"]);
}

#[test]
fn a_budget_leaves_out_what_does_not_fit() {
    let choice = Choice { all: true, budget: Some(Duration::from_secs(35)), ..Choice::default() };
    assert_eq!(names(&choice), ["always", "payment"]);
}

#[test]
fn what_cannot_be_carried_out_is_an_error() {
    let fails = |choice: &Choice| plan(&experiment(), CommitInfo::default(), choice, RuntimeKind::Process, String::new()).unwrap_err();
    let unknown = fails(&Choice { names: vec!["paymnet".to_owned()], ..Choice::default() });
    assert!(unknown.to_string().contains("always, payment, orders"), "{unknown}");
    assert_eq!(fails(&Choice { shard: Some((3, 2)), ..Choice::default() }), PlanError::Shard(3, 2));
}

#[test]
fn the_seed_follows_the_commit_and_the_flag_goes_before_it() {
    let with = |candidate: &str, seed| {
        let commit = CommitInfo { candidate: Some(candidate.to_owned()), ..CommitInfo::default() };
        plan(&experiment(), commit, &Choice { seed, ..Choice::default() }, RuntimeKind::Process, String::new()).unwrap().seed
    };
    assert_eq!(with("abc", None), with("abc", None));
    assert_ne!(with("abc", None), with("def", None));
    assert_eq!(with("abc", Some(7)), 7);
}
