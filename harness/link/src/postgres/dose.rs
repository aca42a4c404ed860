//! What a PostgreSQL fault really did.

use crate::dose::Counter;
use serde::{Deserialize, Serialize};

/// What [`Postgres`](crate::Behaviour::Postgres) did. Only what was answered with an error, delayed or held was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PostgresDose {
    /// Simple queries and executions of prepared ones that came whole under it; where it refuses connections, their introductions.
    pub queries: u64,
    /// Those that the rule was for, its share counted in.
    pub matched: u64,
    /// Those that the client saw fail with the rule's error. Less than were matched where something before them in a pipeline failed by itself.
    pub errors: u64,
    /// Those that went on late, to the end of their delay; the delays really added are the dose's mean and 99th percentile.
    pub delayed: u64,
    /// Those that were held until the end of the setting, or of their connection.
    pub held: u64,
    /// Connections whose bytes, some or all, passed because they are not PostgreSQL's protocol, or are encrypted.
    pub opaque: u64,
}

impl Counter {
    /// The setting saw a query, and its rule may be for it.
    pub(super) fn query(&self, epoch: u64, connection: u64, is_met: bool) {
        self.touched(epoch, connection, is_met);
        self.postgres(epoch, |dose| {
            dose.queries += 1;
            dose.matched += u64::from(is_met);
        });
    }
}
