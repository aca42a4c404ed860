//! Path MTU: what is too large vanishes.

use super::{Arrival, Decide, Fate};
use crate::wire::Mtu;

/// Loses large packets.
pub(crate) struct Limit {
    bytes: u32,
}

impl Limit {
    pub(crate) fn new(mtu: &Mtu) -> Self {
        Self { bytes: mtu.bytes }
    }
}

impl Decide for Limit {
    fn decide(&mut self, arrival: &Arrival<'_>) -> Fate {
        if arrival.packet.length > self.bytes { Fate::Lose } else { Fate::Pass }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{packet, tcp};
    use super::super::{Line, Packet};
    use super::*;
    use crate::kernel::Hook;

    #[test]
    fn a_packet_passes_up_to_the_limit_by_its_whole_length_and_not_by_what_is_seen_of_it() {
        let mut line = Line::new(Limit::new(&Mtu { bytes: 1_400 }));
        let fates = [40, 1_400, 1_401, 65_535].map(|length| {
            let head = tcp(1);
            line.take(Packet { length, ..packet(length, Hook::Input, &head) }, 0)
        });
        assert_eq!(fates, [Fate::Pass, Fate::Pass, Fate::Lose, Fate::Lose]);
        assert_eq!((line.tally().judged, line.tally().lost, line.len()), (4, 2, 0));
    }
}
