//! A look at the evidence between two rounds: whoever knows statistics is asked whether another round is of use.

use shakedown_model::run::RunMeta;
use std::{future::Future, pin::Pin};

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Another round is of no use: why.
    Enough(String),
    /// Another round is needed: what for.
    GoOn(String),
}

/// The answer to a look, under way; an error says why the look could not be taken.
pub type Looking = Pin<Box<dyn Future<Output = Result<Look, String>> + Send>>;

/// Takes a look. The evidence of all rounds up to `rounds.done` is on disk, and nobody writes to it meanwhile.
pub type Looker = Box<dyn Fn(&RunMeta) -> Looking + Send + Sync>;
