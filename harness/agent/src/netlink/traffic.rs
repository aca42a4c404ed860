//! Traffic control by netlink: put a queueing discipline of ours on an interface, take it away, read what it counted.
//!
//! A root of ours is made only where the root is one that nobody has chosen: the kernel's own have the handle 0, and with
//! `NLM_F_EXCL` the kernel itself refuses to replace any other (EEXIST). It is removed by its handle, so that another's that
//! has come in its place stays (`tc_get_qdisc`: EINVAL). Disciplines have no owner: they stay behind if the agent is killed.
//!
//! Sources: `net/sched/sch_api.c`, `net/ipv4/route.c`, `linux/{rtnetlink,pkt_sched,gen_stats}.h`.

use std::io;
use std::net::IpAddr;

use super::numbers::*;
use super::{Attributes, Messages, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Received, Socket, attribute, disciplines};
use crate::kernel::Shape;

/// The root that leads to our class.
const ROOT_KIND: &str = "prio";
/// The loopback has this number in every network namespace.
const LOOPBACK: u32 = 1;

/// A conversation with traffic control in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Traffic {
    socket: Socket,
}

/// A discipline that stands somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    interface: u32,
    handle: u32,
    parent: u32,
    kind: String,
    pub(crate) count: Count,
}

/// What a discipline has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    /// Packets, and of large sends the segments that they will be, that have gone on.
    pub(crate) segments: u32,
    /// Packets that wait.
    pub(crate) waiting: u32,
    /// Packets that it dropped.
    pub(crate) drops: u32,
}

