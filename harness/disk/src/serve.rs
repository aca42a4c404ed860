//! The file system as the kernel sees it: each request is put before the desk, done, and answered when the desk says.

mod attributes;
mod replies;

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno as Answered, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{AtFlags, Dir, DirEntry, FileType, SeekFrom, fstat, fstatvfs, readlinkat, seek, statat};
use rustix::io::Errno;

use crate::desk::{Desk, Verdict};
use crate::files::{Handles, Node, Nodes};
use crate::serve::attributes::{attributes, kind};
use crate::serve::replies::Refuse;
use crate::wire::{Mount, Op};
use crate::work::{self, Caller, Changes, Found, When, Xattr};

/// Largest write and read in one request: the kernel's own default would keep 16 MiB for each thread.
const REQUEST_BYTES: u32 = 256 * 1024;
/// Readahead and the like that may be under way before the kernel waits.
const BACKGROUND: u16 = 64;
const NEVER_USED_AGAIN: Generation = Generation(0);

/// One mounted directory.
pub(crate) struct Passage {
    mount: Mount,
    desk: Arc<Desk>,
    nodes: Arc<Nodes>,
    files: Handles<Open>,
    directories: Handles<Listing>,
    trust: Duration,
    /// Whether the kernel leaves the set-user-id bits of written files to us.
    strips: bool,
}

struct Open {
    node: Arc<Node>,
    file: OwnedFd,
}

struct Listing {
    node: Arc<Node>,
    directory: Mutex<(Dir, Option<u64>)>,
}

impl Passage {
    pub(crate) fn new(mount: &Mount, desk: &Arc<Desk>, nodes: &Arc<Nodes>) -> Self {
        let trust = Duration::from_millis(mount.cache_ms);
        let (files, directories, strips) = (Handles::new(), Handles::new(), false);
        Self { mount: mount.clone(), desk: Arc::clone(desk), nodes: Arc::clone(nodes), files, directories, trust, strips }
    }

    fn meet(&self, op: Op, bytes: u64, node: &Node) -> Verdict {
        self.desk.meet(&self.mount.path, op, bytes, &|| self.nodes.path_of(node))
    }

    /// What is the same for all: it meets the faults, is done or not, and is answered now or later.
    fn pass<R: Refuse, T: Send + 'static>(
        &self,
        (op, node): (Op, INodeNo),
        reply: R,
        work: impl FnOnce(&Arc<Node>) -> Result<T, Errno>,
        tell: impl FnOnce(R, T) + Send + 'static,
    ) {
        let node = match self.nodes.get(node.0) {
            Ok(node) => node,
            Err(error) => return reply.refuse(number(error)),
        };
        let verdict = self.meet(op, 0, &node);
        let outcome = match verdict.refuse {
            Some(errno) => Err(Answered::from_i32(errno)),
            None => work(&node).map_err(number),
        };
        self.desk.answer(verdict, move || match outcome {
            Ok(done) => tell(reply, done),
            Err(error) => reply.refuse(error),
        });
    }

    /// Tells of a node that was found or made.
    fn entry(&self) -> impl FnOnce(ReplyEntry, Found) + Send + 'static {
        let trust = self.trust;
        move |reply, (node, stat)| reply.entry(&trust, &attributes(node.id, &stat), NEVER_USED_AGAIN)
    }

    fn opened(&self) -> FopenFlags {
        if self.mount.direct { FopenFlags::FOPEN_DIRECT_IO } else { FopenFlags::empty() }
    }
}

fn number(error: Errno) -> Answered {
    Answered::from_i32(error.raw_os_error())
}

fn caller(request: &Request) -> Caller {
    Caller { uid: request.uid(), gid: request.gid() }
}

fn when(time: TimeOrNow) -> When {
    match time {
        TimeOrNow::Now => When::Now,
        TimeOrNow::SpecificTime(time) => When::At(time),
    }
}

