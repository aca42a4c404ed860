//! W3C trace context and baggage of one request: what ties an answer's spans to the request that caused them.

use crate::seed;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use shakedown_model::{
    event::Phase,
    ids::{Id, TraceId},
    stack::Variant,
};
use std::fmt::Write;

/// Trace ids of one load: a function of seed, run, scenario and load, so that no two scenarios of a run share one.
pub(crate) struct Traces {
    base: ChaCha8Rng,
    /// `shakedown.run=…,shakedown.scenario=…`.
    baggage: String,
}

/// The ids of one request.
pub(crate) struct TraceContext {
    pub(crate) trace_id: TraceId,
    /// `00-<trace>-<span>-01`: sampled.
    pub(crate) traceparent: String,
}

impl Traces {
    pub(crate) fn new(seed: u64, run: &str, scenario: &str, load: &str) -> Traces {
        let base = seed::stream(seed, &["traces", run, scenario, load]);
        let baggage = format!("shakedown.run={},shakedown.scenario={}", encoded(run), encoded(scenario));
        Traces { base, baggage }
    }

    pub(crate) fn context(&self, seq: u64) -> TraceContext {
        let mut random = seed::of_request(&self.base, seq);
        let trace_id = id(|bytes| random.fill_bytes(bytes));
        let traceparent = format!("00-{trace_id}-{}-01", id::<8>(|bytes| random.fill_bytes(bytes)));
        TraceContext { trace_id, traceparent }
    }

    pub(crate) fn baggage(&self, phase: Phase, variant: Variant) -> String {
        format!("{},shakedown.phase={},shakedown.variant={}", self.baggage, phase.word(), variant.word())
    }
}

/// Drawn again in the one case that the specification forbids: zeros only.
fn id<const N: usize>(mut draw: impl FnMut(&mut [u8])) -> Id<N> {
    loop {
        let mut bytes = [0; N];
        draw(&mut bytes);
        if let Some(id) = Id::of(&bytes) {
            return id;
        }
    }
}

/// A baggage value: everything but unreserved characters percent-encoded.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_the_form_of_the_specification_and_is_unique() {
        let traces = Traces::new(1, "r", "slow", "checkout");
        let mut seen = std::collections::HashSet::new();
        for seq in 1..1_000 {
            let TraceContext { trace_id, traceparent } = traces.context(seq);
            let parts: Vec<&str> = traceparent.split('-').collect();
            assert_eq!((parts[0], parts[1], parts[3]), ("00", trace_id.to_string().as_str(), "01"));
            assert!(parts[1].len() == 32 && parts[2].len() == 16, "{traceparent}");
            assert!(traceparent.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
            assert!(seen.insert(trace_id));
        }
    }

    #[test]
    fn another_scenario_of_the_same_seed_has_other_trace_ids() {
        let id = |scenario| Traces::new(1, "r", scenario, "checkout").context(1).trace_id;
        assert_ne!(id("slow"), id("dead"));
        assert_eq!(id("slow"), id("slow"));
    }

    #[test]
    fn baggage_names_run_scenario_phase_and_variant_and_encodes_what_would_break_it() {
        let baggage = Traces::new(1, "r,1=é", "slow payment", "checkout").baggage(Phase::Fault, Variant::Baseline);
        assert_eq!(
            baggage,
            "shakedown.run=r%2C1%3D%C3%A9,shakedown.scenario=slow%20payment,shakedown.phase=fault,shakedown.variant=baseline"
        );
    }
}
