//! Which of the messages that a rule is for are met: a function of seed and connection. It must not know the rule.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The draws of one connection, begun anew with each setting.
#[derive(Default)]
pub(crate) struct Lots(Option<(u64, ChaCha8Rng)>);

impl Lots {
    /// Whether the next message is met, of which `share` are.
    pub(crate) fn draw(&mut self, epoch: u64, connection: u64, seed: u64, share: f64) -> bool {
        if self.0.as_ref().is_none_or(|(drawn_for, _)| *drawn_for != epoch) {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(connection);
            self.0 = Some((epoch, random));
        }
        self.0.as_mut().is_some_and(|(_, random)| random.random::<f64>() < share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(epoch: u64, connection: u64) -> Vec<bool> {
        let mut lots = Lots::default();
        (0..10_000).map(|_| lots.draw(epoch, connection, 7, 0.3)).collect()
    }

    #[test]
    fn a_share_is_drawn_for_each_connection_and_repeats() {
        let met = drawn(1, 1).into_iter().filter(|met| *met).count();
        assert!((2_800..3_200).contains(&met), "{met}");
        assert!(drawn(1, 1) == drawn(2, 1) && drawn(1, 1) != drawn(1, 2));
    }

    #[test]
    fn a_new_setting_draws_from_the_beginning() {
        let mut lots = Lots::default();
        let first: Vec<bool> = (0..50).map(|_| lots.draw(1, 1, 7, 0.5)).collect();
        let second: Vec<bool> = (0..50).map(|_| lots.draw(2, 1, 7, 0.5)).collect();
        assert_eq!(first, second);
    }
}