/// What is not here the kernel does by itself: copy_file_range(2) as reads and writes, which meet their faults; locks; poll(2).
impl Filesystem for Passage {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        for wish in [InitFlags::FUSE_AUTO_INVAL_DATA, InitFlags::FUSE_PARALLEL_DIROPS, InitFlags::FUSE_ASYNC_DIO] {
            let _ = config.add_capabilities(wish);
        }
        // Otherwise every write(2) asks for `security.capability` first.
        self.strips = config.add_capabilities(InitFlags::FUSE_HANDLE_KILLPRIV_V2).is_ok();
        if self.mount.direct {
            let _ = config.add_capabilities(InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP);
        }
        let _ = config.set_max_write(REQUEST_BYTES);
        let _ = config.set_max_background(BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.pass((Op::Metadata, parent), reply, |parent| self.nodes.lookup(parent, name), self.entry());
    }

    fn forget(&self, _request: &Request, node: INodeNo, lookups: u64) {
        self.nodes.forget(node.0, lookups);
    }

    fn getattr(&self, _request: &Request, node: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        let (id, trust) = (node.0, self.trust);
        let tell = move |reply: ReplyAttr, stat| reply.attr(&trust, &attributes(id, &stat));
        self.pass((Op::Metadata, node), reply, |node| fstat(&node.fd), tell);
    }

    fn setattr(
        &self,
        _request: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _changed: Option<SystemTime>,
        handle: Option<FileHandle>,
        _created: Option<SystemTime>,
        _changed_macos: Option<SystemTime>,
        _backed_up: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changes = Changes { mode, uid, gid, size, accessed: accessed.map(when), modified: modified.map(when) };
        let (id, trust) = (node.0, self.trust);
        let tell = move |reply: ReplyAttr, stat| reply.attr(&trust, &attributes(id, &stat));
        let open = handle.and_then(|handle| self.files.get(handle.0).ok());
        self.pass((Op::Metadata, node), reply, |node| work::change(node, open.as_ref().map(|open| &open.file), &changes), tell);
    }

    fn readlink(&self, _request: &Request, node: INodeNo, reply: ReplyData) {
        let work = |node: &Arc<Node>| readlinkat(&node.fd, "", Vec::new());
        self.pass((Op::Metadata, node), reply, work, |reply, target| reply.data(target.as_bytes()));
    }

    fn mknod(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _umask: u32, device: u32, reply: ReplyEntry) {
        let work = |parent: &Arc<Node>| work::mknod(&self.nodes, parent, name, mode, device, caller(request));
        self.pass((Op::Metadata, parent), reply, work, self.entry());
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _umask: u32, reply: ReplyEntry) {
        let work = |parent: &Arc<Node>| work::mkdir(&self.nodes, parent, name, mode, caller(request));
        self.pass((Op::Metadata, parent), reply, work, self.entry());
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let work = |parent: &Arc<Node>| work::unlink(parent, name, AtFlags::empty());
        self.pass((Op::Metadata, parent), reply, work, |reply, ()| reply.ok());
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let work = |parent: &Arc<Node>| work::unlink(parent, name, AtFlags::REMOVEDIR);
        self.pass((Op::Metadata, parent), reply, work, |reply, ()| reply.ok());
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let work = |parent: &Arc<Node>| work::symlink(&self.nodes, parent, name, target.as_os_str(), caller(request));
        self.pass((Op::Metadata, parent), reply, work, self.entry());
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let work = |from: &Arc<Node>| work::rename(from, name, &*self.nodes.get(new_parent.0)?, new_name, flags.bits());
        self.pass((Op::Metadata, parent), reply, work, |reply, ()| reply.ok());
    }

    fn link(&self, _request: &Request, node: INodeNo, new_parent: INodeNo, new_name: &OsStr, reply: ReplyEntry) {
        let work = |node: &Arc<Node>| work::link(&self.nodes, node, &*self.nodes.get(new_parent.0)?, new_name);
        self.pass((Op::Metadata, node), reply, work, self.entry());
    }

