//! Where callers come in. It can be closed so that they are refused, and keeps its address meanwhile. It must not know who comes.

use crate::dose::Counter;
use std::{
    future, io,
    net::{Ipv4Addr, SocketAddr},
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Callers that wait to be accepted, at most.
const BACKLOG: u32 = 1_024;

/// An address that is ours, and a listener there while it is open.
pub(crate) struct Door {
    address: SocketAddr,
    /// Bound and never listening: nobody else gets the port while nobody listens, and the kernel refuses callers.
    _keeper: TcpSocket,
    listener: Option<TcpListener>,
    is_locked: bool,
}

impl Door {
    /// Opens at a free port of the loopback.
    pub(crate) fn open() -> io::Result<Door> {
        let keeper = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = keeper.local_addr()?;
        let listener = bind(address)?.listen(BACKLOG)?;
        Ok(Door { address, _keeper: keeper, listener: Some(listener), is_locked: false })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses callers from here on, those that wait included.
    pub(crate) fn close(&mut self) {
        self.is_locked = true;
        self.listener = None;
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
        if self.listener.is_none() {
            self.listener = Some(bind(self.address)?.listen(BACKLOG)?);
            counter.listens();
        }
        match &self.listener {
            Some(listener) => Ok(listener.accept().await?.0),
            None => future::pending().await,
        }
    }
}

/// Several sockets may have the same address as long as none of them listens, and one of them may listen then.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
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
        let address = door.address();
        for _ in 0..3 {
            door.close();
            let refused = TcpStream::connect(address).await.expect_err("nobody listens");
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            door.unlock();
            let (entered, called) = tokio::join!(door.enter(&counter), TcpStream::connect(address));
            assert_eq!(entered.expect("it is open").peer_addr().ok(), called.expect("it is open").local_addr().ok());
        }
    }
}
