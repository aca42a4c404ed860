//! One client's TCP connection and, once something must go there, the resolver's. It must not know rules.

use super::{
    ears::LONGEST,
    own::Asking,
    setting::{Carrier, Fate, Forged, Shared},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, oneshot},
    time::timeout,
};

/// For the next message of a client, for one to be taken, and for the resolver to be reached. Resolvers themselves are less patient (RFC 7766, 6.2.3).
const PATIENCE: Duration = Duration::from_secs(120);

/// Relays until either side closes, or the client is silent for too long. Answers come in the order in which they are there, as RFC 7766 allows; what the
/// resolver sends is passed on message by message, however many there are to a query.
pub(super) async fn run(client: TcpStream, upstream: SocketAddr, shared: Arc<Shared>) {
    // Both sides hear of an error by the close that follows; there is nobody else to tell.
    let _ = relay(client, upstream, &shared).await;
}

async fn relay(client: TcpStream, upstream: SocketAddr, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let to_client = Mutex::new(to_client);
    let (reached, resolver) = oneshot::channel();
    let out = Outward { from_client, to_client: &to_client, shared, upstream, reached: Some(reached), to_resolver: None };
    let home = async {
        match resolver.await {
            Ok(from_resolver) => bring_home(from_resolver, &to_client).await,
            // The client is gone before anything had to go there.
            Err(_) => Ok(()),
        }
    };
    tokio::pin!(home);
    tokio::select! {
        // Whatever the client still has to ask, it must connect anew.
        ended = &mut home => return ended,
        ended = out.run() => ended?,
    }
    // The client asks nothing more; what it asked is still to be answered.
    home.await
}

/// The way of a client's messages.
struct Outward<'a> {
    from_client: OwnedReadHalf,
    to_client: &'a Mutex<OwnedWriteHalf>,
    shared: &'a Shared,
    upstream: SocketAddr,
    reached: Option<oneshot::Sender<OwnedReadHalf>>,
    to_resolver: Option<(OwnedWriteHalf, Asking<'a>)>,
}

impl Outward<'_> {
    /// Until the client has nothing more to ask.
    async fn run(mut self) -> io::Result<()> {
        let client = self.from_client.peer_addr()?;
        while let Some(message) = patiently(read(&mut self.from_client)).await? {
            if self.shared.own.is(client) {
                self.shared.count(|dose| dose.looped += 1);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match self.shared.fate(&message, Carrier::Tcp).await {
                Fate::Silence => {}
                Fate::Forged(forged) => self.answer(&forged).await?,
                Fate::Forward => patiently(self.forward(&message)).await?,
            }
        }
        match &mut self.to_resolver {
            Some((to_resolver, _)) => to_resolver.shutdown().await,
            None => Ok(()),
        }
    }

    async fn answer(&mut self, forged: &Forged) -> io::Result<()> {
        patiently(async { write(&mut *self.to_client.lock().await, &forged.bytes).await }).await?;
        self.shared.lied(forged);
        Ok(())
    }

    async fn forward(&mut self, message: &[u8]) -> io::Result<()> {
        let (to_resolver, _) = match &mut self.to_resolver {
            Some(reached) => reached,
            unreached => {
                let resolver = TcpStream::connect(self.upstream).await?;
                resolver.set_nodelay(true)?;
                let asking = self.shared.own.asks(resolver.local_addr()?);
                let (from_resolver, to_resolver) = resolver.into_split();
                // The way home waits for it; where it does not, the connection is at its end.
                self.reached.take().map(|reached| reached.send(from_resolver));
                unreached.insert((to_resolver, asking))
            }
        };
        write(to_resolver, message).await
    }
}

async fn bring_home(mut from_resolver: OwnedReadHalf, to_client: &Mutex<OwnedWriteHalf>) -> io::Result<()> {
    while let Some(message) = read(&mut from_resolver).await? {
        patiently(async { write(&mut *to_client.lock().await, &message).await }).await?;
    }
    Ok(())
}

async fn patiently<T>(what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, what).await?
}

/// The next message, nothing at the end. Not cancel-safe.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut prefix = [0; 2];
    if stream.read(&mut prefix[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut prefix[1..]).await?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(prefix))];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}

/// Not cancel-safe.
async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    debug_assert!(message.len() <= LONGEST);
    let prefix = (message.len() as u16).to_be_bytes();
    // One write: some clients take what comes alone for a message.
    stream.write_all(&[&prefix, message].concat()).await
}
