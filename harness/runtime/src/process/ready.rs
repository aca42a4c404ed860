//! Whether a process is ready: its port accepts, or its health path answers 2xx.

use shakedown_model::experiment::Ready;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(2);
const MAX_ANSWER: u64 = 1 << 20;

/// `Err` says what is missing.
pub(crate) async fn look(ready: &Ready, address: SocketAddr) -> Result<(), String> {
    timeout(PATIENCE, knock(ready, address)).await.unwrap_or_else(|_| Err(format!("{address} does not answer")))
}

async fn knock(ready: &Ready, address: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|_| format!("port {} accepts no connection", address.port()))?;
    match ready {
        Ready::Tcp => Ok(()),
        Ready::Http(path) => match status(stream, address, path).await {
            Ok(status) if (200..300).contains(&status) => Ok(()),
            Ok(status) => Err(format!("GET {path} answers {status}")),
            Err(error) => Err(format!("GET {path} is not answered: {error}")),
        },
    }
}

async fn status(mut stream: TcpStream, address: SocketAddr, path: &str) -> std::io::Result<u16> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    // The first line would do, but a service that is hung up on in the middle of its answer may log an error.
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    // `HTTP/1.1 200 OK`
    let code = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    code.ok_or_else(|| std::io::Error::other("not HTTP"))
}
