//! Where queries come in: one address, over UDP and TCP. It must not know what they say.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// Where the kernel redirects what a host sends itself.
pub(super) const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
/// Callers that wait to be accepted, at most.
const BACKLOG: u32 = 64;
/// A message has no more bytes (RFC 1035, 4.2.2; a datagram has fewer).
pub(super) const LONGEST: usize = u16::MAX as usize;
/// Attempts to find a port that is free for UDP and TCP at every address.
const ATTEMPTS: usize = 16;

/// The sockets of an address.
pub(super) struct Ears {
    address: SocketAddr,
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    buffer: Box<[u8]>,
}

/// What came.
pub(super) enum Heard {
    Datagram(Datagram),
    Caller(TcpStream),
}

/// A message and where its answer must go. It must come from the socket that the message came to: clients and the kernel's connection tracking take it
/// from nobody else.
pub(super) struct Datagram {
    pub(super) bytes: Vec<u8>,
    pub(super) from: SocketAddr,
    pub(super) by: Arc<UdpSocket>,
}

/// Opens every address, all with the same port. The first must open; another one may be missing on this host.
pub(super) fn open(addresses: &[IpAddr], port: u16) -> io::Result<Vec<Ears>> {
    let mut attempt = open_all(addresses, port);
    for _ in 1..ATTEMPTS {
        match attempt {
            // What is free for one address and protocol may be taken for another.
            Err(error) if port == 0 && error.kind() == io::ErrorKind::AddrInUse => attempt = open_all(addresses, port),
            done => return done,
        }
    }
    attempt
}

fn open_all(addresses: &[IpAddr], port: u16) -> io::Result<Vec<Ears>> {
    let (first, others) = addresses.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut all = vec![Ears::open((*first, port).into())?];
    let port = all[0].address.port();
    for other in others {
        match Ears::open((*other, port).into()) {
            Ok(ears) => all.push(ears),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => {}
        }
    }
    Ok(all)
}

impl Ears {
    fn open(address: SocketAddr) -> io::Result<Ears> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let tcp = socket.listen(BACKLOG)?;
        let address = tcp.local_addr()?;
        let udp = std::net::UdpSocket::bind(address)?;
        udp.set_nonblocking(true)?;
        Ok(Ears { address, udp: Arc::new(UdpSocket::from_std(udp)?), tcp, buffer: vec![0; LONGEST].into_boxed_slice() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next message or caller. Cancel-safe.
    pub(super) async fn hear(&mut self) -> io::Result<Heard> {
        tokio::select! {
            received = self.udp.recv_from(&mut self.buffer) => {
                let (length, from) = received?;
                Ok(Heard::Datagram(Datagram { bytes: self.buffer[..length].to_vec(), from, by: Arc::clone(&self.udp) }))
            }
            accepted = self.tcp.accept() => Ok(Heard::Caller(accepted?.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_address_has_the_same_port_and_one_that_is_not_there_is_left_out() {
        let not_here = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let ears = open(&[LOOPBACKS[0], not_here, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))], 0).unwrap();
        let port = ears[0].address.port();
        let heard: Vec<_> = ears.iter().map(|ears| ears.address.to_string()).collect();
        assert_eq!(heard, [format!("127.0.0.1:{port}"), format!("127.0.0.2:{port}")]);
        let taken = open(&[LOOPBACKS[0]], port).err().unwrap();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(open(&[not_here], 0).err().unwrap().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
