//! How a table and its rules are said in netlink. Pure: it writes messages and sends nothing.
//!
//! A rule is a row of expressions that work on registers; the row ends at the first that does not match. What
//! [`rule`] writes reads in nft's language as
//! `ip daddr @addresses meta l4proto tcp tcp dport @ports counter name "dose" queue to N bypass`.

use std::net::IpAddr;

use super::expressions::Expressions;
use super::numbers::*;
use super::{Head, Messages, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use crate::kernel::{Family, Hook, Rule, Sentence, Table, TableId};

pub(super) const ADDRESSES: &str = "addresses";
pub(super) const PORTS: &str = "ports";
/// The set of connections that were met.
pub(super) const CONNECTIONS: &str = "connections";
/// The counter of packets and bytes that were met.
pub(super) const DOSE: &str = "dose";
/// The counter of connections that were led elsewhere.
pub(super) const REDIRECTED: &str = "redirected";
/// The counter of copies that have come by.
pub(super) const COPIES: &str = "copies";
/// A connection's addresses are translated by the first who wants to: Docker, whose rules lead to its name server, comes right after us.
const BEFORE_OTHERS: i32 = NF_IP_PRI_NAT_DST - 1;
/// Bounds the set of connections; past it they are no longer counted, and nothing else changes.
const CONNECTIONS_MAX: u32 = 65_535;
/// What `nft list` shows keys as: TYPE_IPADDR, TYPE_IP6ADDR, TYPE_INET_SERVICE of nftables' `datatype.h`; joined keys
/// take 6 bits for each part.
const TYPE_IP4: u32 = 7;
const TYPE_IP6: u32 = 8;
const TYPE_PORT: u32 = 13;

pub(super) fn nfproto(family: Family) -> u8 {
    match family {
        Family::Ip4 => NFPROTO_IPV4,
        Family::Ip6 => NFPROTO_IPV6,
    }
}

/// The head of an nf_tables message.
pub(super) fn head(message: u16, flags: u16, family: u8) -> Head {
    Head { kind: (NFNL_SUBSYS_NFTABLES << 8) | message, flags, family, resource: 0 }
}

/// A table, its counters, its sets with their elements, and its base chains.
pub(super) fn table(batch: &mut Messages, table: &Table) {
    new_table(batch, &table.id, if table.owned { NFT_TABLE_F_OWNER } else { 0 });
    for name in [DOSE, COPIES, REDIRECTED] {
        counter(batch, &table.id, name);
    }
    connections(batch, &table.id);
    let address = match table.id.family {
        Family::Ip4 => Key { name: ADDRESSES, kind: TYPE_IP4, bytes: 4, id: 1 },
        Family::Ip6 => Key { name: ADDRESSES, kind: TYPE_IP6, bytes: 16, id: 1 },
    };
    set(batch, &table.id, &address, table.addresses.iter().map(octets));
    if !table.ports.is_empty() {
        let port = Key { name: PORTS, kind: TYPE_PORT, bytes: 2, id: 2 };
        set(batch, &table.id, &port, table.ports.iter().map(|port| port.to_be_bytes().to_vec()));
    }
    for hook in &table.hooks {
        base_chain(batch, &table.id, *hook, table.priority);
    }
}

/// A table and nothing in it.
pub(super) fn new_table(batch: &mut Messages, id: &TableId, flags: u32) {
    batch.push(head(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, nfproto(id.family)), |body| {
        body.string(NFTA_TABLE_NAME, &id.name);
        body.u32(NFTA_TABLE_FLAGS, flags);
    });
}

/// A named counter, which outlives the rules that count with it.
pub(super) fn counter(batch: &mut Messages, id: &TableId, name: &str) {
    batch.push(head(NFT_MSG_NEWOBJ, NLM_F_CREATE | NLM_F_EXCL, nfproto(id.family)), |body| {
        body.string(NFTA_OBJ_TABLE, &id.name);
        body.string(NFTA_OBJ_NAME, name);
        body.u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
        body.nested(NFTA_OBJ_DATA, |_| {});
    });
}

/// A chain without a hook, for trying out rules: no packet visits it.
pub(super) fn idle_chain(batch: &mut Messages, id: &TableId, hook: Hook) {
    batch.push(head(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, nfproto(id.family)), |body| {
        body.string(NFTA_CHAIN_TABLE, &id.name);
        body.string(NFTA_CHAIN_NAME, hook.chain());
    });
}

pub(super) fn base_chain(batch: &mut Messages, id: &TableId, hook: Hook, priority: i32) {
    let (number, kind, priority) = match hook {
        Hook::Output => (NF_INET_LOCAL_OUT, "filter", priority),
        Hook::Opening => (NF_INET_LOCAL_OUT, "nat", BEFORE_OTHERS),
        Hook::Input => (NF_INET_LOCAL_IN, "filter", priority),
    };
    batch.push(head(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, nfproto(id.family)), |body| {
        body.string(NFTA_CHAIN_TABLE, &id.name);
        body.string(NFTA_CHAIN_NAME, hook.chain());
        body.nested(NFTA_CHAIN_HOOK, |body| {
            body.u32(NFTA_HOOK_HOOKNUM, number);
            body.raw(NFTA_HOOK_PRIORITY, &priority.to_be_bytes());
        });
        body.string(NFTA_CHAIN_TYPE, kind);
    });
}

struct Key {
    name: &'static str,
    kind: u32,
    bytes: u32,
    id: u32,
}

fn set(batch: &mut Messages, table: &TableId, key: &Key, elements: impl Iterator<Item = Vec<u8>>) {
    let family = nfproto(table.family);
    batch.push(head(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, family), |body| {
        body.string(NFTA_SET_TABLE, &table.name);
        body.string(NFTA_SET_NAME, key.name);
        body.u32(NFTA_SET_KEY_TYPE, key.kind);
        body.u32(NFTA_SET_KEY_LEN, key.bytes);
        body.u32(NFTA_SET_ID, key.id);
    });
    batch.push(head(NFT_MSG_NEWSETELEM, NLM_F_CREATE, family), |body| {
        body.string(NFTA_SET_ELEM_LIST_TABLE, &table.name);
        body.string(NFTA_SET_ELEM_LIST_SET, key.name);
        body.nested(NFTA_SET_ELEM_LIST_ELEMENTS, |body| {
            for element in elements {
                body.nested(NFTA_LIST_ELEM, |body| {
                    body.nested(NFTA_SET_ELEM_KEY, |body| {
                        body.raw(NFTA_DATA_VALUE, &element);
                    });
                });
            }
        });
    });
}

/// The set that [`Sentence::Remember`] fills: address, near port, far port, each in whole 32-bit registers.
fn connections(batch: &mut Messages, table: &TableId) {
    let address_type = if table.family == Family::Ip4 { TYPE_IP4 } else { TYPE_IP6 };
    batch.push(head(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, nfproto(table.family)), |body| {
        body.string(NFTA_SET_TABLE, &table.name);
        body.string(NFTA_SET_NAME, CONNECTIONS);
        body.u32(NFTA_SET_FLAGS, NFT_SET_EVAL);
        body.u32(NFTA_SET_KEY_TYPE, (address_type << 12) | (TYPE_PORT << 6) | TYPE_PORT);
        body.u32(NFTA_SET_KEY_LEN, 4 * (address_registers(table.family) + 2));
        body.u32(NFTA_SET_ID, 3);
        body.nested(NFTA_SET_DESC, |body| {
            body.u32(NFTA_SET_DESC_SIZE, CONNECTIONS_MAX);
        });
    });
}

/// A rule at the end of its hook's chain.
pub(super) fn rule(batch: &mut Messages, table: &TableId, rule: &Rule) {
    new_rule(batch, table, rule.hook, |expressions| {
        if rule.sentence == Sentence::SpareNeighbourDiscovery {
            expressions.spare_neighbour_discovery();
        } else {
            expressions.matches(rule);
            expressions.sentence(rule);
        }
    });
}

/// A rule that looks at the protocol only, for trying out its sentence in a table without sets.
pub(super) fn bare_rule(batch: &mut Messages, table: &TableId, rule: &Rule) {
    new_rule(batch, table, rule.hook, |expressions| {
        expressions.protocol_of(rule);
        expressions.sender_of(rule);
        expressions.sentence(rule);
    });
}

fn new_rule(batch: &mut Messages, table: &TableId, hook: Hook, write: impl FnOnce(&mut Expressions<'_, '_>)) {
    batch.push(head(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, nfproto(table.family)), |body| {
        body.string(NFTA_RULE_TABLE, &table.name);
        body.string(NFTA_RULE_CHAIN, hook.chain());
        body.nested(NFTA_RULE_EXPRESSIONS, |body| {
            write(&mut Expressions { body, family: table.family });
        });
    });
}

/// Removes every rule of a chain.
pub(super) fn flush(batch: &mut Messages, table: &TableId) {
    batch.push(head(NFT_MSG_DELRULE, 0, nfproto(table.family)), |body| {
        body.string(NFTA_RULE_TABLE, &table.name);
    });
}

fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// How many 32-bit registers an address takes.
pub(super) fn address_registers(family: Family) -> u32 {
    match family {
        Family::Ip4 => 1,
        Family::Ip6 => 4,
    }
}
