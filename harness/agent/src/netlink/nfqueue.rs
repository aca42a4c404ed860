//! A queue of packets from the kernel: fetch what has arrived, say what becomes of each.
//!
//! Packets stay in the kernel; we get a number and the first bytes of each, or all of it ([`Copying`]). A queue belongs
//! to the socket that bound it: when the socket closes the kernel drops what is still waiting and, since our rules say
//! `bypass`, lets later packets pass.
//!
//! Source: `net/netfilter/nfnetlink_queue.c`. Where we look only at heads, checksums and segmentation are left to later
//! (`NFQA_CFG_F_GSO`), so that a large send stays one packet. Where we copy the whole or ask for segments, the kernel does
//! both before it asks us: `__nfqnl_enqueue_packet` cuts the segments, `nfqnl_build_packet_message` calls `skb_checksum_help`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::marks::CHOSEN;
use super::numbers::*;
use super::sys::{self, Inbox};
use super::{Attributes, Head, Messages, NLM_F_ACK, Socket, messages};
use crate::kernel::Hook;
use crate::line::Packet;

/// How much of each packet we ask for: the longest usual IP header and the ports.
const HEAD_BYTES: u32 = 128;
/// An attribute's length has 16 bits; the kernel takes off those of the attribute's own header.
const WHOLE_BYTES: u32 = 0xffff;
/// Room for one announcement: with 128 bytes of packet it takes about 300.
const HEAD_SLOT_BYTES: usize = 1024;
const WHOLE_SLOT_BYTES: usize = 65 * 1024;
/// Packets the kernel keeps for us. More than 20000 a second through half a second of delay; beyond it packets drop.
const QUEUE_PACKETS: u32 = 16_384;
/// Memory for announcements that we have not fetched yet: about 800 bytes each.
const RECEIVE_BUFFER_BYTES: libc::c_int = 16 * 1024 * 1024;
/// Verdicts in one datagram.
const VERDICTS_AT_ONCE: usize = 128;
/// A datagram that is longer than this waits for no more. With one packet more it still fits the smallest usual send
/// buffer (`net.core.wmem_default`, 208 KiB).
const DATAGRAM_BYTES: usize = 64 * 1024;

/// How much of each packet is shown to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copying {
    /// The first 128 bytes of what the sender sent, which may be many segments.
    Head,
    /// The first 128 bytes of every segment.
    HeadOfSegment,
    /// Every byte of every segment, up to 65531, with its checksum.
    Whole,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Drop,
    /// It goes on with these bytes instead of its own, and is sent, or checked on arrival, as they are: the kernel
    /// (`nfqnl_mangle`) forgets what it knew of the checksum.
    Replace(Vec<u8>),
    /// It goes through its chain again, with a bit added to its mark by which a rule knows that it is to be copied.
    Duplicate {
        mark: u32,
    },
}

/// A bound queue.
pub(crate) struct Queue {
    socket: Socket,
    number: u16,
    inbox: Inbox,
    verdicts: Messages,
    pending: usize,
}

impl Queue {
    /// Binds a queue in this thread's network namespace. `ResourceBusy` if somebody else has it.
    pub(crate) fn bind(number: u16, copying: Copying) -> io::Result<Self> {
        let (copy_bytes, slot_bytes, flags) = match copying {
            Copying::Head => (HEAD_BYTES, HEAD_SLOT_BYTES, NFQA_CFG_F_GSO),
            Copying::HeadOfSegment => (HEAD_BYTES, HEAD_SLOT_BYTES, 0),
            Copying::Whole => (WHOLE_BYTES, WHOLE_SLOT_BYTES, 0),
        };
        let socket = Socket::open()?;
        // The forced size needs CAP_NET_ADMIN in the first user namespace; without it the usual limit has to do.
        if sys::set_option(socket.fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES).is_err() {
            sys::set_option(socket.fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER_BYTES)?;
        }
        // An overrun is counted by the kernel (user_dropped) and read from there: no need for an error as well.
        sys::set_option(socket.fd(), libc::SOL_NETLINK, libc::NETLINK_NO_ENOBUFS, 1)?;
        let queue = Self { socket, number, inbox: Inbox::new(slot_bytes), verdicts: Messages::default(), pending: 0 };
        queue.configure(|body| body.raw(NFQA_CFG_CMD, &[NFQNL_CFG_CMD_BIND, 0, 0, 0])).map_err(as_busy)?;
        queue.configure(|body| {
            let [a, b, c, d] = copy_bytes.to_be_bytes();
            body.raw(NFQA_CFG_PARAMS, &[a, b, c, d, NFQNL_COPY_PACKET]);
            body.u32(NFQA_CFG_QUEUE_MAXLEN, QUEUE_PACKETS);
            body.u32(NFQA_CFG_FLAGS, flags);
            body.u32(NFQA_CFG_MASK, NFQA_CFG_F_GSO);
        })?;
        Ok(queue)
    }

