//! Faults on the queries of a PostgreSQL connection (protocol 3). Every connection is followed from its first byte on, so that a fault finds the next
//! query of one that was open before it, and the text of a statement that was prepared before it.
//!
//! A query that is to fail is not taken away: the server is asked something in its place that fails for sure, and says itself in which state the
//! transaction is then, and from where on it listens again. Only the error is another one.

mod dose;
mod error;
mod frame;
mod home;
mod memory;
mod out;
mod rule;
mod state;
mod text;
mod turns;

pub use dose::PostgresDose;
pub use rule::{PostgresAction, PostgresRule, PostgresRuleError, QueryMatching};

use crate::talk::{Begins, Protocol};

/// How its connections begin.
pub(crate) const PROTOCOL: Protocol = Protocol { caller: begins, callee: |_| false, converse: || Box::new(state::State::new()) };

/// The code of a request for TLS, and of those beside it.
const REQUESTS: std::ops::RangeInclusive<u32> = 80_877_102..=80_877_104;

fn begins(bytes: &[u8]) -> Begins {
    // Length and version. No introduction is so long that its first bytes are not zero.
    if bytes.iter().take(2).any(|byte| *byte != 0) {
        return Begins::No;
    }
    let Some(Ok(version)) = bytes.get(4..frame::INTRODUCTION).map(<[u8; 4]>::try_from) else { return Begins::Perhaps };
    let version = u32::from_be_bytes(version);
    if version >> 16 == 3 || REQUESTS.contains(&version) { Begins::Yes } else { Begins::No }
}

#[cfg(test)]
mod tests;
