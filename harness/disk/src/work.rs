//! The operations themselves, done to the directory beneath as root; whether the caller may is asked by the kernel before
//! (`default_permissions`). Knows no faults and no FUSE.
//!
//! What libfuse's passthrough_ll and virtiofsd learned about descriptors without access is followed here: files are opened anew through
//! `/proc/self/fd`, and symbolic links go apart because that path cannot tell them from what they point to.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid,
    XattrFlags, chmodat, chownat, fallocate, fchmod, fchown, fdatasync, fstat, fsync, ftruncate, linkat, mkdirat, mknodat, open, openat,
    removexattr, renameat_with, symlinkat, unlinkat, utimensat,
};
use rustix::io::{Errno, pread, pwrite};

use crate::files::{Node, Nodes, proc_path};

type Outcome<T> = Result<T, Errno>;
pub(crate) type Found = (Arc<Node>, Stat);

/// On whose behalf something is made: it becomes theirs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What setattr shall change.
#[derive(Debug, Default, Clone)]
pub(crate) struct Changes {
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) size: Option<u64>,
    pub(crate) accessed: Option<When>,
    pub(crate) modified: Option<When>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Now,
    At(SystemTime),
}

const SET_ID: u32 = 0o6000;

/// Opens what a node is of. `O_APPEND` is left to the kernel, which knows the offset, and may write a shared mapping back through any
/// handle; `O_DIRECT` too, since our buffers are not aligned to a disk's blocks.
pub(crate) fn open_node(node: &Node, flags: i32) -> Outcome<OwnedFd> {
    open(proc_path(&node.fd), kept(flags), Mode::empty())
}

fn kept(flags: i32) -> OFlags {
    let keep = OFlags::ACCMODE | OFlags::SYNC | OFlags::DSYNC | OFlags::TRUNC | OFlags::DIRECTORY;
    (OFlags::from_bits_retain(flags as u32) & keep) | OFlags::CLOEXEC
}

/// Makes a file, or opens the one that somebody else has just made.
pub(crate) fn create(nodes: &Nodes, parent: &Node, name: &OsStr, mode: u32, flags: i32, caller: Caller) -> Outcome<(OwnedFd, Found)> {
    let exclusive = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = match openat(&parent.fd, name, kept(flags) | exclusive, Mode::from_raw_mode(mode)) {
        Ok(file) => {
            give(parent, name, caller, || own(&file, parent, mode, caller))?;
            file
        }
        Err(Errno::EXIST) if flags & libc::O_EXCL == 0 => openat(&parent.fd, name, kept(flags) | OFlags::NOFOLLOW, Mode::empty())?,
        Err(error) => return Err(error),
    };
    Ok((file, nodes.lookup(parent, name)?))
}

/// Runs `own` unless the maker is who we are; what cannot be given to its maker is not made.
fn give(parent: &Node, name: &OsStr, caller: Caller, own: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    if (caller.uid, caller.gid) == (0, 0) {
        return Ok(());
    }
    own().inspect_err(|_| {
        let _ = unlinkat(&parent.fd, name, AtFlags::empty()).or_else(|_| unlinkat(&parent.fd, name, AtFlags::REMOVEDIR));
    })
}

fn own(file: &OwnedFd, parent: &Node, mode: u32, caller: Caller) -> Outcome<()> {
    fchown(file, Some(Uid::from_raw(caller.uid)), group(parent, caller)?)?;
    // chown(2) takes these away, also from root.
    if mode & SET_ID == 0 { Ok(()) } else { fchmod(file, Mode::from_raw_mode(mode)) }
}

/// In a directory with the set-group-id bit things belong to the directory's group already.
fn group(parent: &Node, caller: Caller) -> Outcome<Option<Gid>> {
    let inherits = fstat(&parent.fd)?.st_mode & libc::S_ISGID != 0;
    Ok((!inherits).then(|| Gid::from_raw(caller.gid)))
}

