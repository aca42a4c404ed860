//! What becomes of the packets of one queue, and when. Pure: times go in and out as nanoseconds since an origin that
//! the caller chooses, and nothing here sends or drops anything.
//!
//! A [`Decide`] says what becomes of a packet as it arrives, one kind of decision a file; the [`Line`] keeps those that
//! have to wait, and counts. Everything random comes from a seed, and each direction has its own, so that the packets
//! of one do not change the fate of the other's.

pub(crate) mod corrupt;
pub(crate) mod delay;
pub(crate) mod deviation;
pub(crate) mod duplicate;
mod flow;
pub(crate) mod loss;
pub(crate) mod mtu;
mod random;
pub(crate) mod rate;
pub(crate) mod reorder;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::kernel::Hook;
use flow::Flow;
use random::Random;

/// Says what becomes of packets.
pub(crate) trait Decide {
    /// What becomes of this one. Asked once for each, in the order of arrival.
    fn decide(&mut self, arrival: &Arrival<'_>) -> Fate;
}

/// A packet that waits for its verdict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    pub(crate) id: u32,
    pub(crate) hook: Hook,
    /// From the IP header on, as much as the queue was asked to copy.
    pub(crate) head: &'a [u8],
    /// How long the packet is as a whole, segments yet to be cut included.
    pub(crate) length: u32,
    /// What the kernel and others have written on it: `skb->mark`.
    pub(crate) mark: u32,
}

/// A packet, and what a decision may know besides.
pub(crate) struct Arrival<'a> {
    packet: Packet<'a>,
    flow: Flow,
    now: u64,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on now.
    Pass,
    /// It goes on then.
    Hold { until: u64 },
    /// It vanishes.
    Lose,
    /// It goes on now with one bit turned over, which is the first of its IP header if this is 0.
    Flip { bit: usize },
    /// It goes on now, and a copy before it.
    Duplicate,
}

/// Holds the numbers of packets until they are due.
pub(crate) struct Line {
    decision: Box<dyn Decide + Send>,
    held: BinaryHeap<Reverse<Held>>,
    overtaking: Overtaking,
    tally: Tally,
}

/// A packet in the line. Ordered by due time, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) due: u64,
    order: u64,
    pub(crate) id: u32,
    pub(crate) arrived: u64,
    flow: Flow,
}

/// What was done so far, in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) judged: u64,
    pub(crate) lost: u64,
    /// Held while a later packet of the same flow went by.
    pub(crate) reordered: u64,
    pub(crate) corrupted: u64,
    pub(crate) duplicated: u64,
}

impl Line {
    pub(crate) fn new(decision: impl Decide + Send + 'static) -> Self {
        Self { decision: Box::new(decision), held: BinaryHeap::new(), overtaking: Overtaking::default(), tally: Tally::default() }
    }

    /// Takes in a packet that arrived at `now`, and keeps it if it has to wait.
    pub(crate) fn take(&mut self, packet: Packet<'_>, now: u64) -> Fate {
        let flow = Flow::of(packet.hook, packet.head);
        let fate = self.decision.decide(&Arrival { packet, flow, now });
        self.tally.judged += 1;
        let order = self.tally.judged;
        match fate {
            Fate::Hold { until } => {
                self.overtaking.waits(flow);
                self.held.push(Reverse(Held { due: until, order, id: packet.id, arrived: now, flow }));
            }
            Fate::Lose => self.tally.lost += 1,
            Fate::Pass => self.overtaking.passes(flow, order),
            Fate::Flip { .. } => {
                self.tally.corrupted += 1;
                self.overtaking.passes(flow, order);
            }
            Fate::Duplicate => {
                self.tally.duplicated += 1;
                self.overtaking.passes(flow, order);
            }
        }
        fate
    }

    /// When the next packet may go.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.held.peek().map(|Reverse(held)| held.due)
    }

    /// The next packet that may go at `now`.
    pub(crate) fn release(&mut self, now: u64) -> Option<Held> {
        self.next_due().filter(|due| *due <= now)?;
        let Reverse(held) = self.held.pop()?;
        self.tally.reordered += u64::from(self.overtaking.leaves(held.flow, held.order));
        Some(held)
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }
}

/// Who went by whom: an entry for each flow of which packets wait, so that it is never longer than the line.
#[derive(Debug, Default)]
struct Overtaking {
    flows: HashMap<Flow, Waiting>,
}

/// The packets of one flow that wait.
#[derive(Debug, Default)]
struct Waiting {
    packets: u64,
    /// The latest arrival of this flow that has gone on since the first of them came.
    latest: u64,
}

impl Overtaking {
    fn waits(&mut self, flow: Flow) {
        self.flows.entry(flow).or_default().packets += 1;
    }

