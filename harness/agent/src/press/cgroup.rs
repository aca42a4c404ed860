//! Where this process stands in the kernel's accounts: its own cgroup and those above it, as far as they can be seen
//! from here, on version 1 and 2. Reads, never writes.
//!
//! In a container the hierarchy is mounted with the container's own cgroup as its root (version 1, or version 2 in a
//! cgroup namespace) or not at all. What cannot be seen is `None`, never a guess.
//!
//! Sources: cgroups(7), cgroup_namespaces(7), proc_pid_mountinfo(5), `Documentation/admin-guide/cgroup-v1/memory.rst`.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// "No limit" of version 1 is the largest multiple of the page size in 63 bits.
const NO_LIMIT: u64 = 1 << 62;

/// The cgroups of this process, by controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cgroups {
    pub(super) cpu: Option<Place>,
    pub(super) memory: Option<Place>,
    pub(super) pids: Option<Place>,
}

/// One cgroup and those above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    version: Version,
    /// Our own first, the mount point last.
    directories: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Usage and limit of the cgroup, own or above, that has the least room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) current: u64,
    /// Of `current`, what is no clean cache that the kernel would drop first. For tasks: all.
    pub(super) working: u64,
    pub(super) limit: Option<u64>,
}

impl Level {
    fn left(&self) -> u64 {
        self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.current))
    }
}

/// What the cpu controller has held back, in total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Throttled {
    pub(super) periods: u64,
    pub(super) micros: u64,
}

impl Cgroups {
    pub(super) fn find() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let (own, mounts) = (text("/proc/self/cgroup"), text("/proc/self/mountinfo"));
        let place = |controller| place(controller, &own, &mounts).filter(|place| place.directories[0].is_dir());
        Self { cpu: place("cpu"), memory: place("memory"), pids: place("pids") }
    }
}

impl Place {
    /// Of the memory controller.
    pub(super) fn memory(&self) -> Option<Level> {
        let (usage, limit, inactive) = match self.version {
            Version::One => ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"),
            Version::Two => ("memory.current", "memory.max", "inactive_file"),
        };
        self.tightest(|directory| {
            let current = number(&directory.join(usage))?;
            let cache = keyed(&directory.join("memory.stat"), inactive).unwrap_or(0);
            Some(Level { current, working: current.saturating_sub(cache), limit: bound(&directory.join(limit)) })
        })
    }

    /// Of the pids controller.
    pub(super) fn tasks(&self) -> Option<Level> {
        self.tightest(|directory| {
            let current = number(&directory.join("pids.current"))?;
            Some(Level { current, working: current, limit: bound(&directory.join("pids.max")) })
        })
    }

    /// How often a task was refused here or above, in total.
    pub(super) fn refused_tasks(&self) -> Option<u64> {
        self.directories.iter().filter_map(|directory| keyed(&directory.join("pids.events"), "max")).reduce(|sum, count| sum + count)
    }

    /// How many processes the kernel has killed here for want of memory, in total.
    pub(super) fn oom_kills(&self) -> Option<u64> {
        let file = if self.version == Version::One { "memory.oom_control" } else { "memory.events" };
        keyed(&self.directories[0].join(file), "oom_kill")
    }

    /// Of the cpu controller.
    pub(super) fn throttled(&self) -> Option<Throttled> {
        let file = self.directories[0].join("cpu.stat");
        let micros = match self.version {
            Version::One => keyed(&file, "throttled_time")? / 1000,
            Version::Two => keyed(&file, "throttled_usec")?,
        };
        Some(Throttled { periods: keyed(&file, "nr_throttled")?, micros })
    }

    fn tightest(&self, level: impl Fn(&Path) -> Option<Level>) -> Option<Level> {
        self.directories.iter().filter_map(|directory| level(directory)).min_by_key(Level::left)
    }
}

fn number<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A limit; `max`, and what version 1 has for it, is none.
fn bound(path: &Path) -> Option<u64> {
    number(path).filter(|limit| *limit < NO_LIMIT)
}

/// The value behind a key in a file of lines `key value`.
fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Where a controller's cgroup of the process is, given `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn place(controller: &str, own: &str, mounts: &str) -> Option<Place> {
    let entries = || own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let has = |list: &str, wanted: &str| list.split(',').any(|word| word == wanted);
    let first = entries().find(|(controllers, _)| has(controllers, controller));
    let (version, path) = match first {
        Some((_, path)) => (Version::One, path),
        None => (Version::Two, entries().find(|(controllers, _)| controllers.is_empty())?.1),
    };
    mounts.lines().filter_map(mount).find_map(|(root, point, kind, options)| {
        let right = match version {
            Version::One => kind == "cgroup" && has(options, controller),
            Version::Two => kind == "cgroup2",
        };
        let below = Path::new(path).strip_prefix(unescaped(root)).ok().filter(|_| right)?;
        let point = PathBuf::from(unescaped(point));
        // Above the mount point nothing can be seen.
        let directories =
            point.join(below).ancestors().take_while(|at| at.starts_with(&point)).map(|at| at.components().collect()).collect();
        Some(Place { version, directories })
    })
}

/// Root, mount point, file system type and its options.
fn mount(line: &str) -> Option<(&str, &str, &str, &str)> {
    let (left, right) = line.split_once(" - ")?;
    let (mut left, mut right) = (left.split(' '), right.split(' '));
    Some((left.nth(3)?, left.next()?, right.next()?, right.nth(1)?))
}

