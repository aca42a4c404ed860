//! Latency: each packet with the moment at which it may go on.
//!
//! Four decisions, and why.
//!
//! *Order is kept within a flow.* A flow is one direction of a connection (protocol, addresses, ports). `netem` lets
//! jitter reorder packets, which TCP takes for loss and answers with retransmissions: a second fault that nobody asked
//! for. Reordering is a kind of its own.
//!
//! *A flow draws a new delay at most once per twice the jitter, and moves towards it no faster than time goes by*: a
//! packet's delay differs from the one before by no more than the time between the two. Downwards that is what keeps
//! the order; upwards it is what keeps the mean. Drawing for every packet and then keeping the order would make each
//! packet of a dense stream wait for the slowest before it, and push the mean of a 200 ± 50 ms delay beyond 300 ms.
//! Requests further apart than twice the jitter have each a delay of their own, as drawn. With a long tail it is six or
//! seven times the jitter: a delay must have the time to be reached before the next is drawn, or else a dense flow would
//! see the median where the mean was asked for.
//!
//! *A correlated delay follows the one drawn before it in its direction, whichever flow drew that*: a path that is slow is
//! slow for all. `netem` takes x = r * last + (1 - r) * new, a mean of two numbers, and looks its table up with it: that
//! narrows the spread by sqrt((1 - r) / (1 + r)), to 42 % at r = 0.7, and eats the tails. Here r * last +
//! sqrt(1 - r^2) * new, the autoregression that keeps its variance (Box and Jenkins, "Time Series Analysis"), relates
//! normal numbers, and each delay is the distribution's own quantile of one (a Gaussian copula). So spread and tails are as
//! without correlation. The delays' own correlation is r for the normal distribution and a little less for the others: at
//! 0.5 it is 0.48, 0.41 and 0.45 for uniform, Pareto and paretonormal.
//!
//! *Flows do not wait for each other*, so that a burst on one connection does not shape another.

use std::collections::HashMap;

use super::deviation::{breadth, deviation};
use super::flow::Flow;
use super::random::Random;
use super::{Arrival, Decide, Fate, Ways};
use crate::kernel::Hook;
use crate::wire::{Distribution, Latency};

/// Flows remembered at once. Past it the quiet ones are forgotten; if none is quiet, new ones share one memory.
const FLOWS_MAX: usize = 65_536;

