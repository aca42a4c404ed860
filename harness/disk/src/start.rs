//! `shakedown-disk disk`: mounts, leaves a server behind, and becomes the service's program as the container's user.
//!
//! The binary is root's and set-user-id, and the container keeps the user that it was made with: health checks and whatever else the
//! engine runs there are that user's as before. Here the real user tells who the program is to be.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use fuser::{Config, Session, SessionACL};
use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags, fstat, fstatvfs, openat};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit, umask};
use rustix::thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set, set_capabilities, set_thread_res_uid};

use crate::check;
use crate::control::socket_path;
use crate::desk::Desk;
use crate::files::Nodes;
use crate::serve::Passage;
use crate::sys::{self, Side};
use crate::talk::{House, Room, listen};
use crate::wire::{Mount, Setup};

/// Requests that may be worked on at once. A slow fsync occupies one; a delayed answer occupies none.
const THREADS: usize = 12;
/// What the server says when it has begun.
const READY: &[u8] = b"ready";

/// Why a program could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the setup cannot be understood: {0}")]
    Setup(String),
    #[error("this is not root's, and not set-user-id: `no-new-privileges` or a `nosuid` root file system prevents it for a user but root")]
    NotRoot,
    #[error("cannot {doing}: {source}")]
    System { doing: String, source: io::Error },
    #[error("the file system did not begin")]
    NoServer,
    #[error("cannot run {program}: {source}")]
    Program { program: String, source: io::Error },
}

fn system<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> StartError {
    move |source| StartError::System { doing: doing.into(), source: source.into() }
}

/// Returns only if it failed: otherwise this process is the program.
pub fn start(setup: &str, program: &[OsString]) -> StartError {
    // While we are root: to anybody else a set-user-id program's belongs to root.
    let environment = original_environment().map_err(system("read the environment"));
    environment
        .and_then(|environment| prepare(setup).map(|()| environment))
        .map_or_else(|error| error, |environment| become_program(program, environment))
}

fn prepare(setup: &str) -> Result<(), StartError> {
    let setup: Setup = serde_json::from_str(setup).map_err(|error| StartError::Setup(error.to_string()))?;
    check::setup(&setup).map_err(|failure| StartError::Setup(format!("{}; {}", failure.message, failure.hint)))?;
    if !rustix::process::geteuid().is_root() {
        return Err(StartError::NotRoot);
    }
    let directory = std::env::current_dir().map_err(system("find the working directory"))?;
    let mounted = mount_all(&setup.mounts)?;
    serve_apart(mounted)?;
    // The same path again: it may lie beneath a directory that has been mounted over.
    std::env::set_current_dir(&directory).map_err(system(format!("go back to {}", directory.display())))?;
    drop_capabilities(&setup.drop)?;
    let user = getuid();
    set_thread_res_uid(user, user, user).map_err(system("become the container's user"))
}

/// The directory beneath, and the kernel's end of its file system.
struct Mounted {
    mount: Mount,
    root: OwnedFd,
    device: OwnedFd,
}

fn mount_all(mounts: &[Mount]) -> Result<Vec<Mounted>, StartError> {
    // Whatever the container shares with its host: our mounts stay here. What the host mounts still arrives.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC).map_err(system("keep mounts to this container"))?;
    mounts.iter().map(mount_one).collect()
}

