//! How a link closes a connection that has not ended by itself. It must not know why.

use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Bytes thrown away at once.
const PIECE: usize = 16 << 10;
/// How long a side may take to close in turn, before its socket is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends FIN to both sides and waits for theirs. What they still send is thrown away and told to `thrown`: a socket that is closed with unread
/// bytes sends RST, and that would take from the other side what it had not yet read.
pub(crate) async fn part(caller: &mut TcpStream, callee: &mut TcpStream, thrown: impl Fn(usize)) {
    let both = async { tokio::join!(dismiss(caller, &thrown), dismiss(callee, &thrown)) };
    // A side that broke or stays has been told what it had to be told.
    let _ = timeout(PATIENCE, both).await;
}

async fn dismiss(stream: &mut TcpStream, thrown: impl Fn(usize)) -> io::Result<()> {
    stream.shutdown().await?;
    let mut waste = vec![0; PIECE];
    loop {
        match stream.read(&mut waste).await? {
            0 => return Ok(()),
            bytes => thrown(bytes),
        }
    }
}
