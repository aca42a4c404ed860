//! A scenario that was played several times: what is pooled, what is merged, and how it is said.

mod common;
mod verdicts;

use common::{Behaviour, Story, at, in_rounds, played};
use shakedown_judge::judge;
use shakedown_model::{
    event::{Event, Phase, TimedEvent},
    evidence::{Evidence, LogRecord},
    fault::{Action, Target},
    run::Play,
    stack::Variant,
    verdict::Verdict,
};
use verdicts::{check, findings, healthy, only};

fn four(candidates: &[Behaviour; 4]) -> Evidence {
    in_rounds(&Story::slow_payment("slow-payment"), candidates)
}

fn unchanged() -> Evidence {
    four(&std::array::from_fn(|_| Behaviour::default()))
}

#[test]
fn blocks_of_all_rounds_are_one_sample() {
    let (one, all) = (judge(&healthy()), judge(&unchanged()));
    let blocks = |result| only(result, "p99-vs-baseline").samples;
    assert_eq!(blocks(&all), 4 * blocks(&one), "{}", only(&all, "p99-vs-baseline").reason);
    let shown: Vec<String> = all.scenarios[0].findings.iter().map(|finding| format!("{} {}", finding.verdict, finding.reason)).collect();
    assert_eq!(all.verdict, Verdict::Pass, "{shown:#?}");
    let requests = |result| only(result, "p99").samples;
    assert!(requests(&all) > 3 * requests(&one), "limits are held against the requests of all rounds");
    let ids = |result: &shakedown_model::result::RunResult| {
        result.scenarios[0].findings.iter().map(|finding| finding.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&one), ids(&all), "one finding per expectation, under the same id");
}

#[test]
fn a_change_too_small_for_one_round_is_found_in_four() {
    let slower = Behaviour { fault: 0.28, ..Behaviour::default() };
    let once = in_rounds(&Story::slow_payment("slow-payment"), std::slice::from_ref(&slower));
    let many = four(&std::array::from_fn(|_| slower.clone()));
    let width = |evidence: &Evidence| {
        let result = judge(evidence);
        let [low, high] = only(&result, "p99-vs-baseline").ci.unwrap();
        high - low
    };
    assert!(width(&many) < 0.7 * width(&once));
    check(&many, "p99-vs-baseline", Verdict::Fail, "pair-blocks");
}

#[test]
fn what_every_round_shows_is_said_once_and_what_one_shows_names_it() {
    let mut evidence = unchanged();
    check(&evidence, "dose", Verdict::Pass, "in all 4 rounds: latency on orders -> payment took hold");
    evidence.candidate.faults[2].dose.touched = 0;
    check(&evidence, "dose", Verdict::Inconclusive, "in round 3 of 4: latency on orders -> payment touched nothing");
    let result = judge(&evidence);
    assert_eq!((only(&result, "dose").round, only(&result, "dose").episode), (Some(3), None));
    evidence.candidate.logs.push(LogRecord {
        at: at(1, 20.0),
        service: "orders".into(),
        severity: None,
        body: "panicked at 'boom'".to_owned(),
        trace_id: None,
    });
    check(&evidence, "logs", Verdict::Fail, "in round 2 of 4: 1 line matched");
}

#[test]
fn a_round_in_which_the_two_were_not_hurt_alike_is_left_out_by_name() {
    let mut evidence = unchanged();
    let baseline = &mut evidence.baseline.as_mut().unwrap().evidence;
    baseline.faults[1].dose.figures.insert("delay_ms".to_owned(), 120.0);
    check(&evidence, "p99-vs-baseline", Verdict::Pass, "round 2 of 4 is left out: latency on orders -> payment added");
    for fault in &mut evidence.baseline.as_mut().unwrap().evidence.faults[..3] {
        fault.dose.touched = 0;
    }
    check(
        &evidence,
        "p99-vs-baseline",
        Verdict::Inconclusive,
        "in round 1 of 4: on the baseline, latency on orders -> payment touched nothing",
    );
}

#[test]
fn the_slowest_recovery_speaks_for_all_and_a_missing_one_fails() {
    let sick = |seconds: f64| Behaviour { sick: seconds, ..Behaviour::default() };
    let evidence = four(&[sick(0.0), sick(2.0), sick(1.0), sick(0.0)]);
    let result = judge(&evidence);
    let finding = only(&result, "recovery");
    assert_eq!(finding.verdict, Verdict::Pass);
    assert!(finding.reason.starts_with("in all 4 rounds (here round 2 of 4)"), "{}", finding.reason);
    assert!((1.0..3.0).contains(&finding.observed.unwrap()), "{}", finding.reason);
    check(&four(&[sick(0.0), sick(0.0), sick(0.0), sick(9.0)]), "recovery", Verdict::Fail, "in round 4 of 4: ");
}

#[test]
fn a_death_in_one_round_is_told_with_its_round_and_shown() {
    let mut evidence = unchanged();
    let died =
        Event::ServiceChanged { variant: Variant::Candidate, service: "payment".to_owned(), what: "exited with code 101".to_owned() };
    evidence.events.push(TimedEvent { at: at(2, 15.0), event: died });
    check(&evidence, "crash", Verdict::Fail, "in round 3 of 4: payment exited with code 101");
    let result = judge(&evidence);
    let scenario = &result.scenarios[0];
    assert_eq!((scenario.exhibits.round, scenario.exhibits.episode), (Some(3), None));
    let shown: Vec<_> = scenario.shown_phases().collect();
    assert_eq!((shown.len(), shown[0].start), (4, at(2, 0.0)));
    let series = &scenario.exhibits.loads[0].candidate;
    assert!(series.iter().all(|point| point.at >= at(2, 0.0) && point.at < at(3, 0.0)), "one play on one axis");
    assert!(scenario.exhibits.marks.iter().any(|mark| mark.text == "payment exited with code 101"));
    assert!(scenario.exhibits.loads[0].table[2].candidate.requests > 2_000, "tables are of all rounds");
}

