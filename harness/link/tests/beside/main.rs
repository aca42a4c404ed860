//! The binary, spoken to as the harness does: alone, and beside a service whose connections the agent leads to it.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as tests do")]

mod dns;
mod faults;
mod protocol;
mod speaker;
#[expect(unreachable_pub, clippy::print_stderr, reason = "the agent's tests use more of it")]
#[path = "../../../agent/tests/support/world.rs"]
mod world;