    fn open(&self, _request: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let work = |node: &Arc<Node>| {
            let file = work::open_node(node, flags.0)?;
            Ok(self.files.add(Open { node: Arc::clone(node), file }))
        };
        let how = self.opened();
        self.pass((Op::Open, node), reply, work, move |reply, handle| reply.opened(FileHandle(handle), how));
    }

    fn create(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _umask: u32, flags: i32, reply: ReplyCreate) {
        let work = |parent: &Arc<Node>| {
            let (file, (node, stat)) = work::create(&self.nodes, parent, name, mode, flags, caller(request))?;
            let attributes = attributes(node.id, &stat);
            Ok((self.files.add(Open { node, file }), attributes))
        };
        let (how, trust) = (self.opened(), self.trust);
        self.pass((Op::Open, parent), reply, work, move |reply, (handle, attributes)| {
            reply.created(&trust, &attributes, NEVER_USED_AGAIN, FileHandle(handle), how);
        });
    }

    fn read(
        &self,
        _request: &Request,
        _node: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let open = match self.files.get(handle.0) {
            Ok(open) => open,
            Err(error) => return reply.error(number(error)),
        };
        let verdict = self.meet(Op::Read, u64::from(size), &open.node);
        let outcome = match verdict.refuse {
            Some(errno) => Err(Answered::from_i32(errno)),
            None => work::read(&open.file, offset, size as usize).map_err(number),
        };
        let outcome = outcome.map(|mut data| {
            verdict.spoil(&mut data);
            data
        });
        self.desk.answer(verdict, move || match outcome {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        });
    }

