//! On which connections a behaviour is: a function of seed and the connection's number. It must not know the behaviour.

use crate::wire::ppm;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Keeps the choice apart from what a behaviour draws with the same seed for the same connection.
const APART: u64 = 0x746f_7869_6369_7479;

/// On which share of the connections a behaviour is. Connections are numbered in the order in which they were accepted, which callers that connect at
/// once do not repeat; a caller with one long connection is met by a behaviour all the time or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Share", into = "Share")]
pub struct Toxicity {
    share: f64,
    seed: u64,
}

/// A toxicity on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Share {
    #[serde(rename = "share_ppm", with = "ppm")]
    share: f64,
    #[serde(default)]
    seed: u64,
}

impl TryFrom<Share> for Toxicity {
    type Error = &'static str;

    fn try_from(Share { share, seed }: Share) -> Result<Toxicity, Self::Error> {
        Toxicity::try_new(share, seed).ok_or("share_ppm must be from 0 to 1000000")
    }
}

impl From<Toxicity> for Share {
    fn from(Toxicity { share, seed }: Toxicity) -> Share {
        Share { share, seed }
    }
}

impl Toxicity {
    /// Nothing where `share` is not from 0 to 1.
    pub fn try_new(share: f64, seed: u64) -> Option<Toxicity> {
        (0.0..=1.0).contains(&share).then_some(Toxicity { share, seed })
    }

    /// Whether every connection is drawn.
    pub(crate) fn is_everyone(self) -> bool {
        self.share >= 1.0
    }

    pub(crate) fn draws(self, connection: u64) -> bool {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ APART);
        random.set_stream(connection);
        random.random::<f64>() < self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(share: f64, seed: u64) -> Vec<u64> {
        let toxicity = Toxicity::try_new(share, seed).expect("the share is one");
        (0..10_000).filter(|connection| toxicity.draws(*connection)).collect()
    }

    #[test]
    fn the_share_is_drawn_and_repeats_with_the_seed() {
        assert!((2_300..2_700).contains(&drawn(0.25, 5).len()));
        assert_eq!(drawn(0.25, 5), drawn(0.25, 5));
        assert_ne!(drawn(0.25, 5), drawn(0.25, 6));
        assert_eq!((drawn(0.0, 5).len(), drawn(1.0, 5).len()), (0, 10_000));
    }

    #[test]
    fn a_larger_share_has_the_smaller_one_in_it() {
        let (smaller, larger) = (drawn(0.2, 1), drawn(0.3, 1));
        assert!(smaller.iter().all(|connection| larger.contains(connection)));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        assert!([-0.1, 1.1, f64::NAN].into_iter().all(|share| Toxicity::try_new(share, 0).is_none()));
    }
}
