//! The bytes of the helpers, carried by this binary: static, for the target that it was built for; empty where there is none.

use shakedown_run::Helpers;

/// What stands beside services or runs inside them.
pub(crate) const HELPERS: Helpers = Helpers {
    agent: include_bytes!(env!("SHAKEDOWN_AGENT_BINARY")),
    relay: include_bytes!(env!("SHAKEDOWN_RELAY_BINARY")),
    disk: include_bytes!(env!("SHAKEDOWN_DISK_BINARY")),
};
