//! What the receiver costs, end to end to the files of the evidence: `make bench-ingest`.
//!
//! The receiver is a process of its own, whose processor time (user and system, all threads) is what is counted; the client is another, which
//! sends batches of 512 spans over loopback. `SPANS` says how many (1,000,000); JSON takes half of them.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use shakedown_evidence::{OtlpReceiver, Recorder};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

const BATCH: u64 = 512;
/// Different batches, so that none repeats within reach of the compressor.
const BATCHES: u64 = 64;
/// Calls at once.
const AT_ONCE: u64 = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Grpc,
    Protobuf,
    Json,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, directory] = &arguments[..]
        && mode == "receive"
    {
        return receive(Path::new(directory)).await;
    }
    let spans = std::env::var("SPANS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000_u64);
    println!("| sent | spans | bytes a span | seconds | receiver's CPU s | spans/s per second of CPU | peak MiB |");
    println!("|---|---|---|---|---|---|---|");
    for (name, way, spans) in [("gRPC", Way::Grpc, spans), ("HTTP protobuf", Way::Protobuf, spans), ("HTTP JSON", Way::Json, spans / 2)] {
        row(name, way, spans, None).await;
    }
    for (name, way) in [("gRPC, 10,000 spans/s", Way::Grpc), ("HTTP JSON, 10,000 spans/s", Way::Json)] {
        row(name, way, 100_000, Some(Duration::from_secs_f64(BATCH as f64 / 10_000.0))).await;
    }
}

async fn row(name: &str, way: Way, spans: u64, every: Option<Duration>) {
    let directory = std::env::temp_dir().join(format!("ingest-{}", std::process::id()));
    let batches: Arc<Vec<Batch>> = Arc::new((0..BATCHES).map(|number| Batch::new(way, batch(number))).collect());
    let (mut child, http, grpc) = start(&directory);
    let began = Instant::now();
    let sent = spans / BATCH;
    let again = send(way, if way == Way::Grpc { grpc } else { http }, &batches, sent, every).await;
    let seconds = began.elapsed().as_secs_f64();
    let (cpu, peak, losses) = end(&mut child);
    let bytes = batches.iter().map(|batch| batch.bytes.len()).sum::<usize>() as f64 / (BATCHES * BATCH) as f64;
    let kept = sent * BATCH;
    assert_eq!(written(&directory), kept, "every span that was sent is in the files: {losses}");
    let share = every.map_or_else(String::new, |_| format!(" ({:.1} % of a core)", cpu / seconds * 100.0));
    println!("| {name} | {kept} | {bytes:.0} | {seconds:.1} | {cpu:.2}{share} | {:.0} | {peak} |", kept as f64 / cpu);
    if again > 0 {
        println!("sent again {again} times: {losses}");
    }
    fs::remove_dir_all(directory).unwrap();
}

/// Starts the receiver; its addresses are its first line.
fn start(directory: &Path) -> (Child, SocketAddr, SocketAddr) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.arg("receive").arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = Vec::new();
    let stdout = child.stdout.as_mut().unwrap();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    let text = String::from_utf8(line).unwrap();
    let mut addresses = text.split_whitespace().map(|address| address.parse().unwrap());
    (child, addresses.next().unwrap(), addresses.next().unwrap())
}

/// Ends it; its last line says what it took.
fn end(child: &mut Child) -> (f64, u64, String) {
    drop(child.stdin.take());
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    child.wait().unwrap();
    let mut parts = line.splitn(3, ' ');
    (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().parse().unwrap(), parts.next().unwrap().to_owned())
}

async fn receive(directory: &Path) {
    let (recorder, driver) = Recorder::open(directory).unwrap();
    let receiver = OtlpReceiver::bind(IpAddr::from([127, 0, 0, 1])).await.unwrap();
    println!("{} {}", receiver.http(), receiver.grpc());
    let before = processor();
    let (stop_receiver, stop_driver) = (CancellationToken::new(), CancellationToken::new());
    let (mut receiving, mut driving) = (JoinSet::new(), JoinSet::new());
    receiving.spawn(receiver.run(recorder.clone(), stop_receiver.clone()));
    driving.spawn(driver.run(stop_driver.clone()));
    let _end = tokio::io::stdin().read(&mut [0; 1]).await.unwrap();
    stop_receiver.cancel();
    while receiving.join_next().await.is_some() {}
    stop_driver.cancel();
    let losses = driving.join_next().await.unwrap().unwrap().unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak: u64 = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    println!("{:.2} {} {losses:?}", processor() - before, peak >> 10);
}

/// Processor time of this process in seconds.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

/// Spans in the files.
fn written(directory: &Path) -> u64 {
    let file = fs::File::open(directory.join("evidence/traces.jsonl.zst")).unwrap();
    let lines = BufReader::new(zstd::stream::read::Decoder::new(file).unwrap()).split(b'\n');
    lines.map(|line| line.unwrap().windows(11).filter(|part| part == b"\"traceId\":\"").count() as u64).sum()
}

