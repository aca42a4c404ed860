//! Who leaves when: the packets of one queue, each with the moment at which it may go on. Pure: times go in and out as
//! nanoseconds since an origin that the caller chooses.
//!
//! Three decisions, and why.
//!
//! *Order is kept within a flow.* A flow is one direction of a connection (protocol, addresses, ports). `netem` lets
//! jitter reorder packets, which TCP takes for loss and answers with retransmissions: a second fault that nobody asked
//! for. Reordering will be a kind of its own.
//!
//! *A flow draws a new delay at most once per twice the jitter, and moves towards it no faster than time goes by*: a
//! packet's delay differs from the one before by no more than the time between the two. Downwards that is what keeps
//! the order; upwards it is what keeps the mean. Drawing for every packet and then keeping the order would make each
//! packet of a dense stream wait for the slowest before it, and push the mean of a 200 ± 50 ms delay beyond 300 ms.
//! Requests further apart than twice the jitter have each a delay of their own, as drawn.
//!
//! *Flows do not wait for each other*, so that a burst on one connection does not shape another.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::kernel::Hook;
use crate::wire::{Distribution, Latency};

/// Flows remembered at once. Past it the quiet ones are forgotten; if none is quiet, new ones share one memory.
const FLOWS_MAX: usize = 65_536;

/// Holds the numbers of packets until they are due.
pub(crate) struct DelayLine {
    latency: Latency,
    random: Random,
    flows: HashMap<Flow, Pace>,
    held: BinaryHeap<Reverse<Held>>,
}

/// A packet in the line. Ordered by due time, then by number: the kernel numbers packets in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) due: u64,
    order: u64,
    pub(crate) id: u32,
    pub(crate) arrived: u64,
}

/// One direction of a connection: enough of the packet's head to tell it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Flow {
    outgoing: bool,
    protocol: u8,
    addresses: [u8; 32],
    ports: [u8; 4],
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

impl DelayLine {
    pub(crate) fn new(latency: Latency) -> Self {
        let random = Random(latency.seed);
        Self { latency, random, flows: HashMap::new(), held: BinaryHeap::new() }
    }

    /// Takes in a packet that arrived at `now`. `head` begins with its IP header.
    pub(crate) fn hold(&mut self, order: u64, id: u32, hook: Hook, head: &[u8], now: u64) {
        let flow = self.seat(Flow::of(hook, head), now);
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
        let due = now + pace.delay;
        self.held.push(Reverse(Held { due, order, id, arrived: now }));
    }

    /// When the next packet may go.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.held.peek().map(|Reverse(held)| held.due)
    }

    /// The next packet that may go at `now`.
    pub(crate) fn release(&mut self, now: u64) -> Option<Held> {
        let due = self.next_due().is_some_and(|due| due <= now);
        if due { self.held.pop().map(|Reverse(held)| held) } else { None }
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
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

impl Flow {
    /// Reads the head of an IPv4 or IPv6 packet. IPv6 extension headers are not followed: packets that have them share
    /// a flow per pair of addresses, and so do fragments' later parts and protocols without ports.
    fn of(hook: Hook, head: &[u8]) -> Self {
        let mut flow = Self { outgoing: hook == Hook::Output, ..Self::default() };
        let version = head.first().map_or(0, |byte| byte >> 4);
        let (protocol_at, addresses_at, address_bytes, transport_at) = match version {
            4 => (9, 12, 8, usize::from(head[0] & 15) * 4),
            6 => (6, 8, 32, 40),
            _ => return flow,
        };
        flow.protocol = head.get(protocol_at).copied().unwrap_or_default();
        if let Some(addresses) = head.get(addresses_at..addresses_at + address_bytes) {
            flow.addresses[..address_bytes].copy_from_slice(addresses);
        }
        let has_ports = matches!(i32::from(flow.protocol), libc::IPPROTO_TCP | libc::IPPROTO_UDP);
        if let Some(ports) = head.get(transport_at..transport_at + 4).filter(|_| has_ports) {
            flow.ports.copy_from_slice(ports);
        }
        flow
    }
}

/// SplitMix64: 2^64 numbers from any seed, in six lines. Steele, Lea and Flood, OOPSLA 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..1`, with 53 bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Mean 0, standard deviation 1, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIS: u64 = 1_000_000;

    fn line(delay_us: u64, jitter_us: u64, distribution: Distribution) -> DelayLine {
        DelayLine::new(Latency { delay_us, jitter_us, distribution, seed: 7 })
    }

    fn tcp(port: u8) -> Vec<u8> {
        let mut head = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        head.extend([1, port, 0, 80]);
        head
    }

    /// Sends `count` packets of one flow, `gap` apart, and returns (arrived, released) of each in order of release.
    fn run(line: &mut DelayLine, count: u64, gap: u64) -> Vec<Held> {
        (0..count).for_each(|n| line.hold(n, n as u32, Hook::Output, &tcp(1), n * gap));
        std::iter::from_fn(|| line.release(u64::MAX)).collect()
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
        line.hold(0, 9, Hook::Output, &tcp(1), 0);
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
        let held = run(&mut line(20_000, 20_000, Distribution::Normal), 50_000, 300_000);
        assert!(held.is_sorted_by_key(|held| held.id));
    }

    #[test]
    fn flows_do_not_wait_for_each_other() {
        let mut line = line(50_000, 50_000, Distribution::Uniform);
        (0..100_u8).for_each(|n| line.hold(n.into(), n.into(), Hook::Output, &tcp(n), u64::from(n)));
        let ids: Vec<u32> = std::iter::from_fn(|| line.release(u64::MAX)).map(|held| held.id).collect();
        assert!(!ids.is_sorted());
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let once = || run(&mut line(50_000, 9_000, Distribution::Normal), 100, 40 * MILLIS);
        assert_eq!(once(), once());
    }

    #[test]
    fn heads_cut_anywhere_are_read_without_complaint() {
        let mut six = vec![0x60; 40];
        six[6] = 6;
        six.extend([0, 1, 0, 2]);
        for head in [tcp(1), six, vec![0x4f, 1], vec![0xff; 64]] {
            (0..=head.len()).for_each(|length| {
                Flow::of(Hook::Input, &head[..length]);
            });
        }
    }
}
