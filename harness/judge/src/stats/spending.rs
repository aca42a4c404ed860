//! How much of the error a look at the evidence may spend, so that many looks together spend no more than one would.
//!
//! With `most` rounds possible the share `(done / most)²` is spent by round `done`. A look has what is added since the look before it, and the errors of
//! all looks add up to the whole (union bound): nothing is assumed of how the looks depend on one another. Early looks get little, the last ones most.

use shakedown_model::run::Rounds;

/// Rounds before which nothing passes, where there may be more than one: one instance says nothing of the next.
pub(crate) const FIRST_PASS: u32 = 2;

/// The look at which a run ended, with the errors that it may spend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Error of all comparisons together that a fail may spend; zero: nothing may fail yet.
    pub fail: f64,
    /// Error that a pass may spend; zero: nothing may pass yet.
    pub pass: f64,
    /// Whether no other look could have followed.
    pub last: bool,
}

impl Look {
    /// The look after `rounds.done` rounds, of the errors `fail` and `pass` of the whole run. Beyond `rounds.most` nothing is left to spend.
    pub fn at(rounds: Rounds, fail: f64, pass: f64) -> Look {
        let first_fail = rounds.planned.max(1);
        let most = rounds.most.max(first_fail);
        Look {
            fail: fail * share(first_fail, rounds.done, most),
            pass: pass * share(FIRST_PASS.min(most), rounds.done, most),
            last: rounds.done >= most,
        }
    }

    /// The only look there is.
    pub fn only(fail: f64, pass: f64) -> Look {
        Look { fail, pass, last: true }
    }
}

/// The share of an error that the look after `done` rounds spends, where looks are at `first..=most`.
fn share(first: u32, done: u32, most: u32) -> f64 {
    let spent = |rounds: u32| (f64::from(rounds) / f64::from(most)).powi(2);
    if done < first || done > most {
        0.0
    } else if done == first {
        spent(done)
    } else {
        spent(done) - spent(done - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(planned: u32, most: u32, done: u32) -> Look {
        Look::at(Rounds { planned, most, done }, 0.01, 0.05)
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-15
    }

    #[test]
    fn a_single_round_spends_everything_at_once() {
        assert_eq!(look(1, 1, 1), Look::only(0.01, 0.05));
        assert_eq!(Look::at(Rounds::default(), 0.01, 0.05), Look::only(0.01, 0.05));
    }

    #[test]
    fn a_pass_may_come_early_and_a_fail_may_not() {
        let looks = [1, 2, 3, 4].map(|done| look(4, 4, done));
        for (look, (fail, pass)) in looks.iter().zip([(0.0, 0.0), (0.0, 4.0), (0.0, 5.0), (16.0, 7.0)]) {
            assert!(close(look.fail, 0.01 * fail / 16.0) && close(look.pass, 0.05 * pass / 16.0), "{look:?}");
        }
        assert_eq!(looks.map(|look| look.last), [false, false, false, true]);
    }

    #[test]
    fn the_first_look_that_may_fail_spends_what_was_saved_up() {
        let fails = [3, 4, 5, 6].map(|done| look(4, 6, done).fail);
        for (fail, share) in fails.iter().zip([0.0, 16.0, 9.0, 11.0]) {
            assert!(close(*fail, 0.01 * share / 36.0), "{fails:?}");
        }
    }

    #[test]
    fn all_looks_together_spend_the_error_and_no_more() {
        for most in 1..=40_u32 {
            for planned in 1..=most {
                let (fail, pass) = (0..=most + 3)
                    .map(|done| look(planned, most, done))
                    .fold((0.0, 0.0), |(fail, pass), look| (fail + look.fail, pass + look.pass));
                assert!((fail - 0.01).abs() < 1e-12 && (pass - 0.05).abs() < 1e-12, "{planned} of {most}: {fail} {pass}");
            }
        }
    }

    #[test]
    fn rounds_that_cannot_be_spend_nothing_that_was_not_there() {
        let nothing = |look: Look| look.fail <= 0.0 && look.pass <= 0.0;
        assert!(nothing(look(4, 4, 0)) && nothing(look(0, 0, 0)), "nothing was played");
        assert!(nothing(look(4, 4, 5)), "everything was spent before");
        assert_eq!(look(0, 0, 1), Look::only(0.01, 0.05), "no plan is a plan of one");
        assert_eq!(look(4, 2, 4), look(4, 4, 4), "there may be as many as are planned");
        assert!(look(u32::MAX, u32::MAX, u32::MAX).fail > 0.0);
    }
}
