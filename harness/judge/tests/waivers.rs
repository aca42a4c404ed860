//! Failures that somebody answers for: until a day, and never what keeps the run from knowing anything.

mod common;
mod verdicts;

use common::{Behaviour, source};
use shakedown_judge::judge;
use shakedown_model::{
    evidence::Evidence,
    experiment::Waiver,
    result::{Finding, RunResult},
    verdict::Verdict,
};
use verdicts::{healthy, with};

fn waiver(finding: &str, expires: &str) -> Waiver {
    Waiver {
        finding: finding.to_owned(),
        owner: "team-payments".to_owned(),
        expires: expires.parse().expect("a day"),
        why: Some("the provider moves in May".to_owned()),
        source: source(40),
    }
}

/// A run whose change makes the fault hurt more, judged with these waivers.
fn worse(waivers: &[Waiver]) -> Evidence {
    let mut evidence = with(Behaviour { fault: 0.7, calls: 4, ..Behaviour::default() });
    evidence.experiment.waivers = waivers.to_vec();
    evidence
}

fn failed(result: &RunResult) -> Vec<&Finding> {
    result.scenarios[0].findings.iter().filter(|finding| finding.verdict == Verdict::Fail && !finding.advisory).collect()
}

fn notes<'a>(result: &'a RunResult, name: &str) -> Vec<&'a str> {
    result.health.iter().filter(|note| note.name == name).map(|note| note.text.as_str()).collect()
}

/// The day after, and the day of, the run's start.
fn days(evidence: &Evidence) -> (String, String) {
    let day = |seconds: u64| (evidence.run.started + std::time::Duration::from_secs(seconds)).day().to_string();
    (day(86_400), day(0))
}

#[test]
fn what_is_waived_is_still_a_failure_and_does_not_block() {
    let (tomorrow, _) = days(&worse(&[]));
    let result = judge(&worse(&[waiver("*/**", &tomorrow)]));
    assert_eq!((result.verdict, result.exit_code), (Verdict::Pass, 0), "{}", result.headline);
    let failed = failed(&result);
    assert!(failed.len() >= 2 && failed.iter().all(|finding| finding.waived.is_some()), "{failed:#?}");
    assert_eq!(failed[0].waived.as_ref().map(|waived| waived.owner.as_str()), Some("team-payments"));
    assert!(result.headline.contains("failures are waived: ") && result.headline.contains("(team-payments, until "), "{}", result.headline);
    assert!(!result.headline.contains("nothing got worse"), "{}", result.headline);
    assert!(!result.scenarios[0].culprits.is_empty(), "who is to blame is told all the same");
}

#[test]
fn a_waiver_covers_what_it_names_and_nothing_else() {
    let (tomorrow, _) = days(&worse(&[]));
    let all = judge(&worse(&[]));
    let first = failed(&all)[0].id.clone();
    let result = judge(&worse(&[waiver(&first, &tomorrow)]));
    assert_eq!((result.verdict, result.exit_code), (Verdict::Fail, 1));
    let waived: Vec<&str> =
        failed(&result).into_iter().filter(|finding| finding.waived.is_some()).map(|finding| finding.id.as_str()).collect();
    assert_eq!(waived, [first.as_str()]);
    assert!(!result.scenarios[0].headline.contains("waived"), "a failure that counts comes first: {}", result.scenarios[0].headline);
}

#[test]
fn from_the_day_of_expiry_on_it_counts_again_and_is_named() {
    let (_, today) = days(&worse(&[]));
    let result = judge(&worse(&[waiver("*/**", &today)]));
    assert_eq!((result.verdict, result.exit_code), (Verdict::Fail, 1));
    assert!(failed(&result).iter().all(|finding| finding.waived.is_none()));
    let expired = notes(&result, "waiver-expired");
    assert_eq!(expired.len(), 1, "{:?}", result.health);
    assert!(expired[0].contains("*/** (team-payments) ended on ") && expired[0].contains("counts again"), "{}", expired[0]);
}

#[test]
fn a_waiver_that_matches_nothing_is_named_unless_its_scenario_did_not_run() {
    let (tomorrow, _) = days(&worse(&[]));
    let name = judge(&worse(&[])).scenarios[0].name.clone();
    let result =
        judge(&worse(&[waiver(&format!("{name}/fault/nobody/p99"), &tomorrow), waiver("another-one/fault/checkout/p99", &tomorrow)]));
    let unused = notes(&result, "waiver-unused");
    assert_eq!(unused.len(), 1, "{:?}", result.health);
    assert!(unused[0].contains("nobody/p99"), "{}", unused[0]);
    assert!(result.health.iter().all(|note| !note.name.starts_with("waiver") || !note.forces_inconclusive));
}

#[test]
fn what_passes_is_not_waived_and_what_cannot_tell_stays_so() {
    let mut passing = healthy();
    let (tomorrow, _) = days(&passing);
    passing.experiment.waivers = vec![waiver("**", &tomorrow)];
    let result = judge(&passing);
    assert!(result.scenarios[0].findings.iter().all(|finding| finding.waived.is_none()));
    assert!(notes(&result, "waiver-unused").is_empty(), "it is there for a failure that comes and goes");

    let mut vacuous = with(Behaviour { touched: 0, ..Behaviour::default() });
    vacuous.experiment.waivers = vec![waiver("**", &tomorrow)];
    let result = judge(&vacuous);
    assert_eq!((result.verdict, result.exit_code), (Verdict::Inconclusive, 3), "{}", result.headline);
}

#[test]
fn whether_the_experiment_was_carried_out_cannot_be_waived() {
    let mut evidence = worse(&[]);
    let (tomorrow, _) = days(&evidence);
    evidence.experiment.waivers = vec![waiver("*/*/*/{dose,environment,generator,steady-state}", &tomorrow)];
    let result = judge(&evidence);
    assert_eq!(notes(&result, "waiver-unused").len(), 1, "{:?}", result.health);
}
