//! What a queueing discipline is told about itself. Pure: it writes attributes and sends nothing.
//!
//! Numbers are in host order. Sources: `linux/pkt_sched.h`, `net/sched/sch_{prio,netem,tbf}.c`.

use super::Attributes;
use super::numbers::*;
use crate::kernel::Discipline;
use crate::line::deviation;
use crate::wire::{Bandwidth, Latency, Loss};

/// Packets that netem keeps, as many as a queue of ours. What comes beyond is dropped and counted.
const PACKETS_MAX: u32 = 16_384;
/// netem's tables are in 8192nds of the jitter and end at 4 jitters; at half the scale, and with twice the jitter, they end at
/// 8, which our tails need.
const TABLE_SCALE: f64 = 8_192.0 / 2.0;
/// Bands of the root: three as in the kernel's default, and ours.
const BANDS: u32 = 4;
/// Which band a packet's type of service leads to: as in the kernel's default (`prio2band` in `sch_generic.c`).
const BAND_OF_PRIORITY: [u8; 16] = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];
/// How long a packet waits for its turn at most if nothing else is asked for.
const QUEUE_US: u64 = 1_000_000;
/// Of an Ethernet header with a tag.
const LINK_HEADER_BYTES: u32 = 18;

/// `struct tc_prio_qopt`
pub(super) fn root(body: &mut Attributes<'_>) {
    let [a, b, c, d] = BANDS.to_ne_bytes();
    body.raw(TCA_OPTIONS, &[&[a, b, c, d], &BAND_OF_PRIORITY[..]].concat());
}

/// The options of a discipline on an interface whose packets have at most `mtu` bytes.
pub(super) fn leaf(body: &mut Attributes<'_>, discipline: &Discipline, mtu: u32) {
    body.nested(TCA_OPTIONS, |body| match discipline {
        Discipline::Hold(latency) => hold(body, latency),
        Discipline::Lose(loss) => lose(body, loss),
        Discipline::Pace(bandwidth) => pace(body, bandwidth, mtu),
    });
}

/// `struct tc_netem_qopt`: latency, limit, loss, gap, duplicate, jitter.
fn netem(body: &mut Attributes<'_>, loss: u32) {
    body.fixed(&words(&[0, PACKETS_MAX, loss, 0, 0, 0]));
}

fn hold(body: &mut Attributes<'_>, latency: &Latency) {
    netem(body, 0);
    body.raw(TCA_NETEM_LATENCY64, &(latency.delay_us * 1_000).to_ne_bytes());
    if latency.jitter_us > 0 {
        body.raw(TCA_NETEM_JITTER64, &(latency.jitter_us * 2_000).to_ne_bytes());
        let table = deviation::table(latency.distribution, TABLE_SCALE);
        body.raw(TCA_NETEM_DELAY_DIST, &table.iter().flat_map(|it| it.to_ne_bytes()).collect::<Vec<_>>());
    }
    // Kernels before 6.6 do not know it and choose for themselves.
    body.raw(TCA_NETEM_PRNG_SEED, &latency.seed.to_ne_bytes());
}

fn lose(body: &mut Attributes<'_>, loss: &Loss) {
    let share = f64::from(loss.share_ppm) / 1e6;
    if loss.burst_packets < 2 {
        netem(body, probability(share));
    } else {
        netem(body, 0);
        // struct tc_netem_gemodel: from good to bad, from bad to good, passing in the bad state, loss in the good one. The state
        // that a packet leaves is the one that it is judged by, so that bursts are 1 / r long, and p / (p + r) are lost.
        let r = 1.0 / f64::from(loss.burst_packets);
        let p = r * share / (1.0 - share);
        let model = words(&[probability(p), probability(r), 0, 0]);
        body.nested(TCA_NETEM_LOSS, |body| body.raw(NETEM_LOSS_GE, &model));
    }
    body.raw(TCA_NETEM_PRNG_SEED, &loss.seed.to_ne_bytes());
}