fn mount_one(spec: &Mount) -> Result<Mounted, StartError> {
    let doing = format!("mount over {}", spec.path);
    let root = openat(CWD, &spec.path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(system(&doing))?;
    let device = openat(CWD, "/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(system("open /dev/fuse"))?;
    let mode = fstat(&root).map_err(system(&doing))?.st_mode & libc::S_IFMT;
    let options = format!("fd={},rootmode={mode:o},user_id=0,group_id=0,allow_other,default_permissions", device.as_raw_fd());
    let options = CString::new(options).map_err(|error| system::<io::Error>(&doing)(io::Error::other(error)))?;
    let flags = flags_like(&root).map_err(system(&doing))?;
    mount("shakedown-disk", &spec.path, "fuse.shakedown-disk", flags, &*options).map_err(system(&doing))?;
    Ok(Mounted { mount: spec.clone(), root, device })
}

/// What the directory beneath does not allow is not allowed above it.
fn flags_like(root: &OwnedFd) -> rustix::io::Result<MountFlags> {
    let found = fstatvfs(root)?.f_flag;
    let pairs = [
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    ];
    Ok(pairs.into_iter().filter(|(beneath, _)| found.contains(*beneath)).fold(MountFlags::empty(), |flags, (_, above)| flags | above))
}

/// Forks the server, and returns in the other process once it serves.
fn serve_apart(mounted: Vec<Mounted>) -> Result<(), StartError> {
    let (mut hears, says) = io::pipe().map_err(system("make a pipe"))?;
    match sys::detach().map_err(system("make a process for the file system"))? {
        Side::Apart => {
            drop(hears);
            // Nobody reads what it would say; whoever waits on the pipe sees it end.
            let _ = serve(mounted, says);
            sys::leave();
        }
        Side::Caller => {
            drop((mounted, says));
            let mut said = Vec::new();
            hears.read_to_end(&mut said).map_err(system("wait for the file system"))?;
            if said == READY { Ok(()) } else { Err(StartError::NoServer) }
        }
    }
}

/// The server's life.
fn serve(mounted: Vec<Mounted>, mut says: io::PipeWriter) -> io::Result<()> {
    become_server()?;
    let socket = socket_path()?;
    let _ = std::fs::remove_file(&socket);
    umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let listener = UnixListener::bind(socket)?;
    umask(Mode::empty());
    let desk = Arc::new(Desk::start()?);
    let rooms = mounted.into_iter().map(|mounted| open_room(mounted, &desk)).collect::<io::Result<Vec<Room>>>()?;
    says.write_all(READY)?;
    drop(says);
    listen(&listener, &Arc::new(House { desk, rooms }))
}

fn open_room(mounted: Mounted, desk: &Arc<Desk>) -> io::Result<Room> {
    let Mounted { mount, root, device } = mounted;
    let nodes = Arc::new(Nodes::new(root)?);
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    let session = Session::from_fd(Passage::new(&mount, desk, &nodes), device, SessionACL::All, config)?;
    let notifier = session.notifier();
    std::thread::Builder::new().name("serve".to_owned()).spawn(move || session.run())?;
    Ok(Room { mount, nodes, notifier })
}

/// Root in all respects, so that the service's user cannot end it; of no use to anybody who finds a way into it.
fn become_server() -> io::Result<()> {
    let root = rustix::process::Uid::ROOT;
    set_thread_res_uid(root, root, root)?;
    sys::ignore_endings();
    std::env::set_current_dir("/")?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    // Each file that the kernel knows is a descriptor of ours.
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
    forgo(CapabilitySet::SYS_ADMIN)
}

fn drop_capabilities(names: &[String]) -> Result<(), StartError> {
    for name in names {
        let one = CapabilitySet::from_name(&name.to_ascii_uppercase());
        let one = one.ok_or_else(|| StartError::Setup(format!("there is no capability `{name}`")))?;
        remove_capability_from_bounding_set(one).map_err(system(format!("give up {name}")))?;
    }
    let all = names.iter().filter_map(|name| CapabilitySet::from_name(&name.to_ascii_uppercase()));
    forgo(all.fold(CapabilitySet::empty(), |set, one| set | one)).map_err(system("give up capabilities"))
}

fn forgo(gone: CapabilitySet) -> io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.effective -= gone;
    sets.permitted -= gone;
    sets.inheritable -= gone;
    Ok(set_capabilities(None, sets)?)
}

fn become_program(program: &[OsString], environment: Vec<(OsString, OsString)>) -> StartError {
    let Some((first, rest)) = program.split_first() else { return StartError::Setup("there is no program to run".to_owned()) };
    let source = Command::new(first).args(rest).env_clear().envs(environment).exec();
    StartError::Program { program: first.to_string_lossy().into_owned(), source }
}

/// The environment that the engine gave: of a set-user-id program's the C library takes some variables away.
fn original_environment() -> io::Result<Vec<(OsString, OsString)>> {
    let text = std::fs::read("/proc/self/environ")?;
    let pair = |line: &[u8]| {
        let equals = line.iter().skip(1).position(|byte| *byte == b'=')? + 1;
        Some((OsString::from_vec(line[..equals].to_vec()), OsString::from_vec(line[equals + 1..].to_vec())))
    };
    Ok(text.split(|byte| *byte == 0).filter_map(pair).collect())
}
