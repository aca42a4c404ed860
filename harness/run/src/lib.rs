//! The conductor: the order of things. Phases, faults on and off, cancellation, shutdown.
//!
//! Knows neither statistics nor XML; whether what it records is good is the judge's business.

mod announce;
mod clean;
mod conductor;
mod environment;
mod faults;
mod helpers;
mod interrupt;
mod live;
mod machine;
mod means;
mod plan;
mod posts;
mod probes;
mod scenario;
mod sides;
mod steady;
mod traces;
mod weather;

pub use announce::Announcer;
pub use conductor::{Orders, Outcome, Tree, conduct};
pub use interrupt::{Interrupt, Signal};
pub use machine::fingerprint;
pub use means::mechanism;
pub use plan::{Choice, PlanError, plan};
pub use sides::Helpers;