fn own_by_name(parent: &Node, name: &OsStr, caller: Caller) -> Outcome<()> {
    let (uid, gid) = (Some(Uid::from_raw(caller.uid)), group(parent, caller)?);
    chownat(&parent.fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
}

pub(crate) fn mkdir(nodes: &Nodes, parent: &Node, name: &OsStr, mode: u32, caller: Caller) -> Outcome<Found> {
    mkdirat(&parent.fd, name, Mode::from_raw_mode(mode))?;
    give(parent, name, caller, || own_by_name(parent, name, caller))?;
    nodes.lookup(parent, name)
}

pub(crate) fn mknod(nodes: &Nodes, parent: &Node, name: &OsStr, mode: u32, device: u32, caller: Caller) -> Outcome<Found> {
    mknodat(&parent.fd, name, FileType::from_raw_mode(mode), Mode::from_raw_mode(mode), u64::from(device))?;
    give(parent, name, caller, || {
        own_by_name(parent, name, caller)?;
        if mode & SET_ID == 0 { Ok(()) } else { chmodat(&parent.fd, name, Mode::from_raw_mode(mode), AtFlags::empty()) }
    })?;
    nodes.lookup(parent, name)
}

pub(crate) fn symlink(nodes: &Nodes, parent: &Node, name: &OsStr, target: &OsStr, caller: Caller) -> Outcome<Found> {
    symlinkat(target, &parent.fd, name)?;
    give(parent, name, caller, || own_by_name(parent, name, caller))?;
    nodes.lookup(parent, name)
}

pub(crate) fn link(nodes: &Nodes, node: &Arc<Node>, parent: &Node, name: &OsStr) -> Outcome<Found> {
    linkat(CWD, proc_path(&node.fd), &parent.fd, name, AtFlags::SYMLINK_FOLLOW)?;
    nodes.again(node);
    Ok((Arc::clone(node), fstat(&node.fd)?))
}

pub(crate) fn unlink(parent: &Node, name: &OsStr, flags: AtFlags) -> Outcome<()> {
    unlinkat(&parent.fd, name, flags)
}

pub(crate) fn rename(from: &Node, name: &OsStr, to: &Node, new_name: &OsStr, flags: u32) -> Outcome<()> {
    renameat_with(&from.fd, name, &to.fd, new_name, RenameFlags::from_bits_retain(flags))
}

pub(crate) fn change(node: &Node, file: Option<&OwnedFd>, changes: &Changes) -> Outcome<Stat> {
    let (uid, gid) = (changes.uid.map(Uid::from_raw), changes.gid.map(Gid::from_raw));
    if uid.is_some() || gid.is_some() {
        chownat(&node.fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
    }
    if let Some(mode) = changes.mode {
        chmodat(CWD, proc_path(&node.fd), Mode::from_raw_mode(mode), AtFlags::empty())?;
    }
    if let Some(size) = changes.size {
        match file {
            Some(file) => ftruncate(file, size)?,
            None => ftruncate(open_node(node, libc::O_WRONLY)?, size)?,
        }
        if changes.mode.is_none() {
            strip_privileges(node)?;
        }
    }
    if changes.accessed.is_some() || changes.modified.is_some() {
        set_times(node, changes)?;
    }
    fstat(&node.fd)
}

fn set_times(node: &Node, changes: &Changes) -> Outcome<()> {
    let times = Timestamps { last_access: timespec(changes.accessed), last_modification: timespec(changes.modified) };
    if is_symlink(node)? {
        utimensat(&node.fd, "", &times, AtFlags::EMPTY_PATH)
    } else {
        utimensat(CWD, proc_path(&node.fd), &times, AtFlags::empty())
    }
}

fn timespec(when: Option<When>) -> Timespec {
    match when {
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(When::Now) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(When::At(time)) => since_epoch(time),
    }
}

fn since_epoch(time: SystemTime) -> Timespec {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Timespec { tv_sec: after.as_secs().cast_signed(), tv_nsec: i64::from(after.subsec_nanos()) },
        Err(before) => {
            let before = before.duration();
            let borrowed = i64::from(before.subsec_nanos() > 0);
            let nanos = (1_000_000_000 - i64::from(before.subsec_nanos())) % 1_000_000_000;
            Timespec { tv_sec: -before.as_secs().cast_signed() - borrowed, tv_nsec: nanos }
        }
    }
}

pub(crate) fn system_time(seconds: i64, nanos: u64) -> SystemTime {
    let fraction = Duration::from_nanos(nanos);
    match u64::try_from(seconds) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds) + fraction,
        Err(_) => UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs()) + fraction,
    }
}