#[test]
fn a_late_generator_in_one_round_takes_the_verdicts_from_the_load() {
    let mut evidence = unchanged();
    let mut number = 0;
    for timed in &mut evidence.events {
        if let Event::Generator { report, .. } = &mut timed.event {
            number += 1;
            report.late_p99_ms = if number == 2 { 40.0 } else { 0.1 };
        }
    }
    check(&evidence, "generator", Verdict::Inconclusive, "in round 2 of 4: the load generator ran late by 40.0 ms");
    check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, "cannot be trusted, because in round 2 of 4: the load generator ran late");
}

#[test]
fn phases_and_faults_carry_their_round_and_episode() {
    let story = Story::slow_payment("slow-payment");
    let plays: Vec<(Play, Story)> =
        [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(round, episode)| (Play { round, episode }, story.clone())).to_vec();
    let mut evidence = played(&plays, 100.0, 7);
    evidence.candidate.faults[3].error = Some("agent died".to_owned());
    let result = judge(&evidence);
    let scenario = &result.scenarios[0];
    let numbers: Vec<_> = scenario.phases.iter().map(|phase| (phase.round, phase.episode)).collect();
    assert_eq!(numbers.len(), 16);
    assert_eq!((numbers[0], numbers[4], numbers[15]), ((Some(1), Some(1)), (Some(1), Some(2)), (Some(2), Some(2))));
    assert_eq!(scenario.faults.len(), 8);
    assert_eq!((scenario.faults[7].variant.as_str(), scenario.faults[7].round, scenario.faults[7].episode), ("baseline", Some(2), Some(2)));
    check(&evidence, "dose", Verdict::Inconclusive, "in round 2 of 2, episode 2 of 2: latency on orders -> payment was not carried out");
}

#[test]
fn where_there_was_one_play_nothing_speaks_of_rounds() {
    let text = serde_json::to_string(&judge(&healthy())).unwrap();
    assert!(!text.contains("\"round\"") && !text.contains("\"episode\"") && !text.contains("round 1"));
}

#[test]
fn a_round_that_never_began_keeps_the_scenario_from_passing() {
    let mut evidence = unchanged();
    evidence.run.scenarios[3].phases.clear();
    evidence.run.scenarios[3].steady_broken = Some("checkout: success 12 %".to_owned());
    for side in [&mut evidence.candidate, &mut evidence.baseline.as_mut().unwrap().evidence] {
        side.faults.retain(|fault| fault.play.round < 4);
        side.requests.retain(|request| request.due < at(3, 0.0));
    }
    check(&evidence, "environment", Verdict::Inconclusive, "in round 4 of 4: steady state was broken before any fault");
    let result = judge(&evidence);
    let tail = findings(&result, "p99-vs-baseline").into_iter().find(|finding| finding.phase == Some(Phase::Fault)).unwrap();
    assert!(tail.samples > 30, "{}", tail.reason);
}

// Recovery of both, play by play

/// So many rounds in which payment is killed; the candidate's requests fail for so long after it, the baseline's for 0.3 s.
fn killed(rounds: u32, sick: f64) -> Evidence {
    let mut story = Story::slow_payment("payment-killed");
    story.fault.on = Target::Service("payment".to_owned());
    story.fault.action = Action::Kill;
    story.baseline = Behaviour { fault: 0.03, touched: 1, sick: 0.3, ..Behaviour::default() };
    story.candidate = Behaviour { sick, ..story.baseline.clone() };
    let plays: Vec<(Play, Story)> = (1..=rounds).map(|round| (Play { round, episode: 1 }, story.clone())).collect();
    played(&plays, 40.0, 7)
}

#[test]
fn a_recovery_that_takes_longer_is_proven_by_enough_plays() {
    let evidence = killed(13, 2.5);
    check(&evidence, "recovery-vs-baseline", Verdict::Fail, "(13 plays)");
    let finding = only(&judge(&evidence), "recovery-vs-baseline").clone();
    assert!(finding.change.unwrap() > 0.5 && finding.observed.unwrap() > 1.5, "{}", finding.reason);
    check(&evidence, "recovery", Verdict::Pass, "in all 13 rounds");
    check(&killed(13, 0.3), "recovery-vs-baseline", Verdict::Pass, "proven below");
}

#[test]
fn too_few_plays_say_how_many_it_takes_and_block_nothing() {
    let result = judge(&killed(2, 0.3));
    let finding = only(&result, "recovery-vs-baseline");
    assert_eq!((finding.verdict, finding.advisory), (Verdict::Inconclusive, true));
    assert!(finding.reason.contains("2 plays can prove nothing, it takes 10 (rounds × episodes)"), "{}", finding.reason);
    let shown: Vec<String> = result.scenarios[0].findings.iter().map(|finding| format!("{} {}", finding.verdict, finding.reason)).collect();
    assert_eq!(result.verdict, Verdict::Pass, "{shown:#?}");
}

#[test]
fn a_state_is_no_event_and_a_single_play_no_sample() {
    assert!(findings(&judge(&unchanged()), "recovery-vs-baseline").is_empty());
    assert!(findings(&judge(&killed(1, 2.5)), "recovery-vs-baseline").is_empty());
}
