//! One message over UDP and its answer. It must not know rules.

use super::{
    ears::{Datagram, LONGEST},
    setting::{Carrier, Fate, Shared},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::UdpSocket, time::timeout};

/// For the resolver's answer. Clients give up or ask again after 1 to 5 s each time; who asks again is relayed again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sees to a message. What the resolver does not answer stays without an answer: asking again is the client's business.
pub(super) async fn run(datagram: Datagram, upstream: SocketAddr, shared: Arc<Shared>) {
    let Datagram { bytes, from, by } = datagram;
    match shared.fate(&bytes, Carrier::Udp).await {
        Fate::Silence => {}
        Fate::Forged(forged) => {
            if by.send_to(&forged.bytes, from).await.is_ok() {
                shared.lied(&forged);
            }
        }
        Fate::Forward => match timeout(PATIENCE, ask(upstream, &bytes, &shared)).await {
            // A client that is gone needs no answer.
            Ok(Ok(answer)) => drop(by.send_to(&answer, from).await),
            Ok(Err(_)) | Err(_) => shared.count(|dose| dose.unanswered += 1),
        },
    }
}

/// Asks the resolver, from a port of its own for every message: nobody but the resolver can answer, and to guess the port is as hard as without a relay.
async fn ask(upstream: SocketAddr, message: &[u8], shared: &Shared) -> io::Result<Vec<u8>> {
    let any: IpAddr = if upstream.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(upstream).await?;
    let _asking = shared.own.asks(socket.local_addr()?);
    socket.send(message).await?;
    let mut answer = vec![0; LONGEST];
    loop {
        let length = socket.recv(&mut answer).await?;
        // The identifier.
        if answer[..length].starts_with(&message[..message.len().min(2)]) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}
