//! A process that a fault is done to: this test binary once more, which does what it is told over a pipe.
//!
//! Each test binary that uses it has a test named `victim` that calls [`serve`].

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "as in any test: the settings in clippy.toml see only #[test]")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};

const SIGN: &str = "SHAKEDOWN_VICTIM";
/// Before what it says, since the test harness talks too.
const PREFIX: &str = "victim says ";
/// What a clock may be off that is right: the readings are not taken at the same moment, and the machine is busy.
const SLACK: Duration = Duration::from_millis(50);

/// The other end.
pub struct Victim {
    pub child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Victim {
    /// In a process group of its own.
    pub fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["victim", "--exact", "--nocapture", "--test-threads=1"]).env(SIGN, "1");
        Self::run(command, 0)
    }

    /// As another user than the agent.
    pub fn start_as(user: u32) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["victim", "--exact", "--nocapture", "--test-threads=1"]).env(SIGN, "1").uid(user).gid(user);
        Self::run(command, 0)
    }

    /// A program in a process group, 0 for its own.
    pub fn run(mut command: Command, group: i32) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(group).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Says a line and hears one.
    pub fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear()
    }

    pub fn tell(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "the victim has died: {:?}", self.child.wait());
            if let Some((_, said)) = line.trim_end().split_once(PREFIX) {
                return said.to_owned();
            }
        }
    }

    /// Says a line to a program that is no victim of ours, and hears one.
    pub fn ask_stranger(&mut self, line: &str) -> String {
        self.tell(line);
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// How far a clock of the victim is off, in microseconds.
    pub fn skew(&mut self, clock: &str) -> i64 {
        let id = if clock == "wall" { ClockId::CLOCK_REALTIME } else { ClockId::CLOCK_MONOTONIC };
        let before = micros(id);
        let told: i64 = self.ask(clock).parse().unwrap();
        if told < before { told - before } else { (told - micros(id)).max(0) }
    }

    /// That its wall clock is off by so much, and its monotonic clock not at all.
    pub fn assert_skew(&mut self, offset_us: i64) {
        let (wall, monotonic) = (self.skew("wall"), self.skew("monotonic"));
        assert!(wall.abs_diff(offset_us) <= SLACK.as_micros() as u64, "the wall clock is {wall} us off and not {offset_us}");
        assert!(monotonic.unsigned_abs() <= SLACK.as_micros() as u64, "the monotonic clock is {monotonic} us off");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of a process's vDSO.
pub fn vdso(pid: &str) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap();
    let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    let mut bytes = vec![0; (number(end) - number(start)) as usize];
    File::open(format!("/proc/{pid}/mem")).unwrap().read_exact_at(&mut bytes, number(start)).unwrap();
    bytes
}

fn micros(clock: ClockId) -> i64 {
    let time = clock_gettime(clock).unwrap();
    time.tv_sec() * 1_000_000 + time.tv_nsec() / 1_000
}

/// What the test named `victim` does: nothing, unless it was started as one.
pub fn serve() {
    if std::env::var_os(SIGN).is_none() {
        return;
    }
    let (mut files, mut hammer, mut children) = (Vec::new(), None, Vec::new());
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["wall"] => micros(ClockId::CLOCK_REALTIME).to_string(),
            ["monotonic"] => micros(ClockId::CLOCK_MONOTONIC).to_string(),
            ["open"] => File::open("/dev/null").map(|file| files.push(file)).map_or_else(|error| error.to_string(), |()| "ok".to_owned()),
            ["limit"] => getrlimit(Resource::RLIMIT_NOFILE).unwrap().0.to_string(),
            ["limit", soft] => {
                let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
                setrlimit(Resource::RLIMIT_NOFILE, soft.parse().unwrap(), hard).map_or_else(|error| error.to_string(), |()| "ok".to_owned())
            }
            ["child"] => {
                let child = Command::new("/usr/bin/busybox").args(["sleep", "1000"]).spawn().unwrap();
                children.push(child);
                children.last().unwrap().id().to_string()
            }
            ["hammer", offset_us] => {
                hammer = Some(Hammer::start(offset_us.parse().unwrap()));
                "ok".to_owned()
            }
            ["rest"] => hammer.take().map(Hammer::stop).unwrap(),
            _ => panic!("{line}"),
        };
        println!("{PREFIX}{answer}");
    }
    for mut child in children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Threads that do nothing but read clocks, and make sure that each reading is right or off by the one offset.
struct Hammer {
    stop: Arc<AtomicBool>,
    right: Arc<AtomicU64>,
    off: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Hammer {
    fn start(offset_us: i64) -> Self {
        let (stop, right, off) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (begun, origin) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        let threads = (0..3).map(|_| {
            let (stop, right, off) = (Arc::clone(&stop), Arc::clone(&right), Arc::clone(&off));
            std::thread::spawn(move || {
                let mut last = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    let now = Instant::now();
                    assert!(now >= last, "the monotonic clock went backwards");
                    last = now;
                    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                    let late = begun.elapsed();
                    let earliest = (origin + (now - begun)).as_micros() as i64;
                    let latest = (origin + late).as_micros() as i64;
                    let wall = wall.as_micros() as i64;
                    let within = |offset: i64| {
                        let slack = SLACK.as_micros() as i64;
                        (earliest + offset - slack..=latest + offset + slack).contains(&wall)
                    };
                    let count = if within(0) { &right } else { &off };
                    assert!(within(0) || within(offset_us), "the wall clock says {wall} at {earliest}");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let threads = threads.collect();
        Self { stop, right, off, threads }
    }

    /// How many readings were right and how many off.
    fn stop(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        format!("{} {}", self.right.load(Ordering::Relaxed), self.off.load(Ordering::Relaxed))
    }
}