/// Something with a little chance in it (Steele et al. 2014), so that ids do not pack better than real ones.
fn chance(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Ten attributes a span, as instrumentation of an HTTP server sets them.
fn batch(number: u64) -> ExportTraceServiceRequest {
    let span = |index: u64| {
        let seed = chance(number << 20 | index);
        let text = |key: &str, value: String| attribute(key, Value::StringValue(value));
        Span {
            trace_id: [chance(seed).to_be_bytes(), chance(seed ^ 1).to_be_bytes()].concat(),
            span_id: chance(seed ^ 2).to_be_bytes().to_vec(),
            parent_span_id: chance(seed ^ 3).to_be_bytes().to_vec(),
            name: "GET /orders/{id}".to_owned(),
            kind: 2,
            start_time_unix_nano: 1_700_000_000_000_000_000 + seed % 60_000_000_000,
            end_time_unix_nano: 1_700_000_000_000_000_000 + seed % 61_000_000_000,
            attributes: vec![
                text("http.request.method", "GET".to_owned()),
                text("url.path", format!("/orders/{}", seed % 100_000)),
                text("http.route", "/orders/{id}".to_owned()),
                attribute("http.response.status_code", Value::IntValue(200)),
                text("server.address", "orders".to_owned()),
                attribute("server.port", Value::IntValue(8080)),
                text("client.address", format!("10.0.{}.{}", seed % 7, seed % 251)),
                text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)".to_owned()),
                text("network.protocol.version", "1.1".to_owned()),
                text("app.customer", format!("{:012x}", seed >> 16)),
            ],
            ..Span::default()
        }
    };
    let scope_spans = vec![ScopeSpans { spans: (0..BATCH).map(span).collect(), ..ScopeSpans::default() }];
    let attributes = vec![attribute("service.name", Value::StringValue("orders".to_owned()))];
    let resource = Some(Resource { attributes, ..Resource::default() });
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }] }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Spans that are sent at once: as a message to a client that encodes it, and as bytes.
struct Batch {
    message: ExportTraceServiceRequest,
    bytes: Bytes,
}

impl Batch {
    fn new(way: Way, message: ExportTraceServiceRequest) -> Batch {
        let bytes = if way == Way::Json { serde_json::to_vec(&message).unwrap() } else { message.encode_to_vec() };
        Batch { message, bytes: bytes.into() }
    }
}

/// Sends so many batches over a few connections; answers how often one had to be sent again.
async fn send(way: Way, address: SocketAddr, batches: &Arc<Vec<Batch>>, count: u64, every: Option<Duration>) -> u64 {
    let mut clients = JoinSet::new();
    let senders = if every.is_some() { 1 } else { AT_ONCE };
    for sender in 0..senders {
        let batches = Arc::clone(batches);
        clients.spawn(async move {
            let mut ticks = interval(every.unwrap_or(Duration::from_secs(3600)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut client = Client::connect(way, address).await;
            let mut again = 0;
            for number in (sender..count).step_by(senders as usize) {
                if every.is_some() {
                    ticks.tick().await;
                }
                let batch = &batches[(number % batches.len() as u64) as usize];
                while !client.send(batch).await {
                    again += 1;
                    sleep(Duration::from_millis(20)).await;
                }
            }
            again
        });
    }
    let mut again = 0;
    while let Some(sent) = clients.join_next().await {
        again += sent.unwrap();
    }
    again
}

enum Client {
    Grpc(TraceServiceClient<Channel>),
    Http { sender: http1::SendRequest<Full<Bytes>>, address: SocketAddr, content_type: &'static str, _driving: JoinSet<hyper::Result<()>> },
}

impl Client {
    async fn connect(way: Way, address: SocketAddr) -> Client {
        if way == Way::Grpc {
            let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
            return Client::Grpc(TraceServiceClient::new(channel));
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        let content_type = if way == Way::Json { "application/json" } else { "application/x-protobuf" };
        Client::Http { sender, address, content_type, _driving: driving }
    }

    /// Whether it was taken.
    async fn send(&mut self, batch: &Batch) -> bool {
        match self {
            Client::Grpc(grpc) => grpc.export(batch.message.clone()).await.is_ok(),
            Client::Http { sender, address, content_type, .. } => {
                let request =
                    Request::post("/v1/traces").header(header::HOST, address.to_string()).header(header::CONTENT_TYPE, *content_type);
                sender.ready().await.unwrap();
                let response = sender.send_request(request.body(Full::new(batch.bytes.clone())).unwrap()).await.unwrap();
                let taken = response.status().is_success();
                response.into_body().collect().await.unwrap();
                taken
            }
        }
    }
}
