//! Without a fault the directory is what it was: the same operations, on the mount and on a plain directory, have the same outcome.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod stage;

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rustix::fs::{FallocateFlags, XattrFlags, fallocate};
use serde_json::json;
use stage::Stage;

/// What fsx does to a file.
#[derive(Debug, Clone)]
enum Step {
    Write(u64, usize, u8),
    Append(usize, u8),
    Read(u64, usize),
    Truncate(u64),
    Punch(u64, u64),
    Allocate(u64, u64),
    MapWrite(u64, usize, u8),
    MapRead(u64, usize),
    Copy(u64, u64, usize),
    Sync,
    Reopen,
    ReplaceByRename,
}

const SIZE: u64 = 96 * 1024;

fn step() -> impl Strategy<Value = Step> {
    let (at, length) = (0..SIZE, 1..20_000_usize);
    prop_oneof![
        4 => (at.clone(), length.clone(), any::<u8>()).prop_map(|(at, length, byte)| Step::Write(at, length, byte)),
        2 => (length.clone(), any::<u8>()).prop_map(|(length, byte)| Step::Append(length, byte)),
        4 => (at.clone(), length.clone()).prop_map(|(at, length)| Step::Read(at, length)),
        2 => (0..SIZE).prop_map(Step::Truncate),
        1 => (at.clone(), 1..SIZE).prop_map(|(at, length)| Step::Punch(at, length)),
        1 => (at.clone(), 1..SIZE).prop_map(|(at, length)| Step::Allocate(at, length)),
        2 => (at.clone(), length.clone(), any::<u8>()).prop_map(|(at, length, byte)| Step::MapWrite(at, length, byte)),
        2 => (at.clone(), length.clone()).prop_map(|(at, length)| Step::MapRead(at, length)),
        1 => (at.clone(), at, length).prop_map(|(from, to, length)| Step::Copy(from, to, length)),
        1 => Just(Step::Sync),
        1 => Just(Step::Reopen),
        1 => Just(Step::ReplaceByRename),
    ]
}

/// A file of a name, and a second descriptor that appends, as logs are written.
struct Subject {
    path: std::path::PathBuf,
    file: File,
    appending: File,
}

impl Subject {
    fn open(directory: &Path) -> Self {
        let path = directory.join("subject");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let appending = File::options().append(true).open(&path).unwrap();
        Self { path, file, appending }
    }

    fn contents(&self) -> Vec<u8> {
        let mut read = vec![0; self.file.metadata().unwrap().len() as usize];
        self.file.read_exact_at(&mut read, 0).unwrap();
        read
    }

    /// What it says, for comparison.
    fn take(&mut self, step: &Step) -> (Vec<u8>, u64) {
        let mut read = Vec::new();
        match *step {
            Step::Write(at, length, byte) => self.file.write_all_at(&vec![byte; length], at).unwrap(),
            Step::Append(length, byte) => self.appending.write_all(&vec![byte; length]).unwrap(),
            Step::Read(at, length) => {
                read.resize(length, 0);
                let length = self.file.read_at(&mut read, at).unwrap();
                read.truncate(length);
            }
            Step::Truncate(size) => self.file.set_len(size).unwrap(),
            Step::Punch(at, length) => {
                fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, length).unwrap();
            }
            Step::Allocate(at, length) => fallocate(&self.file, FallocateFlags::empty(), at, length).unwrap(),
            Step::MapWrite(at, length, byte) => self.mapped(at, length, |map| map.fill(byte)),
            Step::MapRead(at, length) => self.mapped(at, length, |map| read.extend_from_slice(map)),
            Step::Copy(from, to, length) => self.copy(from, to, length),
            Step::Sync => self.file.sync_all().unwrap(),
            Step::Reopen => *self = Self::open(self.path.parent().unwrap()),
            Step::ReplaceByRename => {
                let aside = self.path.with_extension("new");
                fs::write(&aside, self.contents()).unwrap();
                fs::rename(aside, &self.path).unwrap();
                *self = Self::open(self.path.parent().unwrap());
            }
        }
        (read, self.file.metadata().unwrap().len())
    }

    fn copy(&self, from: u64, to: u64, length: usize) {
        let size = self.file.metadata().unwrap().len();
        let length = length.min(size.saturating_sub(from) as usize).min(from.abs_diff(to) as usize);
        let (mut from, mut to) = (from, to);
        let copied = rustix::fs::copy_file_range(&self.file, Some(&mut from), &self.file, Some(&mut to), length);
        assert!(length == 0 || copied.unwrap() > 0);
    }

    /// The part of the file that is there, mapped shared.
    #[expect(unsafe_code, reason = "rustix cannot vouch for a mapping")]
    fn mapped(&self, at: u64, length: usize, work: impl FnOnce(&mut [u8])) {
        use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
        let size = self.file.metadata().unwrap().len() as usize;
        let end = (at as usize + length).min(size);
        if at as usize >= end {
            return;
        }
        // SAFETY: nobody truncates the file meanwhile, and the slice does not outlive the mapping.
        unsafe {
            let start = mmap(std::ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &self.file, 0).unwrap();
            work(&mut std::slice::from_raw_parts_mut(start.cast::<u8>(), size)[at as usize..end]);
            munmap(start, size).unwrap();
        }
    }
}

