//! The netlink protocol as far as netfilter, rtnetlink and the diagnosis of sockets use it: write messages, send them, read the answers.
//!
//! A message is a header (16 bytes, host order), a part of fixed size and attributes (length, kind, value, padded to 4).
//! Netfilter's fixed part is a `nfgenmsg` (family, version, and a 16-bit id in network order), and numbers inside its
//! attributes are in network order; the others have their own ([`traffic`], [`route`], [`sockets`]), and host order.
//! Netfilter acts on what we send before `send` returns, so that every answer is already waiting by then and nothing
//! here ever waits.
//!
//! Sources: `linux/netlink.h`, `linux/netfilter/nfnetlink.h`, `net/netfilter/nfnetlink.c`.
//! The unsafe code of the agent is in [`sys`].

pub(crate) mod conntrack;
mod disciplines;
mod expressions;
mod marks;
pub(crate) mod nfqueue;
pub(crate) mod nftables;
mod numbers;
pub(crate) mod route;
mod ruleset;
pub(crate) mod sockets;
pub(crate) mod sys;
pub(crate) mod traffic;

use std::io;
use std::os::fd::OwnedFd;

const HEADER_BYTES: usize = 16;
const GENERIC_BYTES: usize = 4;

pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_APPEND: u16 = 0x800;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;

/// The head of a message, apart from what [`Messages`] fills in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// Subsystem in the upper byte, message in the lower.
    pub(crate) kind: u16,
    /// `NLM_F_REQUEST` is added to these.
    pub(crate) flags: u16,
    /// `NFPROTO_*`
    pub(crate) family: u8,
    /// The resource: a subsystem for batches, a queue number for queues, else zero.
    pub(crate) resource: u16,
}

/// Messages to be sent in one datagram, numbered from 1 in the order of writing.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
    count: u32,
    /// Where the newest message begins.
    last: usize,
}

impl Messages {
    /// Writes a message; returns its number.
    pub(crate) fn push(&mut self, head: Head, body: impl FnOnce(&mut Attributes<'_>)) -> u32 {
        let [high, low] = head.resource.to_be_bytes();
        self.message(head.kind, head.flags, |message| {
            message.fixed(&[head.family, 0, high, low]);
            body(message);
        })
    }

    /// Writes a message of any subsystem, which begins with the fixed part that it wants; returns its number.
    fn message(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Attributes<'_>)) -> u32 {
        let start = self.bytes.len();
        self.last = start;
        self.count += 1;
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&self.count.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        body(&mut Attributes { bytes: &mut self.bytes });
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.count
    }

    /// Adds flags to the newest message; returns its number.
    pub(crate) fn ask_last(&mut self, flags: u16) -> u32 {
        if let Some(header) = self.bytes[self.last..].first_chunk_mut::<HEADER_BYTES>() {
            let flags = u16::from_ne_bytes([header[6], header[7]]) | flags;
            header[6..8].copy_from_slice(&flags.to_ne_bytes());
        }
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How long the datagram is so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

/// Writes attributes at the end of a message.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Attributes<'_> {
    pub(crate) fn raw(&mut self, kind: u16, value: &[u8]) {
        self.bytes.extend_from_slice(&((4 + value.len()) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    pub(crate) fn u16(&mut self, kind: u16, value: u16) {
        self.raw(kind, &value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.raw(kind, &value.to_be_bytes());
    }

    /// What stands before the attributes, or inside a nest before its own. Its length must be a multiple of 4.
    fn fixed(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    pub(crate) fn string(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.raw(kind, &bytes);
    }

    pub(crate) fn nested(&mut self, kind: u16, body: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        body(&mut Attributes { bytes: self.bytes });
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

/// A message from the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    /// The number of the message that this answers.
    pub(crate) answers: u32,
    body: &'a [u8],
}

impl<'a> Received<'a> {
    /// The attributes after the `nfgenmsg`.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        attributes(self.body.get(GENERIC_BYTES..).unwrap_or_default())
    }

    /// Its fixed part of `N` bytes, and what follows it.
    fn split<const N: usize>(&self) -> Option<(&'a [u8; N], &'a [u8])> {
        self.body.split_first_chunk()
    }

    /// The `nfgen_family` of what answers.
    pub(crate) fn family(&self) -> u8 {
        self.body.first().copied().unwrap_or_default()
    }

    /// For a message of kind `NLMSG_ERROR`: `None` is an acknowledgement.
    fn error(&self) -> Option<io::Error> {
        let code = self.body.first_chunk::<4>().map_or(-libc::EPROTO, |code| i32::from_ne_bytes(*code));
        (code != 0).then(|| io::Error::from_raw_os_error(-code))
    }
}

/// Splits a datagram into messages; stops at the first that does not fit.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let header = datagram.first_chunk::<HEADER_BYTES>()?;
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let body = datagram.get(HEADER_BYTES..length)?;
        let message = Received {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            answers: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            body,
        };
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// Splits bytes into attributes (kind without flags, value); stops at the first that does not fit.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of a kind.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// A conversation with a subsystem of the kernel.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
}

impl Socket {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { fd: sys::netlink_socket(libc::NETLINK_NETFILTER)? })
    }

    /// A conversation about sockets.
    fn open_diagnosis() -> io::Result<Self> {
        Ok(Self { fd: sys::netlink_socket(libc::NETLINK_SOCK_DIAG)? })
    }

    /// A conversation about interfaces, routes and queueing disciplines.
    fn open_route() -> io::Result<Self> {
        Ok(Self { fd: sys::netlink_socket(libc::NETLINK_ROUTE)? })
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(crate) fn port_id(&self) -> io::Result<u32> {
        sys::port_id(&self.fd)
    }

    pub(crate) fn send(&self, messages: &Messages) -> io::Result<()> {
        sys::send(&self.fd, &messages.bytes)
    }

    /// Sends, and expects the message `last` to be acknowledged and no other to be refused.
    /// The error names the number of the message that was refused first.
    pub(crate) fn transact(&self, sent: &Messages, last: u32) -> Result<(), (u32, io::Error)> {
        self.send(sent).map_err(|error| (0, error))?;
        let mut acknowledged = false;
        let mut refused = None;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = match sys::receive(&self.fd, &mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err((0, error)),
            };
            for message in messages(&buffer[..length]).filter(|message| message.kind == NLMSG_ERROR) {
                match message.error() {
                    None => acknowledged |= message.answers == last,
                    Some(error) => refused = refused.or(Some((message.answers, error))),
                }
            }
        }
        match refused {
            Some(refusal) => Err(refusal),
            None if acknowledged => Ok(()),
            None => Err((last, io::Error::other("the kernel did not answer"))),
        }
    }

    /// Sends a dump request, or a question that is to be acknowledged, and hands every answer to `each`.
    pub(crate) fn dump(&self, request: &Messages, mut each: impl FnMut(&Received<'_>)) -> io::Result<()> {
        self.send(request)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = sys::receive(&self.fd, &mut buffer)?;
            for message in messages(&buffer[..length]) {
                match message.kind {
                    NLMSG_DONE | NLMSG_ERROR => return message.error().map_or(Ok(()), Err),
                    _ => each(&message),
                }
            }
        }
    }
}

/// An order to remove what is not there has been carried out.
fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
