//! How precisely requests leave: `cargo run --release -p shakedown-load --example bench [seconds]`.
//!
//! Prints quantiles of `sent − due` and of latency, and the processor time of the generator's thread, at several rates against a service on
//! a thread of its own. Run it beside other work to see what that does. Exits with an error where P99 is above 1 ms at any rate.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use hdrhistogram::Histogram;
use shakedown_load::{Drive, Lane, drive};
use shakedown_model::{
    event::{GeneratorReport, Phase},
    evidence::Request,
    experiment::{Arrivals, Load, Source},
    plan::Slots,
    stack::Variant,
    units::{Rate, Span},
};
use std::{collections::HashMap, fs, io, net::SocketAddr, process::ExitCode, thread, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

const RATES: [f64; 3] = [200.0, 1_000.0, 2_000.0];
const GOAL: Duration = Duration::from_millis(1);

fn main() -> io::Result<ExitCode> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let (stop, (address, service)) = (CancellationToken::new(), oneshot::channel());
    let serving = thread::spawn({
        let stop = stop.clone();
        move || serve(address, &stop)
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    println!(
        "{:>7} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} | {:>11} {:>11} | {:>6}",
        "rate/s", "sent", "p50 µs", "p99 µs", "p99.9 µs", "max µs", "run p99", "latency p50", "latency p99", "cpu %"
    );
    let mut code = ExitCode::SUCCESS;
    runtime.block_on(async {
        let target = service.await.map_err(io::Error::other)?;
        for rate in RATES {
            if measure(rate, target, Duration::from_secs(seconds)).await > GOAL {
                code = ExitCode::FAILURE;
            }
        }
        io::Result::Ok(())
    })?;
    stop.cancel();
    serving.join().map_err(|_| io::Error::other("the service crashed"))??;
    Ok(code)
}

/// Drives at one rate, prints its line, and gives the P99 of `sent − due`.
async fn measure(rate: f64, target: SocketAddr, length: Duration) -> Duration {
    let (records, mut received) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let (mut late, mut latency) = (histogram(), histogram());
    let keep = async {
        let end = tokio::time::Instant::now() + length;
        let mut before = Cpu::default();
        loop {
            tokio::select! {
                record = received.recv() => match record {
                    Some((_, request)) => note(&request, &mut late, &mut latency),
                    None => return before,
                },
                () = tokio::time::sleep_until(end), if !stop.is_cancelled() => {
                    before = Cpu::of_generator();
                    stop.cancel();
                }
            }
        }
    };
    let (report, cpu) = tokio::join!(drive(spec(rate, target), records, stop.clone()), keep);
    print(rate, &report, &late, &latency, cpu.0.as_secs_f64() / length.as_secs_f64() * 100.0);
    Duration::from_nanos(late.value_at_quantile(0.99))
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("1 ns to a minute at three digits are valid bounds")
}

fn note(request: &Request, late: &mut Histogram<u64>, latency: &mut Histogram<u64>) {
    if let Some(sent) = request.sent {
        late.saturating_record(sent.since(request.due).as_nanos() as u64);
    }
    latency.saturating_record(request.done.since(request.due).as_nanos() as u64);
}

fn print(rate: f64, report: &GeneratorReport, late: &Histogram<u64>, latency: &Histogram<u64>, cpu: f64) {
    let micros = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{rate:>7} {:>9} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0} | {:>11.0} {:>11.0} | {cpu:>6.1}",
        report.sent,
        micros(late, 0.5),
        micros(late, 0.99),
        micros(late, 0.999),
        micros(late, 1.0),
        report.late_p99_ms * 1e3,
        micros(latency, 0.5),
        micros(latency, 0.99),
    );
}

/// Processor time of the generator's thread.
#[derive(Default)]
struct Cpu(Duration);

impl Cpu {
    fn of_generator() -> Cpu {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|task| task.path());
        let mine = tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "shakedown-load"));
        // schedstat: nanoseconds on a processor, waiting for one, and the number of turns.
        let nanos = |task: std::path::PathBuf| fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok();
        Cpu(Duration::from_nanos(mine.filter_map(nanos).sum()))
    }
}

fn spec(rate: f64, target: SocketAddr) -> Drive {
    let load = Load {
        name: "bench".to_owned(),
        service: "service".to_owned(),
        port: 80,
        method: "POST".to_owned(),
        path: "/checkout/{{ seq }}".to_owned(),
        headers: indexmap::IndexMap::new(),
        body: Some("{\"sku\": {{ rand(1, 500) }}}".to_owned()),
        rate: Rate(rate),
        arrivals: Arrivals::Poisson,
        timeout: Span(Duration::from_secs(2)),
        success_status: Vec::new(),
        source: Source::default(),
    };
    let targets = HashMap::from([(load.name.clone(), watch::Sender::new(target).subscribe())]);
    Drive {
        run: "bench".to_owned(),
        scenario: "bench".to_owned(),
        loads: vec![load],
        lanes: vec![Lane { variant: Variant::Candidate, targets }],
        slots: Slots { slot: Duration::from_millis(500), seed: 1 },
        seed: 1,
        phase: watch::Sender::new(Phase::Steady).subscribe(),
    }
}

/// Answers everything that ends like one of our requests, on this thread.
fn serve(address: oneshot::Sender<SocketAddr>, stop: &CancellationToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let _ = address.send(listener.local_addr()?);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    connections.spawn(answer(accepted?.0));
                }
                () = stop.cancelled() => return Ok(()),
            }
        }
    })
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    while stream.read_buf(&mut buffer).await? > 0 {
        if buffer.ends_with(b"}") {
            buffer.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
        }
    }
    Ok(())
}
