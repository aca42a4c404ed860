//! A process that is spoken to in lines: the relay, as the user that it is in a container, or the agent.

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use rustix::io::FdFlags;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
};

/// The relay's user.
pub(crate) const RELAY: u32 = 64_317;
/// What a child that is the agent is told by.
const ROLE: &str = "SHAKEDOWN_TEST_ROLE";

/// A running process.
pub(crate) struct Speaker {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    next_id: u64,
}

impl Speaker {
    /// The relay, without any capability. In the network namespace of this thread.
    pub(crate) fn relay() -> Speaker {
        // By its descriptor: the build's directory may be nobody else's to enter.
        let binary = File::open(env!("CARGO_BIN_EXE_shakedown-relay")).unwrap();
        rustix::io::fcntl_setfd(&binary, FdFlags::empty()).unwrap();
        let mut command = Command::new(format!("/proc/self/fd/{}", binary.as_raw_fd()));
        if Uid::effective().is_root() {
            command.uid(RELAY).gid(RELAY);
        }
        Speaker::start(&mut command)
    }

    /// The agent, which is this test binary again. In the network namespace of this thread.
    pub(crate) fn agent() -> Speaker {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "speaker::the_agent", "--nocapture", "--test-threads=1"]).env(ROLE, "agent");
        Speaker::start(&mut command)
    }

    fn start(command: &mut Command) -> Speaker {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Speaker { child, stdin, stdout, next_id: 1 }
    }

    /// Writes a line as it is.
    pub(crate) fn write(&mut self, line: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line).and_then(|()| stdin.write_all(b"\n")).unwrap();
    }

    /// Reads a line; past what the test harness in an agent says.
    pub(crate) fn read(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it has ended");
            if let Some(begin) = line.find('{') {
                return serde_json::from_str(&line[begin..]).unwrap();
            }
        }
    }

    /// Asks, and waits for the answer to this very question: `ok`, or `error`.
    pub(crate) fn ask(&mut self, mut request: Value) -> Result<Value, Value> {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        self.write(request.to_string().as_bytes());
        let mut line = self.read();
        assert_eq!(line["id"], json!(id), "{line}");
        if line.get("ok").is_some() { Ok(line["ok"].take()) } else { Err(line["error"].take()) }
    }

    /// As [`Speaker::ask`], where only one thing can be answered.
    pub(crate) fn demand(&mut self, request: Value, answer: &str) -> Value {
        let mut ok = self.ask(request).unwrap();
        assert!(ok.get(answer).is_some(), "{ok}");
        ok[answer].take()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its stdin.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Everything it still has to say, and how it ended.
    pub(crate) fn last_words(mut self) -> (Vec<Value>, ExitStatus) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let words = rest.lines().filter_map(|line| line.find('{').map(|begin| serde_json::from_str(&line[begin..]).unwrap()));
        (words.collect(), self.child.wait().unwrap())
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "it is the agent of the other tests, which start it: the agent's own binary is another package's"]
fn the_agent() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let mut session = shakedown_agent::session::Session::new(shakedown_agent::Linux::new());
    let ended = shakedown_agent::stdio::serve(&mut session, std::io::stdin(), std::io::stdout()).unwrap();
    assert!(ended.clean);
}
