//! The conductor: the order of things. Phases, faults on and off, cancellation, shutdown.
//!
//! Knows neither statistics nor XML; whether what it records is good is the judge's business.

mod agents;
mod announce;
mod conductor;
mod environment;
mod faults;
mod interrupt;
mod links;
mod live;
mod machine;
mod plan;
mod probes;
mod scenario;
mod sides;
mod steady;

pub use announce::Announcer;
pub use conductor::{Orders, Outcome, Tree, conduct};
pub use interrupt::{Interrupt, Signal};
pub use machine::fingerprint;
pub use plan::{Choice, PlanError, mechanism, plan};
