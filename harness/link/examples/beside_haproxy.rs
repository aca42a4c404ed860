//! The link as a plain relay beside HAProxy and beside no relay at all, in turns: `cargo run --release -p shakedown-link --example beside_haproxy`.
//!
//! Needs `haproxy` in the PATH. Each relay is a process with one thread; callers and callee share another with two.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use hdrhistogram::Histogram;
use shakedown_link::Link;
use std::{
    error::Error,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ROUNDS: usize = 5;
const WINDOW: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 16;
const REQUEST_BYTES: usize = 512;
/// Well below what any of the three can do.
const REQUESTS_PER_SECOND: u64 = 2_000;
const CHUNK: usize = 128 << 10;
/// The word that makes the callee swallow what a connection sends, where it would answer.
const SWALLOW: u8 = b'S';
const NAMES: [&str; 3] = ["no relay", "link", "HAProxy"];
const AIM_RATIO: f64 = 0.8;
const AIM_ADDED_MICROS: f64 = 100.0;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [word, callee] if word == "relay" => relay(callee.parse()?),
        _ => compare(),
    }
}

/// The link in a process of its own, with one thread, until stdin ends.
fn relay(callee: SocketAddr) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (link, driver) = Link::bind(callee).await?;
        println!("{}", link.address());
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        std::thread::spawn(move || {
            let _ = std::io::stdin().lock().read_line(&mut String::new());
            stop.cancel();
        });
        driver.run(stopping).await;
        Ok(())
    })
}

