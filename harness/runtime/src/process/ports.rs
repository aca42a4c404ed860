//! Ports for services: free ones, outside the range from which the kernel takes the ports of outgoing connections, so that none is
//! taken between here and the moment when the service listens.

use crate::RuntimeError;
use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    fs,
    hash::BuildHasher,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Mutex, PoisonError},
};

/// Lowest port that is handed out.
const LOWEST: u16 = 15_000;
const TRIES: u16 = 2_000;

/// Two stacks of one process never get the same port, also while neither listens yet.
static HANDED_OUT: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// One loopback address for each service.
pub(crate) fn allocate<'a>(services: impl Iterator<Item = &'a String>) -> Result<HashMap<String, SocketAddr>, RuntimeError> {
    services.map(|name| Ok((name.clone(), SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?))))).collect()
}

fn free_port() -> Result<u16, RuntimeError> {
    let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let handed_out = handed_out.get_or_insert_default();
    let span = ephemeral_start().saturating_sub(LOWEST).max(1);
    let offset = RandomState::new().hash_one(std::process::id());
    let ports = (0..TRIES).map(|step| LOWEST + ((offset.wrapping_add(u64::from(step))) % u64::from(span)) as u16);
    let free = |port: &u16| !handed_out.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let found = ports.into_iter().find(free).ok_or_else(|| RuntimeError::Io {
        doing: format!("find a free port from {LOWEST} on"),
        source: std::io::ErrorKind::AddrInUse.into(),
    })?;
    handed_out.insert(found);
    Ok(found)
}

/// First port that the kernel gives to outgoing connections.
fn ephemeral_start() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let start: u16 = range.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(32_768);
    if start > LOWEST + TRIES { start } else { u16::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_gets_a_port_of_its_own_that_can_be_listened_on() {
        let names: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();
        let addresses = allocate(names.iter()).unwrap();
        let ports: HashSet<u16> = addresses.values().map(SocketAddr::port).collect();
        assert_eq!(ports.len(), 50);
        assert!(addresses.values().all(|address| TcpListener::bind(address).is_ok()));
    }
}
