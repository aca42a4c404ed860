//! Files without a name: they are gone when the process is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use shakedown_line::invalid;

use super::sys::{self, Room};
use crate::wire::Failure;

/// Tells the names of one process's files apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A new file in a directory. Where the file system has no `O_TMPFILE`, it has a name for some microseconds.
pub(super) fn file(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.clone().custom_flags(libc::O_TMPFILE).open(directory) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL | libc::ENOSYS)) => {}
        other => return other,
    }
    let name = format!(".shakedown-press-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = directory.join(name);
    let file = options.create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// The same, with the room there is on its file system.
pub(super) fn file_and_room(directory: &Path) -> Result<(File, Room), Failure> {
    let found = file(directory).and_then(|file| sys::room(&file).map(|room| (file, room)));
    found.map_err(|error| {
        let hint = "a directory that exists in the service and that the agent may write to";
        invalid(format!("no file can be made in {}: {error}", directory.display()), hint)
    })
}
