//! What the kernel holds of the directory beneath: its inodes by number, its open files by handle. Each is a descriptor of our own.
//!
//! An inode is known by a descriptor without access (`O_PATH`), not by a path: names may change and files may be removed while somebody
//! has them open. While it is known, its number cannot be given to another file.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustix::fs::{Mode, OFlags, Stat, fstat, openat, readlink};
use rustix::io::Errno;

/// FUSE's number of the mounted directory itself.
pub(crate) const ROOT: u64 = 1;
/// Numbers of our own, for files beneath another mount below ours, and for inode 1.
const FOREIGN: u64 = 1 << 63;

/// A file, directory, link, … that the kernel knows.
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) fd: OwnedFd,
    key: Key,
}

/// Device and inode.
type Key = (u64, u64);

/// All nodes of one mount.
pub(crate) struct Nodes {
    root: Arc<Node>,
    /// Of the directory in the server's mount namespace, as `/proc/self/fd` says it; paths of nodes begin with it.
    prefix: Vec<u8>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<u64, (Arc<Node>, u64)>,
    by_key: HashMap<Key, u64>,
    foreign: u64,
}

impl Nodes {
    /// Of the directory that was opened before anything was mounted over it.
    pub(crate) fn new(root: OwnedFd) -> Result<Self, Errno> {
        let key = key(&fstat(&root)?);
        let prefix = readlink(proc_path(&root), Vec::new())?.into_bytes();
        Ok(Self { root: Arc::new(Node { id: ROOT, fd: root, key }), prefix, table: Mutex::default() })
    }

    pub(crate) fn get(&self, id: u64) -> Result<Arc<Node>, Errno> {
        if id == ROOT {
            return Ok(Arc::clone(&self.root));
        }
        self.table().by_id.get(&id).map(|(node, _)| Arc::clone(node)).ok_or(Errno::STALE)
    }

    /// Finds a name, and counts that the kernel has been told.
    pub(crate) fn lookup(&self, parent: &Node, name: &std::ffi::OsStr) -> Result<(Arc<Node>, Stat), Errno> {
        let fd = openat(&parent.fd, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let stat = fstat(&fd)?;
        Ok((self.table().know(fd, key(&stat), self.root.key.0), stat))
    }

    /// Counts that the kernel has been told of a node that it knew before.
    pub(crate) fn again(&self, node: &Node) {
        if let Some((_, lookups)) = self.table().by_id.get_mut(&node.id) {
            *lookups += 1;
        }
    }

    pub(crate) fn forget(&self, id: u64, lookups: u64) {
        let mut table = self.table();
        let Some((node, known)) = table.by_id.get_mut(&id) else { return };
        *known = known.saturating_sub(lookups);
        if *known == 0 {
            let key = node.key;
            table.by_id.remove(&id);
            table.by_key.remove(&key);
        }
    }

    /// Of a node, relative to the mount; of a removed file the path that it had.
    pub(crate) fn path_of(&self, node: &Node) -> Vec<u8> {
        let path = readlink(proc_path(&node.fd), Vec::new()).map(std::ffi::CString::into_bytes).unwrap_or_default();
        let path = path.strip_suffix(b" (deleted)").unwrap_or(&path);
        let inside = path.strip_prefix(self.prefix.as_slice()).unwrap_or(path);
        inside.strip_prefix(b"/").unwrap_or(inside).to_vec()
    }

    /// All that the kernel knows, for throwing out what it has cached of them.
    pub(crate) fn all(&self) -> Vec<Arc<Node>> {
        self.table().by_id.values().map(|(node, _)| Arc::clone(node)).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn know(&mut self, fd: OwnedFd, key: Key, home: u64) -> Arc<Node> {
        if let Some((node, lookups)) = self.by_key.get(&key).and_then(|id| self.by_id.get_mut(id)) {
            *lookups += 1;
            return Arc::clone(node);
        }
        let id = if key.0 == home && key.1 > ROOT && key.1 < FOREIGN { key.1 } else { self.next_foreign() };
        let node = Arc::new(Node { id, fd, key });
        self.by_key.insert(key, id);
        self.by_id.insert(id, (Arc::clone(&node), 1));
        node
    }

    fn next_foreign(&mut self) -> u64 {
        self.foreign += 1;
        FOREIGN | self.foreign
    }
}

fn key(stat: &Stat) -> Key {
    (stat.st_dev, stat.st_ino)
}

/// Leads to what a descriptor without access is of: opening it anew, its attributes, another name for it.
pub(crate) fn proc_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// What is open, by the number that the kernel was given for it.
pub(crate) struct Handles<T> {
    open: RwLock<HashMap<u64, Arc<T>>>,
    next: AtomicU64,
}

impl<T> Handles<T> {
    pub(crate) fn new() -> Self {
        Self { open: RwLock::default(), next: AtomicU64::new(1) }
    }

    pub(crate) fn add(&self, what: T) -> u64 {
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(handle, Arc::new(what));
        handle
    }

    pub(crate) fn get(&self, handle: u64) -> Result<Arc<T>, Errno> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&handle).cloned().ok_or(Errno::BADF)
    }

    pub(crate) fn remove(&self, handle: u64) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::ffi::OsStr;

    fn nodes(directory: &std::path::Path) -> Nodes {
        Nodes::new(openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()).unwrap()
    }

    #[test]
    fn two_names_of_a_file_are_one_node_which_is_forgotten_when_all_its_lookups_are() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "x").unwrap();
        std::fs::hard_link(directory.path().join("a"), directory.path().join("b")).unwrap();
        let nodes = nodes(directory.path());
        let root = nodes.get(ROOT).unwrap();
        let (first, stat) = nodes.lookup(&root, OsStr::new("a")).unwrap();
        let (second, _) = nodes.lookup(&root, OsStr::new("b")).unwrap();
        assert_eq!((first.id, second.id), (stat.st_ino, stat.st_ino));
        nodes.forget(first.id, 1);
        assert!(nodes.get(first.id).is_ok());
        nodes.forget(first.id, 1);
        assert_eq!(nodes.get(first.id).err(), Some(Errno::STALE));
        assert!(nodes.all().is_empty());
    }

    #[test]
    fn a_removed_file_has_the_path_that_it_had() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("sub")).unwrap();
        std::fs::write(directory.path().join("sub/1.wal"), "x").unwrap();
        let nodes = nodes(directory.path());
        let (sub, _) = nodes.lookup(&nodes.get(ROOT).unwrap(), OsStr::new("sub")).unwrap();
        let (file, _) = nodes.lookup(&sub, OsStr::new("1.wal")).unwrap();
        assert_eq!(nodes.path_of(&file), b"sub/1.wal");
        std::fs::remove_file(directory.path().join("sub/1.wal")).unwrap();
        assert_eq!(nodes.path_of(&file), b"sub/1.wal");
        assert_eq!(nodes.path_of(&nodes.get(ROOT).unwrap()), b"");
    }
}
