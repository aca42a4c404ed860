//! The conductor: the order of things. Phases, faults on and off, cancellation, shutdown.
//!
//! Knows neither statistics nor XML; whether what it records is good is the judge's business.

mod announce;
mod background;
mod choice;
mod clean;
mod conductor;
mod environment;
mod extent;
mod faults;
mod graph;
mod helpers;
mod instances;
mod interrupt;
mod live;
mod look;
mod machine;
mod margin;
mod means;
mod plan;
mod posts;
mod probes;
mod round;
mod scenario;
mod search;
mod sides;
mod steady;
mod teardown;
mod traces;
mod weather;

pub use announce::Announcer;
pub use conductor::{Orders, Outcome, Tree, conduct};
pub use graph::ServiceGraph;
pub use interrupt::{Interrupt, Signal};
pub use look::{Look, Looker, Looking};
pub use machine::fingerprint;
pub use means::mechanism;
pub use plan::{Choice, PlanError, plan};
pub use search::{Answering, Examiner, SeenPlay, SeenSide};
pub use sides::Helpers;
