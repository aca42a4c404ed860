//! A world for one test: a network namespace of its own, joined by a cable to the namespace of the far end.
//!
//! A namespace belongs to a thread here. The test's body runs in a thread that has left the machine's namespace, and so
//! do the agents it spawns; nothing the tests do is visible outside, and the kernel removes both namespaces when the
//! last socket and thread in them are gone.

#![allow(dead_code, unreachable_pub)] // each test binary, and the bench, uses its own part
#![allow(clippy::unwrap_used, clippy::print_stderr)] // as in any test: the settings in clippy.toml see only #[test]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, gettid};
use serde_json::{Value, json};
use shakedown_agent::Nftables;
use shakedown_agent::kernel::TableId;
use shakedown_agent::wire::{Answer, Applied, Dose, Failure, Line, Reverted};

pub const NEAR: &str = "10.77.0.1";
pub const FAR: &str = "10.77.0.2";
pub const FAR_6: &str = "fd77::2";
/// Longer than anything takes; a test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

type Errand = Box<dyn FnOnce() + Send>;

/// The namespace at the other end of the cable.
pub struct Far {
    errands: Sender<Errand>,
}

/// Runs a test between two fresh namespaces, or says aloud why not.
pub fn in_two_namespaces(body: impl FnOnce(&Far) + Send + 'static) {
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: needs root to make network namespaces");
        return;
    }
    let test = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let far = Far::new();
        let (near, there) = (format!("{NEAR}/24"), format!("{FAR}/24"));
        far.errand(move || {
            ip(&["link", "set", "lo", "up"]);
            ip(&["addr", "add", &there, "dev", "far"]);
            ip(&["addr", "add", "fd77::2/64", "dev", "far", "nodad"]);
            ip(&["link", "set", "far", "up"]);
        });
        ip(&["link", "set", "lo", "up"]);
        ip(&["addr", "add", &near, "dev", "near"]);
        ip(&["addr", "add", "fd77::1/64", "dev", "near", "nodad"]);
        ip(&["link", "set", "near", "up"]);
        body(&far);
    });
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
}

impl Far {
    /// Starts the far thread and lays the cable: device `near` here, `far` there.
    fn new() -> Self {
        let (errands, inbox) = channel::<Errand>();
        let (ready, tid) = channel();
        std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ready.send(gettid()).unwrap();
            for errand in inbox {
                errand();
            }
        });
        let tid = tid.recv().unwrap().to_string();
        ip(&["link", "add", "near", "type", "veth", "peer", "name", "far", "netns", &tid]);
        Self { errands }
    }

    /// Runs something in the far namespace. Sockets made there stay there, whoever uses them.
    pub fn errand<T: Send + 'static>(&self, errand: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, result) = channel();
        self.errands.send(Box::new(move || drop(answer.send(errand())))).unwrap();
        result.recv().unwrap()
    }

    /// A server that sends back what it gets. Returns its port.
    pub fn echo(&self) -> u16 {
        let listener = self.errand(|| TcpListener::bind("[::]:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let mut buffer = [0; 4096];
                    while let Ok(n @ 1..) = (&stream).read(&mut buffer) {
                        if (&stream).write_all(&buffer[..n]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        port
    }
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments:?}");
}

/// A connection that does not wait for more before it sends, nor for ever for an answer.
pub fn connect(address: &str, port: u16) -> TcpStream {
    let stream = TcpStream::connect((address.parse::<IpAddr>().unwrap(), port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a byte and waits for it to come back.
pub fn round_trip(mut stream: &TcpStream) -> std::io::Result<Duration> {
    let begun = Instant::now();
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])?;
    Ok(begun.elapsed())
}

/// The names of all tables in this thread's namespace.
pub fn tables() -> Vec<TableId> {
    Nftables::open().unwrap().tables().unwrap()
}

/// A running agent in this thread's namespace.
pub struct Agent {
    pub child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    next_id: u64,
}

impl Agent {
    pub fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shakedown-agent")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout, next_id: 1 }
    }

    /// Writes a line as it is.
    pub fn write(&mut self, line: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line).and_then(|()| stdin.write_all(b"\n")).unwrap();
    }

    /// Reads a line.
    pub fn read(&mut self) -> Line {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }

    /// Asks, and waits for the answer to this very question.
    pub fn ask(&mut self, mut request: Value) -> Result<Answer, Failure> {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        self.write(request.to_string().as_bytes());
        let line = self.read();
        assert_eq!(line.id, Some(id), "{line:?}");
        line.ok.ok_or_else(|| line.error.unwrap())
    }

    pub fn apply(&mut self, fault: &Value) -> Applied {
        match self.ask(json!({ "op": "apply", "fault": fault })) {
            Ok(Answer::Applied(applied)) => applied,
            other => panic!("{other:?}"),
        }
    }

    pub fn dose(&mut self, name: &str) -> Dose {
        match self.ask(json!({ "op": "dose", "name": name })) {
            Ok(Answer::Dose(dose)) => dose,
            other => panic!("{other:?}"),
        }
    }

    pub fn revert(&mut self, name: &str) -> Reverted {
        match self.ask(json!({ "op": "revert", "name": name })) {
            Ok(Answer::Reverted(reverted)) => reverted,
            other => panic!("{other:?}"),
        }
    }

    /// Closes its stdin.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Everything it still has to say, and how it ended.
    pub fn last_words(mut self) -> (Vec<Line>, ExitStatus) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let lines = rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines, self.child.wait().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A fault named `f`, of a kind, against addresses, for longer than any test.
pub fn fault(kind: &Value, addresses: &[&str], ports: &[u16], direction: &str) -> Value {
    json!({ "name": "f", "ttl_ms": 600_000, "kind": kind, "direction": direction,
            "to": { "addresses": addresses, "ports": ports } })
}

/// A latency without jitter.
pub fn latency(delay_ms: u64) -> Value {
    json!({ "latency": { "delay_us": delay_ms * 1000, "jitter_us": 0, "distribution": "uniform", "seed": 1 } })
}
