//! The open connections of a link, so that all of them can be reset at once. It must not know their bytes.

use crate::{
    behaviour::{Behaviour, Setting},
    toxicity::Toxicity,
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{oneshot, watch};

/// Why a connection is reset: the setting to count it for.
pub(crate) type ResetOrder = u64;

/// Setting and connections, changed together: no connection slips in between a reset and its behaviour.
pub(crate) struct Registry {
    setting: watch::Sender<Setting>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    resets: HashMap<u64, oneshot::Sender<ResetOrder>>,
}

/// What a new connection is told.
pub(crate) struct Admission {
    /// Its number.
    pub(crate) connection: u64,
    /// The behaviour, now and later.
    pub(crate) setting: watch::Receiver<Setting>,
    /// Fires when it must be reset.
    pub(crate) reset: oneshot::Receiver<ResetOrder>,
}

impl Registry {
    pub(crate) fn new() -> Registry {
        Registry { setting: watch::Sender::new(Setting::default()), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The behaviour, now and later.
    pub(crate) fn setting(&self) -> watch::Receiver<Setting> {
        self.setting.subscribe()
    }

    /// Whether anything but [`Behaviour::Pass`] is on.
    pub(crate) fn behaves(&self) -> bool {
        self.setting.borrow().behaviour != Behaviour::Pass
    }

    /// Enters a connection. Under [`Behaviour::Reset`] its order is there already.
    pub(crate) fn admit(&self) -> Admission {
        let mut open = self.open();
        let connection = open.next;
        open.next += 1;
        let (order, reset) = oneshot::channel();
        let setting = self.setting.subscribe();
        let reset_for = {
            let now = setting.borrow();
            (now.behaviour == Behaviour::Reset && now.meets(connection)).then_some(now.epoch)
        };
        if let Some(epoch) = reset_for {
            // The receiver is in our hands: this cannot fail.
            let _ = order.send(epoch);
        } else {
            open.resets.insert(connection, order);
        }
        Admission { connection, setting, reset }
    }

    /// Strikes out a connection that ended.
    pub(crate) fn leave(&self, connection: u64) {
        self.open().resets.remove(&connection);
    }

    /// Orders every open connection to be reset; how many there were.
    pub(crate) fn reset_all(&self) -> usize {
        let mut open = self.open();
        let epoch = self.setting.borrow().epoch;
        open.order(epoch, |_| true)
    }

    /// Changes the behaviour, and on which connections it is. `begin` is told the number of the new setting before any connection sees it.
    pub(crate) fn set(&self, behaviour: Behaviour, toxicity: Option<Toxicity>, begin: impl FnOnce(u64)) {
        let mut open = self.open();
        let epoch = self.setting.borrow().epoch + 1;
        begin(epoch);
        let setting = Setting { behaviour, epoch, toxicity };
        self.setting.send_replace(setting.clone());
        if setting.behaviour == Behaviour::Reset {
            open.order(epoch, |connection| setting.meets(connection));
        }
    }
}

impl Open {
    fn order(&mut self, epoch: u64, meets: impl Fn(u64) -> bool) -> usize {
        self.resets.extract_if(|connection, _| meets(*connection)).filter_map(|(_, order)| order.send(epoch).ok()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_reaches_every_open_connection_once_and_no_closed_one() {
        let registry = Registry::new();
        let mut first = registry.admit();
        let second = registry.admit();
        registry.leave(second.connection);
        assert_eq!(registry.reset_all(), 1);
        assert!(first.reset.try_recv().is_ok());
        assert_eq!(registry.reset_all(), 0);
    }

    #[test]
    fn a_connection_that_comes_while_resets_are_on_finds_its_order_waiting() {
        let registry = Registry::new();
        registry.set(Behaviour::Reset, None, |_| {});
        assert!(registry.admit().reset.try_recv().is_ok());
        registry.set(Behaviour::Pass, None, |_| {});
        assert!(registry.admit().reset.try_recv().is_err());
    }
}
