//! Where redirected connections were going, and whether that is what a relay answers for. It must not know what is done to them.

use serde::{Deserialize, Serialize};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
};

/// The callees that a relay answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Of both families as you like.
    pub addresses: Vec<IpAddr>,
    /// Empty for all.
    #[serde(default)]
    pub ports: Vec<u16>,
}

impl Target {
    /// Whether it has addresses of the family of this one.
    pub(crate) fn speaks(&self, family: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.to_canonical().is_ipv4() == family.is_ipv4())
    }

    /// Where an accepted connection was going before it was redirected. Nothing where it was not, as connecting there would come back here, and where
    /// it was going elsewhere.
    pub(crate) fn of(&self, connection: impl AsFd, accepted_at: SocketAddr) -> Option<SocketAddr> {
        let original = original(connection, accepted_at).ok()?;
        (original != accepted_at && self.has(original)).then_some(original)
    }

    fn has(&self, callee: SocketAddr) -> bool {
        let is_callee = |address: &IpAddr| address.to_canonical() == callee.ip().to_canonical();
        self.addresses.iter().any(is_callee) && (self.ports.is_empty() || self.ports.contains(&callee.port()))
    }
}

/// What the connection was opened to, as conntrack remembers it. An error where conntrack does not know the connection.
fn original(connection: impl AsFd, accepted_at: SocketAddr) -> io::Result<SocketAddr> {
    Ok(match accepted_at {
        SocketAddr::V4(_) => rustix::net::sockopt::ip_original_dst(connection)?.into(),
        SocketAddr::V6(_) => rustix::net::sockopt::ipv6_original_dst(connection)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(addresses: &[&str], ports: &[u16]) -> Target {
        let addresses = addresses.iter().map(|address| address.parse().expect("it is an address")).collect();
        Target { addresses, ports: ports.to_vec() }
    }

    fn at(callee: &str) -> SocketAddr {
        callee.parse().expect("it is an address with a port")
    }

    #[test]
    fn a_target_has_its_addresses_at_its_ports_and_at_all_where_none_is_named() {
        let narrow = target(&["10.0.0.1", "fd00::1"], &[80, 443]);
        assert!(narrow.has(at("10.0.0.1:443")) && narrow.has(at("[fd00::1]:80")));
        assert!(!narrow.has(at("10.0.0.1:81")) && !narrow.has(at("10.0.0.2:80")));
        assert!(target(&["10.0.0.1"], &[]).has(at("10.0.0.1:1")));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() {
        let target = target(&["::ffff:10.0.0.1"], &[]);
        assert!(target.has(at("10.0.0.1:80")) && target.speaks(IpAddr::from([127, 0, 0, 1])));
        assert!(!target.speaks("::1".parse().expect("it is an address")));
    }
}