/// What the kernel would do to a file that somebody without privileges writes to: as root we would not trigger it.
pub(crate) fn strip_privileges(node: &Node) -> Outcome<()> {
    let mode = fstat(&node.fd)?.st_mode;
    let executable_by_group = mode & libc::S_IXGRP != 0;
    let takes = libc::S_ISUID | if executable_by_group { libc::S_ISGID } else { 0 };
    if mode & takes != 0 {
        chmodat(CWD, proc_path(&node.fd), Mode::from_raw_mode(mode & !takes), AtFlags::empty())?;
    }
    match removexattr(proc_path(&node.fd), "security.capability") {
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) fn read(file: &OwnedFd, offset: u64, size: usize) -> Outcome<Vec<u8>> {
    let mut data = Vec::with_capacity(size);
    // A disk may give less than there is; what is not at the end of a file must be whole.
    while data.len() < size {
        let at = offset + data.len() as u64;
        match pread(file, rustix::buffer::spare_capacity(&mut data), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) if data.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    data.truncate(size);
    Ok(data)
}

pub(crate) fn write(file: &OwnedFd, offset: u64, data: &[u8]) -> Outcome<usize> {
    let mut written = 0;
    while written < data.len() {
        match pwrite(file, &data[written..], offset + written as u64) {
            Ok(0) => break,
            Ok(length) => written += length,
            Err(Errno::INTR) => {}
            Err(error) if written == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(written)
}

pub(crate) fn sync(file: &OwnedFd, data_only: bool) -> Outcome<()> {
    if data_only { fdatasync(file) } else { fsync(file) }
}

pub(crate) fn allocate(file: &OwnedFd, mode: i32, offset: u64, length: u64) -> Outcome<()> {
    fallocate(file, FallocateFlags::from_bits_retain(mode as u32), offset, length)
}

/// The value, or nothing but its length if `size` is 0.
pub(crate) fn get_xattr(node: &Node, name: &OsStr, size: usize) -> Outcome<Xattr> {
    refuse_symlink(node)?;
    if size == 0 {
        return rustix::fs::getxattr_query(proc_path(&node.fd), name).map(Xattr::Length);
    }
    let mut value = Vec::with_capacity(size);
    rustix::fs::getxattr(proc_path(&node.fd), name, rustix::buffer::spare_capacity(&mut value))?;
    if value.len() > size { Err(Errno::RANGE) } else { Ok(Xattr::Value(value)) }
}

pub(crate) fn list_xattr(node: &Node, size: usize) -> Outcome<Xattr> {
    refuse_symlink(node)?;
    if size == 0 {
        return rustix::fs::listxattr_query(proc_path(&node.fd)).map(Xattr::Length);
    }
    let mut names = Vec::with_capacity(size);
    rustix::fs::listxattr(proc_path(&node.fd), rustix::buffer::spare_capacity(&mut names))?;
    if names.len() > size { Err(Errno::RANGE) } else { Ok(Xattr::Value(names)) }
}

pub(crate) fn set_xattr(node: &Node, name: &OsStr, value: &[u8], flags: i32) -> Outcome<()> {
    refuse_symlink(node)?;
    rustix::fs::setxattr(proc_path(&node.fd), name, value, XattrFlags::from_bits_retain(flags as u32))
}

pub(crate) fn remove_xattr(node: &Node, name: &OsStr) -> Outcome<()> {
    refuse_symlink(node)?;
    removexattr(proc_path(&node.fd), name)
}

pub(crate) enum Xattr {
    Length(usize),
    Value(Vec<u8>),
}

fn refuse_symlink(node: &Node) -> Outcome<()> {
    if is_symlink(node)? { Err(Errno::OPNOTSUPP) } else { Ok(()) }
}

fn is_symlink(node: &Node) -> Outcome<bool> {
    Ok(FileType::from_raw_mode(fstat(&node.fd)?.st_mode).is_symlink())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back_also_before_1970() {
        for (seconds, nanos) in [(0, 0), (1, 1), (-1, 999_999_999), (-1, 0), (-2, 5), (1_700_000_000, 123_456_789)] {
            let there = since_epoch(system_time(seconds, nanos));
            assert_eq!((there.tv_sec, there.tv_nsec as u64), (seconds, nanos));
        }
    }
}
