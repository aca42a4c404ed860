//! Where callers come in. It can be closed so that they are refused, and keeps its address meanwhile. It must not know who comes.

use crate::{dose::Counter, target::Target};
use std::{
    future, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::{Context, Poll},
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Callers that wait to be accepted, at most.
const BACKLOG: u32 = 1_024;
/// Ports to try where one is wanted that is free in both families.
const TRIES: usize = 32;

/// Addresses that are ours, and listeners there while it is open.
pub(crate) struct Door {
    addresses: Vec<SocketAddr>,
    /// Bound and never listening: nobody else gets the port while nobody listens, and the kernel refuses callers.
    keepers: Vec<TcpSocket>,
    listeners: Vec<TcpListener>,
    is_locked: bool,
}

impl Door {
    /// Opens at a free port of the loopback.
    pub(crate) fn open() -> io::Result<Door> {
        Door::open_at(&[Ipv4Addr::LOCALHOST.into()])
    }

    /// Opens at one free port of the loopbacks to which what goes to this target can be redirected.
    pub(crate) fn open_for(target: &Target) -> io::Result<Door> {
        let loopbacks = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let spoken: Vec<IpAddr> = loopbacks.into_iter().filter(|loopback| target.speaks(*loopback)).collect();
        let mut tries = TRIES;
        loop {
            match Door::open_at(&spoken) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 1 => tries -= 1,
                opened => return opened,
            }
        }
    }

    /// The first address is given a free port, and the others have to have the same one.
    fn open_at(addresses: &[IpAddr]) -> io::Result<Door> {
        let mut door = Door { addresses: Vec::new(), keepers: Vec::new(), listeners: Vec::new(), is_locked: false };
        for address in addresses {
            let port = door.addresses.first().map_or(0, SocketAddr::port);
            let keeper = bind((*address, port).into())?;
            door.addresses.push(keeper.local_addr()?);
            door.keepers.push(keeper);
        }
        door.listen()?;
        Ok(door)
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Refuses callers from here on, those that wait included.
    pub(crate) fn close(&mut self) {
        self.is_locked = true;
        self.listeners.clear();
    }

    /// Lets it open again.
    pub(crate) fn unlock(&mut self) {
        self.is_locked = false;
    }

    /// The next caller. Cancel-safe.
    pub(crate) async fn enter(&mut self, counter: &Counter) -> io::Result<TcpStream> {
        if self.is_locked {
            return future::pending().await;
        }
        if self.listeners.is_empty() {
            self.listen()?;
            counter.listens();
        }
        future::poll_fn(|context| self.poll_enter(context)).await
    }

    fn poll_enter(&self, context: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        for listener in &self.listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted.map(|(caller, _)| caller));
            }
        }
        Poll::Pending
    }

    fn listen(&mut self) -> io::Result<()> {
        self.listeners = self.addresses.iter().map(|address| bind(*address)?.listen(BACKLOG)).collect::<io::Result<_>>()?;
        Ok(())
    }
}

/// Several sockets may have the same address as long as none of them listens, and one of them may listen then.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_door_refuses_keeps_its_address_and_opens_there_again() {
        let (mut door, counter) = (Door::open().expect("a port is free"), Counter::new());
        let address = door.addresses()[0];
        for _ in 0..3 {
            door.close();
            let refused = TcpStream::connect(address).await.expect_err("nobody listens");
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            door.unlock();
            let (entered, called) = tokio::join!(door.enter(&counter), TcpStream::connect(address));
            assert_eq!(entered.expect("it is open").peer_addr().ok(), called.expect("it is open").local_addr().ok());
        }
    }

    #[tokio::test]
    async fn a_door_for_both_families_has_one_port_and_hears_callers_of_both() {
        let addresses = ["10.0.0.1", "fd00::1"].map(|address| address.parse().expect("it is an address"));
        let target = Target { addresses: addresses.to_vec(), ports: vec![] };
        let (mut door, counter) = (Door::open_for(&target).expect("a port is free"), Counter::new());
        let places = door.addresses().to_vec();
        assert_eq!(places.iter().map(|place| place.ip().to_string()).collect::<Vec<_>>(), ["127.0.0.1", "::1"]);
        assert_eq!(places[0].port(), places[1].port());
        for place in places {
            let (entered, called) = tokio::join!(door.enter(&counter), TcpStream::connect(place));
            assert_eq!(entered.expect("it is open").peer_addr().ok(), called.expect("it is open").local_addr().ok());
        }
        door.close();
        for place in door.addresses() {
            assert_eq!(TcpStream::connect(place).await.expect_err("nobody listens").kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}
