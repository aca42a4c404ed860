//! How long the load took to meet its steady state again after the last fault was gone.
//!
//! Recovered at `t` means: no window of requests from `t` on breaks a bound by more than chance would, and all of them together do not either.
//! A single slow request within the share that steady state allows is no relapse.

use super::Check;
use crate::{
    finding::{Place, held},
    plays::{Plays, Telling},
    stats::binomial,
    text,
    view::{Arm, View, charged},
};
use shakedown_model::{
    event::Phase,
    evidence::Request,
    experiment::{Check as Expected, Load, Quantile},
    result::Finding,
    time::Window,
    units::{ShareLimit, SpanLimit},
    verdict::Verdict,
};
use std::time::Duration;

/// Length of the sliding window, …
const WINDOW: Duration = Duration::from_secs(1);
/// … and the requests that it holds at least.
const WINDOW_REQUESTS: usize = 20;
/// How rarely a window (of the many) may be called broken by chance.
const CHANCE_OF_WINDOW: f64 = 0.001;
/// The same for all requests from a moment on.
const CHANCE_OF_REST: f64 = 0.01;

pub(crate) struct Recovery;

impl Check for Recovery {
    fn name(&self) -> &'static str {
        "recovery"
    }

    fn rests_on_load(&self) -> bool {
        true
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        plays.merged(Telling::Largest, judge_play)
    }
}

fn judge_play(view: &View<'_>) -> Vec<Finding> {
    let Some((within, source)) = &view.scenario.recover_within else { return Vec::new() };
    if view.candidate.phase(Phase::Fault).is_none() {
        return Vec::new();
    }
    let loads = view.steady_loads();
    if loads.is_empty() {
        let place = Place::new(view.scenario, Some(Phase::Recovery), "load", "recovery").at(source);
        return vec![
            place.inconclusive("steady_state bounds no load, so there is nothing to come back to; add `{load: …, success: …}` to it"),
        ];
    }
    let judged = loads.into_iter().filter_map(|expected| match expected {
        Expected::Load { load, success, latency } => {
            let place = Place::new(view.scenario, Some(Phase::Recovery), load, "recovery").at(source);
            let bounds = Bounds { success: *success, latency, load: view.load(load) };
            Some(judge_load(view, &place, load, &bounds, within.0.as_secs_f64()))
        }
        _ => None,
    });
    judged.collect()
}

fn judge_load(view: &View<'_>, place: &Place, load: &str, bounds: &Bounds<'_>, within: f64) -> Finding {
    let baseline = view.baseline.as_ref().and_then(|arm| match recovery(arm, load, bounds) {
        Outcome::Recovered { after, .. } => Some(after),
        _ => None,
    });
    let asked = text::seconds(within);
    let beside = baseline.map_or_else(String::new, |after| {
        format!(" (baseline: {})", if after > 0.0 { text::seconds(after) } else { "at once".to_owned() })
    });
    let (finding, observed, samples) = match recovery(&view.candidate, load, bounds) {
        Outcome::Untested(reason) => (place.inconclusive(reason), None, 0),
        Outcome::Thin(samples) => {
            let reason = format!("only {} after the fault was gone; it takes {WINDOW_REQUESTS}", text::count(samples, "request"));
            (place.inconclusive(reason), None, samples)
        }
        Outcome::Recovered { after, samples } => {
            let reason = format!("{load} met its steady state again {} the last fault was gone{beside}; asked for {asked}", moment(after));
            (place.finding(held(after <= within), reason), Some(after), samples)
        }
        Outcome::Broken { watched, samples } => {
            let seen = format!(
                "{load} did not meet its steady state again in the {} that were watched after the last fault was gone{beside}",
                text::seconds(watched)
            );
            let finding = if watched >= within {
                place.finding(Verdict::Fail, format!("{seen}; asked for {asked}"))
            } else {
                place.inconclusive(format!("{seen}, but {asked} were asked for: make the recovery phase longer"))
            };
            (finding, None, samples)
        }
    };
    Finding { observed, limit: Some(within), baseline, unit: "s".to_owned(), samples, ..finding }
}

