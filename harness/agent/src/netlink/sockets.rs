//! Sockets of this namespace that are connected to somebody, so far as they are to be disconnected: both ends hear of a reset at once, also where the
//! connection is idle, so that a pool of connections throws it away before anybody asks for it.
//!
//! Source: `linux/inet_diag.h`, `linux/sock_diag.h`, `net/ipv4/tcp_diag.c` (`CONFIG_INET_DIAG_DESTROY`).

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use super::{Attributes, Messages, NLM_F_ACK, NLM_F_DUMP, Socket};
use crate::kernel::Flows;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const TCP_ESTABLISHED: u32 = 1;
const TCP_CLOSE_WAIT: u32 = 8;
const STATES: u32 = 1 << TCP_ESTABLISHED | 1 << TCP_CLOSE_WAIT;
/// `struct inet_diag_sockid`: ports, addresses, interface, cookie.
const ID_BYTES: usize = 48;
/// `struct inet_diag_msg`: where the id begins, and the user.
const ID_AT: usize = 4;
const USER_AT: usize = ID_AT + ID_BYTES + 12;

/// Disconnects the TCP sockets that are connected to a target, but for those of one user. How many there were.
pub(crate) fn disconnect(flows: &Flows, except_user: u32) -> io::Result<usize> {
    let socket = Socket::open_diagnosis()?;
    let mut found = Vec::new();
    // A socket for both families is one of IPv6, whomever it is connected to.
    for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
        let mut request = Messages::default();
        request.message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, |body| write(body, family, &[0; ID_BYTES]));
        socket.dump(&request, |message| {
            found.extend(
                connected(message.body)
                    .into_iter()
                    .filter(|one| one.user != except_user && is_among(one, flows))
                    .map(|one| (family, one.id)),
            );
        })?;
    }
    for (family, id) in &found {
        let mut order = Messages::default();
        let last = order.message(SOCK_DESTROY, NLM_F_ACK, |body| write(body, *family, id));
        super::gone_is_fine(socket.transact(&order, last).map_err(|(_, error)| error))?;
    }
    Ok(found.len())
}

/// `struct inet_diag_req_v2`
fn write(body: &mut Attributes<'_>, family: u8, id: &[u8; ID_BYTES]) {
    body.fixed(&[family, libc::IPPROTO_TCP as u8, 0, 0]);
    body.fixed(&STATES.to_ne_bytes());
    body.fixed(id);
}

/// A connected socket.
struct Connected {
    id: [u8; ID_BYTES],
    to: IpAddr,
    port: u16,
    user: u32,
}

fn connected(body: &[u8]) -> Option<Connected> {
    let id = *body.get(ID_AT..)?.first_chunk::<ID_BYTES>()?;
    let octets = id[20..36].first_chunk::<16>()?;
    let is_four = body.first().is_some_and(|family| i32::from(*family) == libc::AF_INET);
    let to = if is_four { IpAddr::from(*octets.first_chunk::<4>()?) } else { Ipv6Addr::from(*octets).to_canonical() };
    let user = u32::from_ne_bytes(*body.get(USER_AT..)?.first_chunk::<4>()?);
    Some(Connected { id, to, port: u16::from_be_bytes([id[2], id[3]]), user })
}

fn is_among(connected: &Connected, flows: &Flows) -> bool {
    flows.addresses.contains(&connected.to) && (flows.ports.is_empty() || flows.ports.contains(&connected.port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Family;

    fn told(family: i32, octets: &[u8], user: u32) -> Vec<u8> {
        let mut body = vec![0; USER_AT + 8];
        body[0] = family as u8;
        body[ID_AT + 2..ID_AT + 4].copy_from_slice(&5432_u16.to_be_bytes());
        body[ID_AT + 20..ID_AT + 20 + octets.len()].copy_from_slice(octets);
        body[USER_AT..USER_AT + 4].copy_from_slice(&user.to_ne_bytes());
        body
    }

    #[test]
    fn a_socket_of_ipv6_that_is_connected_to_ipv4_is_known_by_the_latter() {
        let flows = |ports: &[u16]| Flows { family: Family::Ip4, addresses: vec![[10, 0, 0, 5].into()], ports: ports.to_vec() };
        let mapped = std::net::Ipv4Addr::new(10, 0, 0, 5).to_ipv6_mapped().octets();
        for body in [told(libc::AF_INET, &[10, 0, 0, 5], 7), told(libc::AF_INET6, &mapped, 7)] {
            let one = connected(&body).unwrap();
            assert_eq!((one.port, one.user), (5432, 7));
            assert!(is_among(&one, &flows(&[])) && is_among(&one, &flows(&[5432])) && !is_among(&one, &flows(&[80])));
        }
        assert!(connected(&told(libc::AF_INET, &[10, 0, 0, 5], 7)[..USER_AT]).is_none(), "a message that was cut off");
    }
}
