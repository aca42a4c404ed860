//! A world for one test: a network namespace of its own, joined by a cable to the namespace of the far end.
//!
//! A namespace belongs to a thread here. The test's body runs in a thread that has left the machine's namespace, and so
//! do the processes it spawns; nothing the tests do is visible outside, and the kernel removes both namespaces when the
//! last socket and thread in them are gone. It knows nothing of the agent: the relay's tests live in it too.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, gettid};

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
