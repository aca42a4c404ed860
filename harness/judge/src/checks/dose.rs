//! Whether each fault really did what was asked. A fault that touched nothing proves nothing.

use super::Check;
use crate::{
    finding::Place,
    plays::{Plays, Telling},
    text,
    view::{Arm, View, target_id},
};
use shakedown_model::{
    event::Phase,
    fault::{
        Action, Connect, Corrupt, Cpu, Disk, DiskEffect, Dns, DnsEffect, Duplicate, Fault, FaultRecord, Grpc, GrpcEffect, HttpEffect, Loss,
        Postgres, PostgresEffect, Redis, RedisEffect, Reorder,
    },
    result::Finding,
    units::Span,
    verdict::Verdict,
};

/// An achieved delay may lie between this share of what was asked …
const LOW: f64 = 0.5;
/// … and this multiple.
const HIGH: f64 = 2.0;
/// Slack in milliseconds for small delays.
const SLACK_MS: f64 = 5.0;
/// With fewer packets hit than this expected, chance alone can be far off.
const ENOUGH_HIT: f64 = 30.0;
/// Bytes of a packet of the usual size; twice its time on the line is not yet a queue.
const LARGE_PACKET: f64 = 1500.0;
/// A program may read its clock a moment later than we do.
const OFFSET_SLACK_MS: f64 = 1_000.0;
/// A fault must have been on for this share of the time asked.
const ON_SHARE: f64 = 0.5;

pub(crate) struct DoseCheck;

impl Check for DoseCheck {
    fn name(&self) -> &'static str {
        "dose"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        plays.merged(Telling::Smallest, judge_play)
    }
}

fn judge_play(view: &View<'_>) -> Vec<Finding> {
    if view.candidate.phase(Phase::Fault).is_none() {
        return Vec::new();
    }
    view.scenario.faults.iter().enumerate().map(|(index, fault)| judge_fault(view, index, fault)).collect()
}

fn judge_fault(view: &View<'_>, index: usize, fault: &Fault) -> Finding {
    let subject = format!("{} {}", fault.action.kind(), target_id(&fault.on));
    let place = Place::new(view.scenario, Some(Phase::Fault), &subject, "dose").at(&fault.source);
    let record = view.candidate.fault(index);
    let touched = record.map_or(0, |record| record.dose.touched);
    let baseline = view.baseline.as_ref().and_then(|arm| arm.fault(index)).map(|record| record.dose.touched as f64);
    let finding = match shortcoming(&view.candidate, index, fault) {
        Some(reason) => place.inconclusive(reason),
        None => place.finding(Verdict::Pass, record.map_or_else(String::new, |record| describe(fault, record))),
    };
    Finding { observed: Some(touched as f64), limit: Some(1.0), baseline, unit: "count".to_owned(), samples: touched, ..finding }
}

/// Why the dose of a fault on one variant proves nothing; `None`: it was what was asked.
pub(crate) fn shortcoming(arm: &Arm<'_>, index: usize, fault: &Fault) -> Option<String> {
    let what = format!("{} on {}", fault.action.kind(), fault.on);
    let Some(record) = arm.fault(index) else {
        return Some(format!("{what} left no record of what it did"));
    };
    if let Some(error) = &record.error {
        return Some(format!("{what} was not carried out: {}", text::clean(error, 500)));
    }
    let Some(applied) = record.applied_at else {
        return Some(format!("{what} never took hold"));
    };
    if record.dose.touched == 0 {
        let clue = clue(record);
        return Some(format!("{what} touched nothing, and a fault that touched nothing proves nothing: {clue}"));
    }
    let Some(reverted) = record.reverted_at else {
        return Some(format!("{what} was never seen to end"));
    };
    let (on, asked) = (reverted.since(applied).as_secs_f64(), fault.lasts.0.as_secs_f64());
    if fault.action != Action::Restart && on < ON_SHARE * asked {
        return Some(format!("{what} was on for {} of the {} asked", text::seconds(on), text::seconds(asked)));
    }
    match &fault.action {
        Action::Latency(latency) => delay_shortcoming(&what, latency.delay.0.as_secs_f64() * 1e3, record),
        Action::Connect(Connect { delay: Some(delay) }) => delay_shortcoming(&what, delay.0.as_secs_f64() * 1e3, record),
        Action::Loss(Loss { share, .. })
        | Action::Reorder(Reorder { share, .. })
        | Action::Corrupt(Corrupt { share })
        | Action::Duplicate(Duplicate { share }) => share_shortcoming(&what, share.0 * 100.0, record),
        Action::Bandwidth(bandwidth) => never_narrow(&what, bandwidth.rate.0 as f64, record),
        Action::Cpu(Cpu::Load { load, .. }) => load_shortcoming(&what, load.0 * 100.0, record),
        Action::Clock(clock) => offset_shortcoming(&what, clock.offset.as_millis(), record),
        action => asked_delay(action).and_then(|delay| delay_shortcoming(&what, delay.0.as_secs_f64() * 1e3, record)),
    }
}

/// Whether a fault took hold, met something, and was seen to do no more than was asked: harm that it did is then harm that what was asked does,
/// also where too little of it could be measured (who gives up before a delay is over never sees its end).
pub(crate) fn is_at_most_asked(arm: &Arm<'_>, index: usize) -> bool {
    let Some(record) = arm.fault(index) else { return false };
    let exceeds = |(name, asked): (&String, &f64)| {
        let slack = if name.ends_with("_ms") { SLACK_MS } else { 0.0 };
        record.dose.figures.get(name).is_some_and(|achieved| *achieved > (HIGH * asked).max(asked + slack))
    };
    record.error.is_none() && record.applied_at.is_some() && record.dose.touched > 0 && !record.asked.iter().any(exceeds)
}

