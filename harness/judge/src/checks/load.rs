//! Success and latency that were promised for the time of the fault, on the candidate alone.

use super::Check;
use crate::{
    finding::{Place, held},
    plays::Plays,
    stats::{binomial, quantile},
    text,
    view::{Arm, charged},
};
use shakedown_model::{
    event::Phase,
    evidence::Request,
    experiment::{Check as Expected, Quantile, Source},
    result::Finding,
    units::{Relation, ShareLimit, SpanLimit},
    verdict::Verdict,
};

/// Requests that a success share needs.
const MIN_FOR_SHARE: u64 = 30;
/// With fewer requests than needed a limit still counts as broken where chance would do that less often than this.
const CHANCE: f64 = 0.01;

pub(crate) struct LoadCheck;

impl Check for LoadCheck {
    fn name(&self) -> &'static str {
        "load"
    }

    fn rests_on_load(&self) -> bool {
        true
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        if plays.candidates().all(|arm| arm.phase(Phase::Fault).is_none()) {
            return Vec::new();
        }
        let mut findings = Vec::new();
        for expectation in &plays.scenario.expect_fault {
            if let Expected::Load { load, success, latency } = &expectation.check {
                let sample = Sample::of(plays, load, &expectation.source);
                findings.extend(success.map(|limit| sample.success(limit)));
                findings.extend(latency.iter().map(|(quantile, limit)| sample.latency(*quantile, *limit)));
            }
        }
        findings
    }
}

/// The requests of one load while the faults were on, of all plays.
struct Sample<'a> {
    plays: &'a Plays<'a>,
    load: &'a str,
    source: &'a Source,
    requests: Option<Vec<&'a Request>>,
    baseline: Vec<&'a Request>,
}

impl<'a> Sample<'a> {
    fn of(plays: &'a Plays<'a>, load: &'a str, source: &'a Source) -> Sample<'a> {
        let requests = disturbed(plays.candidates(), load);
        let baseline = disturbed(plays.baselines(), load).unwrap_or_default();
        Sample { plays, load, source, requests, baseline }
    }

    fn charged(&self, request: &Request) -> f64 {
        charged(request, self.plays.load(&request.load))
    }

    fn place(&self, check: &str) -> Place {
        Place::new(self.plays.scenario, Some(Phase::Fault), self.load, check).at(self.source)
    }

    fn success(&self, limit: ShareLimit) -> Finding {
        let place = self.place("success");
        let Some(requests) = &self.requests else { return untested(&place) };
        let (count, good) = (requests.len() as u64, succeeded(requests));
        let observed = (count > 0).then(|| good as f64 / count as f64);
        let baseline = (!self.baseline.is_empty()).then(|| succeeded(&self.baseline) as f64 / self.baseline.len() as f64);
        let asked_for_at_least = matches!(limit.relation, Relation::AtLeast | Relation::Above);
        let proven = asked_for_at_least && count > 0 && binomial::exceeds(count - good, count, 1.0 - limit.value(), CHANCE);
        let verdict = verdict(observed.map(|share| limit.holds(share)), count >= MIN_FOR_SHARE, proven);
        let seen = observed.map_or_else(
            || "no request was due while the fault was on".to_owned(),
            |share| format!("{} of {} succeeded while the fault was on", text::share(share), text::count(count, "request")),
        );
        let reason = format!("{seen}; asked for {limit}{}", shortage(verdict, MIN_FOR_SHARE));
        Finding {
            observed,
            limit: Some(limit.value()),
            baseline,
            unit: "fraction".to_owned(),
            samples: count,
            ..place.finding(verdict, reason)
        }
    }

    fn latency(&self, asked: Quantile, limit: SpanLimit) -> Finding {
        let place = self.place(asked.word());
        let Some(requests) = &self.requests else { return untested(&place) };
        let count = requests.len() as u64;
        let charged = |requests: &[&Request]| {
            let sorted = quantile::sorted(requests.iter().map(|request| self.charged(request)).collect());
            quantile::of_sorted(&sorted, asked.fraction())
        };
        let (observed, baseline) = (charged(requests), charged(&self.baseline));
        let over = requests.iter().filter(|request| !limit.holds(self.charged(request))).count() as u64;
        let asked_for_at_most = matches!(limit.relation, Relation::AtMost | Relation::Below);
        let proven = asked_for_at_most && count > 0 && binomial::exceeds(over, count, 1.0 - asked.fraction(), CHANCE);
        let needed = quantile::needed(asked.fraction());
        let verdict = verdict(observed.map(|value| limit.holds(value)), count >= needed, proven);
        let name = asked.word().to_uppercase();
        let seen = observed.map_or_else(
            || "no request was due while the fault was on".to_owned(),
            |value| format!("{name} of {} was {} while the fault was on", text::count(count, "request"), text::seconds(value)),
        );
        let failed = count - succeeded(requests);
        let charge = if failed > 0 { format!(" ({failed} failed and count as at least the timeout)") } else { String::new() };
        let reason = format!("{seen}{charge}; asked for {limit}{}", shortage(verdict, needed));
        Finding { observed, limit: Some(limit.value()), baseline, unit: "s".to_owned(), samples: count, ..place.finding(verdict, reason) }
    }
}

/// Requests of a load while faults were on; `None`: none was on in any play.
fn disturbed<'a>(arms: impl Iterator<Item = &'a Arm<'a>>, load: &str) -> Option<Vec<&'a Request>> {
    let mut requests: Option<Vec<&Request>> = None;
    for arm in arms {
        if let Some(window) = arm.disturbed() {
            requests.get_or_insert_default().extend(arm.due_in(load, window));
        }
    }
    requests
}

fn untested(place: &Place) -> Finding {
    place.inconclusive("no fault took hold, so there is nothing to judge")
}

fn succeeded(requests: &[&Request]) -> u64 {
    requests.iter().filter(|request| request.ok).count() as u64
}

/// Enough requests: by what was seen. Too few: a failure may still be proven, a pass never.
fn verdict(holds: Option<bool>, enough: bool, broken_beyond_chance: bool) -> Verdict {
    match (holds, enough) {
        (Some(holds), true) => held(holds),
        (Some(false), false) if broken_beyond_chance => Verdict::Fail,
        _ => Verdict::Inconclusive,
    }
}

fn shortage(verdict: Verdict, needed: u64) -> String {
    match verdict {
        Verdict::Inconclusive => format!("; too few to tell, it takes {needed} requests: raise the rate or the length of the fault"),
        _ => String::new(),
    }
}
