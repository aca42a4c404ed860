//! What is done to the byte streams of an edge, by a relay.

use crate::units::{Bytes, Span};
use serde::{Deserialize, Serialize};

/// Data in slices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slicer {
    /// Largest slice.
    pub size: Bytes,
    /// Time between two.
    pub delay: Span,
}

/// Answers that are cut short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LimitData {
    /// What a connection carries back before it is closed.
    pub bytes: Bytes,
}

/// Late ends of connections.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SlowClose {
    /// By how much.
    pub delay: Span,
}

/// Connections that hang, then end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timeout {
    /// How long they hang.
    pub after: Span,
}
