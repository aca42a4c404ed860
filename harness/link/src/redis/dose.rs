//! What a Redis fault really did.

use crate::dose::Counter;
use serde::{Deserialize, Serialize};

/// What [`Redis`](crate::Behaviour::Redis) did. Only what was answered with an error, missed, delayed or held was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RedisDose {
    /// Commands that came under it.
    pub commands: u64,
    /// Those that the rule was for, its share counted in.
    pub matched: u64,
    /// Those that the caller saw fail with the rule's error.
    pub errors: u64,
    /// Those that asked for keys that are not there.
    pub missed: u64,
    /// Those that went on late, to the end of their delay; the delays really added are the dose's mean and 99th percentile.
    pub delayed: u64,
    /// Those that were held until the end of the setting, or of their connection.
    pub held: u64,
    /// Connections whose bytes, some or all, passed because they are not Redis's protocol, are encrypted, or have not one reply for each command.
    pub opaque: u64,
}

impl Counter {
    /// The setting saw a command, and its rule may be for it.
    pub(super) fn command(&self, epoch: u64, connection: u64, is_met: bool) {
        self.touched(epoch, connection, is_met);
        self.redis(epoch, |dose| {
            dose.commands += 1;
            dose.matched += u64::from(is_met);
        });
    }
}
