//! Latency: each packet with the moment at which it may go on.
//!
//! Three decisions, and why.
//!
//! *Order is kept within a flow.* A flow is one direction of a connection (protocol, addresses, ports). `netem` lets
//! jitter reorder packets, which TCP takes for loss and answers with retransmissions: a second fault that nobody asked
//! for. Reordering is a kind of its own.
//!
//! *A flow draws a new delay at most once per twice the jitter, and moves towards it no faster than time goes by*: a
//! packet's delay differs from the one before by no more than the time between the two. Downwards that is what keeps
//! the order; upwards it is what keeps the mean. Drawing for every packet and then keeping the order would make each
//! packet of a dense stream wait for the slowest before it, and push the mean of a 200 ± 50 ms delay beyond 300 ms.
//! Requests further apart than twice the jitter have each a delay of their own, as drawn.
//!
//! *Flows do not wait for each other*, so that a burst on one connection does not shape another.

use std::collections::HashMap;

use super::flow::Flow;
use super::random::Random;
use super::{Arrival, Decide, Fate};
use crate::wire::{Distribution, Latency};

/// Flows remembered at once. Past it the quiet ones are forgotten; if none is quiet, new ones share one memory.
const FLOWS_MAX: usize = 65_536;

/// Holds each packet for a while.
pub(crate) struct Delays {
    latency: Latency,
    random: Random,
    flows: HashMap<Flow, Pace>,
}

/// What a flow remembers.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The delay drawn last, and when.
    target: u64,
    drawn: u64,
    /// The last packet's delay, and when it came.
    delay: u64,
    arrived: u64,
}

impl Decide for Delays {
    fn decide(&mut self, arrival: &Arrival<'_>) -> Fate {
        let now = arrival.now;
        let flow = self.seat(arrival.flow, now);
        let coherence = 2 * self.latency.jitter_us * 1_000;
        let pace = match self.flows.get(&flow) {
            None => {
                let target = self.draw();
                Pace { target, drawn: now, delay: target, arrived: now }
            }
            Some(&Pace { target, drawn, delay, arrived }) => {
                let (target, drawn) = if now < drawn + coherence { (target, drawn) } else { (self.draw(), now) };
                let step = now - arrived;
                Pace { target, drawn, delay: target.clamp(delay.saturating_sub(step), delay + step), arrived: now }
            }
        };
        self.flows.insert(flow, pace);
        Fate::Hold { until: now + pace.delay }
    }
}

impl Delays {
    pub(crate) fn new(latency: Latency) -> Self {
        let random = Random::new(latency.seed);
        Self { latency, random, flows: HashMap::new() }
    }

    /// The flow under which a packet is remembered, with room made for it.
    fn seat(&mut self, flow: Flow, now: u64) -> Flow {
        if self.flows.len() >= FLOWS_MAX && !self.flows.contains_key(&flow) {
            self.flows.retain(|_, pace| pace.arrived + pace.delay > now);
            if self.flows.len() >= FLOWS_MAX {
                return Flow::default();
            }
        }
        flow
    }

    /// A delay in nanoseconds, not below zero.
    fn draw(&mut self) -> u64 {
        let (delay, jitter) = (self.latency.delay_us as f64 * 1e3, self.latency.jitter_us as f64 * 1e3);
        let deviation = match self.latency.distribution {
            Distribution::Uniform => self.random.unit() * 2.0 - 1.0,
            Distribution::Normal => self.random.normal(),
        };
        (delay + jitter * deviation).max(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{MILLIS, fates, packet, release_all, tcp};
    use super::super::{Held, Line};
    use super::*;
    use crate::kernel::Hook;

    fn line(delay_us: u64, jitter_us: u64, distribution: Distribution) -> Line {
        Line::new(Delays::new(Latency { delay_us, jitter_us, distribution, seed: 7 }))
    }

    /// Sends `count` packets of one flow, `gap` apart, and returns them in order of release.
    fn run(line: &mut Line, count: u64, gap: u64) -> Vec<Held> {
        fates(line, count as u32, gap);
        release_all(line)
    }

    fn mean_and_deviation(held: &[Held]) -> (f64, f64) {
        let waits: Vec<f64> = held.iter().map(|held| (held.due - held.arrived) as f64 / MILLIS as f64).collect();
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        let variance = waits.iter().map(|wait| (wait - mean).powi(2)).sum::<f64>() / waits.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn without_jitter_every_packet_waits_exactly_as_long_as_asked() {
        let held = run(&mut line(50_000, 0, Distribution::Uniform), 100, MILLIS);
        assert!(held.iter().all(|held| held.due - held.arrived == 50 * MILLIS));
    }

    #[test]
    fn nothing_leaves_before_it_is_due() {
        let mut line = line(50_000, 0, Distribution::Uniform);
        line.take(packet(9, Hook::Output, &tcp(1)), 0);
        assert_eq!(line.next_due(), Some(50 * MILLIS));
        assert!(line.release(50 * MILLIS - 1).is_none());
        assert_eq!(line.release(50 * MILLIS).unwrap().id, 9);
        assert_eq!(line.len(), 0);
    }

    #[test]
    fn jitter_has_the_asked_mean_and_width_whether_packets_are_sparse_or_dense() {
        for (distribution, width) in [(Distribution::Uniform, 50.0 / 3_f64.sqrt()), (Distribution::Normal, 50.0)] {
            for gap in [200 * MILLIS, 2 * MILLIS] {
                let held = run(&mut line(200_000, 50_000, distribution), 1_000_000 * MILLIS / gap, gap);
                let (mean, deviation) = mean_and_deviation(&held);
                // 1000 s hold 5000 draws or more, whose mean is known to 50 / sqrt(5000) = 0.7 ms.
                assert!((mean - 200.0).abs() < 3.0, "{distribution:?} every {gap} ns: mean {mean}");
                // Dense packets move between draws, which narrows the spread.
                assert!((0.6..1.1).contains(&(deviation / width)), "{distribution:?} every {gap} ns: width {deviation}");
            }
        }
    }

    #[test]
    fn a_flow_is_never_reordered() {
        let mut line = line(20_000, 20_000, Distribution::Normal);
        let held = run(&mut line, 50_000, 300_000);
        assert!(held.is_sorted_by_key(|held| held.id));
        assert_eq!(line.tally().reordered, 0);
    }

    #[test]
    fn flows_do_not_wait_for_each_other() {
        let mut line = line(50_000, 50_000, Distribution::Uniform);
        for n in 0..100_u8 {
            line.take(packet(n.into(), Hook::Output, &tcp(n)), u64::from(n));
        }
        let ids: Vec<u32> = release_all(&mut line).iter().map(|held| held.id).collect();
        assert!(!ids.is_sorted());
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let once = || run(&mut line(50_000, 9_000, Distribution::Normal), 100, 40 * MILLIS);
        assert_eq!(once(), once());
    }
}
