//! Random numbers that are a function of what they are for: each named stream has a generator of its own, the same on every machine.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The generator of the stream that `names` name, under `seed`.
pub(crate) fn stream(seed: u64, names: &[&str]) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for name in names {
        // The length keeps ("a", "bc") apart from ("ab", "c").
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// The generator of request number `seq` of a stream: the draws of one request do not depend on those of another.
pub(crate) fn of_request(base: &ChaCha8Rng, seq: u64) -> ChaCha8Rng {
    let mut random = base.clone();
    random.set_stream(seq);
    random
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_stream_is_a_function_of_seed_and_names() {
        assert_eq!(stream(1, &["a", "bc"]).next_u64(), stream(1, &["a", "bc"]).next_u64());
        assert_ne!(stream(1, &["a", "bc"]).next_u64(), stream(1, &["ab", "c"]).next_u64());
        assert_ne!(stream(1, &["a"]).next_u64(), stream(2, &["a"]).next_u64());
    }

    #[test]
    fn requests_draw_independently_of_each_other() {
        let base = stream(1, &["a"]);
        assert_ne!(of_request(&base, 1).next_u64(), of_request(&base, 2).next_u64());
        assert_eq!(of_request(&base, 2).next_u64(), of_request(&base, 2).next_u64());
    }
}
