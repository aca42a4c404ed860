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
        episodes: 1,
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
        baseline: BaselineSpec { commit: BaselineCommit::MergeBase, mode: BaselineMode::Paired, rounds: 1 },
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

#[test]
fn rounds_are_for_a_baseline_beside_the_candidate_and_a_budget_counts_all_of_them() {
    let with = |baseline: bool, mode, budget: Option<u64>| {
        let mut experiment = experiment();
        experiment.baseline.rounds = 4;
        experiment.scenarios.iter_mut().for_each(|scenario| scenario.episodes = 2);
        let commit = CommitInfo { baseline: baseline.then(|| "b".to_owned()), ..CommitInfo::default() };
        let choice = Choice { all: true, mode: Some(mode), budget: budget.map(Duration::from_secs), ..Choice::default() };
        plan(&experiment, commit, &choice, RuntimeKind::Process, String::new()).unwrap()
    };
    let paired = with(true, BaselineMode::Paired, None);
    assert_eq!((paired.rounds, paired.most_rounds, paired.scenarios.len()), (4, 4, 3));
    assert!(paired.estimated_seconds > 4.0 * 2.0 * 60.0, "{}", paired.estimated_seconds);
    for (baseline, mode) in [(false, BaselineMode::Paired), (true, BaselineMode::Recorded), (true, BaselineMode::None)] {
        let alone = with(baseline, mode, Some(10_000));
        assert_eq!((alone.rounds, alone.most_rounds, alone.estimated_seconds), (1, 1, 120.0), "{mode:?}");
    }
    let short = with(true, BaselineMode::Paired, Some(300));
    assert_eq!(short.scenarios.iter().map(|planned| planned.scenario.name.as_str()).collect::<Vec<_>>(), ["always", "payment"]);
    assert!(short.estimated_seconds <= 300.0 && short.left_out[0].1.contains("each round"), "{:?}", short.left_out);
    assert_eq!(with(true, BaselineMode::Paired, Some(1_000)).most_rounds, 8);
}
