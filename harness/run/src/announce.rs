//! One voice: every event goes to `events.jsonl` first, then to whoever listens (the console).

use shakedown_evidence::EventLog;
use shakedown_model::{
    event::{Event, TimedEvent},
    time::UnixNanos,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// The time of day.
pub(crate) fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(since.as_nanos() as u64)
}

/// Handle to say what happened. Cheap to clone.
#[derive(Clone)]
pub struct Announcer {
    log: Arc<Mutex<EventLog>>,
    listener: mpsc::UnboundedSender<TimedEvent>,
}

impl Announcer {
    /// Writes to `log`, then tells `listener`; a listener that is gone is no error.
    pub fn new(log: EventLog, listener: mpsc::UnboundedSender<TimedEvent>) -> Announcer {
        Announcer { log: Arc::new(Mutex::new(log)), listener }
    }

    /// Says it, stamped with the time of day.
    pub fn say(&self, event: Event) {
        let timed = TimedEvent { at: now(), event };
        let written = self.log.lock().unwrap_or_else(PoisonError::into_inner).append(&timed);
        let _ = self.listener.send(timed);
        if let Err(error) = written {
            let message = format!("events.jsonl cannot be written: {error}");
            let _ = self.listener.send(TimedEvent { at: now(), event: Event::Warning { message } });
        }
    }

    /// Says something the user should know.
    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.say(Event::Warning { message: message.into() });
    }
}
