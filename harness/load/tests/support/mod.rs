//! A service whose every answer the test decides, and a drive to vary.

use shakedown_load::{Drive, Lane, drive};
use shakedown_model::{
    event::{GeneratorReport, Phase},
    evidence::Request,
    experiment::{Arrivals, Load, Source},
    plan::Slots,
    stack::Variant,
    units::{Rate, Span},
};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Long enough for anything that happens at all.
const AGES: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(AGES, what).await.expect("this must happen")
}

/// What a service does about a request.
#[derive(Clone)]
pub(crate) enum Reaction {
    /// These bytes, and the connection stays open.
    Answer(&'static str),
    /// These bytes, and the connection is closed.
    Last(&'static str),
    /// These bytes as soon as the gate is open.
    When(watch::Receiver<bool>, &'static str),
    /// Nothing, ever.
    Hang,
    /// RST.
    Reset,
    /// Many bytes more than anybody reads.
    Flood,
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A service on the loopback.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Service {
    pub(crate) async fn new(react: impl Fn(&Seen) -> Reaction + Clone + Send + 'static) -> Service {
        Service::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), react)
    }

    pub(crate) fn on(listener: TcpListener, react: impl Fn(&Seen) -> Reaction + Clone + Send + 'static) -> Service {
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (sender, seen) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let counter = Arc::clone(&connections);
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                open.spawn(serve(stream, react.clone(), sender.clone()));
            }
        });
        Service { address, seen, connections, _tasks: tasks }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, react: impl Fn(&Seen) -> Reaction, sender: mpsc::UnboundedSender<Seen>) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    while let Some(seen) = request(&mut stream, &mut buffer).await {
        let reaction = react(&seen);
        let _ = sender.send(seen);
        let written = match reaction {
            Reaction::Answer(text) => stream.write_all(text.as_bytes()).await,
            Reaction::Last(text) => {
                let _ = stream.write_all(text.as_bytes()).await;
                return;
            }
            Reaction::When(mut gate, text) => {
                let _ = gate.wait_for(|open| *open).await;
                stream.write_all(text.as_bytes()).await
            }
            Reaction::Hang => std::future::pending().await,
            Reaction::Reset => return stream.set_zero_linger().unwrap(),
            Reaction::Flood => flood(&mut stream).await,
        };
        if written.is_err() {
            return;
        }
    }
}

async fn flood(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n").await?;
    loop {
        stream.write_all(&[b'x'; 16_000]).await?;
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let seen = Seen { head, body: String::new() };
            let length: usize = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let body = String::from_utf8(buffer[end + 4..end + 4 + length].to_vec()).unwrap();
                buffer.drain(..end + 4 + length);
                return Some(Seen { body, ..seen });
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

pub(crate) fn load(name: &str) -> Load {
    Load {
        name: name.to_owned(),
        service: "gateway".to_owned(),
        port: 8080,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        headers: indexmap::IndexMap::new(),
        body: None,
        rate: Rate(200.0),
        arrivals: Arrivals::Constant,
        timeout: Span(Duration::from_secs(10)),
        success_status: Vec::new(),
        source: Source::default(),
    }
}

/// A drive that runs, with the test's hands on everything that goes in and out.
pub(crate) struct Driving {
    pub(crate) records: mpsc::UnboundedReceiver<(Variant, Request)>,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: JoinSet<GeneratorReport>,
}

impl Driving {
    /// Drives `load` to one service.
    pub(crate) fn one(load: Load, target: SocketAddr) -> Driving {
        Driving::at(load, watch::Sender::new(target).subscribe())
    }

    pub(crate) fn at(load: Load, target: watch::Receiver<SocketAddr>) -> Driving {
        Driving::new(vec![load], vec![(Variant::Candidate, target)])
    }

    pub(crate) fn new(loads: Vec<Load>, targets: Vec<(Variant, watch::Receiver<SocketAddr>)>) -> Driving {
        let phase = watch::Sender::new(Phase::Steady);
        let drive_spec = spec(loads, targets, phase.subscribe());
        drive_spec.check().unwrap();
        let (sender, records) = mpsc::unbounded_channel();
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(drive(drive_spec, sender, stop.clone()));
        Driving { records, phase, stop, tasks }
    }

    pub(crate) async fn record(&mut self) -> Request {
        soon(self.records.recv()).await.expect("the drive must go on").1
    }

    /// Stops, and hands out what was not read yet.
    pub(crate) async fn finish(mut self) -> (GeneratorReport, Vec<(Variant, Request)>) {
        self.stop.cancel();
        let report = soon(self.tasks.join_next()).await.unwrap().unwrap();
        let mut rest = Vec::new();
        while let Some(record) = self.records.recv().await {
            rest.push(record);
        }
        (report, rest)
    }
}

pub(crate) fn spec(loads: Vec<Load>, targets: Vec<(Variant, watch::Receiver<SocketAddr>)>, phase: watch::Receiver<Phase>) -> Drive {
    let lane = |(variant, target): (Variant, watch::Receiver<SocketAddr>)| {
        let targets: HashMap<_, _> = loads.iter().map(|load| (load.name.clone(), target.clone())).collect();
        Lane { variant, targets }
    };
    let lanes = targets.into_iter().map(lane).collect();
    let slots = Slots { slot: Duration::from_millis(50), seed: 5 };
    Drive { run: "run-1".to_owned(), scenario: "slow".to_owned(), loads, lanes, slots, seed: 7, phase }
}
