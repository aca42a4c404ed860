//! Results of main, kept per commit: where the records lie, and what they show over time.
//!
//! Advises and never gates: nothing here is asked for a verdict. What others wrote into a store is bounded and read strictly.

mod exercise;
mod objects;
mod readiness;
mod store;
mod trends;

pub use exercise::{exercised_by_records, exercised_by_runs};
pub use readiness::{Range, readiness};
pub use store::{History, HistoryError, Kept};
pub use trends::{Change, Flaky, Point, Series, Shift, Trends, trends};
