//! What rtnetlink tells of a network namespace: links, queueing disciplines, routes and rules, as rows of text. Only reads, which
//! takes no capability.
//!
//! Numbers are in host order here, unlike netfilter's. Rows hold what somebody set and nothing that changes by itself.
//!
//! Sources: rtnetlink(7), `linux/rtnetlink.h`, `linux/if_link.h`, `linux/pkt_sched.h`, `linux/fib_rules.h`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::numbers::*;
use super::{Messages, NLM_F_DUMP, Received, Socket, attribute, attributes};

const RTM_GETRULE: u16 = 34;
const LINK_BYTES: usize = 16;
const ROUTE_BYTES: usize = 12;
const QDISC_BYTES: usize = 20;
const IFLA_IFNAME: u16 = 3;
const IFF_UP: u32 = 1;
const TC_H_INGRESS: u32 = 0xffff_fff1;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_TABLE: u16 = 15;
const RTN_UNICAST: u8 = 1;
const RTPROT_KERNEL: u8 = 2;
const RTPROT_RA: u8 = 9;
const RTM_F_CLONED: u32 = 0x200;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_OIFNAME: u16 = 17;
const FR_ACT_TO_TBL: u8 = 1;

/// The interfaces, by index.
pub(crate) struct Links {
    links: BTreeMap<u32, (String, String)>,
}

/// A conversation about the namespace of the thread that began it.
pub(crate) struct Routing {
    socket: Socket,
}

impl Routing {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::open_route()? })
    }

    pub(crate) fn links(&self) -> io::Result<Links> {
        let mut links = BTreeMap::new();
        self.dump(RTM_GETLINK, 0, LINK_BYTES, |body| {
            let (index, flags) = (number(body, 4)?, number(body, 8)?);
            let name = text(attribute(&body[LINK_BYTES..], IFLA_IFNAME)?);
            let mtu = whole(attribute(&body[LINK_BYTES..], IFLA_MTU)).unwrap_or_default();
            let row = format!("{name} {} mtu {mtu}", if flags & IFF_UP == 0 { "down" } else { "up" });
            links.insert(index, (name, row));
            Some(())
        })?;
        Ok(Links { links })
    }

    pub(crate) fn qdiscs(&self, links: &Links) -> io::Result<Vec<String>> {
        let mut rows = Vec::new();
        self.dump(RTM_GETQDISC, 0, QDISC_BYTES, |body| {
            let (index, handle, parent) = (number(body, 4)?, number(body, 8)?, number(body, 12)?);
            let kind = text(attribute(&body[QDISC_BYTES..], TCA_KIND)?);
            rows.push(format!("{} {} {kind} {:x}:", links.name(index), place(parent), handle >> 16));
            Some(())
        })?;
        Ok(rows)
    }

    /// Of one family: `AF_INET` or `AF_INET6`.
    pub(crate) fn routes(&self, family: u8, links: &Links) -> io::Result<Vec<String>> {
        let mut rows = Vec::new();
        self.dump(RTM_GETROUTE, family, ROUTE_BYTES, |body| {
            rows.extend(route(body, links));
            Some(())
        })?;
        Ok(rows)
    }

    /// Of one family.
    pub(crate) fn rules(&self, family: u8) -> io::Result<Vec<String>> {
        let mut rows = Vec::new();
        self.dump(RTM_GETRULE, family, ROUTE_BYTES, |body| {
            rows.push(rule(body)?);
            Some(())
        })?;
        Ok(rows)
    }

    /// Asks for everything of a kind; `each` gets a body that holds its fixed part at least, and says `None` to what it cannot read.
    fn dump(&self, kind: u16, family: u8, fixed: usize, mut each: impl FnMut(&[u8]) -> Option<()>) -> io::Result<()> {
        let mut unreadable = 0;
        let mut request = Messages::default();
        request.message(kind, NLM_F_DUMP, |body| {
            body.fixed(&[family]);
            body.fixed(&vec![0; fixed - 1]);
        });
        self.socket.dump(&request, |message: &Received<'_>| {
            let read = (message.body.len() >= fixed).then(|| each(message.body)).flatten();
            unreadable += usize::from(read.is_none());
        })?;
        if unreadable == 0 { Ok(()) } else { Err(io::Error::other(format!("{unreadable} messages could not be read"))) }
    }
}

impl Links {
    pub(crate) fn rows(&self) -> Vec<String> {
        self.links.values().map(|(_, row)| row.clone()).collect()
    }

    fn name(&self, index: u32) -> String {
        self.links.get(&index).map_or_else(|| format!("link{index}"), |(name, _)| name.clone())
    }
}

fn place(parent: u32) -> String {
    match parent {
        TC_H_ROOT => "root".to_owned(),
        TC_H_INGRESS => "ingress".to_owned(),
        class => format!("parent {:x}:{:x}", class >> 16, class & 0xffff),
    }
}

/// `None`: a route that the kernel keeps for itself.
fn route(body: &[u8], links: &Links) -> Option<String> {
    let (family, prefix, protocol, kind) = (body[0], body[1], body[5], body[7]);
    let own = &body[ROUTE_BYTES..];
    let table = whole(attribute(own, RTA_TABLE)).unwrap_or_else(|| u32::from(body[4]));
    if is_six(family) && [RTPROT_KERNEL, RTPROT_RA].contains(&protocol) || number(body, 8)? & RTM_F_CLONED != 0 {
        return None;
    }
    let to = attribute(own, RTA_DST).map_or_else(|| "default".to_owned(), |to| format!("{}/{prefix}", address(to)));
    let mut row = format!("{} {to}", word(family));
    if kind != RTN_UNICAST {
        let _ = write!(row, " type {kind}");
    }
    if let Some(gateway) = attribute(own, RTA_GATEWAY) {
        let _ = write!(row, " via {}", address(gateway));
    }
    if let Some(out) = whole(attribute(own, RTA_OIF)) {
        let _ = write!(row, " dev {}", links.name(out));
    }
    let _ = write!(row, " table {table}");
    if let Some(metric) = whole(attribute(own, RTA_PRIORITY)) {
        let _ = write!(row, " metric {metric}");
    }
    Some(row)
}

/// A rule's fixed part has the shape of a route's.
fn rule(body: &[u8]) -> Option<String> {
    let own = &body[ROUTE_BYTES..];
    let priority = whole(attribute(own, FRA_PRIORITY)).unwrap_or_default();
    let mut row = format!("{} {priority}", word(body[0]));
    for (kind, value) in attributes(own) {
        let _ = match kind {
            FRA_SRC => write!(row, " from {}/{}", address(value), body[2]),
            FRA_DST => write!(row, " to {}/{}", address(value), body[1]),
            FRA_IIFNAME => write!(row, " in {}", text(value)),
            FRA_OIFNAME => write!(row, " out {}", text(value)),
            FRA_FWMARK => write!(row, " mark {}", whole(Some(value))?),
            FRA_TABLE => write!(row, " table {}", whole(Some(value))?),
            _ => Ok(()),
        };
    }
    if body[7] != FR_ACT_TO_TBL {
        let _ = write!(row, " action {}", body[7]);
    }
    Some(row)
}

fn is_six(family: u8) -> bool {
    i32::from(family) == libc::AF_INET6
}

fn word(family: u8) -> &'static str {
    if is_six(family) { "ip6" } else { "ip" }
}

fn address(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(four).to_string();
    }
    <[u8; 16]>::try_from(bytes).map_or_else(|_| format!("{bytes:02x?}"), |six| Ipv6Addr::from(six).to_string())
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

fn whole(value: Option<&[u8]>) -> Option<u32> {
    number(value?, 0)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}
