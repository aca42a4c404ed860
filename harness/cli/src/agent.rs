//! The agent's bytes, carried by this binary.

use shakedown_runtime::AgentImage;

/// Static binary for the target that this CLI was built for; empty where there is none.
pub(crate) fn image() -> AgentImage {
    AgentImage { bytes: include_bytes!(env!("SHAKEDOWN_AGENT_BINARY")) }
}