    /// Readable when packets wait.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.fd().as_fd()
    }

    /// Hands over some of the packets that have arrived; returns whether there may be more.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(Packet<'_>)) -> io::Result<bool> {
        let more = self.inbox.receive(self.socket.fd())?;
        for datagram in self.inbox.datagrams() {
            messages(datagram).filter(|message| message.kind == kind(NFQNL_MSG_PACKET)).for_each(|message| {
                if let Some(packet) = packet(message.attributes()) {
                    each(packet);
                }
            });
        }
        Ok(more)
    }

    /// Notes a verdict; it is said with others by [`Queue::flush`], or when enough have come together.
    pub(crate) fn judge(&mut self, id: u32, verdict: Verdict) -> io::Result<()> {
        let (code, bytes, mark) = match verdict {
            Verdict::Accept => (NF_ACCEPT, None, None),
            Verdict::Drop => (NF_DROP, None, None),
            Verdict::Replace(bytes) => (NF_ACCEPT, Some(bytes), None),
            Verdict::Duplicate { mark } => (NF_REPEAT, None, Some(mark | CHOSEN)),
        };
        let mut header = [0; 8];
        header[..4].copy_from_slice(&code.to_be_bytes());
        header[4..].copy_from_slice(&id.to_be_bytes());
        self.verdicts.push(head(NFQNL_MSG_VERDICT, 0, self.number), |body| {
            body.raw(NFQA_VERDICT_HDR, &header);
            if let Some(bytes) = bytes {
                body.raw(NFQA_PAYLOAD, &bytes);
            }
            if let Some(mark) = mark {
                body.u32(NFQA_MARK, mark);
            }
        });
        self.pending += 1;
        if self.pending >= VERDICTS_AT_ONCE || self.verdicts.len() >= DATAGRAM_BYTES { self.flush() } else { Ok(()) }
    }

    /// Says the verdicts noted so far. A packet that is gone by now (its interface went down) is nobody's error.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.verdicts.is_empty() {
            return Ok(());
        }
        let sent = self.socket.send(&self.verdicts);
        self.verdicts.clear();
        self.pending = 0;
        sent
    }

    fn configure(&self, body: impl FnOnce(&mut Attributes<'_>)) -> io::Result<()> {
        let mut request = Messages::default();
        let last = request.push(head(NFQNL_MSG_CONFIG, NLM_F_ACK, self.number), body);
        self.socket.transact(&request, last).map_err(|(_, error)| error)
    }
}

fn kind(message: u16) -> u16 {
    (NFNL_SUBSYS_QUEUE << 8) | message
}

fn head(message: u16, flags: u16, queue: u16) -> Head {
    Head { kind: kind(message), flags, family: NFPROTO_UNSPEC, resource: queue }
}

/// Binding a queue that another socket has bound is EPERM (EBUSY if it is this socket). Without CAP_NET_ADMIN it is
/// EPERM too, but by then nf_tables has refused already.
fn as_busy(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EBUSY | libc::EPERM) => io::Error::from(io::ErrorKind::ResourceBusy),
        _ => error,
    }
}

fn packet<'a>(attributes: impl Iterator<Item = (u16, &'a [u8])>) -> Option<Packet<'a>> {
    let (mut header, mut head, mut uncut, mut mark) = (None, &[][..], None, 0);
    for (kind, value) in attributes {
        match kind {
            NFQA_PACKET_HDR => header = value.first_chunk::<7>(),
            NFQA_PAYLOAD => head = value,
            // Only there if it is not zero.
            NFQA_MARK => mark = value.first_chunk().map_or(0, |mark| u32::from_be_bytes(*mark)),
            // Only there if the payload is cut.
            NFQA_CAP_LEN => uncut = value.first_chunk::<4>(),
            _ => {}
        }
    }
    // struct nfqnl_msg_packet_hdr { be32 packet_id, be16 hw_protocol, u8 hook }, packed.
    let [a, b, c, d, _, _, hook] = *header?;
    let hook = if u32::from(hook) == NF_INET_LOCAL_IN { Hook::Input } else { Hook::Output };
    let length = uncut.map_or(head.len() as u32, |length| u32::from_be_bytes(*length));
    Some(Packet { id: u32::from_be_bytes([a, b, c, d]), hook, head, length, mark })
}

/// Packets that the kernel dropped because queue `number` was full or its reader too slow; none if it cannot say.
pub(crate) fn overflow(number: u16) -> u64 {
    // Columns: number, port, waiting, copy mode, copy range, dropped (full), dropped (reader), sequence, 1.
    let table = std::fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_queue").unwrap_or_default();
    table
        .lines()
        .map(|line| line.split_ascii_whitespace().filter_map(|field| field.parse::<u64>().ok()).collect::<Vec<_>>())
        .find(|columns| columns.first() == Some(&u64::from(number)))
        .map_or(0, |columns| columns.iter().skip(5).take(2).sum())
}
