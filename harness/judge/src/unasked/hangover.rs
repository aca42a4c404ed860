//! A hangover: the fault is gone, and requests still fail as they did not before it. Asked for by `recover_within` it is a check of its own.

use super::{FEWEST, advice};
use crate::{checks::Check, plays::Plays, stats::likelihood, text, view::Arm};
use shakedown_model::{event::Phase, result::Finding, time::Window};

/// Added share of failed requests that counts.
const ADDED: f64 = 0.05;
/// The end of the recovery phase that is looked at.
const LAST: f64 = 0.5;

pub(super) struct Hangover;

impl Check for Hangover {
    fn name(&self) -> &'static str {
        "hangover"
    }

    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
        if plays.scenario.recover_within.is_some() || plays.load_distrust.is_some() {
            return Vec::new();
        }
        let loads = plays.evidence.experiment.loads.keys();
        loads.filter_map(|load| {
            let (before, after) = failures(plays.candidates(), load)?;
            let share = |(failed, of): (u64, u64)| failed as f64 / of.max(1) as f64;
            let sick = |before: (u64, u64), after: (u64, u64)| {
                let proven = likelihood::g2(after, before) >= likelihood::least(plays.evidence.experiment.loads.len());
                before.1.min(after.1) >= FEWEST && share(after) - share(before) >= ADDED && proven
            };
            if !sick(before, after) {
                return None;
            }
            let beside = match failures(plays.baselines(), load) {
                None => String::new(),
                Some((before, after)) if sick(before, after) => format!("; the baseline's {} did as well", text::share(share(after))),
                Some((_, after)) => format!("; of the baseline's {}", text::share(share(after))),
            };
            let reason = format!(
                "{} of the requests in the last half of the recovery phase failed, {} before the fault: it is gone and its effect is not{beside}",
                text::share(share(after)),
                text::share(share(before))
            );
            let finding = advice(plays, Phase::Recovery, load, self.name(), reason);
            Some(Finding { observed: Some(share(after)), baseline: None, unit: "fraction".to_owned(), samples: after.1, ..finding })
        })
        .collect()
    }
}

/// Failed requests of all, in the steady phase and at the end of the recovery; `None`: a fault is still on, or there was none.
fn failures<'p, 'a: 'p>(arms: impl Iterator<Item = &'p Arm<'a>>, load: &str) -> Option<((u64, u64), (u64, u64))> {
    let mut sums: Option<((u64, u64), (u64, u64))> = None;
    for arm in arms {
        let (steady, recovery) = (arm.phase(Phase::Steady)?, arm.phase(Phase::Recovery)?);
        let start = (recovery.start + recovery.length().mul_f64(LAST)).max(arm.calm_from()?);
        let count = |window: Window| {
            let requests = arm.due_in(load, window);
            (requests.iter().filter(|request| !request.ok).count() as u64, requests.len() as u64)
        };
        let (before, after) = (count(steady), count(Window { start, end: recovery.end.max(start) }));
        let sum = sums.get_or_insert_default();
        *sum = ((sum.0.0 + before.0, sum.0.1 + before.1), (sum.1.0 + after.0, sum.1.1 + after.1));
    }
    sums
}