/// What a kind that speaks a protocol was to hold requests for.
fn asked_delay(action: &Action) -> Option<Span> {
    match action {
        Action::Http(http) => match http.effect {
            HttpEffect::Delay { delay } => Some(delay),
            _ => None,
        },
        Action::Grpc(Grpc { effect: GrpcEffect::Delay { delay }, .. })
        | Action::Postgres(Postgres { effect: PostgresEffect::Delay(delay), .. })
        | Action::Redis(Redis { effect: RedisEffect::Delay(delay), .. })
        | Action::Disk(Disk { effect: DiskEffect::Delay { delay, .. }, .. })
        | Action::Dns(Dns { effect: DnsEffect::Delay(delay), .. }) => Some(*delay),
        _ => None,
    }
}

/// Workers that could not burn what they were to burn left the service its time; unless its own quota held them back.
fn load_shortcoming(what: &str, asked: f64, record: &FaultRecord) -> Option<String> {
    let figure = |name: &str| record.dose.figures.get(name).copied().unwrap_or_default();
    let achieved = figure("load_percent");
    (achieved < LOW * asked && figure("throttled_ms") <= 0.0).then(|| {
        let [achieved, asked] = [achieved, asked].map(|percent| text::share(percent / 100.0));
        format!("{what} burnt {achieved} of a core where {asked} were asked, too far off to prove anything")
    })
}

/// A wall clock is a second off at most, or the fault did something else than was asked.
fn offset_shortcoming(what: &str, asked: f64, record: &FaultRecord) -> Option<String> {
    let achieved = record.dose.figures.get("offset_ms").copied().filter(|offset| offset.is_finite());
    let is_right = achieved.is_some_and(|achieved| (achieved - asked).abs() <= OFFSET_SLACK_MS);
    (!is_right).then(|| match achieved {
        Some(achieved) => format!("{what} set clocks off by {achieved} ms where {asked} ms were asked"),
        None => format!("{what} did not measure by how much clocks are off"),
    })
}

/// What to look at where nothing was touched.
fn clue(record: &FaultRecord) -> String {
    let figure = |name: &str| record.dose.figures.get(name).copied().unwrap_or_default();
    let (opaque, requests) = (figure("opaque"), figure("requests"));
    if opaque > 0.0 && requests == 0.0 {
        return format!("{opaque} connections carried nothing that could be read (encrypted, or another protocol)");
    }
    if requests > 0.0 {
        return format!("of {requests} requests none was meant by what the fault says of them and its `share`");
    }
    match record.kind.as_str() {
        "cpu" | "memory" | "pids" => "the limit was never reached, so ask for a lower one".to_owned(),
        "fill" => "the file system did not become as full as was asked".to_owned(),
        "oom" => "the kernel did not say that memory ran out".to_owned(),
        _ => "does traffic really go that way?".to_owned(),
    }
}

/// A line on which nothing ever waited for anything else did no harm.
fn never_narrow(what: &str, rate: f64, record: &FaultRecord) -> Option<String> {
    let figure = |name: &str| record.dose.figures.get(name).copied();
    let alone_ms = 2.0 * LARGE_PACKET / rate * 1e3;
    let waited = match (figure("saturated_ms"), figure("delay_p99_ms")) {
        (Some(saturated), _) => saturated > 0.0,
        (None, Some(delay)) => delay > alone_ms,
        (None, None) => false,
    };
    let lost = figure("lost").is_some_and(|lost| lost > 0.0);
    (!waited && !lost).then(|| format!("{what} was never narrow: nothing had to wait for anything else, so ask for a lower rate"))
}

/// A share can be told from another only where the fault had packets enough to choose from.
fn share_shortcoming(what: &str, asked: f64, record: &FaultRecord) -> Option<String> {
    let figure = |name: &str| record.dose.figures.get(name).copied().filter(|value| value.is_finite());
    let (Some(achieved), Some(packets)) = (figure("share_percent"), figure("packets")) else {
        return Some(format!("{what} did not count the packets that it hit"));
    };
    let expected = packets * asked / 100.0;
    (expected >= ENOUGH_HIT && !(LOW * asked..=HIGH * asked).contains(&achieved)).then(|| {
        let [achieved, asked] = [achieved, asked].map(|percent| text::share(percent / 100.0));
        format!("{what} hit {achieved} of the packets where {asked} were asked, too far off to prove anything")
    })
}

fn delay_shortcoming(what: &str, asked: f64, record: &FaultRecord) -> Option<String> {
    let Some(achieved) = record.dose.figures.get("delay_ms").copied().filter(|delay| delay.is_finite()) else {
        return Some(format!("{what} did not measure the delay that it added"));
    };
    let (low, high) = ((LOW * asked).min(asked - SLACK_MS), (HIGH * asked).max(asked + SLACK_MS));
    (achieved <= 0.0 || achieved < low || achieved > high).then(|| {
        format!(
            "{what} added {} where {} were asked, too far off to prove anything",
            text::seconds(achieved / 1e3),
            text::seconds(asked / 1e3)
        )
    })
}

fn describe(fault: &Fault, record: &FaultRecord) -> String {
    let figures: Vec<String> = record
        .dose
        .figures
        .iter()
        .map(|(name, value)| format!("{name} {}", shakedown_model::units::trim_float((value * 100.0).round() / 100.0)))
        .collect();
    let detail = if figures.is_empty() { String::new() } else { format!(" ({})", text::clean(&figures.join(", "), 300)) };
    let times = if record.dose.touched == 1 { "once".to_owned() } else { format!("{} times", record.dose.touched) };
    format!("{} on {} took hold and was met {times}{detail}", fault.action.kind(), fault.on)
}
