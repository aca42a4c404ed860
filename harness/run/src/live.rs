//! Live figures: what stop conditions, steady state and the console look at while requests come in.

use shakedown_model::{event::Phase, evidence::Request, stack::Variant};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How far back the sliding window reaches.
const HORIZON: Duration = Duration::from_secs(60);

/// Figures of some requests.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Glance {
    /// How many.
    pub(crate) requests: usize,
    /// Share that succeeded; 1 where there were none.
    pub(crate) success: f64,
    /// Latencies in seconds, sorted, are behind `quantile`.
    pub(crate) p99: f64,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    ok: bool,
    latency: f32,
}

#[derive(Default)]
struct Series {
    recent: VecDeque<Sample>,
    phase: Option<Phase>,
    in_phase: Vec<Sample>,
}

/// Shared by the consumer of requests and those who look.
#[derive(Default)]
pub(crate) struct Live {
    series: Mutex<HashMap<(String, Variant), Series>>,
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Variant), Series>> {
        // A panic while the lock is held leaves plain numbers behind, which are still numbers.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in.
    pub(crate) fn add(&self, variant: Variant, request: &Request) {
        let sample = Sample { at: Instant::now(), ok: request.ok, latency: request.latency() as f32 };
        let mut all = self.lock();
        let series = all.entry((request.load.clone(), variant)).or_default();
        if series.phase != Some(request.phase) {
            // A straggler of an earlier phase does not throw away the later one's samples.
            if series.phase.is_none_or(|phase| phase < request.phase) {
                series.phase = Some(request.phase);
                series.in_phase.clear();
            }
        }
        if series.phase == Some(request.phase) {
            series.in_phase.push(sample);
        }
        series.recent.push_back(sample);
        while series.recent.front().is_some_and(|first| sample.at.duration_since(first.at) > HORIZON) {
            series.recent.pop_front();
        }
    }

    /// Forgets everything: a new scenario begins.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Figures of the last `length`, by arrival of the answer.
    pub(crate) fn recent(&self, load: &str, variant: Variant, length: Duration) -> Glance {
        let all = self.lock();
        let Some(series) = all.get(&(load.to_owned(), variant)) else { return Glance { success: 1.0, ..Glance::default() } };
        let now = Instant::now();
        glance(series.recent.iter().rev().take_while(|sample| now.duration_since(sample.at) <= length))
    }

    /// Figures of one load in `phase` so far, with the latency at `fraction`.
    pub(crate) fn phase(&self, load: &str, variant: Variant, phase: Phase, fraction: f64) -> (Glance, f64) {
        let all = self.lock();
        match all.get(&(load.to_owned(), variant)).filter(|series| series.phase == Some(phase)) {
            Some(series) => (glance(series.in_phase.iter()), quantile(series.in_phase.iter(), fraction)),
            None => (Glance { success: 1.0, ..Glance::default() }, 0.0),
        }
    }
}

fn glance<'a>(samples: impl Iterator<Item = &'a Sample> + Clone) -> Glance {
    let requests = samples.clone().count();
    let ok = samples.clone().filter(|sample| sample.ok).count();
    let success = if requests == 0 { 1.0 } else { ok as f64 / requests as f64 };
    Glance { requests, success, p99: quantile(samples, 0.99) }
}

/// Nearest-rank quantile in seconds; zero where there are no samples.
fn quantile<'a>(samples: impl Iterator<Item = &'a Sample>, fraction: f64) -> f64 {
    let mut latencies: Vec<f32> = samples.map(|sample| sample.latency).collect();
    if latencies.is_empty() {
        return 0.0;
    }
    latencies.sort_by(f32::total_cmp);
    let rank = (fraction * latencies.len() as f64).ceil().max(1.0) as usize;
    f64::from(latencies[rank.min(latencies.len()) - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::{ids::TraceId, time::UnixNanos};

    fn request(phase: Phase, millis: u64, ok: bool) -> Request {
        Request {
            load: "checkout".to_owned(),
            scenario: "s".to_owned(),
            phase,
            block: 0,
            due: UnixNanos(0),
            sent: None,
            done: UnixNanos(millis * 1_000_000),
            status: 200,
            error: None,
            ok,
            bytes: 0,
            trace_id: TraceId::of(&[1; 16]).unwrap(),
        }
    }

    #[test]
    fn a_phase_counts_its_own_requests_and_stragglers_do_not_reset_it() {
        let live = Live::default();
        live.add(Variant::Candidate, &request(Phase::Warmup, 5, false));
        for _ in 0..99 {
            live.add(Variant::Candidate, &request(Phase::Steady, 10, true));
        }
        live.add(Variant::Candidate, &request(Phase::Warmup, 9_000, false));
        live.add(Variant::Candidate, &request(Phase::Steady, 10, false));
        let (glance, p50) = live.phase("checkout", Variant::Candidate, Phase::Steady, 0.5);
        assert_eq!(glance.requests, 100);
        assert!((glance.success - 0.99).abs() < 1e-9 && (p50 - 0.01).abs() < 1e-6, "{glance:?} {p50}");
    }

    #[test]
    fn nothing_seen_is_no_failure() {
        let glance = Live::default().recent("checkout", Variant::Candidate, Duration::from_secs(1));
        assert_eq!((glance.requests, glance.success), (0, 1.0));
    }
}
