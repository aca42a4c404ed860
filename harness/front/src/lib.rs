//! Experiments from a team's own tests.
//!
//! [`Experiment`] runs one and answers with an [`Outcome`] to assert on; [`scenarios`] makes a test of each scenario of a file, which `cargo test` and
//! `cargo nextest` list, filter, run and report.
//!
//! Both ask the `shakedown` binary, so that a test and the gate see the same; see [`Experiment::binary`] for where it is looked for. One experiment runs
//! at a time on a machine, whoever asks: two would measure each other.
//!
//! ```no_run
//! # use shakedown_front::Experiment;
//! #[tokio::test]
//! # async fn checkout_bears_a_slow_payment() { }
//! async fn checkout_survives_a_slow_payment() {
//!     let outcome = Experiment::at("shakedown.yaml").scenario("slow-payment").against_nothing().run().await.unwrap();
//!     outcome.assert_pass();
//!     assert!(outcome.finding("slow-payment", "p99").unwrap().observed.unwrap() < 0.9);
//! }
//! ```

mod experiment;
mod outcome;
mod scenarios;
mod turn;

pub use experiment::{Experiment, RunError};
pub use outcome::Outcome;
pub use scenarios::scenarios;