/// Space, tab, newline and backslash are octal in mountinfo.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories(controller: &str, own: &str, mounts: &str) -> Option<(Version, Vec<String>)> {
        let place = place(controller, own, mounts)?;
        Some((place.version, place.directories.iter().map(|path| path.display().to_string()).collect()))
    }

    #[test]
    fn a_container_on_version_1_sees_its_own_cgroup_as_the_root() {
        let own = "9:name=systemd:/docker/ab\n4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n0::/\n";
        let mounts = "40 31 0:32 /docker/ab /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n\
                      41 31 0:33 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro master:1 - cgroup cgroup rw,cpu,cpuacct\n";
        assert_eq!(directories("memory", own, mounts), Some((Version::One, vec!["/sys/fs/cgroup/memory".into()])));
        assert_eq!(directories("cpu", own, mounts), Some((Version::One, vec!["/sys/fs/cgroup/cpu,cpuacct".into()])));
        assert_eq!(directories("pids", own, mounts), None, "not mounted");
    }

    #[test]
    fn a_host_shows_the_cgroups_above_too() {
        let mounts = "35 31 0:32 / /sys/fs/my\\040cgroup rw shared:4 - cgroup cgroup rw,memory";
        let expected = ["/sys/fs/my cgroup/a/b", "/sys/fs/my cgroup/a", "/sys/fs/my cgroup"].map(String::from).to_vec();
        assert_eq!(directories("memory", "4:memory:/a/b\n0::/x", mounts), Some((Version::One, expected)));
    }

    #[test]
    fn version_2_is_found_in_a_cgroup_namespace_and_on_a_host() {
        let mounts = |root: &str| format!("41 31 0:38 {root} /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate");
        let at = |paths: &[&str]| Some((Version::Two, paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>()));
        assert_eq!(directories("pids", "0::/", &mounts("/")), at(&["/sys/fs/cgroup"]));
        assert_eq!(directories("pids", "0::/s/d", &mounts("/")), at(&["/sys/fs/cgroup/s/d", "/sys/fs/cgroup/s", "/sys/fs/cgroup"]));
        assert_eq!(directories("pids", "0::/s", &mounts("/../d")), None, "mounted from elsewhere");
    }

    /// Files as the kernel writes them, in directories of the test.
    fn place_with(version: Version, files: &[(&str, &str, &str)]) -> (tempdir::Directory, Place) {
        let directory = tempdir::Directory::new();
        let directories = ["own/deep", "own"].map(|name| directory.path().join(name)).to_vec();
        fs::create_dir_all(&directories[0]).unwrap();
        for (at, name, text) in files {
            fs::write(directory.path().join(at).join(name), text).unwrap();
        }
        (directory, Place { version, directories })
    }

    #[test]
    fn the_limit_that_counts_is_the_one_with_the_least_room() {
        let (_kept, place) = place_with(
            Version::Two,
            &[
                ("own/deep", "memory.current", "50\n"),
                ("own/deep", "memory.max", "max\n"),
                ("own/deep", "memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"),
                ("own/deep", "pids.current", "7\n"),
                ("own/deep", "pids.max", "30\n"),
                ("own/deep", "pids.events", "max 4\n"),
                ("own/deep", "cpu.stat", "usage_usec 9\nnr_throttled 5\nthrottled_usec 77\n"),
                ("own", "memory.current", "80\n"),
                ("own", "memory.max", "100\n"),
                ("own", "memory.stat", "anon 1\ninactive_file 20\n"),
            ],
        );
        assert_eq!(place.memory(), Some(Level { current: 80, working: 60, limit: Some(100) }));
        assert_eq!(place.tasks(), Some(Level { current: 7, working: 7, limit: Some(30) }));
        assert_eq!((place.oom_kills(), place.refused_tasks()), (Some(2), Some(4)));
        assert_eq!(place.throttled(), Some(Throttled { periods: 5, micros: 77 }));
    }

    #[test]
    fn version_1_has_other_names_and_a_number_for_no_limit() {
        let (_kept, place) = place_with(
            Version::One,
            &[
                ("own/deep", "memory.usage_in_bytes", "50\n"),
                ("own/deep", "memory.limit_in_bytes", "9223372036854771712\n"),
                ("own/deep", "memory.stat", "inactive_file 1\ntotal_inactive_file 20\n"),
                ("own/deep", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 6\n"),
                ("own/deep", "cpu.stat", "nr_periods 0\nnr_throttled 2\nthrottled_time 77000\n"),
            ],
        );
        assert_eq!(place.memory(), Some(Level { current: 50, working: 30, limit: None }));
        assert_eq!((place.oom_kills(), place.tasks()), (Some(6), None));
        assert_eq!(place.throttled(), Some(Throttled { periods: 2, micros: 77 }));
    }

    /// A directory that goes when the test does.
    mod tempdir {
        use std::path::{Path, PathBuf};
        use std::sync::atomic::{AtomicU32, Ordering};

        static NEXT: AtomicU32 = AtomicU32::new(0);

        pub(super) struct Directory(PathBuf);

        impl Directory {
            pub(super) fn new() -> Self {
                let name = format!("shakedown-press-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                let path = std::env::temp_dir().join(name);
                std::fs::create_dir_all(&path).unwrap();
                Self(path)
            }

            pub(super) fn path(&self) -> &Path {
                &self.0
            }
        }

        impl Drop for Directory {
            fn drop(&mut self) {
                let _ = std::fs::remove_dir_all(&self.0);
            }
        }
    }
}
