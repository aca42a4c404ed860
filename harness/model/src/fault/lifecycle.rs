//! What is done to the life of a service.

use crate::units::Span;
use serde::{Deserialize, Serialize};

/// A request to end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// How long it has before it is killed.
    pub grace: Span,
}

/// A service that does not stay up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CrashLoop {
    /// From one kill to the next; it is started again at once.
    pub every: Span,
}
