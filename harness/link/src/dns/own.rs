//! From where the relay itself asks. A query that comes from there was led back to it: whoever leads queries here forgot to exempt the relay.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The addresses of the sockets that wait for the resolver.
#[derive(Default)]
pub(super) struct Own(Mutex<HashSet<SocketAddr>>);

/// One of them, struck out when it is dropped.
pub(super) struct Asking<'a> {
    own: &'a Own,
    address: SocketAddr,
}

impl Own {
    fn addresses(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be noted before the first byte leaves.
    pub(super) fn asks(&self, address: SocketAddr) -> Asking<'_> {
        self.addresses().insert(address);
        Asking { own: self, address }
    }

    /// Whether the relay itself asks from there. A redirect changes where a packet goes to and not where it comes from.
    pub(super) fn is(&self, address: SocketAddr) -> bool {
        self.addresses().contains(&address)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.own.addresses().remove(&self.address);
    }
}
