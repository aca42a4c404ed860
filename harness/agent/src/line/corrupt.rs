//! Corruption: in some packets one bit is turned over.
//!
//! The bit is one of the transport's payload; of the transport's header where there is no payload (a bare
//! acknowledgement), and of what follows the IP header in protocols that are neither TCP nor UDP. Each is under a
//! checksum that the flip makes wrong: one bit changes a sum of ones' complements by a power of two, which is never
//! nothing.
//!
//! What is not there whole cannot be sent on whole: a packet that the kernel cut for us passes as it is.

use super::flow::Shape;
use super::random::Random;
use super::{Arrival, Decide, Fate, Packet, Ways};
use crate::wire::Corrupt;

const UDP_HEADER_BYTES: usize = 8;

/// Turns over a bit of some packets.
pub(crate) struct Flips {
    share_ppm: u32,
    random: Ways<Random>,
}

impl Flips {
    pub(crate) fn new(corrupt: &Corrupt) -> Self {
        Self { share_ppm: corrupt.share_ppm, random: Ways::seeded(corrupt.seed) }
    }
}

impl Decide for Flips {
    fn decide(&mut self, arrival: &Arrival<'_>) -> Fate {
        let random = self.random.of(arrival.packet.hook);
        if !random.strikes(self.share_ppm) {
            return Fate::Pass;
        }
        match first_byte(&arrival.packet) {
            Some(first) => {
                let bits = 8 * (arrival.packet.head.len() - first) as u64;
                Fate::Flip { bit: 8 * first + (random.next() % bits) as usize }
            }
            None => Fate::Pass,
        }
    }
}

/// Turns one bit over.
pub(crate) fn flip(packet: &mut [u8], bit: usize) {
    if let Some(byte) = packet.get_mut(bit / 8) {
        *byte ^= 0x80 >> (bit % 8);
    }
}

/// Where the bytes begin that may be hurt; there is at least one.
fn first_byte(packet: &Packet<'_>) -> Option<usize> {
    let head = packet.head;
    let Shape { protocol, transport, .. } = Shape::of(head).filter(|_| head.len() >= packet.length as usize)?;
    let payload = match i32::from(protocol) {
        libc::IPPROTO_TCP => transport + usize::from(head.get(transport + 12).map_or(0, |byte| byte >> 4)) * 4,
        libc::IPPROTO_UDP => transport + UDP_HEADER_BYTES,
        _ => transport,
    };
    [payload, transport].into_iter().find(|first| *first < head.len())
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::super::samples::packet;
    use super::*;
    use crate::kernel::Hook;

    fn line(share_ppm: u32) -> Line {
        Line::new(Flips::new(&Corrupt { share_ppm, seed: 7 }))
    }

    /// An IPv4 packet of a protocol with so many bytes behind the header, all of them zero but TCP's header length.
    fn ip4(protocol: i32, bytes: usize) -> Vec<u8> {
        let mut packet = vec![0; 20 + bytes];
        packet[0] = 0x45;
        packet[9] = protocol as u8;
        if let Some(length) = packet.get_mut(32).filter(|_| protocol == libc::IPPROTO_TCP) {
            *length = 5 << 4;
        }
        packet
    }

    /// The bytes that a thousand flips hit.
    fn hit(bytes: &[u8]) -> (usize, usize) {
        let mut line = line(1_000_000);
        let hit = (0..1_000).map(|n| match line.take(packet(n, Hook::Output, bytes), 0) {
            Fate::Flip { bit } => bit / 8,
            other => panic!("{other:?}"),
        });
        let hit: Vec<usize> = hit.collect();
        (*hit.iter().min().unwrap(), *hit.iter().max().unwrap())
    }

    #[test]
    fn the_payload_is_hit_all_over_and_nothing_else() {
        assert_eq!(hit(&ip4(libc::IPPROTO_TCP, 20 + 10)), (40, 49));
        assert_eq!(hit(&ip4(libc::IPPROTO_UDP, 8 + 10)), (28, 37));
        assert_eq!(hit(&ip4(libc::IPPROTO_ICMP, 10)), (20, 29));
    }

    #[test]
    fn without_a_payload_the_transport_header_is_hit() {
        assert_eq!(hit(&ip4(libc::IPPROTO_TCP, 20)), (20, 39));
        assert_eq!(hit(&ip4(libc::IPPROTO_UDP, 8)), (20, 27));
    }

    #[test]
    fn what_cannot_be_hurt_whole_passes_and_is_not_counted() {
        let (whole, mut line) = (ip4(libc::IPPROTO_UDP, 100), line(1_000_000));
        let cut = Packet { length: 4_000, ..packet(1, Hook::Input, &whole) };
        for packet in [cut, packet(2, Hook::Input, &whole[..20]), packet(3, Hook::Input, &[]), packet(4, Hook::Input, &[0xff; 60])] {
            assert_eq!(line.take(packet, 0), Fate::Pass, "{packet:?}");
        }
        assert_eq!((line.tally().judged, line.tally().corrupted), (4, 0));
    }

    #[test]
    fn the_asked_share_is_hurt() {
        let (bytes, mut line) = (ip4(libc::IPPROTO_UDP, 100), line(50_000));
        for n in 0..100_000 {
            line.take(packet(n, Hook::Output, &bytes), 0);
        }
        assert!((line.tally().corrupted as f64 / 100_000.0 - 0.05).abs() < 0.003, "{:?}", line.tally());
    }

    #[test]
    fn a_flip_changes_one_bit_and_a_second_one_restores_it() {
        let mut bytes = [0; 4];
        flip(&mut bytes, 9);
        assert_eq!(bytes, [0, 0x40, 0, 0]);
        flip(&mut bytes, 9);
        flip(&mut bytes, 4_000);
        assert_eq!(bytes, [0; 4]);
    }
}
