//! Whether a fault did what was asked: what proves nothing is inconclusive.

mod common;
mod verdicts;

use common::{Behaviour, Story, at, evidence, span};
use shakedown_judge::judge;
use shakedown_model::{
    evidence::{Evidence, VariantEvidence},
    fault::{
        Action, Bandwidth, Clock, Connect, Corrupt, Cpu, Dns, DnsEffect, Duplicate, Http, HttpEffect, Loss, Redis, RedisEffect, Reorder,
    },
    units::{Percent, Shift, Throughput},
    verdict::Verdict,
};
use verdicts::{check, healthy, with};

#[test]
fn a_fault_that_touched_nothing_proves_nothing() {
    let evidence = with(Behaviour { touched: 0, ..Behaviour::default() });
    check(&evidence, "dose", Verdict::Inconclusive, "touched nothing");
    assert_ne!(judge(&evidence).verdict, Verdict::Pass);
}

#[test]
fn a_dose_far_from_the_one_asked_is_inconclusive() {
    for delay_ms in [0.0, 40.0, 900.0, f64::NAN] {
        check(&with(Behaviour { delay_ms, ..Behaviour::default() }), "dose", Verdict::Inconclusive, "latency on orders -> payment");
    }
    check(&with(Behaviour { delay_ms: 150.0, ..Behaviour::default() }), "dose", Verdict::Pass, "took hold");
}

#[test]
fn a_fault_without_a_record_an_effect_or_an_end_is_inconclusive() {
    let spoil = |spoil: fn(&mut VariantEvidence), says: &str| {
        let mut evidence = healthy();
        spoil(&mut evidence.candidate);
        check(&evidence, "dose", Verdict::Inconclusive, says);
    };
    spoil(|candidate| candidate.faults.clear(), "no record");
    spoil(|candidate| candidate.faults[0].error = Some("agent died".to_owned()), "agent died");
    spoil(|candidate| candidate.faults[0].applied_at = None, "never took hold");
    spoil(|candidate| candidate.faults[0].reverted_at = None, "never seen to end");
    spoil(|candidate| candidate.faults[0].reverted_at = Some(at(0, 14.0)), "was on for 1.98 s of the 14.0 s asked");
}

#[test]
fn a_baseline_that_was_not_hurt_alike_is_not_compared_with() {
    for (spoiled, says) in [
        (Behaviour { touched: 0, ..Behaviour::default() }, "touched nothing"),
        (Behaviour { delay_ms: 120.0, ..Behaviour::default() }, "to the baseline"),
    ] {
        let mut story = Story::slow_payment("slow-payment");
        story.baseline = spoiled;
        let evidence = evidence(&[story]);
        check(&evidence, "p99-vs-baseline", Verdict::Inconclusive, says);
        check(&evidence, "dose", Verdict::Pass, "");
    }
}

/// A run whose fault was `action`, with these figures.
fn figures(action: Action, figures: &[(&str, f64)]) -> Evidence {
    let mut story = Story::slow_payment("bad-line");
    story.fault.action = action;
    let mut evidence = evidence(&[story]);
    for variant in [Some(&mut evidence.candidate), evidence.baseline.as_mut().map(|baseline| &mut baseline.evidence)].into_iter().flatten()
    {
        let known = figures.iter().map(|(name, value)| ((*name).to_owned(), *value));
        variant.faults[0].dose.figures = known.collect();
    }
    evidence
}

#[test]
fn a_share_of_packets_far_from_the_one_asked_is_inconclusive() {
    let share = Percent(0.1);
    let kinds = [
        Action::Loss(Loss { share, burst: 1 }),
        Action::Reorder(Reorder { share, delay: span("20ms") }),
        Action::Corrupt(Corrupt { share }),
        Action::Duplicate(Duplicate { share }),
    ];
    for kind in kinds {
        let hit = |packets: f64, percent: f64| figures(kind.clone(), &[("packets", packets), ("share_percent", percent)]);
        check(&hit(1_000.0, 9.0), "dose", Verdict::Pass, "took hold");
        check(&hit(1_000.0, 4.0), "dose", Verdict::Inconclusive, "hit 4 % of the packets where 10 % were asked");
        check(&hit(1_000.0, 30.0), "dose", Verdict::Inconclusive, "too far off");
        // Of 100 packets 3 can be lost by chance alone where 10 were asked.
        check(&hit(100.0, 3.0), "dose", Verdict::Pass, "took hold");
        check(&figures(kind.clone(), &[("packets", 1_000.0)]), "dose", Verdict::Inconclusive, "did not count");
    }
}

