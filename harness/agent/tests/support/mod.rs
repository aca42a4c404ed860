//! An agent in a world of its own.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary, and the bench, uses its own part")]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "as in any test: the settings in clippy.toml see only #[test]")]

mod world;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::{Value, json};
use shakedown_agent::Nftables;
use shakedown_agent::kernel::TableId;
use shakedown_agent::wire::{Answer, Applied, Dose, Failure, Line, Reverted};
pub use world::{FAR, FAR_6, Far, NEAR, PATIENCE, connect, in_two_namespaces, round_trip};

/// Whether agents are started with `--netem`: the same tests run over both means (`tests/netem.sh`).
pub fn prefers_netem() -> bool {
    std::env::var("SHAKEDOWN_TEST_BACKEND").is_ok_and(|backend| backend == "netem")
}

/// Whether this kernel's own disciplines do a fault of these kinds.
pub fn is_shaped(kind: &Value, direction: &str) -> bool {
    let shaped = ["latency", "loss", "bandwidth"].iter().any(|name| kind.get(name).is_some());
    let correlated = kind.pointer("/latency/correlation_ppm").is_some();
    prefers_netem() && shaped && !correlated && direction == "out"
}

/// What a machine that is emulated is allowed to add (`tests/netem.sh`), in milliseconds; none elsewhere.
pub fn slack() -> f64 {
    std::env::var("SHAKEDOWN_TEST_SLACK_MS").ok().and_then(|slack| slack.parse().ok()).unwrap_or(0.0)
}

/// The root disciplines and classes of ours that stand on the cable, as `tc` would show them.
pub fn disciplines() -> String {
    let said = Command::new("tc").args(["-s", "qdisc", "show", "dev", "near"]).output().expect("iproute2 is installed");
    String::from_utf8_lossy(&said.stdout).into_owned()
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_shakedown-agent"));
        if prefers_netem() {
            command.arg("--netem");
        }
        Self::start_by(command)
    }

    /// By a command that becomes an agent.
    pub fn start_by(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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

/// The wall clock.
pub fn unix_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
