//! What changed, since when, and what was measured then: git2, the store of baselines, and git notes.
//!
//! Knows nothing of services, load or verdicts. Never talks to a network: fetching is the git client's business.

mod ci;
mod find;
mod notes;
mod repository;
mod select;
mod store;

pub use ci::{Checkout, CiEnvironment};
pub use find::Question;
pub use notes::NotesMerge;
pub use repository::{CommitError, Repository, seed_of};
pub use select::{Selection, matches_any};
pub use store::{Entry, Prune, Store, StoreError};
