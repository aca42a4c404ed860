//! What a helper says when it does not do what it was asked.

use serde::{Deserialize, Serialize};

/// A request that did not go well. Nothing of it is left in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs. All helpers say `malformed`, `invalid` and `name_taken`; each adds its own.
    pub code: String,
    /// For people: what went wrong.
    pub message: String,
    /// For people: the way out.
    pub hint: String,
}

/// A failure with a code of the helper's own.
pub fn failure(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure { code: code.to_owned(), message: message.into(), hint: hint.into() }
}

/// A request whose values make no sense.
pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    failure("invalid", message, hint)
}

/// A line that is no request.
pub fn malformed(why: impl std::fmt::Display, hint: &str) -> Failure {
    failure("malformed", format!("not a request: {why}"), hint)
}