fn behaves_like_a_plain_directory(stage: &Stage, cases: u32) {
    let plain = tempfile::tempdir_in(stage.home()).unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&prop::collection::vec(step(), 1..60), |steps| {
        for directory in [&stage.over(), &plain.path().to_path_buf()] {
            let _ = fs::remove_file(directory.join("subject"));
        }
        let (mut ours, mut model) = (Subject::open(&stage.over()), Subject::open(plain.path()));
        for step in &steps {
            prop_assert!(ours.take(step) == model.take(step), "they differ after {:?}", step);
        }
        ours.file.sync_all().unwrap();
        prop_assert!(ours.contents() == model.contents());
        prop_assert!(fs::read(stage.beneath().join("subject")).unwrap() == model.contents());
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn any_sequence_of_steps_leaves_a_file_like_on_a_plain_directory() {
    behaves_like_a_plain_directory(&Stage::cached(), 150);
}

#[test]
fn also_when_no_read_is_served_from_the_page_cache() {
    behaves_like_a_plain_directory(&Stage::direct(), 100);
}

#[test]
fn also_when_the_kernel_may_trust_nothing() {
    behaves_like_a_plain_directory(&Stage::start(&json!({"cache_ms": 0}), ""), 50);
}

/// Everything that `ls -lR` would say, and contents.
fn description(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()).collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    for entry in names {
        let found = fs::symlink_metadata(entry.path()).unwrap();
        assert_eq!(entry.file_type().unwrap(), found.file_type());
        let (kind, mode, owner) = (found.file_type(), found.mode(), (found.uid(), found.gid()));
        let inside = match kind {
            kind if kind.is_file() => format!("{:?}", fs::read(entry.path()).unwrap()),
            kind if kind.is_symlink() => fs::read_link(entry.path()).unwrap().display().to_string(),
            kind if kind.is_dir() => format!("{:?}", description(&entry.path())),
            _ => String::new(),
        };
        let (links, times) = (found.nlink(), (found.mtime(), found.mtime_nsec()));
        lines.push(format!("{} {mode:o} {owner:?} {links} {times:?} {} {inside}", entry.file_name().display(), found.size()));
    }
    lines
}

#[test]
fn names_links_special_files_owners_and_times_are_those_beneath() {
    let stage = Stage::cached();
    let over = stage.over();
    fs::create_dir_all(over.join("a/b/c")).unwrap();
    fs::write(over.join("a/file"), "text").unwrap();
    fs::hard_link(over.join("a/file"), over.join("a/b/again")).unwrap();
    symlink("../file", over.join("a/b/link")).unwrap();
    symlink("/nowhere", over.join("dangling")).unwrap();
    fs::rename(over.join("a/b/c"), over.join("moved")).unwrap();
    fs::set_permissions(over.join("moved"), fs::Permissions::from_mode(0o2750)).unwrap();
    std::os::unix::fs::chown(over.join("a/file"), Some(1234), Some(4321)).unwrap();
    std::os::unix::fs::lchown(over.join("dangling"), Some(77), None).unwrap();
    File::open(over.join("a/file")).unwrap().set_modified(std::time::UNIX_EPOCH - std::time::Duration::from_millis(1500)).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, over.join("fifo"), rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(stage.beneath().join("socket")).unwrap();
    assert_eq!(description(&over), description(&stage.beneath()));
    assert!(fs::symlink_metadata(over.join("socket")).unwrap().file_type().is_socket());
    assert_eq!(fs::read(over.join("a/b/link")).unwrap(), b"text");
    assert_eq!(fs::metadata(over.join("a/file")).unwrap().ino(), fs::metadata(over.join("a/b/again")).unwrap().ino());
    let kind = |error: io::Error| error.raw_os_error().unwrap();
    assert_eq!(kind(fs::remove_dir(over.join("a")).unwrap_err()), libc::ENOTEMPTY);
    assert_eq!(kind(fs::create_dir(over.join("a")).unwrap_err()), libc::EEXIST);
    assert_eq!(kind(fs::read_link(over.join("a")).unwrap_err()), libc::EINVAL);
    assert_eq!(kind(File::open(over.join("none")).unwrap_err()), libc::ENOENT);
    fs::remove_dir_all(over.join("a")).unwrap();
    assert_eq!(description(&over), description(&stage.beneath()));
}

#[test]
fn a_large_directory_is_listed_whole_also_while_it_is_emptied() {
    let stage = Stage::cached();
    for number in 0..3_000 {
        fs::write(stage.beneath().join(format!("a-rather-long-name-of-a-file-{number}")), "").unwrap();
    }
    let listed: std::collections::BTreeSet<_> = fs::read_dir(stage.over()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(listed.len(), 3_000);
    for entry in fs::read_dir(stage.over()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(fs::read_dir(stage.beneath()).unwrap().count(), 0);
}

#[test]
fn a_removed_file_lives_as_long_as_it_is_open() {
    let stage = Stage::cached();
    let mut file = File::options().read(true).write(true).create_new(true).open(stage.over().join("gone")).unwrap();
    fs::remove_file(stage.over().join("gone")).unwrap();
    file.write_all(b"still here").unwrap();
    assert_eq!((file.metadata().unwrap().len(), file.metadata().unwrap().nlink()), (10, 0));
    file.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(io::read_to_string(&mut file).unwrap(), "still here");
}

#[test]
fn holes_are_found_and_extended_attributes_kept() {
    let stage = Stage::cached();
    let file = File::create(stage.over().join("sparse")).unwrap();
    file.set_len(1 << 20).unwrap();
    file.write_all_at(b"x", 512 * 1024).unwrap();
    assert_eq!(rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(0)), Ok(512 * 1024));
    assert_eq!(rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(0)), Ok(0));
    assert_eq!(rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(600 * 1024)), Err(rustix::io::Errno::NXIO));
    let (path, name) = (stage.over().join("sparse"), "user.colour");
    rustix::fs::setxattr(&path, name, b"blue", XattrFlags::CREATE).unwrap();
    assert_eq!(rustix::fs::setxattr(&path, name, b"red", XattrFlags::CREATE), Err(rustix::io::Errno::EXIST));
    let mut value = Vec::with_capacity(64);
    rustix::fs::getxattr(stage.beneath().join("sparse"), name, rustix::buffer::spare_capacity(&mut value)).unwrap();
    assert_eq!(value, b"blue");
    let mut small = [0; 2];
    assert_eq!(rustix::fs::getxattr(&path, name, &mut small), Err(rustix::io::Errno::RANGE));
    let mut names = Vec::with_capacity(1024);
    rustix::fs::listxattr(&path, rustix::buffer::spare_capacity(&mut names)).unwrap();
    assert!(names.windows(name.len()).any(|window| window == name.as_bytes()));
    rustix::fs::removexattr(&path, name).unwrap();
    assert_eq!(rustix::fs::getxattr(&path, name, &mut small), Err(rustix::io::Errno::NODATA));
}

