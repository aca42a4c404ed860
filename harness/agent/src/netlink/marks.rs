//! The bits of a packet's mark that are ours. Other bits are left as they are, and marks do not leave the network
//! namespace.

/// A copy that goes on instead of the packet: see `faults::latency`.
pub(super) const COPIED: u32 = 1 << 27;
/// A packet that is to be copied: see `faults::duplicate`. It is gone before the packet leaves the rule that obeys it.
pub(super) const CHOSEN: u32 = 1 << 26;
/// A copy that goes on beside the packet.
pub(super) const TWIN: u32 = 1 << 25;
