//! The open-model load generator: when a request was due and what became of it.
//!
//! Requests are sent when the schedule says so, whatever became of the ones before; latency counts from the due time. This room does not
//! know which fault is on, nor whether an answer is good news.

mod alarm;
mod clock;
mod drive;
mod errand;
mod error;
mod exchange;
mod failure;
mod kernel;
mod lanes;
mod pacer;
mod pool;
mod priority;
mod recipe;
mod schedule;
mod seed;
mod tally;
mod template;
mod trace;

pub use drive::{Drive, Lane, check_load, drive};
pub use error::LoadError;