#[test]
fn permissions_are_those_of_the_caller_and_what_one_makes_is_ones_own() {
    let stage = Stage::cached();
    let (over, shown) = (stage.over(), |name: &str| stage.beneath().join(name).to_str().unwrap().to_owned());
    fs::set_permissions(&over, fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(over.join("secret"), "root's").unwrap();
    fs::set_permissions(over.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!stage.run("nobody", &["cat", &shown("secret")]).status.success());
    assert!(!stage.run("nobody", &["rm", "-f", &shown("secret")]).status.success());
    stage.run_well("nobody", &["mkdir", "-m", "700", &shown("theirs")]);
    stage.run_well("nobody", &["sh", "-c", &format!("umask 027; echo x > {0}/a; ln -s a {0}/b; chmod 4755 {0}/a", shown("theirs"))]);
    let nobody = fs::symlink_metadata(over.join("theirs/a")).unwrap().uid();
    assert_ne!(nobody, 0);
    assert_eq!(fs::symlink_metadata(over.join("theirs/b")).unwrap().uid(), nobody);
    assert_eq!(fs::metadata(over.join("theirs/a")).unwrap().mode() & 0o7777, 0o4755);
    stage.run_well("nobody", &["sh", "-c", &format!("echo y >> {}/a", shown("theirs"))]);
    assert_eq!(fs::metadata(over.join("theirs/a")).unwrap().mode() & 0o7777, 0o755, "a write takes the set-user-id bit away");
}

#[test]
fn reads_and_writes_past_the_page_cache_work() {
    let stage = Stage::cached();
    let (inside, shown) = (stage.beneath(), |name: &str| stage.beneath().join(name).to_str().unwrap().to_owned());
    let bytes: Vec<u8> = (0..1_048_576_u32).map(|number| (number / 7) as u8).collect();
    fs::write(inside.join("from"), &bytes).unwrap();
    let (from, to) = (format!("if={}", shown("from")), format!("of={}", shown("to")));
    stage.run_well("root", &["dd", &from, &to, "bs=64k", "iflag=direct", "oflag=direct", "conv=fsync", "status=none"]);
    assert!(fs::read(inside.join("to")).unwrap() == bytes);
}

#[test]
fn locks_work_between_programs() {
    let stage = Stage::cached();
    let lock = stage.beneath().join("lock").to_str().unwrap().to_owned();
    let held = format!("exec 9>{lock}; flock 9; flock --nonblock {lock} true && echo free || echo taken");
    assert_eq!(stage.run_well("root", &["sh", "-c", &held]), "taken\n");
}

#[test]
fn what_others_write_past_the_mount_is_seen_where_nothing_is_trusted() {
    let stage = Stage::start(&json!({"cache_ms": 0}), "");
    fs::write(stage.over().join("shared"), "one").unwrap();
    assert_eq!(fs::read(stage.over().join("shared")).unwrap(), b"one");
    fs::write(stage.beneath().join("shared"), "another").unwrap();
    assert_eq!(fs::read(stage.over().join("shared")).unwrap(), b"another");
    fs::remove_file(stage.beneath().join("shared")).unwrap();
    assert!(!stage.over().join("shared").exists());
}