fn moment(after: f64) -> String {
    if after > 0.0 { format!("{} after", text::seconds(after)) } else { "as soon as".to_owned() }
}

/// What steady state asks of one load.
pub(crate) struct Bounds<'a> {
    pub(crate) success: Option<ShareLimit>,
    pub(crate) latency: &'a [(Quantile, SpanLimit)],
    pub(crate) load: Option<&'a Load>,
}

impl Bounds<'_> {
    /// Per bound: the share of requests that may break it, and whether this one does.
    fn broken_by(&self, request: &Request) -> Vec<bool> {
        let success = self.success.iter().map(|_| !request.ok);
        let latency = self.latency.iter().map(|(_, limit)| !limit.holds(charged(request, self.load)));
        success.chain(latency).collect()
    }

    fn allowed(&self) -> Vec<f64> {
        let success = self.success.iter().map(|limit| 1.0 - limit.value());
        success.chain(self.latency.iter().map(|(quantile, _)| 1.0 - quantile.fraction())).collect()
    }
}

/// What became of a load after the faults.
pub(crate) enum Outcome {
    Untested(String),
    /// Too few requests to tell.
    Thin(u64),
    Recovered {
        after: f64,
        samples: u64,
    },
    Broken {
        watched: f64,
        samples: u64,
    },
}

/// Looks at one variant.
pub(crate) fn recovery(arm: &Arm<'_>, load: &str, bounds: &Bounds<'_>) -> Outcome {
    let Some(phase) = arm.phase(Phase::Recovery) else {
        return Outcome::Untested("the scenario never reached its recovery phase".to_owned());
    };
    let Some(calm) = arm.calm_from() else {
        return Outcome::Untested("no fault is known to have come and gone".to_owned());
    };
    if bounds.allowed().is_empty() {
        return Outcome::Untested(format!("steady_state asks nothing of {load}"));
    }
    // The fault may be gone before its phase ends, and may still be on when the next phase begins.
    let requests = arm.due_in(load, Window { start: calm, end: phase.end });
    if requests.len() < WINDOW_REQUESTS {
        return Outcome::Thin(requests.len() as u64);
    }
    let samples = requests.len() as u64;
    match first_sound(requests, bounds) {
        // From the very first request on: it was never away.
        Some(0) => Outcome::Recovered { after: 0.0, samples },
        Some(first) => Outcome::Recovered { after: requests[first].due.since(calm).as_secs_f64(), samples },
        None => Outcome::Broken { watched: phase.end.since(calm).as_secs_f64(), samples },
    }
}

/// The request from which on the bounds are kept; `None`: there is none.
fn first_sound(requests: &[&Request], bounds: &Bounds<'_>) -> Option<usize> {
    let allowed = bounds.allowed();
    let broken: Vec<Vec<bool>> = requests.iter().map(|request| bounds.broken_by(request)).collect();
    // before[b][i]: how many of the first i requests broke bound b.
    let before: Vec<Vec<u64>> = (0..allowed.len())
        .map(|bound| {
            let mut sum = 0;
            std::iter::once(0)
                .chain(broken.iter().map(|flags| {
                    sum += u64::from(flags[bound]);
                    sum
                }))
                .collect()
        })
        .collect();
    let too_many = |from: usize, to: usize, chance: f64| {
        allowed.iter().zip(&before).any(|(share, sums)| binomial::exceeds(sums[to] - sums[from], (to - from) as u64, *share, chance))
    };
    let count = requests.len();
    let mut first_after_last_broken_window = 0;
    let mut to = 0;
    for from in 0..=count - WINDOW_REQUESTS {
        to = to.max(from + WINDOW_REQUESTS);
        while to < count && requests[to].due.since(requests[from].due) < WINDOW {
            to += 1;
        }
        if too_many(from, to, CHANCE_OF_WINDOW) {
            first_after_last_broken_window = from + 1;
        }
    }
    (first_after_last_broken_window..=count - WINDOW_REQUESTS).find(|from| !too_many(*from, count, CHANCE_OF_REST))
}
