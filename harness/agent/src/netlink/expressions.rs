//! The expressions of a rule: what to look at, what to compare it with, what to do. Pure.
//!
//! Expressions work on registers; the row ends at the first that does not match.

use super::Attributes;
#[allow(clippy::wildcard_imports, reason = "the kernel's names, as in its headers")]
use super::numbers::*;
use super::ruleset::{ADDRESSES, CONNECTIONS, DOSE, PORTS, address_registers};
use crate::kernel::{Family, Hook, PortMatch, Protocol, Rule, Sentence};
use crate::wire::QueuePower;

/// ICMPv6 types of neighbour discovery: router solicitation to redirect.
const NEIGHBOUR_DISCOVERY: (u8, u8) = (133, 137);
/// The bit of a packet's mark that says that it is a copy. Other bits are left as they are, and marks do not leave the
/// network namespace.
const COPIED: u32 = 1 << 27;

/// Writes the expressions of a rule.
pub(super) struct Expressions<'a, 'b> {
    pub(super) body: &'a mut Attributes<'b>,
    pub(super) family: Family,
}

impl Expressions<'_, '_> {
    pub(super) fn matches(&mut self, rule: &Rule) {
        self.load_far_address(rule.hook);
        self.lookup(ADDRESSES);
        self.protocol_of(rule);
        if rule.ports == PortMatch::OfTable {
            self.load_far_port(rule.hook, 0);
            self.lookup(PORTS);
        }
        if rule.sentence == Sentence::Reset {
            self.is_no_reset();
        }
    }

    pub(super) fn protocol_of(&mut self, rule: &Rule) {
        match rule.protocol {
            None => {}
            Some(Protocol::Tcp) => self.protocol(IPPROTO_TCP),
            Some(Protocol::Udp) => self.protocol(IPPROTO_UDP),
        }
    }

