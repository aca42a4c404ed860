//! The expressions of a rule: what to look at, what to compare it with, what to do. Pure.
//!
//! Expressions work on registers; the row ends at the first that does not match.

use super::Attributes;
use super::marks::{CHOSEN, COPIED, TWIN};
use super::numbers::*;
use super::ruleset::{ADDRESSES, CONNECTIONS, COPIES, DOSE, PORTS, REDIRECTED, address_registers};
use crate::kernel::{Family, Hook, PortMatch, Protocol, Rule, Sentence};
use crate::wire::QueuePower;

/// ICMPv6 types of neighbour discovery: router solicitation to redirect.
const NEIGHBOUR_DISCOVERY: (u8, u8) = (133, 137);
/// TCP's flags (RFC 9293).
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
/// `PACKET_HOST` is 0: what is above it is for others too.
const NOT_FOR_US_ALONE: u8 = 1;

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
        self.sender_of(rule);
        if rule.sentence == Sentence::Reset {
            // A reset must pass: the one that `reject` sends may meet this very rule.
            self.has_flags(RST, 0);
        }
    }

    pub(super) fn protocol_of(&mut self, rule: &Rule) {
        match rule.protocol {
            None => {}
            Some(Protocol::Tcp) => self.protocol(IPPROTO_TCP),
            Some(Protocol::TcpSyn) => {
                self.protocol(IPPROTO_TCP);
                self.has_flags(SYN | ACK, SYN);
            }
            Some(Protocol::Udp) => self.protocol(IPPROTO_UDP),
        }
    }

    /// Ends the row for what the spared user sends. Where there is no socket to ask, and where the socket was closed by its program and only what it had
    /// written is still under way, the load itself ends the row.
    pub(super) fn sender_of(&mut self, rule: &Rule) {
        if let Some(uid) = rule.spares {
            self.load_meta(NFT_META_SKUID);
            self.compare(NFT_CMP_NEQ, &uid.to_ne_bytes());
        }
    }

    pub(super) fn sentence(&mut self, rule: &Rule) {
        if matches!(
            rule.sentence,
            Sentence::Drop | Sentence::Reset | Sentence::Redirect { .. } | Sentence::Shape { .. } | Sentence::Queue { .. }
        ) {
            self.count(DOSE);
        }
        match rule.sentence {
            Sentence::SpareNeighbourDiscovery => {}
            Sentence::Remember => self.remember(rule.hook),
            Sentence::Drop => self.verdict(NF_DROP),
            Sentence::Reset => self.push("reject", |body| {
                body.u32(NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
            }),
            Sentence::Relay { number, power } => self.relay(number, power),
            Sentence::PassCopies => self.pass_copies(),
            Sentence::PassBroadcasts => self.pass_broadcasts(),
            Sentence::Duplicate => self.duplicate(),
            Sentence::Redirect { port } => self.redirect(port),
            Sentence::Shape { class } => self.prioritize(class),
            Sentence::Queue { number, power } => self.queue(number, power),
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
            (Family::Ip4, Hook::Output | Hook::Opening) => 16,
            (Family::Ip6, Hook::Input) => 8,
            (Family::Ip6, Hook::Output | Hook::Opening) => 24,
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

    /// Goes on if these flags of TCP, which stand at 13, have this value.
    fn has_flags(&mut self, flags: u8, value: u8) {
        self.load(0, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
        self.twiddle(&[flags], &[0]);
        self.compare(NFT_CMP_EQ, &[value]);
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

    /// In nft's language: `meta mark & (COPIED | TWIN) == 0 meta mark set mark | COPIED dup to ip daddr queue to N bypass`.
    fn relay(&mut self, number: u16, power: QueuePower) {
        self.is_marked(COPIED | TWIN, 0);
        self.mark(COPIED, COPIED);
        self.copy();
        self.queue(number, power);
    }

    fn pass_copies(&mut self) {
        self.is_marked(TWIN, TWIN);
        self.count(COPIES);
        self.verdict(NF_ACCEPT);
    }

    fn pass_broadcasts(&mut self) {
        self.load_meta(NFT_META_PKTTYPE);
        self.compare(NFT_CMP_GTE, &[NOT_FOR_US_ALONE]);
        self.verdict(NF_ACCEPT);
    }

    /// `meta mark & CHOSEN == CHOSEN meta mark set mark & ~CHOSEN | TWIN dup to ip daddr meta mark set mark & ~TWIN accept`
    fn duplicate(&mut self) {
        self.is_marked(CHOSEN, CHOSEN);
        self.mark(CHOSEN | TWIN, TWIN);
        self.copy();
        self.mark(TWIN, 0);
        self.verdict(NF_ACCEPT);
    }

    /// Goes on if these bits of the mark, which is in host order, have this value.
    fn is_marked(&mut self, bits: u32, value: u32) {
        self.load_meta(NFT_META_MARK);
        self.twiddle(&bits.to_ne_bytes(), &[0; 4]);
        self.compare(NFT_CMP_EQ, &value.to_ne_bytes());
    }

    /// Gives these bits of the mark this value.
    fn mark(&mut self, bits: u32, value: u32) {
        self.load_meta(NFT_META_MARK);
        self.twiddle(&(!bits).to_ne_bytes(), &value.to_ne_bytes());
        self.push("meta", |body| {
            body.u32(NFTA_META_SREG, NFT_REG32_00);
            body.u32(NFTA_META_KEY, NFT_META_MARK);
        });
    }

    /// Sends a copy towards the packet's own destination: the far end, or an address of ours.
    fn copy(&mut self) {
        self.load_far_address(Hook::Output);
        self.push("dup", |body| body.u32(NFTA_DUP_SREG_ADDR, NFT_REG32_00));
    }

    fn count(&mut self, counter: &str) {
        self.push("objref", |body| {
            body.u32(NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
            body.string(NFTA_OBJREF_IMM_NAME, counter);
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

    /// In nft's language: `meta priority set 4321:4`. A discipline takes that for the class where the handle is its own.
    fn prioritize(&mut self, class: u32) {
        self.push("immediate", |body| {
            body.u32(NFTA_IMMEDIATE_DREG, NFT_REG32_00);
            body.nested(NFTA_IMMEDIATE_DATA, |body| body.raw(NFTA_DATA_VALUE, &class.to_ne_bytes()));
        });
        self.push("meta", |body| {
            body.u32(NFTA_META_SREG, NFT_REG32_00);
            body.u32(NFTA_META_KEY, NFT_META_PRIORITY);
        });
    }

    fn redirect(&mut self, port: u16) {
        self.count(REDIRECTED);
        self.push("immediate", |body| {
            body.u32(NFTA_IMMEDIATE_DREG, NFT_REG32_00);
            body.nested(NFTA_IMMEDIATE_DATA, |body| body.raw(NFTA_DATA_VALUE, &port.to_be_bytes()));
        });
        self.push("redir", |body| body.u32(NFTA_REDIR_REG_PROTO_MIN, NFT_REG32_00));
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