    fn write(
        &self,
        _request: &Request,
        _node: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        how: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let open = match self.files.get(handle.0) {
            Ok(open) => open,
            Err(error) => return reply.error(number(error)),
        };
        let verdict = self.meet(Op::Write, data.len() as u64, &open.node);
        let outcome = match verdict.refuse {
            Some(errno) => Err(Answered::from_i32(errno)),
            None => work::write(&open.file, offset, data).map_err(number),
        };
        if self.strips && how.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID) && outcome.is_ok() {
            let _ = work::strip_privileges(&open.node);
        }
        self.desk.answer(verdict, move || match outcome {
            Ok(written) => reply.written(written as u32),
            Err(error) => reply.error(error),
        });
    }

    fn release(
        &self,
        _request: &Request,
        _node: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.files.remove(handle.0);
        reply.ok();
    }

    fn fsync(&self, _request: &Request, node: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        let work = |_: &Arc<Node>| work::sync(&self.files.get(handle.0)?.file, data_only);
        self.pass((Op::Fsync, node), reply, work, |reply, ()| reply.ok());
    }

    fn opendir(&self, _request: &Request, node: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let work = |node: &Arc<Node>| {
            let directory = Dir::new(work::open_node(node, libc::O_RDONLY | libc::O_DIRECTORY)?)?;
            Ok(self.directories.add(Listing { node: Arc::clone(node), directory: Mutex::new((directory, Some(0))) }))
        };
        self.pass((Op::Open, node), reply, work, |reply, handle| reply.opened(FileHandle(handle), FopenFlags::empty()));
    }

    fn readdir(&self, _request: &Request, _node: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listing = match self.directories.get(handle.0) {
            Ok(listing) => listing,
            Err(error) => return reply.error(number(error)),
        };
        let verdict = self.meet(Op::Read, 0, &listing.node);
        let outcome = match verdict.refuse {
            Some(errno) => Err(Answered::from_i32(errno)),
            None => listing.fill(offset, &mut reply).map_err(number),
        };
        self.desk.answer(verdict, move || match outcome {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        });
    }

    fn releasedir(&self, _request: &Request, _node: INodeNo, handle: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        self.directories.remove(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _request: &Request, node: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        let work = |_: &Arc<Node>| {
            let listing = self.directories.get(handle.0)?;
            let open = listing.directory.lock().unwrap_or_else(PoisonError::into_inner);
            let directory = open.0.fd()?;
            if data_only { rustix::fs::fdatasync(directory) } else { rustix::fs::fsync(directory) }
        };
        self.pass((Op::Fsync, node), reply, work, |reply, ()| reply.ok());
    }

    fn statfs(&self, _request: &Request, node: INodeNo, reply: ReplyStatfs) {
        self.pass(
            (Op::Metadata, node),
            reply,
            |node| fstatvfs(&node.fd),
            |reply, found| {
                let (blocks, files) = ((found.f_blocks, found.f_bfree, found.f_bavail), (found.f_files, found.f_ffree));
                let (size, name, fragment) = (found.f_bsize as u32, found.f_namemax as u32, found.f_frsize as u32);
                reply.statfs(blocks.0, blocks.1, blocks.2, files.0, files.1, size, name, fragment);
            },
        );
    }

    fn setxattr(&self, _request: &Request, node: INodeNo, name: &OsStr, value: &[u8], flags: i32, _position: u32, reply: ReplyEmpty) {
        self.pass((Op::Metadata, node), reply, |node| work::set_xattr(node, name, value, flags), |reply, ()| reply.ok());
    }

    fn getxattr(&self, _request: &Request, node: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        self.pass((Op::Metadata, node), reply, |node| work::get_xattr(node, name, size as usize), tell_xattr);
    }

    fn listxattr(&self, _request: &Request, node: INodeNo, size: u32, reply: ReplyXattr) {
        self.pass((Op::Metadata, node), reply, |node| work::list_xattr(node, size as usize), tell_xattr);
    }

    fn removexattr(&self, _request: &Request, node: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.pass((Op::Metadata, node), reply, |node| work::remove_xattr(node, name), |reply, ()| reply.ok());
    }

    fn fallocate(&self, _request: &Request, node: INodeNo, handle: FileHandle, offset: u64, length: u64, mode: i32, reply: ReplyEmpty) {
        let work = |_: &Arc<Node>| work::allocate(&self.files.get(handle.0)?.file, mode, offset, length);
        self.pass((Op::Write, node), reply, work, |reply, ()| reply.ok());
    }

    fn lseek(&self, _request: &Request, node: INodeNo, handle: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let work = |_: &Arc<Node>| {
            let from = u64::try_from(offset).map_err(|_| Errno::NXIO)?;
            let target = match whence {
                libc::SEEK_DATA => SeekFrom::Data(from),
                libc::SEEK_HOLE => SeekFrom::Hole(from),
                _ => return Err(Errno::INVAL),
            };
            seek(&self.files.get(handle.0)?.file, target)
        };
        self.pass((Op::Metadata, node), reply, work, |reply, offset| reply.offset(offset.cast_signed()));
    }
}

fn tell_xattr(reply: ReplyXattr, found: Xattr) {
    match found {
        Xattr::Length(length) => reply.size(length as u32),
        Xattr::Value(value) => reply.data(&value),
    }
}

impl Listing {
    /// Not every file system keeps it with the name.
    fn kind_of(&self, entry: &DirEntry) -> FileType {
        let asked =
            || statat(&self.node.fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW).map(|stat| FileType::from_raw_mode(stat.st_mode));
        Some(entry.file_type()).filter(|kind| *kind != FileType::Unknown).or_else(|| asked().ok()).unwrap_or(FileType::Unknown)
    }

    /// Puts entries behind `offset` into a reply until it is full.
    fn fill(&self, offset: u64, reply: &mut ReplyDirectory) -> Result<(), Errno> {
        let mut guard = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        let (directory, at) = &mut *guard;
        if *at != Some(offset) || offset == 0 {
            directory.seek(offset.cast_signed())?;
        }
        *at = Some(offset);
        while let Some(entry) = directory.read().transpose()? {
            let (node, next) = (INodeNo(entry.ino()), entry.offset().cast_unsigned());
            let kind = kind(self.kind_of(&entry));
            if reply.add(node, next, kind, OsStr::from_bytes(entry.file_name().to_bytes())) {
                *at = None;
                break;
            }
            *at = Some(next);
        }
        Ok(())
    }
}