    pub(super) fn sentence(&mut self, rule: &Rule) {
        match rule.sentence {
            Sentence::SpareNeighbourDiscovery => return,
            Sentence::Remember => return self.remember(rule.hook),
            Sentence::Relay { number, power } => return self.relay(rule.hook, number, power),
            Sentence::Drop | Sentence::Reset | Sentence::Queue { .. } => self.count(),
        }
        match rule.sentence {
            Sentence::Drop => self.verdict(NF_DROP),
            Sentence::Reset => self.push("reject", |body| {
                body.u32(NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
            }),
            Sentence::Queue { number, power } => self.queue(number, power),
            Sentence::SpareNeighbourDiscovery | Sentence::Remember | Sentence::Relay { .. } => {}
        }
    }

    fn push(&mut self, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
        self.body.nested(NFTA_LIST_ELEM, |body| {
            body.string(NFTA_EXPR_NAME, name);
            body.nested(NFTA_EXPR_DATA, data);
        });
    }

    fn load(&mut self, register: u32, base: u32, offset: u32, length: u32) {
        self.push("payload", |body| {
            body.u32(NFTA_PAYLOAD_DREG, NFT_REG32_00 + register);
            body.u32(NFTA_PAYLOAD_BASE, base);
            body.u32(NFTA_PAYLOAD_OFFSET, offset);
            body.u32(NFTA_PAYLOAD_LEN, length);
        });
    }

    /// The source stands at 12 or 8, the destination right after it (RFC 791, RFC 8200).
    fn load_far_address(&mut self, hook: Hook) {
        let offset = match (self.family, hook) {
            (Family::Ip4, Hook::Input) => 12,
            (Family::Ip4, Hook::Output) => 16,
            (Family::Ip6, Hook::Input) => 8,
            (Family::Ip6, Hook::Output) => 24,
        };
        self.load(0, NFT_PAYLOAD_NETWORK_HEADER, offset, 4 * address_registers(self.family));
    }

    fn load_far_port(&mut self, hook: Hook, register: u32) {
        let offset = if hook == Hook::Input { 0 } else { 2 };
        self.load(register, NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2);
    }

    fn load_near_port(&mut self, hook: Hook, register: u32) {
        let offset = if hook == Hook::Input { 2 } else { 0 };
        self.load(register, NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2);
    }

    fn lookup(&mut self, set: &str) {
        self.push("lookup", |body| {
            body.string(NFTA_LOOKUP_SET, set);
            body.u32(NFTA_LOOKUP_SREG, NFT_REG32_00);
        });
    }

    fn compare(&mut self, operation: u32, value: &[u8]) {
        self.push("cmp", |body| {
            body.u32(NFTA_CMP_SREG, NFT_REG32_00);
            body.u32(NFTA_CMP_OP, operation);
            body.nested(NFTA_CMP_DATA, |body| body.raw(NFTA_DATA_VALUE, value));
        });
    }

    /// `register = (register & mask) ^ flip`
    fn twiddle(&mut self, mask: &[u8], flip: &[u8]) {
        self.push("bitwise", |body| {
            body.u32(NFTA_BITWISE_SREG, NFT_REG32_00);
            body.u32(NFTA_BITWISE_DREG, NFT_REG32_00);
            body.u32(NFTA_BITWISE_LEN, mask.len() as u32);
            body.nested(NFTA_BITWISE_MASK, |body| body.raw(NFTA_DATA_VALUE, mask));
            body.nested(NFTA_BITWISE_XOR, |body| body.raw(NFTA_DATA_VALUE, flip));
        });
    }

    fn load_meta(&mut self, key: u32) {
        self.push("meta", |body| {
            body.u32(NFTA_META_DREG, NFT_REG32_00);
            body.u32(NFTA_META_KEY, key);
        });
    }

    fn protocol(&mut self, protocol: u8) {
        self.load_meta(NFT_META_L4PROTO);
        self.compare(NFT_CMP_EQ, &[protocol]);
    }

    /// The flags of TCP stand at 13; RST is 4. A reset must pass: the one that `reject` sends may meet this very rule.
    fn is_no_reset(&mut self) {
        self.load(0, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
        self.twiddle(&[4], &[0]);
        self.compare(NFT_CMP_EQ, &[0]);
    }

    pub(super) fn spare_neighbour_discovery(&mut self) {
        self.protocol(IPPROTO_ICMPV6);
        self.load(0, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
        self.compare(NFT_CMP_GTE, &[NEIGHBOUR_DISCOVERY.0]);
        self.compare(NFT_CMP_LTE, &[NEIGHBOUR_DISCOVERY.1]);
        self.verdict(NF_ACCEPT);
    }

    /// Both directions of a connection make the same key.
    fn remember(&mut self, hook: Hook) {
        let after_address = address_registers(self.family);
        self.load_far_address(hook);
        self.load_near_port(hook, after_address);
        self.load_far_port(hook, after_address + 1);
        self.push("dynset", |body| {
            body.string(NFTA_DYNSET_SET_NAME, CONNECTIONS);
            body.u32(NFTA_DYNSET_OP, NFT_DYNSET_OP_ADD);
            body.u32(NFTA_DYNSET_SREG_KEY, NFT_REG32_00);
        });
    }

    /// In nft's language: `meta mark & COPIED == 0 meta mark set mark | COPIED dup to ip daddr queue to N bypass`.
    /// A mark is in host order.
    fn relay(&mut self, hook: Hook, number: u16, power: QueuePower) {
        let (bit, nothing) = (COPIED.to_ne_bytes(), [0; 4]);
        self.load_meta(NFT_META_MARK);
        self.twiddle(&bit, &nothing);
        self.compare(NFT_CMP_EQ, &nothing);
        self.load_meta(NFT_META_MARK);
        self.twiddle(&(!COPIED).to_ne_bytes(), &bit);
        self.push("meta", |body| {
            body.u32(NFTA_META_SREG, NFT_REG32_00);
            body.u32(NFTA_META_KEY, NFT_META_MARK);
        });
        self.load_far_address(hook);
        self.push("dup", |body| body.u32(NFTA_DUP_SREG_ADDR, NFT_REG32_00));
        self.queue(number, power);
    }

    fn count(&mut self) {
        self.push("objref", |body| {
            body.u32(NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
            body.string(NFTA_OBJREF_IMM_NAME, DOSE);
        });
    }

    fn verdict(&mut self, code: u32) {
        self.push("immediate", |body| {
            body.u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
            body.nested(NFTA_IMMEDIATE_DATA, |body| {
                body.nested(NFTA_DATA_VERDICT, |body| body.u32(NFTA_VERDICT_CODE, code));
            });
        });
    }

    fn queue(&mut self, number: u16, power: QueuePower) {
        match power {
            QueuePower::NftQueue => self.push("queue", |body| {
                body.u16(NFTA_QUEUE_NUM, number);
                body.u16(NFTA_QUEUE_TOTAL, 1);
                body.u16(NFTA_QUEUE_FLAGS, NFT_QUEUE_FLAG_BYPASS);
            }),
            // struct xt_NFQ_info_v3 { u16 queuenum, queues_total, flags }, in host order and aligned to 8.
            QueuePower::XtNfqueue => self.push("target", |body| {
                let info: Vec<u8> = [number, 1, NFQ_FLAG_BYPASS, 0].iter().flat_map(|value: &u16| value.to_ne_bytes()).collect();
                body.string(NFTA_TARGET_NAME, "NFQUEUE");
                body.u32(NFTA_TARGET_REV, 3);
                body.raw(NFTA_TARGET_INFO, &info);
            }),
        }
    }
}
