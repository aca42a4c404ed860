//! Taking everything back: the last act of a run, and all of a recovery. It knows the order; what is done to the world is the
//! business of whoever implements [`Revert`].

use crate::{
    change::Undo,
    journal::{Journal, Mark},
};
use futures_util::future::join_all;
use std::{collections::BTreeMap, time::Duration};

/// Takes one change back.
#[async_trait::async_trait]
pub trait Revert: Send + Sync {
    /// Takes the change back. Idempotent: a change that was never made, or is taken back already, is `Ok`.
    async fn revert(&self, undo: &Undo) -> Result<(), RevertError>;
}

/// Why a change could not be taken back: lower-case, with the way out.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct RevertError(pub String);

/// What is left after an unwinding.
#[derive(Debug, Default)]
pub struct Unwound {
    /// How many changes were taken back.
    pub reverted: usize,
    /// What could not be taken back, and why.
    pub left: Vec<(Undo, String)>,
    /// The journal could not be told: the world is whole, but a recovery will look at these again.
    pub unsettled: Option<String>,
}

impl Unwound {
    /// Whether nothing is left.
    pub fn is_clean(&self) -> bool {
        self.left.is_empty()
    }
}

/// Takes back everything that is pending, newest first.
///
/// Changes that do not depend on each other are taken back at once. Each one is tried twice and has `deadline` for each try; one that
/// fails stops no other. There is no cancellation here on purpose: a caller who gives up leaves the rest to `recover`.
pub async fn unwind(journal: &Journal, reverter: &dyn Revert, deadline: Duration) -> Unwound {
    take_back(journal, journal.pending(), reverter, deadline).await
}

/// Takes back what was noted after `mark` and is pending, in the same way; what was noted before stays as it is. What cannot be taken back
/// stays pending: a later [`unwind`] tries again.
pub async fn unwind_since(journal: &Journal, mark: Mark, reverter: &dyn Revert, deadline: Duration) -> Unwound {
    take_back(journal, journal.pending_since(mark), reverter, deadline).await
}

async fn take_back(journal: &Journal, pending: Vec<(u64, Undo)>, reverter: &dyn Revert, deadline: Duration) -> Unwound {
    let mut stages: BTreeMap<u8, Vec<(u64, Undo)>> = BTreeMap::new();
    for (number, undo) in pending {
        stages.entry(undo.stage()).or_default().push((number, undo));
    }
    let mut unwound = Unwound::default();
    for (_, undos) in stages {
        let taken_back = undos.iter().map(|(number, undo)| async move {
            let outcome = revert_within(reverter, undo, deadline).await;
            let settled = if outcome.is_ok() { journal.settle_number(*number) } else { Ok(()) };
            (undo, outcome, settled)
        });
        for (undo, outcome, settled) in join_all(taken_back).await {
            match outcome {
                Ok(()) => unwound.reverted += 1,
                Err(error) => unwound.left.push((undo.clone(), error.0)),
            }
            if let Err(error) = settled {
                unwound.unsettled = Some(error.to_string());
            }
        }
    }
    unwound
}

async fn revert_within(reverter: &dyn Revert, undo: &Undo, deadline: Duration) -> Result<(), RevertError> {
    match try_within(reverter, undo, deadline).await {
        Ok(()) => Ok(()),
        Err(_) => try_within(reverter, undo, deadline).await,
    }
}

async fn try_within(reverter: &dyn Revert, undo: &Undo, deadline: Duration) -> Result<(), RevertError> {
    match tokio::time::timeout(deadline, reverter.revert(undo)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(RevertError(format!("no answer within {} s", deadline.as_secs_f64()))),
    }
}
