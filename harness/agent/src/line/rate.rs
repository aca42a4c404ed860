//! Bandwidth: packets leave one after the other, each when its last byte is through.
//!
//! There is no bucket of tokens: a packet leaves at the moment at which the line is free, or now if that is later, plus
//! its length over the rate. So nothing is ever faster than the line, not even the first packet after a pause. All
//! flows of a direction share its line, first come first served.

use super::{Arrival, Decide, Fate, Ways};
use crate::wire::Bandwidth;

/// How long a packet waits for its turn if nothing else is asked for.
const QUEUE_US: u64 = 1_000_000;

/// Lets packets leave at a rate.
pub(crate) struct Rate {
    bytes_per_second: u64,
    /// A packet that would wait longer is lost.
    patience: u64,
    /// When each line is free.
    free: Ways<u64>,
}

impl Rate {
    pub(crate) fn new(bandwidth: &Bandwidth) -> Self {
        let queue_us = if bandwidth.queue_us == 0 { QUEUE_US } else { bandwidth.queue_us };
        // A rate of zero is refused long before; it must not divide by zero all the same.
        Self { bytes_per_second: bandwidth.bytes_per_second.max(1), patience: queue_us * 1_000, free: Ways::default() }
    }
}

impl Decide for Rate {
    fn decide(&mut self, arrival: &Arrival<'_>) -> Fate {
        let free = self.free.of(arrival.packet.hook);
        let begins = arrival.now.max(*free);
        if begins - arrival.now > self.patience {
            return Fate::Lose;
        }
        *free = begins + u64::from(arrival.packet.length) * 1_000_000_000 / self.bytes_per_second;
        Fate::Hold { until: *free }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{MILLIS, packet, release_all, tcp};
    use super::super::{Held, Line, Packet};
    use super::*;
    use crate::kernel::Hook;

    const SECOND: u64 = 1_000 * MILLIS;

    fn line(bytes_per_second: u64, queue_us: u64) -> Line {
        Line::new(Rate::new(&Bandwidth { bytes_per_second, queue_us }))
    }

    /// A packet of 1000 bytes, of which we see only the head.
    fn kilobyte(id: u32, hook: Hook, head: &[u8]) -> Packet<'_> {
        Packet { length: 1_000, ..packet(id, hook, head) }
    }

    fn send(line: &mut Line, count: u32, gap: u64) -> Vec<Held> {
        for n in 0..count {
            line.take(kilobyte(n, Hook::Output, &tcp(n as u8)), u64::from(n) * gap);
        }
        release_all(line)
    }

    #[test]
    fn a_burst_leaves_at_the_rate_and_in_order_whatever_its_flows() {
        let mut line = line(100_000, 0);
        let held = send(&mut line, 50, 0);
        let due: Vec<u64> = held.iter().map(|held| held.due / MILLIS).collect();
        assert_eq!(due, (1..=50).map(|n| n * 10).collect::<Vec<_>>());
        assert!(held.is_sorted_by_key(|held| held.id));
        assert_eq!(line.tally().lost, 0);
    }

    #[test]
    fn a_packet_that_finds_the_line_free_takes_its_own_time_and_no_more() {
        let held = send(&mut line(100_000, 0), 10, SECOND);
        assert!(held.iter().all(|held| held.due - held.arrived == 10 * MILLIS));
    }

    #[test]
    fn what_would_wait_too_long_is_lost_and_the_rest_still_leaves_at_the_rate() {
        let mut line = line(100_000, 50_000);
        let held = send(&mut line, 1_000, MILLIS);
        // In one second the line takes 100 packets, and holds those of 50 ms more.
        assert!((100..=107).contains(&held.len()), "{}", held.len());
        assert_eq!(line.tally().lost, 1_000 - held.len() as u64);
        assert!(held.iter().all(|held| held.due - held.arrived <= 60 * MILLIS));
        assert!(held.windows(2).all(|pair| pair[1].due - pair[0].due == 10 * MILLIS));
    }

    #[test]
    fn without_a_bound_of_its_own_a_packet_waits_for_a_second_at_most() {
        let mut line = line(100_000, 0);
        assert_eq!(send(&mut line, 300, 0).len(), 101);
        assert_eq!(line.tally().lost, 199);
    }

    #[test]
    fn each_direction_has_a_line_of_its_own() {
        let mut line = line(100_000, 0);
        let fates = [Hook::Output, Hook::Input].map(|hook| line.take(kilobyte(1, hook, &tcp(1)), 0));
        assert_eq!(fates, [Fate::Hold { until: 10 * MILLIS }; 2]);
    }
}