/// A bucket of one packet: what has waited long enough to be sent whole is sent.
fn pace(body: &mut Attributes<'_>, bandwidth: &Bandwidth, mtu: u32) {
    let queue_us = if bandwidth.queue_us == 0 { QUEUE_US } else { bandwidth.queue_us };
    let rate = bandwidth.bytes_per_second;
    let burst = mtu.saturating_add(LINK_HEADER_BYTES);
    let waiting = u128::from(rate) * u128::from(queue_us) / 1_000_000 + u128::from(burst);
    let limit = u32::try_from(waiting).unwrap_or(u32::MAX);
    // struct tc_tbf_qopt: two struct tc_ratespec (the second, of the peak, is not used), limit, buffer, mtu.
    let spec = [words(&[u32::from_ne_bytes([0, TC_LINKLAYER_ETHERNET, 0, 0]), 0]), words(&[u32::try_from(rate).unwrap_or(u32::MAX)])];
    body.raw(TCA_TBF_PARMS, &[spec.concat(), words(&[0, 0, 0, limit, 0, 0])].concat());
    body.raw(TCA_TBF_RATE64, &rate.to_ne_bytes());
    body.raw(TCA_TBF_BURST, &burst.to_ne_bytes());
}

/// Of 2^32 - 1, as netem counts chances.
fn probability(share: f64) -> u32 {
    (share * f64::from(u32::MAX)).round() as u32
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{attribute, attributes};
    use super::*;
    use crate::wire::Distribution;

    /// What is said of a discipline, without the attribute's own header.
    fn said(discipline: &Discipline) -> Vec<u8> {
        let mut bytes = Vec::new();
        leaf(&mut Attributes { bytes: &mut bytes }, discipline, 1_500);
        attribute(&bytes, TCA_OPTIONS).unwrap().to_vec()
    }

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(*bytes[4 * at..].first_chunk().unwrap())
    }

    #[test]
    fn chances_are_shares_of_all_that_a_word_holds() {
        let lose = |share_ppm, burst_packets| said(&Discipline::Lose(Loss { share_ppm, burst_packets, seed: 1 }));
        assert_eq!(word(&lose(1_000_000, 0), 2), u32::MAX);
        assert_eq!(word(&lose(250_000, 1), 2), 1 << 30);
        let bursts = lose(200_000, 4);
        assert_eq!(word(&bursts, 2), 0, "the model alone decides");
        let model = attribute(attribute(&bursts[24..], TCA_NETEM_LOSS).unwrap(), NETEM_LOSS_GE).unwrap();
        assert_eq!([0, 1, 2, 3].map(|at| word(model, at)), [1 << 28, 1 << 30, 0, 0]);
    }

    #[test]
    fn a_delay_is_in_nanoseconds_and_its_jitter_is_doubled_beside_a_halved_table() {
        let latency = |jitter_us| Latency { delay_us: 5, jitter_us, distribution: Distribution::Pareto, correlation_ppm: 0, seed: 9 };
        let plain = said(&Discipline::Hold(latency(0)));
        assert_eq!(attribute(&plain[24..], TCA_NETEM_LATENCY64), Some(&5_000_u64.to_ne_bytes()[..]));
        assert_eq!(attribute(&plain[24..], TCA_NETEM_DELAY_DIST), None);
        let spread = said(&Discipline::Hold(latency(3)));
        assert_eq!(attribute(&spread[24..], TCA_NETEM_JITTER64), Some(&6_000_u64.to_ne_bytes()[..]));
        assert_eq!(attribute(&spread[24..], TCA_NETEM_DELAY_DIST).unwrap().len(), 2 * 4_096);
        assert_eq!(attributes(&spread[24..]).count(), 4);
    }

    #[test]
    fn a_line_has_room_for_what_it_carries_in_its_time_and_one_packet_more() {
        let pace = |bytes_per_second, queue_us| said(&Discipline::Pace(Bandwidth { bytes_per_second, queue_us }));
        for (rate, queue_us, room) in [(4_000, 100_000, 400), (4_000, 0, 4_000), (u64::MAX, 60_000_000, u32::MAX - 1_518)] {
            let line = pace(rate, queue_us);
            let parameters = attribute(&line, TCA_TBF_PARMS).unwrap();
            assert_eq!((parameters.len(), word(parameters, 6)), (36, room + 1_518), "{rate}");
            assert_eq!(attribute(&line, TCA_TBF_RATE64), Some(&rate.to_ne_bytes()[..]));
        }
    }
}
