//! What conntrack remembers, so far as it is to forget it: then the next packet of a flow is its first again.
//!
//! Source: `net/netfilter/nf_conntrack_netlink.c`.

use std::io;
use std::net::IpAddr;

use super::numbers::*;
use super::{Head, Messages, NLA_F_NESTED, NLM_F_ACK, NLM_F_DUMP, Socket, attribute};
use crate::kernel::{Family, Flows};

/// Whether conntrack can be told anything: it is asked for a flow that cannot be.
pub(crate) fn listens() -> io::Result<()> {
    let mut question = Messages::default();
    let last = question.push(head(IPCTNL_MSG_CT_GET, NLM_F_ACK, Family::Ip4), |body| {
        body.nested(CTA_TUPLE_ORIG, |body| {
            body.nested(CTA_TUPLE_IP, |body| {
                body.u32(CTA_IP_V4_SRC, 0);
                body.u32(CTA_IP_V4_DST, 0);
            });
            body.nested(CTA_TUPLE_PROTO, |body| {
                body.raw(CTA_PROTO_NUM, &[IPPROTO_UDP]);
                body.u16(CTA_PROTO_SRC_PORT, 0);
                body.u16(CTA_PROTO_DST_PORT, 0);
            });
        });
    });
    super::gone_is_fine(Socket::open()?.transact(&question, last).map_err(|(_, error)| error))
}

/// Makes it forget these flows of UDP, whoever began them. What is forgotten already is fine.
pub(crate) fn forget(flows: &Flows) -> io::Result<()> {
    let socket = Socket::open()?;
    let mut request = Messages::default();
    request.push(head(IPCTNL_MSG_CT_GET, NLM_F_DUMP, flows.family), |_| {});
    let mut tuples = Vec::new();
    socket.dump(&request, |message| {
        let tuple = message.attributes().find(|(kind, _)| *kind == CTA_TUPLE_ORIG).map(|(_, tuple)| tuple);
        tuples.extend(tuple.filter(|tuple| is_among(tuple, flows)).map(<[u8]>::to_vec));
    })?;
    tuples.iter().try_for_each(|tuple| {
        let mut order = Messages::default();
        // Without a tuple this would be an order to forget everything.
        let last = order.push(head(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, flows.family), |body| body.raw(CTA_TUPLE_ORIG | NLA_F_NESTED, tuple));
        super::gone_is_fine(socket.transact(&order, last).map_err(|(_, error)| error))
    })
}

fn head(message: u16, flags: u16, family: Family) -> Head {
    Head { kind: (NFNL_SUBSYS_CTNETLINK << 8) | message, flags, family: super::ruleset::nfproto(family), resource: 0 }
}

/// Whether a flow went to the target by the address that its sender used.
fn is_among(tuple: &[u8], flows: &Flows) -> bool {
    let part = |nest, kind| attribute(attribute(tuple, nest)?, kind);
    let to = match flows.family {
        Family::Ip4 => part(CTA_TUPLE_IP, CTA_IP_V4_DST).and_then(|octets| Some(IpAddr::from(*octets.first_chunk::<4>()?))),
        Family::Ip6 => part(CTA_TUPLE_IP, CTA_IP_V6_DST).and_then(|octets| Some(IpAddr::from(*octets.first_chunk::<16>()?))),
    };
    let port = part(CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT).and_then(|port| Some(u16::from_be_bytes(*port.first_chunk()?)));
    part(CTA_TUPLE_PROTO, CTA_PROTO_NUM) == Some(&[IPPROTO_UDP])
        && to.is_some_and(|to| flows.addresses.contains(&to))
        && port.is_some_and(|port| flows.ports.contains(&port))
}
