//! Conversations that nobody would hold, for the tests of each protocol. It must not know a protocol.

use super::{Context, Talk};
use crate::{behaviour::Behaviour, dose::Counter, pipe::Direction};
use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What was said in each direction, what went on, and whether the connection broke.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rehearsal {
    pub(crate) sent: [Vec<u8>; 2],
    pub(crate) gone: [Vec<u8>; 2],
    pub(crate) broke: bool,
}

/// A conversation that begins with `opening` and goes on with scraps of each direction, each broken now and then and cut anywhere, under a rule that
/// comes and goes.
pub(crate) fn rehearse(seed: u64, rule: &Behaviour, opening: &[u8], scraps: [&[Vec<u8>]; 2]) -> Rehearsal {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (talk, counter) = (Talk::new(), Counter::new());
    let mut rehearsal = Rehearsal { sent: [Vec::new(), Vec::new()], gone: [Vec::new(), Vec::new()], broke: false };
    let mut said = vec![(Direction::Out, opening.to_vec())];
    for _ in 0..random.random_range(1..40) {
        let direction = if random.random() { Direction::Out } else { Direction::Home };
        let mut scrap = scraps[direction as usize][random.random_range(0..scraps[direction as usize].len())].clone();
        if random.random::<f64>() < 0.03 {
            let at = random.random_range(0..scrap.len());
            scrap[at] = random.random();
        }
        // A piece, and the rest of it.
        let rest = scrap.split_off(random.random_range(0..=scrap.len()));
        said.extend([(direction, scrap), (direction, rest)]);
    }
    let mut epoch = 0;
    for (direction, bytes) in said.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        epoch += u64::from(random.random::<f64>() < 0.1);
        let behaviour = if epoch % 3 == 2 { &Behaviour::Pass } else { rule };
        let context = Context { behaviour, epoch, connection: 1, counter: &counter };
        rehearsal.say(&talk, direction, bytes, context);
        if rehearsal.broke {
            return rehearsal;
        }
    }
    for direction in [Direction::Out, Direction::Home] {
        rehearsal.gone[direction as usize].extend(talk.end(direction));
    }
    rehearsal
}

impl Rehearsal {
    fn say(&mut self, talk: &Talk, direction: Direction, bytes: Vec<u8>, context: Context<'_>) {
        self.sent[direction as usize].extend_from_slice(&bytes);
        self.gone[direction as usize].extend(talk.let_go(direction, context));
        match talk.hear(direction, Bytes::from(bytes), context) {
            Ok(parcels) => self.gone[direction as usize].extend(parcels.into_iter().flat_map(|parcel| parcel.bytes)),
            Err(_) => self.broke = true,
        }
        while let Some(own) = talk.own(Direction::Home, context) {
            self.gone[Direction::Home as usize].extend(own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CommandMatching, PostgresAction, QueryMatching, RedisAction};

    fn noise(random: &mut ChaCha8Rng, most: usize) -> Vec<u8> {
        let length = random.random_range(1..=most);
        // Line breaks, zeros and small numbers more often than chance has it.
        (0..length).map(|_| if random.random() { b"\0\0\x01\x05\r\n*$1ZQ"[random.random_range(0..11)] } else { random.random() }).collect()
    }

    #[test]
    fn noise_passes_byte_for_byte_whatever_it_begins_like() {
        let query = QueryMatching { query: Some("none".into()), ..QueryMatching::default() };
        let error = PostgresAction::Error { error: "40001".into(), message: None };
        let key = CommandMatching { key: Some("none".into()), ..CommandMatching::default() };
        let rules = [
            Behaviour::Pass,
            Behaviour::postgres(query, error).expect("it is one"),
            Behaviour::redis(key, RedisAction::Timeout).expect("it is one"),
        ];
        let openings: [&[u8]; 5] = [b"*", b"*1\r\n", b"\0\0\0", b"\0\0\0\x09\0\x03\0\0\0", b"PING\r\n"];
        for seed in 0..2_000 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let opening = [openings[random.random_range(0..openings.len())], &noise(&mut random, 9)].concat();
            let scraps: [Vec<Vec<u8>>; 2] = std::array::from_fn(|_| (0..6).map(|_| noise(&mut random, 40)).collect());
            for rule in &rules {
                let said = rehearse(seed, rule, &opening, [&scraps[0], &scraps[1]]);
                assert!(!said.broke && said.sent == said.gone, "{seed} {rule:?}: {said:?}");
            }
        }
    }
}
