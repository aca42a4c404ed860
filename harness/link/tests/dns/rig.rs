//! A relay that runs in front of a resolver in the test's own hands, and what a client says to it.

use shakedown_link::{DnsDose, DnsEffect, DnsMatching, DnsRelay, DnsRule};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Long enough for anything that happens at all.
const AGES: Duration = Duration::from_secs(20);

/// A relay that runs, and the resolver's sockets.
pub(crate) struct Rig {
    pub(crate) relay: DnsRelay,
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Rig {
    pub(crate) async fn new() -> Rig {
        Rig::at(0).await
    }

    /// With the relay at this port.
    pub(crate) async fn at(port: u16) -> Rig {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let udp = UdpSocket::bind(tcp.local_addr().unwrap()).await.unwrap();
        let (relay, driver) = DnsRelay::bind(port, tcp.local_addr().unwrap()).unwrap();
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(driver.run(stop.clone()));
        Rig { relay, udp, tcp, stop, tasks }
    }

    pub(crate) fn set(&self, name: &str, effect: DnsEffect) {
        let matching = DnsMatching { name: name.into(), ..DnsMatching::default() };
        self.relay.set(DnsRule::try_new(matching, effect).unwrap());
    }

    /// A client's socket, connected to the relay: it hears nobody else, nor the relay from another address.
    pub(crate) async fn client(&self) -> UdpSocket {
        client_of(self.relay.addresses()[0]).await
    }

    pub(crate) async fn call(&self) -> TcpStream {
        soon(TcpStream::connect(self.relay.addresses()[0])).await.unwrap()
    }

    /// The resolver hears a message and answers.
    pub(crate) async fn resolve(&self, answer: &[u8]) -> Vec<u8> {
        let (heard, from) = self.overhear().await;
        self.udp.send_to(answer, from).await.unwrap();
        heard
    }

    /// The resolver hears a message.
    pub(crate) async fn overhear(&self) -> (Vec<u8>, SocketAddr) {
        soon(self.overhear_patiently()).await
    }

    /// The resolver hears a message, whenever it comes. Cancel-safe.
    pub(crate) async fn overhear_patiently(&self) -> (Vec<u8>, SocketAddr) {
        let mut heard = vec![0; 65_535];
        let (length, from) = self.udp.recv_from(&mut heard).await.unwrap();
        heard.truncate(length);
        (heard, from)
    }

    /// Lets the relay run until its dose is as it must become.
    pub(crate) async fn when(&self, reached: impl Fn(DnsDose) -> bool) {
        let reached = async {
            while !reached(self.relay.dose()) {
                tokio::task::yield_now().await;
            }
        };
        soon(reached).await;
    }

    pub(crate) async fn shut(mut self) {
        self.stop.cancel();
        soon(self.tasks.join_next()).await.unwrap().unwrap();
    }
}

pub(crate) async fn client_of(relay: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind((relay.ip(), 0)).await.unwrap();
    client.connect(relay).await.unwrap();
    client
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(AGES, what).await.expect("this must happen")
}

pub(crate) async fn hear(client: &UdpSocket) -> Vec<u8> {
    let mut heard = vec![0; 65_535];
    let length = soon(client.recv(&mut heard)).await.unwrap();
    heard.truncate(length);
    heard
}

pub(crate) async fn say(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(&(message.len() as u16).to_be_bytes()).await.unwrap();
    stream.write_all(message).await.unwrap();
}

/// The next message of a TCP connection, nothing where it was closed.
pub(crate) async fn next(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = soon(stream.read_u16()).await.ok()?;
    let mut message = vec![0; usize::from(length)];
    soon(stream.read_exact(&mut message)).await.ok()?;
    Some(message)
}

/// A query as a stub resolver sends it.
pub(crate) fn query(id: u16, name: &str, rtype: u16) -> Vec<u8> {
    let mut bytes = [&id.to_be_bytes()[..], &[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&[&rtype.to_be_bytes()[..], &[0, 1]].concat());
    bytes
}

/// The answer to a query: this rcode, and an address where it is asked for.
pub(crate) fn answer(query: &[u8], rcode: u8, address: [u8; 4]) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let is_a = query[end - 4..end - 2] == [0, 1];
    let head = [query[0], query[1], 0x81, 0x80 | rcode, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0];
    let mut bytes = [&head[..], &query[12..end]].concat();
    if is_a {
        bytes.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend_from_slice(&address);
    }
    bytes
}
