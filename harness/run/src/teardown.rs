//! Taking back what a run, or one round of it, did to the world; then other eyes look for more.

use crate::{
    conductor::Orders,
    traces::{self, Host},
};
use shakedown_runtime::Reverter;
use shakedown_undo::{Mark, Unwound, unwind, unwind_since};
use std::time::Duration;

/// Everything is taken back within this, or the run is not clean.
const UNWIND_DEADLINE: Duration = Duration::from_secs(60);

/// Outside every cancellation but the third signal. `since`: only what was noted from there on; nothing else of the run stands then, or it is
/// counted as left. Returns what could not be taken back or was seen.
pub(crate) async fn take_back(orders: &Orders, host: &Host, since: Option<Mark>) -> Vec<String> {
    let reverter = Reverter::default();
    let unwound = async {
        let trail = traces::trail(&orders.run, orders.plan.runtime).await;
        let unwound = match since {
            Some(mark) => unwind_since(&orders.journal, mark, &reverter, UNWIND_DEADLINE).await,
            None => unwind(&orders.journal, &reverter, UNWIND_DEADLINE).await,
        };
        let mut left = described(unwound);
        left.extend(traces::left(host, &trail).await);
        left
    };
    tokio::select! {
        left = unwound => left,
        () = orders.interrupt.desperate().cancelled() => {
            orders.journal.pending().into_iter().map(|(_, undo)| format!("{undo:?}: given up after the third signal")).collect()
        }
    }
}

fn described(unwound: Unwound) -> Vec<String> {
    let left = unwound.left.into_iter().map(|(undo, why)| format!("{undo:?}: {why}"));
    left.chain(unwound.unsettled).collect()
}
