//! What a link costs where it does nothing: `cargo run --release -p shakedown-link --example overhead`.
//!
//! Prints quantiles of a round trip of 512 bytes, directly and through a link.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use hdrhistogram::Histogram;
use shakedown_link::Link;
use std::{io, net::SocketAddr, time::Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

const ROUND_TRIPS: usize = 20_000;

#[tokio::main(worker_threads = 2)]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let direct = listener.local_addr()?;
    let (link, driver) = Link::bind(direct).await?;
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::<io::Result<()>>::new());
    let stopping = stop.clone();
    tasks.spawn(async move {
        driver.run(stopping).await;
        Ok(())
    });
    tasks.spawn(async move {
        for _ in 0..2 {
            echo(listener.accept().await?.0).await?;
        }
        Ok(())
    });
    measure("direct", direct).await?;
    measure("link", link.address()).await?;
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 512];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

async fn measure(name: &str, address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
    let mut buffer = [0; 512];
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        stream.write_all(&buffer).await?;
        stream.read_exact(&mut buffer).await?;
        times.saturating_record(begun.elapsed().as_nanos() as u64);
    }
    let micros = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    println!("{name:>7}: p50 {:.0} µs, p99 {:.0} µs", micros(0.5), micros(0.99));
    Ok(())
}