    fn passes(&mut self, flow: Flow, order: u64) {
        if let Some(waiting) = self.flows.get_mut(&flow) {
            waiting.latest = waiting.latest.max(order);
        }
    }

    /// Whether the packet that leaves was overtaken.
    fn leaves(&mut self, flow: Flow, order: u64) -> bool {
        let Some(waiting) = self.flows.get_mut(&flow) else {
            return false;
        };
        let overtaken = waiting.latest > order;
        waiting.latest = waiting.latest.max(order);
        waiting.packets -= 1;
        if waiting.packets == 0 {
            self.flows.remove(&flow);
        }
        overtaken
    }
}

/// One of something for each direction.
#[derive(Debug, Default)]
struct Ways<T> {
    output: T,
    input: T,
}

impl<T> Ways<T> {
    fn of(&mut self, hook: Hook) -> &mut T {
        match hook {
            Hook::Output | Hook::Opening => &mut self.output,
            Hook::Input => &mut self.input,
        }
    }
}

impl Ways<Random> {
    fn seeded(seed: u64) -> Self {
        Self { output: Random::new(seed), input: Random::new(!seed) }
    }
}

#[cfg(test)]
mod samples {
    //! Packets for the tests of the decisions.

    use super::{Fate, Held, Line, Packet};
    use crate::kernel::Hook;

    pub(super) const MILLIS: u64 = 1_000_000;

    /// A TCP header's first bytes behind an IPv4 header, from a port of its own.
    pub(super) fn tcp(port: u8) -> Vec<u8> {
        let mut head = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        head.extend([1, port, 0, 80]);
        head
    }

    pub(super) fn packet(id: u32, hook: Hook, head: &[u8]) -> Packet<'_> {
        Packet { id, hook, head, length: head.len() as u32, mark: 0 }
    }

    /// Sends `count` outgoing packets of one flow, `gap` apart, and returns what became of each.
    pub(super) fn fates(line: &mut Line, count: u32, gap: u64) -> Vec<Fate> {
        (0..count).map(|n| line.take(packet(n, Hook::Output, &tcp(1)), u64::from(n) * gap)).collect()
    }

    /// Everything that is held, in order of release.
    pub(super) fn release_all(line: &mut Line) -> Vec<Held> {
        std::iter::from_fn(|| line.release(u64::MAX)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{packet, release_all, tcp};
    use super::*;

    /// Says what it was told to say.
    struct Script(std::vec::IntoIter<Fate>);

    impl Decide for Script {
        fn decide(&mut self, _arrival: &Arrival<'_>) -> Fate {
            self.0.next().unwrap()
        }
    }

    const HOLD: Fate = Fate::Hold { until: 100 };

    /// Outgoing packets from these ports, one a nanosecond, and what becomes of each; the line does its work on time.
    fn tally(script: &[(u8, Fate)]) -> Tally {
        let mut line = Line::new(Script(script.iter().map(|(_, fate)| *fate).collect::<Vec<_>>().into_iter()));
        for (n, (port, _)) in (0..).zip(script) {
            while line.release(n).is_some() {}
            line.take(packet(n as u32, Hook::Output, &tcp(*port)), n);
        }
        release_all(&mut line);
        assert!(line.overtaking.flows.is_empty(), "nothing is remembered of a flow of which nothing waits");
        line.tally()
    }

    #[test]
    fn a_packet_counts_as_reordered_once_a_later_one_of_its_flow_goes_by() {
        let reordered = |script: &[(u8, Fate)]| tally(script).reordered;
        assert_eq!(reordered(&[(1, HOLD), (1, HOLD), (1, Fate::Pass), (1, Fate::Pass)]), 2);
        assert_eq!(reordered(&[(1, HOLD), (2, Fate::Pass), (1, Fate::Lose)]), 0, "not by another flow, nor by what is lost");
        assert_eq!(reordered(&[(1, Fate::Pass), (1, HOLD)]), 0, "not by an earlier one");
        assert_eq!(reordered(&[(1, HOLD), (1, Fate::Hold { until: 90 })]), 1, "one that waits less goes by too");
        assert_eq!(reordered(&[(1, Fate::Hold { until: 1 }), (2, Fate::Pass), (1, Fate::Pass)]), 0, "not once it is gone");
    }

    #[test]
    fn every_fate_is_counted() {
        let found =
            tally(&[(1, HOLD), (1, Fate::Flip { bit: 1 }), (1, Fate::Lose), (1, Fate::Lose), (1, Fate::Pass), (2, Fate::Duplicate)]);
        assert_eq!(found, Tally { judged: 6, lost: 2, reordered: 1, corrupted: 1, duplicated: 1 });
    }
}
