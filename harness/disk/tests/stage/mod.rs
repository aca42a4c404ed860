//! A program begun through the wrapper, in mount and pid namespaces of its own as in a container; it and everything below it end with the
//! test. The mounted directory is reached from outside through the program's root.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};
use shakedown_disk::wire::{Dose, Effect};

pub(crate) struct Stage {
    directory: tempfile::TempDir,
    program: Child,
    pid: u32,
    said: BufReader<ChildStdout>,
}

impl Stage {
    pub(crate) fn cached() -> Self {
        Self::start(&json!({}), "")
    }

    pub(crate) fn direct() -> Self {
        Self::start(&json!({"direct": true}), "")
    }

    /// `first` is run by sh before the program waits for its end. A shell that waits also reaps, as the first process of a container should.
    pub(crate) fn start(mount: &Value, first: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        let binary = directory.path().join("shakedown-disk");
        // Not by this process: where another test forks meanwhile, its child would hold the file open for writing, and nothing could execute it.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_shakedown-disk")).arg(&binary).status().unwrap();
        assert!(copied.success());
        let mut mount = mount.clone();
        mount["path"] = directory.path().join("data").to_str().unwrap().into();
        let setup = json!({"mounts": [mount], "drop": ["sys_admin"]}).to_string();
        let script = format!("{first}\necho begun; cat; true");
        let mut program = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .arg(&binary)
            .args(["disk", &setup, "--", "sh", "-c", &script])
            .current_dir(directory.path().join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(program.stdout.take().unwrap());
        let pid = 0;
        let mut stage = Self { directory, program, pid, said };
        while stage.hear() != "begun" {}
        stage.pid = child_of(stage.program.id());
        stage
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.said.read_line(&mut line).unwrap() > 0, "the program ended");
        line.trim_end().to_owned()
    }

    /// The mounted directory.
    pub(crate) fn over(&self) -> PathBuf {
        let inside = self.beneath();
        Path::new("/proc").join(self.pid.to_string()).join("root").join(inside.strip_prefix("/").unwrap())
    }

    /// What it is mounted over.
    pub(crate) fn beneath(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The directory that both are in.
    pub(crate) fn home(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn control(&self) -> Control {
        Control::connect(&self.directory.path().join("shakedown-disk"), &self.beneath())
    }

    /// Runs a program beside the one that was begun, as this user.
    pub(crate) fn run(&self, user: &str, words: &[&str]) -> Output {
        let pid = self.pid.to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid, "--mount", "--pid", "--", "runuser", "-u", user, "--"]);
        command.args(words).current_dir("/").stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn run_well(&self, user: &str, words: &[&str]) -> String {
        let output = self.run(user, words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn child_of(parent: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

/// One conversation.
pub(crate) struct Control {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    path: String,
    id: u64,
}

impl Control {
    fn connect(binary: &Path, path: &Path) -> Self {
        let mut process = Command::new(binary).arg("control").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, input, output, path: path.to_str().unwrap().to_owned(), id: 0 }
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.try_to_say(line).unwrap();
    }

    /// An error: it has hung up meanwhile.
    pub(crate) fn try_to_say(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.input.as_mut().unwrap(), "{line}")
    }

    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub(crate) fn ask(&mut self, mut request: Value) -> Value {
        self.id += 1;
        request["id"] = self.id.into();
        self.say(&request.to_string());
        let reply = self.hear();
        assert_eq!(reply["id"], self.id, "{reply}");
        reply
    }

    /// `more` are the further fields of the fault.
    pub(crate) fn try_apply(&mut self, name: &str, ops: &[&str], effect: &Effect, more: Value) -> Value {
        let mut fault = json!({"name": name, "ttl_ms": 60_000, "path": self.path, "ops": ops, "effect": effect});
        if let Value::Object(more) = more {
            fault.as_object_mut().unwrap().extend(more);
        }
        self.ask(json!({"op": "apply", "fault": fault}))
    }

    pub(crate) fn apply(&mut self, name: &str, ops: &[&str], effect: &Effect, more: Value) {
        let reply = self.try_apply(name, ops, effect, more);
        assert_eq!(reply["ok"]["applied"]["name"], name, "{reply}");
    }

    pub(crate) fn dose(&mut self, name: &str) -> Dose {
        let reply = self.ask(json!({"op": "dose", "name": name}));
        serde_json::from_value(reply["ok"]["dose"].clone()).unwrap()
    }

    pub(crate) fn revert(&mut self, name: &str) -> Dose {
        let reply = self.ask(json!({"op": "revert", "name": name}));
        serde_json::from_value(reply["ok"]["reverted"]["dose"].clone()).unwrap()
    }

    /// Ends stdin; what is said after it.
    pub(crate) fn end(mut self) -> Vec<Value> {
        drop(self.input.take());
        let lines = (&mut self.output).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        assert!(self.process.wait().unwrap().success());
        lines
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

pub(crate) fn errno(name: &str) -> Effect {
    Effect::Errno(name.to_owned())
}
