//! Conversations with whoever wants faults: one thread each, over a socket that only root may use.
//!
//! A fault lives no longer than the conversation that asked for it: its end, in whatever way, takes the fault back.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fuser::{INodeNo, Notifier};
use shakedown_line::{Heard, Lines, failure, malformed, request, said, unix_ns};

use crate::desk::Desk;
use crate::files::Nodes;
use crate::wire::{Answer, Applied, Beat, Effect, Event, Facts, Failure, FaultSpec, Line, MAX_LINE_BYTES, Mount, Op, Request, Reverted};

/// How long somebody who does not read is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
const PIECE: usize = 16 * 1024;
/// The way out for one who says what is no request.
const HINT: &str = "see `shakedown-disk --help` for what can be said";

/// What conversations are about.
pub(crate) struct House {
    pub(crate) desk: Arc<Desk>,
    pub(crate) rooms: Vec<Room>,
}

/// One mounted directory.
pub(crate) struct Room {
    pub(crate) mount: Mount,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) notifier: Notifier,
}

/// Answers whoever connects, for ever.
pub(crate) fn listen(listener: &UnixListener, house: &Arc<House>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        let house = Arc::clone(house);
        // Who cannot be served is hung up on, and sees it.
        let _ = thread::Builder::new().name("talk".to_owned()).spawn(move || Talk::hold(&house, stream));
    }
}

struct Talk<'a> {
    house: &'a House,
    stream: UnixStream,
    lines: Lines,
    /// The faults of this conversation, and when each expires.
    faults: BTreeMap<String, Instant>,
}

impl Talk<'_> {
    fn hold(house: &House, stream: UnixStream) {
        let mut talk = Talk { house, stream, lines: Lines::new(MAX_LINE_BYTES), faults: BTreeMap::new() };
        let _ = talk.converse();
        for name in std::mem::take(&mut talk.faults).into_keys() {
            let reverted = house.revert(&name);
            let _ = talk.say(&Line::event(Event::TakenBack(reverted)));
        }
    }

    fn converse(&mut self) -> io::Result<()> {
        self.stream.set_write_timeout(Some(PATIENCE))?;
        let mut buffer = [0; PIECE];
        loop {
            let read = self.read(&mut buffer)?;
            self.expire()?;
            match read {
                None => {}
                Some(0) => {
                    let last = self.lines.end();
                    return self.reply(last);
                }
                Some(length) => {
                    let heard = self.lines.feed(&buffer[..length]);
                    self.reply(heard)?;
                }
            }
        }
    }

    /// Waits for bytes, but not longer than until a fault expires: then there are none to speak of.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let left = self.faults.values().min().map(|due| due.saturating_duration_since(Instant::now()));
        self.stream.set_read_timeout(left.map(|left| left.max(Duration::from_millis(1))))?;
        match self.stream.read(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn reply(&mut self, heard: Vec<Heard>) -> io::Result<()> {
        for line in heard {
            let reply = match line {
                Heard::Line(line) if line.trim_ascii().is_empty() => continue,
                Heard::Line(line) => self.answer(&line),
                Heard::TooLong => Line::reply(None, Err(malformed("the line is longer than 64 KiB", HINT))),
            };
            self.say(&reply)?;
        }
        Ok(())
    }

    fn expire(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let expired: Vec<String> = self.faults.iter().filter(|(_, due)| **due <= now).map(|(name, _)| name.clone()).collect();
        for name in expired {
            self.faults.remove(&name);
            let reverted = self.house.revert(&name);
            self.say(&Line::event(Event::Expired(reverted)))?;
        }
        Ok(())
    }

    fn answer(&mut self, line: &[u8]) -> Line {
        let (id, request) = request(line, HINT);
        Line::reply(id, request.and_then(|request| self.obey(request)))
    }

    fn obey(&mut self, request: Request) -> Result<Answer, Failure> {
        match request {
            Request::Facts { .. } => Ok(Answer::Facts(self.house.facts())),
            Request::Apply { fault, .. } => self.apply(&fault).map(Answer::Applied),
            Request::Dose { name, .. } => self.house.desk.dose(&name).map(Answer::Dose),
            Request::Revert { name, .. } => {
                self.faults.remove(&name);
                Ok(Answer::Reverted(self.house.revert(&name)))
            }
            Request::Beat { .. } => Ok(Answer::Beat(Beat { at_unix_ns: unix_ns(), faults: self.house.desk.names() })),
        }
    }

    fn apply(&mut self, fault: &FaultSpec) -> Result<Applied, Failure> {
        let begun = Instant::now();
        self.house.apply(fault)?;
        let ttl = Duration::from_millis(fault.ttl_ms);
        self.faults.insert(fault.name.clone(), begun + ttl);
        Ok(Applied::now(&fault.name, "FUSE over the directory, in the service's mount namespace", ttl, begun))
    }

    fn say(&mut self, line: &Line) -> io::Result<()> {
        self.stream.write_all(&said(line)?)
    }
}

impl House {
    fn facts(&self) -> Facts {
        Facts { pid: std::process::id(), mounts: self.rooms.iter().map(|room| room.mount.clone()).collect() }
    }

    fn apply(&self, fault: &FaultSpec) -> Result<(), Failure> {
        let room = self.room(&fault.path).ok_or_else(|| {
            let known: Vec<&str> = self.rooms.iter().map(|room| room.mount.path.as_str()).collect();
            let message = format!("`{}` is not mounted", fault.path);
            failure("unknown_mount", message, format!("the directories are {}", known.join(", ")))
        })?;
        if fault.effect == (Effect::Short {}) && !room.mount.direct {
            // The kernel takes a short answer to a read of its page cache for the end of the file, and would believe it.
            return Err(failure(
                "unsupported",
                "reads go through the kernel's page cache here",
                "mount the directory with \"direct\":true",
            ));
        }
        self.desk.apply(fault)?;
        room.forget_cached(fault);
        Ok(())
    }

    fn revert(&self, name: &str) -> Reverted {
        let fault = self.desk.find(name);
        let reverted = self.desk.revert(name);
        if let Some(fault) = fault
            && let Some(room) = self.room(&fault.spec.path)
        {
            room.forget_cached(&fault.spec);
        }
        reverted
    }

    fn room(&self, path: &str) -> Option<&Room> {
        self.rooms.iter().find(|room| room.mount.path == path)
    }
}

impl Room {
    /// Throws out the kernel's copies, so that reads meet a fault that begins, and what a fault has spoiled does not outlive it.
    fn forget_cached(&self, fault: &FaultSpec) {
        if !fault.ops.contains(&Op::Read) {
            return;
        }
        for node in self.nodes.all() {
            // An inode that the kernel has dropped meanwhile has no copies.
            let _ = self.notifier.inval_inode(INodeNo(node.id), 0, 0);
        }
    }
}
