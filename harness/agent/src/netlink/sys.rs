//! The only unsafe code of the agent: system calls that std does not offer, each behind a function that cannot be
//! misused. Nothing here knows what the bytes mean.
//!
//! Sources: netlink(7), ppoll(2), recvmmsg(2), signalfd(2), eventfd(2), uname(2), and the `libc` crate for the shapes.
#![expect(unsafe_code, reason = "one of the files that ARCHITECTURE.md names for it")]

use std::ffi::CStr;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{null, null_mut};
use std::time::Duration;

use libc::c_int;

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_length(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn owned(result: c_int) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: the kernel has just handed us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A socket of a netlink family (`NETLINK_*`) that talks to the kernel and to nobody else.
pub(super) fn netlink_socket(family: c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let socket = owned(unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, family) })?;
    // SAFETY: all zero is a valid sockaddr_nl: port 0 asks bind for a free port and means the kernel to connect.
    let mut address: libc::sockaddr_nl = unsafe { zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    let (pointer, length) = ((&raw const address).cast(), size_of::<libc::sockaddr_nl>() as libc::socklen_t);
    // SAFETY: pointer and length describe `address`, which outlives both calls.
    check(unsafe { libc::bind(socket.as_raw_fd(), pointer, length) })?;
    // SAFETY: as above.
    check(unsafe { libc::connect(socket.as_raw_fd(), pointer, length) })?;
    Ok(socket)
}

/// The port by which the kernel knows this netlink socket: unique in its network namespace.
pub(super) fn port_id(socket: &OwnedFd) -> io::Result<u32> {
    // SAFETY: all zero is a valid sockaddr_nl.
    let mut address: libc::sockaddr_nl = unsafe { zeroed() };
    let mut length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: both pointers are to locals, and length says how large the first is.
    check(unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length) })?;
    Ok(address.nl_pid)
}

/// `setsockopt` with an int.
pub(super) fn set_option(socket: &OwnedFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: pointer and length describe `value`.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) })?;
    Ok(())
}

/// Sends one datagram. The kernel has acted on it when this returns.
pub(super) fn send(socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe `bytes`.
    check_length(unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) })?;
    Ok(())
}

/// Receives one datagram if there is one; `WouldBlock` if not.
pub(super) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length describe `buffer`.
    check_length(unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) })
}

/// How many datagrams [`Inbox::receive`] takes at once.
const INBOX_SLOTS: usize = 64;

/// Room for many datagrams, so that one system call fetches them all.
pub(super) struct Inbox {
    bytes: Vec<u8>,
    slot_bytes: usize,
    lengths: [usize; INBOX_SLOTS],
    count: usize,
}

impl Inbox {
    /// With room for datagrams of so many bytes; longer ones are cut. Memory that is never needed is never touched.
    pub(super) fn new(slot_bytes: usize) -> Self {
        Self { bytes: vec![0; INBOX_SLOTS * slot_bytes], slot_bytes, lengths: [0; INBOX_SLOTS], count: 0 }
    }

    /// Replaces the contents with what is waiting, if anything; returns whether the inbox was filled to the brim.
    pub(super) fn receive(&mut self, socket: &OwnedFd) -> io::Result<bool> {
        self.count = 0;
        // SAFETY: all zero is a valid iovec and a valid mmsghdr: null pointers with length zero.
        let (mut slots, mut headers): ([libc::iovec; INBOX_SLOTS], [libc::mmsghdr; INBOX_SLOTS]) = unsafe { (zeroed(), zeroed()) };
        for ((chunk, slot), header) in self.bytes.chunks_exact_mut(self.slot_bytes).zip(&mut slots).zip(&mut headers) {
            slot.iov_base = chunk.as_mut_ptr().cast();
            slot.iov_len = chunk.len();
            header.msg_hdr.msg_iov = slot;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every header points to one slot, every slot to its own chunk of `bytes`; all outlive the call.
        let received = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), INBOX_SLOTS as libc::c_uint, libc::MSG_DONTWAIT, null_mut())
        };
        match check(received) {
            Ok(count) => self.count = usize::try_from(count).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        for (length, header) in self.lengths.iter_mut().zip(&headers) {
            *length = header.msg_len as usize;
        }
        Ok(self.count == INBOX_SLOTS)
    }

    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.slot_bytes).zip(self.lengths).take(self.count).map(|(chunk, n)| &chunk[..n])
    }
}

/// What [`wait`] watches one descriptor for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes to read, or the end of file.
    Read,
    /// Room to write, or a reader who has gone.
    Write,
}

/// Waits until a descriptor is ready or the time is up; returns for each whether it is ready. A signal is not an event.
pub(crate) fn wait(watched: &[(BorrowedFd<'_>, Interest)], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<libc::pollfd> = watched
        .iter()
        .map(|(fd, interest)| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: if *interest == Interest::Read { libc::POLLIN } else { libc::POLLOUT },
            revents: 0,
        })
        .collect();
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
    });
    let limit = limit.as_ref().map_or(null(), |limit| &raw const *limit);
    // SAFETY: pointer and length describe `polled`; `limit` is null or points to a local; no signal mask is given.
    match check(unsafe { libc::ppoll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, limit, null()) }) {
        Ok(_) => Ok(polled.iter().map(|fd| fd.revents != 0).collect()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(vec![false; watched.len()]),
        Err(error) => Err(error),
    }
}

/// Makes sleeps of the calling thread end on time: the kernel's default is up to 50 microseconds late.
pub(crate) fn wake_on_time() {
    // SAFETY: no pointers. Failure would only cost accuracy.
    let _ = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Turns the signals that ask a process to end into a readable descriptor, for this thread and those it starts later.
pub(crate) fn endings() -> io::Result<OwnedFd> {
    // SAFETY: sigset_t may be all zero before sigemptyset; the set is a local that outlives the calls.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
            libc::sigaddset(&raw mut set, signal);
        }
        let error = libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, null_mut());
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        owned(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC))
    }
}

/// Reads what is there, without buffering ahead.
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length describe `buffer`.
    check_length(unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Writes what fits, without buffering.
pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: pointer and length describe `bytes`.
    check_length(unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}

/// A flag that one thread raises and another waits for.
pub(crate) fn event() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })
}

/// Raises an [`event`].
pub(crate) fn raise(event: BorrowedFd<'_>) -> io::Result<()> {
    write(event, &1_u64.to_ne_bytes()).map(|_| ())
}

/// `uname -r` and `uname -m`.
pub(crate) fn kernel_and_arch() -> io::Result<(String, String)> {
    // SAFETY: all zero is a valid utsname: empty strings.
    let mut names: libc::utsname = unsafe { zeroed() };
    // SAFETY: the pointer is to a local.
    check(unsafe { libc::uname(&raw mut names) })?;
    // SAFETY: the kernel ends each of the fields with a zero byte.
    let text = |field: &[libc::c_char]| unsafe { CStr::from_ptr(field.as_ptr()) }.to_string_lossy().into_owned();
    Ok((text(&names.release), text(&names.machine)))
}

/// The names of the interfaces in this thread's network namespace.
pub(crate) fn interfaces() -> Vec<String> {
    // SAFETY: if_nameindex returns null or an array that ends with index 0, ours until if_freenameindex.
    unsafe {
        let list = libc::if_nameindex();
        if list.is_null() {
            return Vec::new();
        }
        let mut names = Vec::new();
        let mut entry = list;
        while (*entry).if_index != 0 {
            names.push(CStr::from_ptr((*entry).if_name).to_string_lossy().into_owned());
            entry = entry.add(1);
        }
        libc::if_freenameindex(list);
        names
    }
}
