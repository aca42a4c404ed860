//! One connection of a caller and the one that is opened to the callee for it.

use crate::{
    behaviour::{Behaviour, Setting},
    farewell,
    link::{Shared, Upstream},
    pipe::{Direction, Pipe, Stop},
    registry::{Admission, ResetOrder},
    talk::Talk,
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{
    io::Interest,
    net::{TcpSocket, TcpStream},
    sync::{oneshot, watch},
};

/// A caller's connection, entered in the registry until it ends.
pub(crate) struct Connection {
    number: u64,
    caller: TcpStream,
    upstream: Upstream,
    shared: Arc<Shared>,
    setting: watch::Receiver<Setting>,
    reset: oneshot::Receiver<ResetOrder>,
}

impl Connection {
    pub(crate) fn admit(caller: TcpStream, upstream: Upstream, shared: &Arc<Shared>) -> Connection {
        let Admission { connection, setting, reset } = shared.registry.admit();
        Connection { number: connection, caller, upstream, shared: Arc::clone(shared), setting, reset }
    }

    /// Relays until both directions have ended or one breaks. A break is passed on as a reset, to both sides.
    pub(crate) async fn run(self) {
        let Connection { number, mut caller, upstream, shared, setting, reset } = self;
        let mut callee = None;
        let ended = tokio::select! {
            // An order that is there already comes before any byte.
            biased;
            Ok(epoch) = reset => Err(Some(epoch)),
            relayed = relay(&mut caller, &mut callee, &upstream, Scope { number, shared: &shared, setting }) => relayed.map_err(|_| None),
        };
        shared.registry.leave(number);
        let Err(order) = ended else { return };
        // With no time to linger, closing sends RST.
        for stream in std::iter::once(&caller).chain(callee.as_ref()) {
            let _ = stream.set_zero_linger();
        }
        drop((caller, callee));
        if let Some(epoch) = order {
            shared.counter.reset(epoch, number);
        }
    }
}

/// What both directions of a connection know.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    pub(crate) number: u64,
    pub(crate) shared: &'a Shared,
    pub(crate) setting: watch::Receiver<Setting>,
}

impl Scope<'_> {
    /// What holds for this connection now; whether something else does is asked anew.
    pub(crate) fn adopt(&mut self) -> Setting {
        let setting = self.setting.borrow_and_update().clone();
        if setting.meets(self.number) {
            return setting;
        }
        self.shared.counter.spared(setting.epoch, self.number);
        Setting { behaviour: Behaviour::Pass, ..setting }
    }
}

async fn relay(caller: &mut TcpStream, callee: &mut Option<TcpStream>, upstream: &Upstream, mut scope: Scope<'_>) -> io::Result<()> {
    if wait_out_partition(&mut scope).await && has_left(caller).await? {
        // In a real partition the handshake would not have been answered, and the callee would never have heard of this caller.
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let Setting { behaviour, epoch, .. } = scope.adopt();
    if behaviour == Behaviour::Down {
        // The listener follows the setting a little later, and listens to those that are not drawn.
        scope.shared.counter.reset(epoch, scope.number);
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let address = upstream.address().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let callee = callee.insert(connect(address).await?);
    caller.set_nodelay(true)?;
    callee.set_nodelay(true)?;
    let ((from_caller, to_caller), (from_callee, to_callee)) = (caller.split(), callee.split());
    let talk = Talk::new();
    let out = Pipe::new(from_caller, to_callee, Direction::Out, &talk, scope.clone());
    let home = Pipe::new(from_callee, to_caller, Direction::Home, &talk, scope.clone());
    match tokio::try_join!(out.run(), home.run()) {
        Ok(_) => Ok(()),
        Err(Stop::Broken(error)) => Err(error),
        Err(Stop::Spent(epoch)) => {
            let Scope { number, shared, .. } = scope;
            farewell::part(caller, callee, |bytes| shared.counter.chunk(epoch, number, bytes)).await;
            Ok(())
        }
    }
}

/// Connects so that giving up half-way is a reset too: the callee's kernel may have accepted before this side hears of it.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_zero_linger()?;
    let stream = socket.connect(address).await?;
    rustix::net::sockopt::set_socket_linger(&stream, None)?;
    Ok(stream)
}

/// Waits until no partition is on; whether one was.
async fn wait_out_partition(scope: &mut Scope<'_>) -> bool {
    let mut waited = false;
    loop {
        let Setting { behaviour, epoch, .. } = scope.adopt();
        if behaviour != Behaviour::Partition {
            return waited;
        }
        waited = true;
        scope.shared.counter.connection(epoch, scope.number);
        if scope.setting.changed().await.is_err() {
            return waited;
        }
    }
}

async fn has_left(caller: &TcpStream) -> io::Result<bool> {
    // A connected socket can be written to: this does not wait for the caller to say something.
    let ready = caller.ready(Interest::READABLE | Interest::WRITABLE).await?;
    Ok(ready.is_read_closed() || ready.is_error())
}
