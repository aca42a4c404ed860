//! What the engine says of the containers without being asked: deaths, memory, health. What the run did itself is left out.

use super::{
    engine::{Engine, plain},
    names::Names,
};
use crate::{Notice, Notices, marks, text::exit_meaning};
use bollard::{models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::StreamExt;
use indexmap::IndexMap;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// Deaths that the run itself is about to cause, by service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    deaths: Arc<Mutex<HashMap<String, u32>>>,
}

impl Expected {
    pub(crate) fn one_more(&self, service: &str) {
        *self.deaths.lock().unwrap_or_else(PoisonError::into_inner).entry(service.to_owned()).or_default() += 1;
    }

    /// Whether a death was expected; it is not any more.
    pub(crate) fn take(&self, service: &str) -> bool {
        let mut deaths = self.deaths.lock().unwrap_or_else(PoisonError::into_inner);
        match deaths.get_mut(service) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

/// Runs until it is aborted or the engine stops talking.
pub(crate) async fn follow_events(
    engine: Arc<Engine>,
    names: Names,
    starts: IndexMap<String, watch::Sender<u64>>,
    expected: Expected,
    notices: Notices,
) {
    let labels = vec![format!("{}={}", marks::RUN, names.run), format!("{}={}", marks::VARIANT, names.variant.word())];
    let filters = HashMap::from([("type".to_owned(), vec!["container".to_owned()]), ("label".to_owned(), labels)]);
    let mut events = engine.docker.events(Some(EventsOptionsBuilder::new().filters(&filters).build()));
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => take(&event, &starts, &expected, &notices),
            Err(error) => {
                let _ = notices.send(Notice::Warning(format!("the engine's events ended: {}", plain(&error))));
                return;
            }
        }
    }
}

fn take(event: &EventMessage, starts: &IndexMap<String, watch::Sender<u64>>, expected: &Expected, notices: &Notices) {
    let attributes = event.actor.as_ref().and_then(|actor| actor.attributes.clone()).unwrap_or_default();
    let (Some(service), Some(action)) = (attributes.get(marks::SERVICE), event.action.as_deref()) else { return };
    let what = match action {
        "start" => {
            if let Some(starts) = starts.get(service) {
                starts.send_modify(|count| *count += 1);
            }
            return;
        }
        "die" if expected.take(service) => return,
        "die" => {
            let code: i64 = attributes.get("exitCode").and_then(|code| code.parse().ok()).unwrap_or_default();
            format!("ended with {}", exit_meaning(code))
        }
        "oom" => "ran out of memory".to_owned(),
        "health_status: unhealthy" => "became unhealthy".to_owned(),
        _ => return,
    };
    let _ = notices.send(Notice::Changed { service: service.clone(), what });
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::EventActor;
    use tokio::sync::mpsc;

    fn event(action: &str) -> EventMessage {
        let attributes = [(marks::SERVICE, "orders"), ("exitCode", "139")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let actor = EventActor { attributes: Some(attributes.into()), ..EventActor::default() };
        EventMessage { action: Some(action.to_owned()), actor: Some(actor), ..EventMessage::default() }
    }

    #[test]
    fn a_death_that_nobody_asked_for_is_told_and_one_that_we_caused_is_not() {
        let (notices, mut heard) = mpsc::unbounded_channel();
        let (expected, starts) = (Expected::default(), IndexMap::from([("orders".to_owned(), watch::Sender::new(0))]));
        expected.one_more("orders");
        for action in ["die", "start", "die", "oom", "health_status: unhealthy", "health_status: healthy"] {
            take(&event(action), &starts, &expected, &notices);
        }
        drop(notices);
        let mut said = Vec::new();
        while let Ok(Notice::Changed { what, .. }) = heard.try_recv() {
            said.push(what);
        }
        assert_eq!(said, ["ended with exit code 139 (segmentation fault)", "ran out of memory", "became unhealthy"]);
        assert_eq!(*starts["orders"].borrow(), 1);
    }
}
