//! Whether the system is in its steady state: asked before any fault.

use crate::{live::Live, probes, sides::Side};
use shakedown_model::{
    event::Phase,
    experiment::{Check, Expectation},
};

/// Requests of a load that must be there before its figures mean anything.
const ENOUGH: usize = 20;

/// Asks every expectation; `Err` says what does not hold.
pub(crate) async fn check(expectations: &[Expectation], side: &Side, live: &Live) -> Result<String, String> {
    let (mut held, mut broken) = (Vec::new(), Vec::new());
    for expectation in expectations {
        match one(&expectation.check, side, live).await {
            Ok(detail) => held.push(detail),
            Err(detail) => broken.push(detail),
        }
    }
    if broken.is_empty() { Ok(held.join("; ")) } else { Err(broken.join("; ")) }
}

async fn one(check: &Check, side: &Side, live: &Live) -> Result<String, String> {
    match check {
        Check::Load { load, success, latency } => {
            let (glance, _) = live.phase(load, side.variant, Phase::Steady, 0.99);
            if glance.requests < ENOUGH {
                return Err(format!("{load}: only {} requests in the steady phase, {ENOUGH} are needed", glance.requests));
            }
            let mut said = vec![format!("{load}: success {:.2} %", glance.success * 100.0)];
            if let Some(limit) = success.filter(|limit| !limit.holds(glance.success)) {
                return Err(format!("{load}: success {:.2} %, expected {limit}", glance.success * 100.0));
            }
            for (quantile, limit) in latency {
                let (_, seconds) = live.phase(load, side.variant, Phase::Steady, quantile.fraction());
                let text = format!("{} {:.1} ms", quantile.word(), seconds * 1e3);
                if !limit.holds(seconds) {
                    return Err(format!("{load}: {text}, expected {limit}"));
                }
                said.push(text);
            }
            Ok(said.join(", "))
        }
        Check::Http { .. } | Check::Prometheus { .. } => {
            let outcome = probes::probe(check, side).await;
            if outcome.holds { Ok(outcome.text) } else { Err(outcome.text) }
        }
        Check::Retries { edge, .. } => Ok(format!("retries on {edge}: judged from traces after the run")),
    }
}
