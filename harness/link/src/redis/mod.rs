//! Faults on the commands of a Redis connection (RESP2, RESP3 and inline commands). Every connection is followed from its first byte on, so that a
//! fault finds the next command of one that was open before it.
//!
//! Replies have no numbers: one belongs to a command by its place only. The link's own reply therefore waits for its turn, and a key that is to be
//! missed is given another name on its way to the server, which then says itself, in the shape of the protocol in use, that it is not there.

mod dose;
mod keys;
mod number;
mod reply;
mod request;
mod rule;
mod state;

pub use dose::RedisDose;
pub use rule::{CommandMatching, RedisAction, RedisRule, RedisRuleError};

use crate::talk::{Begins, Protocol};

/// How its connections begin.
pub(crate) const PROTOCOL: Protocol = Protocol { caller: begins, callee: |_| false, converse: || Box::new(state::State::new()) };

/// What people type first. `GET` is HTTP's.
const TYPED: [&[u8]; 8] = [b"PING", b"AUTH", b"HELLO", b"SELECT", b"INFO", b"ECHO", b"SET", b"CLIENT"];

/// What cannot be understood, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Malformed;

fn begins(bytes: &[u8]) -> Begins {
    match bytes {
        [b'*'] => Begins::Perhaps,
        [b'*', digit, ..] => {
            if digit.is_ascii_digit() {
                Begins::Yes
            } else {
                Begins::No
            }
        }
        _ => TYPED.iter().map(|word| is_typed(bytes, word)).find(|begins| *begins != Begins::No).unwrap_or(Begins::No),
    }
}

fn is_typed(bytes: &[u8], word: &[u8]) -> Begins {
    let common = bytes.len().min(word.len());
    match bytes.get(word.len()) {
        _ if !bytes[..common].eq_ignore_ascii_case(&word[..common]) => Begins::No,
        None => Begins::Perhaps,
        Some(b' ' | b'\r' | b'\n') => Begins::Yes,
        Some(_) => Begins::No,
    }
}

#[cfg(test)]
mod tests;
