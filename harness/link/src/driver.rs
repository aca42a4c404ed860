//! Accepts the connections of a link and owns their tasks.

use crate::{
    connection::Connection,
    door::Door,
    link::{Shared, Upstream},
};
use std::{panic, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Between attempts to accept where the system has no descriptor left.
const BREATH: Duration = Duration::from_millis(20);

/// The work of a link.
pub struct LinkDriver {
    door: Door,
    upstream: Upstream,
    shared: Arc<Shared>,
}

impl LinkDriver {
    pub(crate) fn new(door: Door, upstream: Upstream, shared: Arc<Shared>) -> LinkDriver {
        LinkDriver { door, upstream, shared }
    }

    /// Relays until `stop`, then closes every connection.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        let mut setting = self.shared.registry.setting();
        setting.mark_changed();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => if let Err(error) = ended
                    && let Ok(panic) = error.try_into_panic()
                {
                    panic::resume_unwind(panic);
                },
                Ok(()) = setting.changed() => {
                    let setting = setting.borrow_and_update();
                    if setting.refuses() {
                        self.door.close();
                        self.shared.counter.refuses(setting.epoch);
                    } else {
                        self.door.unlock();
                    }
                }
                entered = self.door.enter(&self.shared.counter) => match entered {
                    Ok(caller) => if let Some(upstream) = self.upstream.of(&caller) {
                        connections.spawn(Connection::admit(caller, upstream, &self.shared).run());
                    } else {
                        // Closing it with no time to linger sends RST.
                        let _ = caller.set_zero_linger();
                    },
                    // A caller that left before it was accepted, or no descriptor left: neither is a reason to stop serving the others.
                    Err(_) => tokio::time::sleep(BREATH).await,
                },
            }
        }
        connections.shutdown().await;
    }
}
