//! How to remember a change to the world and take it back: the only door to lasting change.
//!
//! Name it, note it, make it. [`Journal::intend`] returns when the way back is on disk; only then may the change be made. An undo that
//! is *intended* may have happened or not: recovery reverts it either way, so every undo must be harmless on a world that is whole.
//!
//! This room knows no engine and no process: somebody who does implements [`Revert`]. It does not know what a fault is for.
#![warn(missing_docs)]

mod change;
mod journal;
mod record;
mod unwind;

pub use change::{ProcessGroup, Undo};
pub use journal::{Journal, JournalError, Mark, Ticket};
pub use record::Unread;
pub use unwind::{Revert, RevertError, Unwound, unwind, unwind_since};
