//! Shards joined: one verdict, and none where something is missing.

mod common;

use common::{Behaviour, Story, evidence};
use shakedown_judge::{
    judge,
    shards::{Shard, merge},
};
use shakedown_model::{result::RunResult, verdict::Verdict};

fn of(name: &'static str, candidate: Behaviour) -> RunResult {
    judge(&evidence(&[Story { candidate, ..Story::slow_payment(name) }]))
}

fn good(name: &'static str) -> RunResult {
    of(name, Behaviour::default())
}

fn broken(name: &'static str) -> RunResult {
    of(name, Behaviour { failures: 0.9, ..Behaviour::default() })
}

fn shard(index: u32, count: u32, result: RunResult) -> Shard {
    Shard { index, count, result }
}

#[test]
fn shards_that_all_pass_are_a_pass_whatever_their_order() {
    let merged = merge(vec![shard(2, 2, good("b")), shard(1, 2, good("a"))]).unwrap();
    let names: Vec<&str> = merged.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    assert_eq!((merged.verdict, merged.exit_code, names), (Verdict::Pass, 0, vec!["a", "b"]));
    assert_eq!(merged.headline, "PASS — 2 scenarios in 2 shards; every shard passed");
}

#[test]
fn one_shard_that_fails_fails_the_whole_and_its_headline_says_why() {
    let failed = broken("b");
    assert_eq!(failed.exit_code, 1);
    let headline = failed.headline.clone();
    let merged = merge(vec![shard(1, 2, good("a")), shard(2, 2, failed)]).unwrap();
    assert_eq!((merged.verdict, merged.exit_code, merged.headline), (Verdict::Fail, 1, headline));
}

#[test]
fn a_missing_shard_is_named_and_never_a_pass() {
    let merged = merge(vec![shard(1, 3, good("a")), shard(3, 3, good("b"))]).unwrap();
    assert_eq!((merged.verdict, merged.exit_code), (Verdict::Inconclusive, 3));
    assert_eq!(merged.headline, "INCONCLUSIVE — shard 2 of 3 is missing");
    assert!(merged.health.iter().any(|note| note.name == "shard-missing" && note.forces_inconclusive), "{:?}", merged.health);
    let failed = merge(vec![shard(1, 3, broken("a")), shard(3, 3, good("b"))]).unwrap();
    assert_eq!((failed.verdict, failed.exit_code), (Verdict::Fail, 1), "what is proven stays proven");
}

#[test]
fn a_shard_without_a_scenario_says_nothing_and_all_of_them_without_one_are_inconclusive() {
    let idle = || RunResult { scenarios: Vec::new(), verdict: Verdict::Inconclusive, exit_code: 3, health: Vec::new(), ..good("a") };
    let merged = merge(vec![shard(1, 2, good("a")), shard(2, 2, idle())]).unwrap();
    assert_eq!((merged.verdict, merged.exit_code), (Verdict::Pass, 0));
    let nothing = merge(vec![shard(1, 2, idle()), shard(2, 2, idle())]).unwrap();
    assert_eq!((nothing.verdict, nothing.exit_code), (Verdict::Inconclusive, 3));
}

#[test]
fn what_is_not_clean_in_one_shard_is_not_clean_in_the_whole() {
    let left = || RunResult { clean: false, left: vec!["container x".to_owned()], exit_code: 5, ..broken("b") };
    let merged = merge(vec![shard(1, 2, broken("a")), shard(2, 2, left())]).unwrap();
    assert_eq!((merged.clean, merged.exit_code, merged.left), (false, 5, vec!["container x".to_owned()]));
}

#[test]
fn what_is_not_of_one_run_is_refused_with_the_difference() {
    let refused = |shards: Vec<Shard>| merge(shards).unwrap_err();
    assert!(refused(Vec::new()).contains("no shard"));
    assert!(refused(vec![shard(1, 2, good("a")), shard(1, 2, good("b"))]).contains("shard 1 of 2 is given twice"));
    assert!(refused(vec![shard(1, 2, good("a")), shard(2, 3, good("b"))]).contains("the number of shards differs"));
    assert!(refused(vec![shard(1, 2, good("a")), shard(2, 2, good("a"))]).contains("scenario a was played in two"));
    let other = RunResult { seed: 43, ..good("b") };
    assert!(refused(vec![shard(1, 2, good("a")), shard(2, 2, other)]).contains("the seed differs: shard 1 says 42, shard 2 says 43"));
}