#[test]
fn a_line_that_was_never_narrow_is_inconclusive() {
    let line = |known: &[(&str, f64)]| figures(Action::Bandwidth(Bandwidth { rate: Throughput(150_000) }), known);
    // A packet of 1500 bytes is on such a line for 10 ms.
    check(&line(&[("delay_p99_ms", 12.0)]), "dose", Verdict::Inconclusive, "never narrow");
    check(&line(&[("delay_p99_ms", 40.0)]), "dose", Verdict::Pass, "took hold");
    check(&line(&[("delay_p99_ms", 12.0), ("lost", 3.0)]), "dose", Verdict::Pass, "took hold");
    check(&line(&[("saturated_ms", 0.0)]), "dose", Verdict::Inconclusive, "never narrow");
    check(&line(&[("saturated_ms", 800.0)]), "dose", Verdict::Pass, "took hold");
}

#[test]
fn an_http_fault_that_met_nothing_says_what_went_by() {
    let http = |known: &[(&str, f64)]| {
        let effect = HttpEffect::Abort { status: 503 };
        let http = Http { method: None, path: None, header: None, baggage: None, share: Percent(1.0), effect };
        let mut evidence = figures(Action::Http(Box::new(http)), known);
        evidence.candidate.faults[0].dose.touched = 0;
        evidence
    };
    check(&http(&[("opaque", 4.0)]), "dose", Verdict::Inconclusive, "4 connections carried nothing that could be read");
    check(&http(&[("requests", 9.0)]), "dose", Verdict::Inconclusive, "of 9 requests none was meant");
    check(&http(&[]), "dose", Verdict::Inconclusive, "does traffic really go that way?");
}

#[test]
fn a_delayed_connection_attempt_must_be_as_late_as_was_asked_and_a_dropped_one_only_gone() {
    let connect = |delay, known: &[(&str, f64)]| figures(Action::Connect(Connect { delay }), known);
    check(&connect(Some(span("1s")), &[("delay_ms", 1_001.0)]), "dose", Verdict::Pass, "took hold");
    check(&connect(Some(span("1s")), &[("delay_ms", 200.0)]), "dose", Verdict::Inconclusive, "too far off");
    check(&connect(None, &[]), "dose", Verdict::Pass, "took hold");
}

#[test]
fn a_clock_that_is_off_by_something_else_than_was_asked_is_inconclusive() {
    let clock = || Action::Clock(Clock { offset: "-1h".parse::<Shift>().expect("a shift") });
    check(&figures(clock(), &[("offset_ms", -3_600_200.0)]), "dose", Verdict::Pass, "took hold");
    check(&figures(clock(), &[("offset_ms", 3_600_000.0)]), "dose", Verdict::Inconclusive, "set clocks off by 3600000 ms");
    check(&figures(clock(), &[]), "dose", Verdict::Inconclusive, "did not measure");
}

#[test]
fn a_core_that_could_not_be_burnt_is_inconclusive_unless_a_quota_held_it() {
    let cpu = || Action::Cpu(Cpu::Load { workers: 2, load: Percent(0.8) });
    check(&figures(cpu(), &[("load_percent", 75.0)]), "dose", Verdict::Pass, "took hold");
    check(&figures(cpu(), &[("load_percent", 20.0)]), "dose", Verdict::Inconclusive, "burnt 20 % of a core where 80 % were asked");
    check(&figures(cpu(), &[("load_percent", 20.0), ("throttled_ms", 900.0)]), "dose", Verdict::Pass, "took hold");
}

#[test]
fn requests_of_any_protocol_are_held_for_as_long_as_was_asked() {
    let (delay, share) = (span("100ms"), Percent(1.0));
    let held = [
        Action::Redis(Redis { commands: Vec::new(), key: None, share, effect: RedisEffect::Delay(delay) }),
        Action::Dns(Dns { name: None, types: Vec::new(), share, effect: DnsEffect::Delay(delay) }),
    ];
    for action in held {
        check(&figures(action.clone(), &[("delay_ms", 101.0)]), "dose", Verdict::Pass, "took hold");
        check(&figures(action, &[("delay_ms", 900.0)]), "dose", Verdict::Inconclusive, "too far off");
    }
}
