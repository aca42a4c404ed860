//! Faults on the HTTP/1.x messages of a connection. Every connection is followed from its first byte on, so that a fault finds the next message of
//! one that was open before it.

mod answer;
mod body;
mod gather;
mod head;
mod parcel;
mod rule;
mod side;
mod state;
mod talk;

pub(crate) use parcel::Parcel;
pub use rule::{HttpAction, HttpRule, HttpRuleError, Matching, Patch, PathPattern};
pub(crate) use talk::{Context, Talk};
