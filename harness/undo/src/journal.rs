//! The undo journal of one run: an append-only file of JSON lines, and a lock on it that says whether the run is alive.
//!
//! It knows how to remember; it does not know how anything is taken back.

use crate::{
    change::Undo,
    record::{self, Unread},
};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Proof that an undo is on disk. Settle it when the change has been taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    number: u64,
}

/// A place in the journal: what is noted later can be taken back without what was noted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be made, opened, written or synced.
    #[error("could not {what} the undo journal {}: {source}; nothing was changed, free disk space or fix permissions and try again", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// The journal.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process holds it.
    #[error("the undo journal {} belongs to a run that is still alive; stop that run first", path.display())]
    OwnerAlive {
        /// The journal.
        path: PathBuf,
    },
    /// The file exists and is not a journal.
    #[error("{} is not an undo journal: its first line names no run", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
}

/// The undo journal of one run. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    run: String,
    unread: Vec<Unread>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    /// Holds the exclusive lock for as long as it is open; the kernel releases it when its process dies.
    file: File,
    pending: BTreeMap<u64, Undo>,
    last: u64,
    /// An earlier write stopped in the middle of a line.
    torn: bool,
}

impl Journal {
    /// Makes a new journal for the run `run`. Both the file and its name are on disk when this returns.
    pub fn create(path: &Path, run: &str) -> Result<Journal, JournalError> {
        let io = |what| move |source| JournalError::Io { what, path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create_new(true).open(path).map_err(io("create"))?;
        lock(&file, path)?;
        file.write_all(&record::head_line(run)).map_err(io("write"))?;
        file.sync_all().map_err(io("sync"))?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent).and_then(|directory| directory.sync_all()).map_err(io("sync the directory of"))?;
        }
        let inner = Inner { file, pending: BTreeMap::new(), last: 0, torn: false };
        Ok(Journal { path: path.to_owned(), run: run.to_owned(), unread: Vec::new(), inner: Arc::new(Mutex::new(inner)) })
    }

    /// Opens the journal of a run that died, to recover it. Refused while the run is alive. A torn tail is cut off.
    pub fn open(path: &Path) -> Result<Journal, JournalError> {
        let io = |what| move |source| JournalError::Io { what, path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(io("open"))?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let reading = record::read(&bytes);
        let run = match reading.run {
            Some(run) => run,
            // The run died while it wrote the first line: it cannot have intended anything.
            None if reading.pending.is_empty() && reading.unread.is_empty() => String::new(),
            None => return Err(JournalError::NotAJournal { path: path.to_owned() }),
        };
        if reading.sound_length < bytes.len() {
            file.set_len(reading.sound_length as u64).map_err(io("cut the torn tail of"))?;
        }
        let inner = Inner { file, pending: reading.pending, last: reading.last, torn: reading.lacks_newline };
        Ok(Journal { path: path.to_owned(), run, unread: reading.unread, inner: Arc::new(Mutex::new(inner)) })
    }

    /// Whether the process that owns the journal at `path` is alive. A file that is not there has no owner.
    pub fn owner_alive(path: &Path) -> Result<bool, JournalError> {
        let io = |source| JournalError::Io { what: "open", path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// Notes the way back. When this returns it is on disk, and the change may be made.
    ///
    /// Not cancel-safe in the sense that a dropped call may still have noted the undo; that is harmless, undos are idempotent.
    pub async fn intend(&self, undo: Undo) -> Result<Ticket, JournalError> {
        let first = self.append(vec![undo]).await?;
        Ok(Ticket { number: first })
    }

    /// Notes several ways back with a single sync of the disk.
    pub async fn intend_all(&self, undos: Vec<Undo>) -> Result<Vec<Ticket>, JournalError> {
        let count = undos.len() as u64;
        if count == 0 {
            return Ok(Vec::new());
        }
        let first = self.append(undos).await?;
        Ok((first..first + count).map(|number| Ticket { number }).collect())
    }

    /// Notes that the change is taken back. Settling twice is harmless.
    ///
    /// This is not synced: a settlement that is lost only makes recovery revert once more.
    pub fn settle(&self, ticket: &Ticket) -> Result<(), JournalError> {
        self.settle_number(ticket.number)
    }

    /// What is intended and not settled, newest first.
    pub fn pending(&self) -> Vec<(u64, Undo)> {
        self.pending_since(Mark(0))
    }

    /// The same, of what was noted after `mark`.
    pub fn pending_since(&self, mark: Mark) -> Vec<(u64, Undo)> {
        let inner = held(&self.inner);
        inner.pending.range(mark.0 + 1..).rev().map(|(number, undo)| (*number, undo.clone())).collect()
    }

    /// Here. Ask when nobody is noting anything: what is being noted at this moment may come before or after.
    pub fn mark(&self) -> Mark {
        Mark(held(&self.inner).last)
    }

    /// Lines in the middle of the file that could not be read: undos may be lost in them, so say so.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// Id of the run; empty where the run died before it could write it.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn settle_number(&self, number: u64) -> Result<(), JournalError> {
        let mut inner = held(&self.inner);
        if !inner.pending.contains_key(&number) {
            return Ok(());
        }
        inner.write(&record::settle_line(number)).map_err(|source| self.io("write", source))?;
        inner.pending.remove(&number);
        Ok(())
    }

    async fn append(&self, undos: Vec<Undo>) -> Result<u64, JournalError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || held(&inner).intend(undos))
            .await
            .map_err(|stopped| self.io("write", io::Error::other(stopped)))?
            .map_err(|source| self.io("write", source))
    }

    fn io(&self, what: &'static str, source: io::Error) -> JournalError {
        JournalError::Io { what, path: self.path.clone(), source }
    }
}

impl Inner {
    /// Writes and syncs; gives the number of the first. They are pending also where the write fails: it may have reached the disk.
    fn intend(&mut self, undos: Vec<Undo>) -> io::Result<u64> {
        let first = self.last + 1;
        let mut bytes = Vec::new();
        for (number, undo) in (first..).zip(undos) {
            bytes.extend(record::intend_line(number, &undo)?);
            self.pending.insert(number, undo);
            self.last = number;
        }
        self.write(&bytes)?;
        self.file.sync_data()?;
        Ok(first)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
        }
        self.torn = true;
        self.file.write_all(bytes)?;
        self.torn = false;
        Ok(())
    }
}

/// A panic while the lock was held cannot leave the map half changed: every change to it is one call.
fn held(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(JournalError::OwnerAlive { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(JournalError::Io { what: "lock", path: path.to_owned(), source }),
    }
}
