//! What changed, since when, and what was measured then: git2 and the store of baselines.
//!
//! Knows nothing of services, load or verdicts. Never talks to a network: fetching is the git client's business.

mod find;
mod repository;
mod select;
mod store;

pub use find::{CiEnvironment, Question};
pub use repository::{CommitError, Repository, seed_of};
pub use select::{Selection, matches_any};
pub use store::{Entry, Store, StoreError};
