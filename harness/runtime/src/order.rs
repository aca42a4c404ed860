//! The order in which services start: each as soon as those it depends on are as far as it needs them.

use crate::RuntimeError;
use indexmap::IndexMap;
use shakedown_model::stack::{Condition, Dependency};
use std::collections::HashMap;
use tokio::sync::watch;

/// How far a service is. A later one includes the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    Waiting,
    Started,
    Ready,
    Completed,
}

/// Who is how far. Shared by all services of a stack while they start.
#[derive(Debug)]
pub(crate) struct Board {
    services: HashMap<String, watch::Sender<Progress>>,
}

impl Board {
    pub(crate) fn new<'a>(services: impl Iterator<Item = &'a str>) -> Board {
        Board { services: services.map(|name| (name.to_owned(), watch::Sender::new(Progress::Waiting))).collect() }
    }

    /// `service` is this far now.
    pub(crate) fn reach(&self, service: &str, progress: Progress) {
        if let Some(sender) = self.services.get(service) {
            sender.send_if_modified(|known| {
                let further = progress > *known;
                *known = progress.max(*known);
                further
            });
        }
    }

    /// Waits until every dependency is as far as its condition says. Cancel-safe. Does not return where one never gets there.
    pub(crate) async fn wait_for(&self, dependencies: &[Dependency]) {
        for dependency in dependencies {
            let needed = match dependency.condition {
                Condition::Started => Progress::Started,
                Condition::Healthy => Progress::Ready,
                Condition::CompletedSuccessfully => Progress::Completed,
            };
            if let Some(sender) = self.services.get(&dependency.service) {
                // The sender lives as long as the board, so the only way out is the condition.
                let _ = sender.subscribe().wait_for(|progress| *progress >= needed).await;
            }
        }
    }
}

/// Refuses dependencies on nobody, and circles.
pub(crate) fn check(services: &IndexMap<&str, &[Dependency]>) -> Result<(), RuntimeError> {
    for dependency in services.values().flat_map(|dependencies| dependencies.iter()) {
        if !services.contains_key(dependency.service.as_str()) {
            return Err(RuntimeError::unknown_service(&dependency.service, services.keys().copied()));
        }
    }
    // Take out whoever depends on nobody that is left; what remains at the end waits for itself.
    let mut left: IndexMap<&str, &[Dependency]> = services.clone();
    loop {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, dependencies)| !dependencies.iter().any(|dependency| left.contains_key(dependency.service.as_str())))
            .map(|(name, _)| *name)
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|name, _| !free.contains(name));
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(RuntimeError::Circle(left.keys().copied().collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn on(service: &str, condition: Condition) -> Dependency {
        Dependency { service: service.to_owned(), condition }
    }

    #[test]
    fn a_circle_is_named_and_so_is_a_dependency_on_nobody() {
        let (a, b, c) = ([on("b", Condition::Started)], [on("a", Condition::Healthy)], []);
        let circle = IndexMap::from([("a", &a[..]), ("b", &b[..]), ("c", &c[..])]);
        assert_eq!(check(&circle).unwrap_err().to_string().split(';').next(), Some("these services wait for each other: a, b"));
        let nobody = IndexMap::from([("aa", &a[..])]);
        assert!(check(&nobody).unwrap_err().to_string().starts_with("there is no service `b`"));
        assert!(check(&IndexMap::from([("a", &a[..]), ("b", &c[..])])).is_ok());
    }

    #[tokio::test]
    async fn each_condition_is_met_at_its_own_stage_and_by_every_later_one() {
        let board = Board::new(["db"].into_iter());
        let met = |condition| board.wait_for(&[on("db", condition)]).now_or_never().is_some();
        assert!(!met(Condition::Started));
        board.reach("db", Progress::Started);
        assert!(met(Condition::Started) && !met(Condition::Healthy));
        board.reach("db", Progress::Completed);
        board.reach("db", Progress::Ready);
        assert!(met(Condition::Healthy) && met(Condition::CompletedSuccessfully));
    }
}
