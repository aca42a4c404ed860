//! A link that runs between real sockets, and what a caller and a callee do there.

use shakedown_link::{Link, LinkDose, Upstream};
use std::{io::ErrorKind, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Long enough for anything that happens at all.
const AGES: Duration = Duration::from_secs(20);

/// A link that runs, and the callee's side in the test's own hands.
pub(crate) struct Rig {
    pub(crate) link: Link,
    pub(crate) callee: TcpListener,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Rig {
    pub(crate) async fn new() -> Rig {
        let callee = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = callee.local_addr().unwrap();
        Rig::leading_to(upstream, callee).await
    }

    pub(crate) async fn leading_to(upstream: impl Into<Upstream>, callee: TcpListener) -> Rig {
        let (link, driver) = Link::bind(upstream).await.unwrap();
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let stopping = stop.clone();
        tasks.spawn(async move { driver.run(stopping).await });
        Rig { link, callee, stop, tasks }
    }

    pub(crate) async fn call(&self) -> TcpStream {
        soon(TcpStream::connect(self.link.address())).await.unwrap()
    }

    pub(crate) async fn answer(&self) -> TcpStream {
        soon(self.callee.accept()).await.unwrap().0
    }

    /// A caller and its callee, connected through the link.
    pub(crate) async fn pair(&self) -> (TcpStream, TcpStream) {
        let caller = self.call().await;
        (caller, self.answer().await)
    }

    /// Lets the link run until its dose is as it must become.
    pub(crate) async fn when(&self, reached: impl Fn(LinkDose) -> bool) {
        let reached = async {
            while !reached(self.link.dose()) {
                tokio::task::yield_now().await;
            }
        };
        soon(reached).await;
    }

    pub(crate) async fn until(&self, chunks: u64) {
        self.when(|dose| dose.chunks >= chunks).await;
    }

    pub(crate) async fn met(&self, connections: u64) {
        self.when(|dose| dose.connections_touched >= connections).await;
    }

    pub(crate) async fn shut(mut self) {
        self.stop.cancel();
        soon(self.tasks.join_next()).await.unwrap().unwrap();
    }
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(AGES, what).await.expect("this must happen")
}

pub(crate) async fn hear(stream: &mut TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    soon(stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, expected);
}

pub(crate) async fn kind_of_end(stream: &mut TcpStream) -> Option<ErrorKind> {
    soon(stream.read(&mut [0; 16])).await.map(|read| assert_eq!(read, 0)).err().map(|error| error.kind())
}

pub(crate) fn nothing_is_there(stream: &TcpStream) {
    let error = stream.try_read(&mut [0; 16]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

/// Sends `size` bytes of a pattern to the callee and checks all of them there.
pub(crate) async fn transfer(caller: &mut TcpStream, callee: &mut TcpStream, size: usize) {
    let sent: Vec<u8> = (0..size).map(|index| (index * 31 / 7) as u8).collect();
    let mut heard = vec![0; size];
    let (written, read) = soon(async { tokio::join!(caller.write_all(&sent), callee.read_exact(&mut heard)) }).await;
    written.unwrap();
    read.unwrap();
    assert!(heard == sent, "the bytes arrive whole and in order");
}
