//! Faults on the HTTP/1.x messages of a connection. Every connection is followed from its first byte on, so that a fault finds the next message of
//! one that was open before it.

mod answer;
mod body;
mod gather;
mod grpc;
mod head;
mod rule;
mod side;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use answer::ABOUT_THE_BODY;
pub use grpc::{GrpcStatus, GrpcStatusError};
pub(crate) use head::is_bodyless;
pub(crate) use rule::{Asked, Draws};
pub use rule::{HttpAction, HttpRule, HttpRuleError, Matching, Patch, PathPattern, Protocol as HttpProtocol};

use crate::talk::{Begins, Protocol};

pub(crate) const PROTOCOL: Protocol = Protocol { caller: begins, callee: |_| false, converse: || Box::new(state::State::new()) };

fn begins(first: &[u8]) -> Begins {
    if first.starts_with(b"\r") || first.starts_with(b"\n") || head::begins_request(first) { Begins::Yes } else { Begins::No }
}