/// A relay that ends with its handle.
struct Relay {
    process: Child,
    address: SocketAddr,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start_link(callee: SocketAddr) -> Outcome<Relay> {
    let mut process =
        Command::new(std::env::current_exe()?).args(["relay", &callee.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
    Ok(Relay { process, address: line.trim().parse()? })
}

async fn start_haproxy(callee: SocketAddr) -> Outcome<Relay> {
    // Between this and its own bind somebody else could take the port; then it ends, and so does this.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
    let mut process = Command::new("haproxy").args(["-db", "-f", "/dev/stdin"]).stdin(Stdio::piped()).spawn()?;
    let config = format!(
        "global\n nbthread 1\n maxconn 1000\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
         frontend f\n bind 127.0.0.1:{port}\n default_backend b\nbackend b\n server s {callee}\n"
    );
    process.stdin.take().ok_or("no stdin")?.write_all(config.as_bytes())?;
    let relay = Relay { process, address: (Ipv4Addr::LOCALHOST, port).into() };
    for _ in 0..100 {
        if TcpStream::connect(relay.address).await.is_ok() {
            return Ok(relay);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("haproxy does not listen".into())
}

/// What each of the three did, round after round.
#[derive(Default)]
struct Found {
    gigabytes_per_second: Vec<f64>,
    requests_per_second: Vec<f64>,
    p50_micros: Vec<f64>,
    p99_micros: Vec<f64>,
}

#[tokio::main(worker_threads = 2)]
async fn compare() -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let direct = listener.local_addr()?;
    let mut callee = JoinSet::new();
    callee.spawn(serve(listener));
    let (link, haproxy) = (start_link(direct)?, start_haproxy(direct).await?);
    let mut found: [Found; 3] = Default::default();
    for round in 0..ROUNDS {
        for turn in 0..NAMES.len() {
            // Each begins as often as the others.
            let who = (turn + round) % NAMES.len();
            let address = [direct, link.address, haproxy.address][who];
            found[who].gigabytes_per_second.push(bulk(address).await?);
            found[who].requests_per_second.push(closed_loop(address).await?);
            let times = open_loop(address).await?;
            found[who].p50_micros.push(times.value_at_quantile(0.5) as f64 / 1e3);
            found[who].p99_micros.push(times.value_at_quantile(0.99) as f64 / 1e3);
        }
    }
    callee.shutdown().await;
    print(&found);
    Ok(())
}

/// Answers each request with as many bytes, or swallows all there is.
async fn serve(listener: TcpListener) -> Outcome<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        connections.spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut first = [0; 1];
    stream.read_exact(&mut first).await?;
    let mut buffer = vec![0; CHUNK];
    if first[0] == SWALLOW {
        let mut bytes = 0_u64;
        loop {
            match stream.read(&mut buffer).await? {
                0 => break,
                read => bytes += read as u64,
            }
        }
        return Ok(stream.write_all(&bytes.to_be_bytes()).await?);
    }
    let mut read = 1;
    loop {
        stream.read_exact(&mut buffer[read..REQUEST_BYTES]).await?;
        stream.write_all(&buffer[..REQUEST_BYTES]).await?;
        read = 0;
    }
}

/// Gigabytes a second of one upload, as its receiver counts them.
async fn bulk(address: SocketAddr) -> Outcome<f64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&[SWALLOW]).await?;
    let (begun, chunk) = (Instant::now(), vec![0; CHUNK]);
    while begun.elapsed() < WINDOW {
        stream.write_all(&chunk).await?;
    }
    stream.shutdown().await?;
    let mut count = [0; 8];
    stream.read_exact(&mut count).await?;
    Ok(u64::from_be_bytes(count) as f64 / begun.elapsed().as_secs_f64() / 1e9)
}

async fn open(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn exchange(stream: &mut TcpStream) -> Outcome<()> {
    let mut buffer = [b'?'; REQUEST_BYTES];
    stream.write_all(&buffer).await?;
    stream.read_exact(&mut buffer).await?;
    Ok(())
}

/// Requests a second where each connection sends the next when it has its answer.
async fn closed_loop(address: SocketAddr) -> Outcome<f64> {
    let mut callers = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        callers.spawn(async move {
            let (mut stream, mut count) = (open(address).await?, 0_u64);
            while begun.elapsed() < WINDOW {
                exchange(&mut stream).await?;
                count += 1;
            }
            Outcome::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(caller) = callers.join_next().await {
        count += caller??;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// From when each request was due to its answer, at a rate that does not depend on answers. The connections take turns, each in a thread of its own:
/// the runtime's clock has ticks of a millisecond, and a thread sleeps to within a twentieth of that.
async fn open_loop(address: SocketAddr) -> Outcome<Histogram<u64>> {
    let begun = Instant::now() + Duration::from_millis(50);
    let mut callers = JoinSet::new();
    for number in 0..u32::try_from(CONNECTIONS)? {
        callers.spawn_blocking(move || call_on_time(address, begun, number));
    }
    let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    while let Some(caller) = callers.join_next().await {
        times.add(caller??)?;
    }
    Ok(times)
}

fn call_on_time(address: SocketAddr, begun: Instant, number: u32) -> Outcome<Histogram<u64>> {
    let gap = Duration::from_secs(1) / u32::try_from(REQUESTS_PER_SECOND)?;
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    let (mut due, mut buffer) = (begun + gap * number, [b'?'; REQUEST_BYTES]);
    while due < begun + WINDOW {
        while let Some(early) = due.checked_duration_since(Instant::now()).filter(|early| !early.is_zero()) {
            std::thread::park_timeout(early);
        }
        stream.write_all(&buffer)?;
        stream.read_exact(&mut buffer)?;
        times.saturating_record(due.elapsed().as_nanos() as u64);
        due += gap * u32::try_from(CONNECTIONS)?;
    }
    Ok(times)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn print(found: &[Found; 3]) {
    println!(
        "\n| through | bulk GB/s | requests/s, {CONNECTIONS} connections | P50 µs at {REQUESTS_PER_SECOND}/s | P99 µs |\n|---|---|---|---|---|"
    );
    for (name, found) in NAMES.iter().zip(found) {
        let [bulk, requests] = [&found.gigabytes_per_second, &found.requests_per_second].map(|values| median(values));
        println!("| {name} | {bulk:.2} | {requests:.0} | {:.0} | {:.0} |", median(&found.p50_micros), median(&found.p99_micros));
    }
    let [direct, link, haproxy] = found;
    // Round by round, so that what a busy machine does to one round it does to both sides of a ratio.
    let ratio =
        |of: fn(&Found) -> &Vec<f64>| median(&of(link).iter().zip(of(haproxy)).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>());
    let added =
        |who: &Found| median(&who.p99_micros.iter().zip(&direct.p99_micros).map(|(with, without)| with - without).collect::<Vec<_>>());
    let word = |is_met| if is_met { "met" } else { "MISSED" };
    println!("\n| link to HAProxy, median of {ROUNDS} rounds | found | aim |\n|---|---|---|");
    for (name, ratio) in [("bulk", ratio(|found| &found.gigabytes_per_second)), ("requests/s", ratio(|found| &found.requests_per_second))] {
        println!("| {name} | {ratio:.2} | at least {AIM_RATIO}: {} |", word(ratio >= AIM_RATIO));
    }
    let [ours, theirs] = [added(link), added(haproxy)];
    println!("| added to P99, µs (HAProxy: {theirs:.0}) | {ours:.0} | at most {AIM_ADDED_MICROS}: {} |", word(ours <= AIM_ADDED_MICROS));
}