impl Traffic {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::open_route()? })
    }

    /// Whether the kernel has a kind of discipline. One without options is refused by each of those that we ask for
    /// (EINVAL), and so never stands.
    pub(crate) fn knows(&self, kind: &str) -> io::Result<()> {
        let answer = self.change(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, place(LOOPBACK, 1 << 16, TC_H_ROOT), |body| {
            body.string(TCA_KIND, kind);
        });
        match answer {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.change(RTM_DELQDISC, 0, place(LOOPBACK, 1 << 16, TC_H_ROOT), |_| {}),
        }
    }

    /// The number of the interface by which packets to an address leave.
    pub(crate) fn interface_towards(&self, address: IpAddr) -> io::Result<u32> {
        let (family, octets) = match address {
            IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
            IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
        };
        // struct rtmsg: family, length of the destination in bits, then what is not said.
        let mut fixed = [0; 12];
        (fixed[0], fixed[1]) = (family as u8, 8 * octets.len() as u8);
        self.question(RTM_GETROUTE, &fixed, |body| body.raw(RTA_DST, &octets), |_, rest| attribute(rest, RTA_OIF).and_then(word))
    }

    /// The length of the longest packet that an interface takes.
    pub(crate) fn mtu(&self, interface: u32) -> io::Result<u32> {
        // struct ifinfomsg: the number stands at 4.
        let mut fixed = [0; 16];
        fixed[4..8].copy_from_slice(&interface.to_ne_bytes());
        self.question(RTM_GETLINK, &fixed, |_| {}, |_, rest| attribute(rest, IFLA_MTU).and_then(word))
    }

    /// Puts a root of ours on an interface, in which packets go as in the kernel's own, and to its last class a discipline.
    pub(crate) fn put(&self, interface: u32, mtu: u32, shape: &Shape) -> io::Result<()> {
        let new = NLM_F_CREATE | NLM_F_EXCL;
        self.change(RTM_NEWQDISC, new, place(interface, u32::from(shape.handle) << 16, TC_H_ROOT), |body| {
            body.string(TCA_KIND, ROOT_KIND);
            disciplines::root(body);
        })?;
        // A band has a plain queue already, of a number that nobody gave it: that one is to be replaced.
        self.change(RTM_NEWQDISC, NLM_F_CREATE, place(interface, 0, Shape::class(shape.handle)), |body| {
            body.string(TCA_KIND, shape.discipline.kind());
            disciplines::leaf(body, &shape.discipline, mtu);
        })
    }

    /// Removes every root of ours with this handle, with all that it holds. No such root is fine.
    pub(crate) fn remove(&self, handle: u16) -> io::Result<()> {
        let number = u32::from(handle) << 16;
        let all = self.standing()?;
        let ours = all.iter().filter(|it| it.handle == number && it.parent == TC_H_ROOT && it.kind == ROOT_KIND);
        ours.into_iter().try_for_each(|root| self.change(RTM_DELQDISC, 0, place(root.interface, number, TC_H_ROOT), |_| {}))
    }

    /// The discipline in the class of a root of ours.
    pub(crate) fn leaf(&self, handle: u16) -> io::Result<Option<Standing>> {
        Ok(self.standing()?.into_iter().find(|it| it.parent == Shape::class(handle)))
    }

    fn standing(&self) -> io::Result<Vec<Standing>> {
        let mut request = Messages::default();
        request.message(RTM_GETQDISC, NLM_F_DUMP, |body| body.fixed(&place(0, 0, 0)));
        let mut all = Vec::new();
        self.socket.dump(&request, |message| all.extend(standing(message)))?;
        Ok(all)
    }

    fn change(&self, kind: u16, flags: u16, fixed: [u8; 20], body: impl FnOnce(&mut Attributes<'_>)) -> io::Result<()> {
        let mut request = Messages::default();
        let last = request.message(kind, flags | NLM_F_ACK, |message| {
            message.fixed(&fixed);
            body(message);
        });
        self.socket.transact(&request, last).map_err(|(_, error)| error)
    }

    /// Asks for one thing, and finds a number in what is said of it.
    fn question<const N: usize>(
        &self,
        kind: u16,
        fixed: &[u8; N],
        body: impl FnOnce(&mut Attributes<'_>),
        find: impl Fn(&[u8; N], &[u8]) -> Option<u32>,
    ) -> io::Result<u32> {
        let mut request = Messages::default();
        request.message(kind, NLM_F_ACK, |message| {
            message.fixed(fixed);
            body(message);
        });
        let mut found = None;
        self.socket.dump(&request, |message| found = found.or(message.split().and_then(|(fixed, rest)| find(fixed, rest))))?;
        found.ok_or_else(|| io::Error::other("the kernel did not say"))
    }
}

/// `struct tcmsg`: family and padding, interface, handle, parent, info.
fn place(interface: u32, handle: u32, parent: u32) -> [u8; 20] {
    let mut fixed = [0; 20];
    fixed[4..8].copy_from_slice(&interface.to_ne_bytes());
    fixed[8..12].copy_from_slice(&handle.to_ne_bytes());
    fixed[12..16].copy_from_slice(&parent.to_ne_bytes());
    fixed
}

fn standing(message: &Received<'_>) -> Option<Standing> {
    let (fixed, rest) = message.split::<20>()?;
    let at = |at: usize| word(&fixed[at..]);
    let statistics = attribute(rest, TCA_STATS2).unwrap_or_default();
    let kind = attribute(rest, TCA_KIND)?;
    let count = || {
        // struct gnet_stats_basic: u64 bytes, u32 packets. struct gnet_stats_queue: waiting, their bytes, drops, ...
        let queue = attribute(statistics, TCA_STATS_QUEUE)?;
        let segments = word(attribute(statistics, TCA_STATS_BASIC)?.get(8..)?)?;
        Some(Count { segments, waiting: word(queue)?, drops: word(queue.get(8..)?)? })
    };
    Some(Standing {
        interface: at(4)?,
        handle: at(8)?,
        parent: at(12)?,
        kind: String::from_utf8_lossy(kind.strip_suffix(&[0]).unwrap_or(kind)).into_owned(),
        count: count().unwrap_or_default(),
    })
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}
