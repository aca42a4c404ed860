//! A pressure as the harness runs it, and small worlds to put it in: a cgroup with a limit, a file system of 16 MiB.
//! Both go with the test, whatever becomes of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use serde_json::{Value, json};
use shakedown_agent::press::wire::{Dose, Ready, Word};

pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_shakedown-agent");
/// Longer than anything takes; a test that reaches it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
static NEXT: AtomicU32 = AtomicU32::new(0);

/// What the agent is told, for longer than any test.
pub(crate) fn spec(kind: &Value) -> String {
    json!({ "ttl_ms": 600_000, "kind": kind }).to_string()
}

/// A running pressure.
pub(crate) struct Press {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Press {
    pub(crate) fn start(kind: &Value) -> Self {
        let mut command = Command::new(AGENT);
        command.args(["press", &spec(kind)]);
        Self::spawn(command)
    }

    /// As [`Press::start`], with a command of the test's own around the agent.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Self { stdin: child.stdin.take(), stdout, child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn read(&mut self) -> Word {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }

    pub(crate) fn ready(&mut self) -> Ready {
        match self.read() {
            Word::Ready(ready) => ready,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn dose(&mut self) -> Dose {
        match self.read() {
            Word::Dose(dose) => dose,
            other => panic!("{other:?}"),
        }
    }

    /// The first dose that is as it should be.
    pub(crate) fn dose_with(&mut self, as_it_should_be: impl Fn(&Dose) -> bool) -> Dose {
        let begun = Instant::now();
        loop {
            let dose = self.dose();
            if as_it_should_be(&dose) {
                return dose;
            }
            assert!(begun.elapsed() < PATIENCE, "{dose:?}");
        }
    }

    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn stop_reading(&mut self) {
        self.stdout = None;
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The last it has to say, and how it ended.
    pub(crate) fn last_word(mut self) -> (Word, ExitStatus) {
        let mut rest = String::new();
        self.stdout.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        let last = rest.lines().last().unwrap_or_else(|| panic!("it said nothing at its end"));
        (serde_json::from_str(last).unwrap(), self.child.wait().unwrap())
    }

    pub(crate) fn last_dose(mut self) -> Dose {
        self.hang_up();
        match self.last_word() {
            (Word::Dose(dose), status) if status.success() => dose,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Press {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that the kernel will do soon.
pub(crate) fn soon(what: &str, mut happens: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happens() {
        assert!(begun.elapsed() < PATIENCE, "{what} does not happen");
        std::thread::yield_now();
    }
}

/// A cgroup with one controller, of whichever version the machine has it in.
pub(crate) struct Cgroup {
    directory: PathBuf,
    version_1: bool,
}

impl Cgroup {
    /// Or nothing, said aloud, where the test may not make one.
    pub(crate) fn with(controller: &str) -> Option<Self> {
        let name = format!("shakedown-press-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = Path::new("/sys/fs/cgroup");
        let version_1 = !root.join("cgroup.controllers").exists();
        let directory = if version_1 { root.join(controller).join(name) } else { root.join(name) };
        let made = Uid::effective().is_root() && fs::create_dir(&directory).is_ok();
        let cgroup = Self { directory, version_1 };
        let file = if controller == "pids" { "pids.max" } else { cgroup.memory_limit_file() };
        if made && cgroup.directory.join(file).exists() {
            return Some(cgroup);
        }
        eprintln!("SKIPPED: needs root and a cgroup of the {controller} controller");
        None
    }

    fn memory_limit_file(&self) -> &'static str {
        if self.version_1 { "memory.limit_in_bytes" } else { "memory.max" }
    }

    pub(crate) fn limit_memory(&self, bytes: u64) {
        self.write(self.memory_limit_file(), bytes);
    }

    pub(crate) fn limit_pids(&self, tasks: u64) {
        self.write("pids.max", tasks);
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.directory.join(file)).unwrap().trim().to_owned()
    }

    fn write(&self, file: &str, value: u64) {
        fs::write(self.directory.join(file), value.to_string()).unwrap();
    }

    /// A program that finds itself in the cgroup, after a wrapper if there is one.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("sh");
        let procs = self.directory.join("cgroup.procs");
        command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(procs).args(words);
        command
    }

    pub(crate) fn press(&self, kind: &Value) -> Press {
        Press::spawn(self.command(&[AGENT, "press", &spec(kind)]))
    }
}

impl Drop for Cgroup {
    /// Once the last of its processes is gone from the kernel's books.
    fn drop(&mut self) {
        let begun = Instant::now();
        while self.directory.exists() && fs::remove_dir(&self.directory).is_err() && begun.elapsed() < PATIENCE {}
    }
}

/// Runs a test on a tmpfs of 16 MiB that nobody else sees, or says aloud why not.
pub(crate) fn on_a_small_disk(body: impl FnOnce(&Path) + Send + 'static) {
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: needs root to mount a file system");
        return;
    }
    let test = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(&["--make-rprivate", "/"]);
        // Mounted over a directory that exists everywhere: what is there stays hidden until the namespace goes.
        mount(&["-t", "tmpfs", "-o", "size=16m", "tmpfs", "/mnt"]);
        body(Path::new("/mnt"));
    });
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
}

fn mount(arguments: &[&str]) {
    assert!(Command::new("mount").args(arguments).status().unwrap().success(), "mount {arguments:?}");
}

/// What a process has of memory, in bytes, by the kernel's account.
pub(crate) fn resident(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// The time that a process's threads have had on a core, by the scheduler's account.
pub(crate) fn on_core(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanos = tasks.flatten().map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanos.sum())
}

/// How readily the kernel kills a process for memory.
pub(crate) fn badness(pid: u32) -> i32 {
    fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
}