/// Holds each packet for a while.
pub(crate) struct Delays {
    latency: Latency,
    random: Random,
    /// The normal number drawn last.
    last: Ways<Option<f64>>,
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
        let (now, hook) = (arrival.now, arrival.packet.hook);
        let flow = self.seat(arrival.flow, now);
        let coherence = breadth(self.latency.distribution) * self.latency.jitter_us * 1_000;
        let pace = match self.flows.get(&flow) {
            None => {
                let target = self.draw(hook);
                Pace { target, drawn: now, delay: target, arrived: now }
            }
            Some(&Pace { target, drawn, delay, arrived }) => {
                let (target, drawn) = if now < drawn + coherence { (target, drawn) } else { (self.draw(hook), now) };
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
        Self { latency, random, last: Ways::default(), flows: HashMap::new() }
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
    fn draw(&mut self, hook: Hook) -> u64 {
        let (delay, jitter) = (self.latency.delay_us as f64 * 1e3, self.latency.jitter_us as f64 * 1e3);
        let deviation = match (self.latency.distribution, self.latency.correlation_ppm) {
            (Distribution::Uniform, 0) => self.random.unit() * 2.0 - 1.0,
            (distribution, _) => deviation(distribution, self.normal(hook)),
        };
        (delay + jitter * deviation).max(0.0) as u64
    }

    /// Mean 0, standard deviation 1, and related to the last one.
    fn normal(&mut self, hook: Hook) -> f64 {
        let share = f64::from(self.latency.correlation_ppm) / 1e6;
        let (fresh, last) = (self.random.normal(), self.last.of(hook));
        let normal = last.map_or(fresh, |last| share * last + (1.0 - share * share).sqrt() * fresh);
        *last = Some(normal);
        normal
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{MILLIS, fates, packet, release_all, tcp};
    use super::super::{Held, Line};
    use super::*;
    use crate::kernel::Hook;

    fn line(delay_us: u64, jitter_us: u64, distribution: Distribution) -> Line {
        correlated(delay_us, jitter_us, distribution, 0)
    }

    fn correlated(delay_us: u64, jitter_us: u64, distribution: Distribution, correlation_ppm: u32) -> Line {
        Line::new(Delays::new(Latency { delay_us, jitter_us, distribution, correlation_ppm, seed: 7 }))
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
        let widths = [
            (Distribution::Uniform, 50.0 / 3_f64.sqrt()),
            (Distribution::Normal, 50.0),
            (Distribution::Pareto, 50.0),
            (Distribution::Paretonormal, 50.0),
        ];
        for (distribution, width) in widths {
            // A delay with a long tail is drawn less often.
            let draws_apart = breadth(distribution) * 50 * MILLIS;
            for gap in [2 * draws_apart, draws_apart / 50] {
                let held = run(&mut line(200_000, 50_000, distribution), 10_000 * draws_apart / gap, gap);
                let (mean, deviation) = mean_and_deviation(&held);
                // Of 5000 draws or more the mean is known to 50 / sqrt(5000) = 0.7 ms.
                assert!((mean - 200.0).abs() < 3.0, "{distribution:?} every {gap} ns: mean {mean}");
                // Dense packets move between draws, which narrows the spread.
                assert!((0.6..1.1).contains(&(deviation / width)), "{distribution:?} every {gap} ns: width {deviation}");
            }
        }
    }

    /// How far each wait follows the one before.
    fn correlation(held: &[Held]) -> f64 {
        let (mean, deviation) = mean_and_deviation(held);
        let off = |held: &Held| (held.due - held.arrived) as f64 / MILLIS as f64 - mean;
        let products: f64 = held.windows(2).map(|pair| off(&pair[0]) * off(&pair[1])).sum();
        products / held.len() as f64 / deviation.powi(2)
    }

    #[test]
    fn correlation_is_as_asked_and_neither_moves_the_mean_nor_narrows_the_spread() {
        let cases = [
            (Distribution::Uniform, 50.0 / 3_f64.sqrt(), 0.484),
            (Distribution::Normal, 50.0, 0.5),
            (Distribution::Pareto, 50.0, 0.413),
            (Distribution::Paretonormal, 50.0, 0.449),
        ];
        for (distribution, width, asked) in cases {
            let gap = 2 * breadth(distribution) * 50 * MILLIS;
            let held = run(&mut correlated(200_000, 50_000, distribution, 500_000), 50_000, gap);
            let (mean, deviation) = mean_and_deviation(&held);
            // 50000 such draws are worth 16667 for the mean.
            assert!((mean - 200.0).abs() < 2.0, "{distribution:?}: mean {mean}");
            assert!((deviation / width - 1.0).abs() < 0.03, "{distribution:?}: width {deviation}");
            let found = correlation(&held);
            assert!((found - asked).abs() < 0.03, "{distribution:?}: {found}");
        }
    }

    #[test]
    fn correlation_leaps_from_flow_to_flow_but_not_between_directions() {
        let mut line = correlated(200_000, 50_000, Distribution::Normal, 999_999);
        let heads: Vec<Vec<u8>> = (0..20).map(tcp).collect();
        let mut waits = |hook| {
            let fates = heads.iter().map(|head| line.take(packet(1, hook, head), 0));
            let waits = fates.map(|fate| match fate {
                Fate::Hold { until } => until as f64 / MILLIS as f64,
                other => panic!("{other:?}"),
            });
            waits.collect::<Vec<_>>()
        };
        let [out, back] = [Hook::Output, Hook::Input].map(&mut waits);
        for row in [&out, &back] {
            assert!(row.iter().all(|wait| (wait - row[0]).abs() < 2.0), "{row:?}");
        }
        assert!((out[0] - back[0]).abs() > 5.0, "{} {}", out[0], back[0]);
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
