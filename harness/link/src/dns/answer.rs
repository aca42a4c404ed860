//! Forges answers. Each is shorter than the 512 bytes that every client takes, and no cache may keep it.

use super::query::{Edns, Query};
use domain::{
    base::{MessageBuilder, Rtype, StaticCompressor, Ttl, iana::Rcode, message_builder::PushError},
    rdata::{A, Aaaa},
};
use std::net::{Ipv4Addr, Ipv6Addr};

/// What a forged answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    NxDomain,
    ServFail,
    Refused,
    /// The address of its family, if any.
    Address {
        v4: Option<Ipv4Addr>,
        v6: Option<Ipv6Addr>,
    },
    Truncated,
}

/// What clients may send to us over UDP: no fragments on any path.
const PAYLOAD: u16 = 1_232;

impl Lie {
    fn rcode(self) -> Rcode {
        match self {
            Lie::NxDomain => Rcode::NXDOMAIN,
            Lie::ServFail => Rcode::SERVFAIL,
            Lie::Refused => Rcode::REFUSED,
            Lie::Address { .. } | Lie::Truncated => Rcode::NOERROR,
        }
    }

    /// Whether the answer to a question for this type has a record.
    pub(super) fn is_empty(self, rtype: Rtype) -> bool {
        match self {
            Lie::Address { v4: Some(_), .. } if rtype == Rtype::A => false,
            Lie::Address { v6: Some(_), .. } if rtype == Rtype::AAAA => false,
            _ => true,
        }
    }

    /// The answer. Question (in the case in which it was asked), identifier, RD and CD are the client's; an OPT record answers an OPT record.
    pub(super) fn tell(self, query: &Query<'_>) -> Result<Vec<u8>, PushError> {
        let mut builder = MessageBuilder::from_target(StaticCompressor::new(Vec::new()))?.start_answer(query.message, self.rcode())?;
        let header = builder.header_mut();
        header.set_ra(true);
        header.set_cd(query.message.header().cd());
        header.set_tc(self == Lie::Truncated);
        if let Lie::Address { v4, v6 } = self {
            let name = query.message.sole_question().map_err(|_| PushError::ShortBuf)?.into_qname();
            match (query.rtype, v4, v6) {
                (Rtype::A, Some(address), _) => builder.push((name, Ttl::ZERO, A::new(address)))?,
                (Rtype::AAAA, _, Some(address)) => builder.push((name, Ttl::ZERO, Aaaa::new(address)))?,
                _ => {}
            }
        }
        let mut builder = builder.additional();
        if let Some(Edns { dnssec_ok }) = query.edns {
            builder.opt(|opt| {
                opt.set_udp_payload_size(PAYLOAD);
                opt.set_dnssec_ok(dnssec_ok);
                Ok(())
            })?;
        }
        Ok(builder.finish().into_target())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::query::tests::{query, with_opt},
        *,
    };
    use domain::base::Message;

    const WRONG: Lie = Lie::Address { v4: Some(Ipv4Addr::new(203, 0, 113, 7)), v6: None };

    fn told(lie: Lie, bytes: &[u8]) -> Vec<u8> {
        lie.tell(&Query::read(bytes).ok().unwrap()).unwrap()
    }

    #[test]
    fn an_answer_has_the_question_as_it_was_asked_and_the_bits_of_its_query() {
        let mut asked = query("PayMent", Rtype::A);
        asked[3] |= 0x10;
        for (lie, rcode) in [(Lie::NxDomain, 3), (Lie::ServFail, 2), (Lie::Refused, 5)] {
            let mut expected = asked.clone();
            expected[2] = 0x81; // an answer, recursion desired
            expected[3] = 0x90 | rcode; // recursion available, checking disabled
            assert_eq!(told(lie, &asked), expected, "{lie:?}");
        }
        asked[2] &= !0x01;
        assert_eq!(told(Lie::NxDomain, &asked)[2], 0x80, "recursion was not desired");
    }

    #[test]
    fn a_wrong_address_has_no_lifetime_and_is_only_there_for_its_family() {
        let answer = told(WRONG, &query("payment", Rtype::A));
        assert_eq!((answer[3] & 0x0f, answer[7]), (0, 1));
        assert_eq!(answer[answer.len() - 10..], [0, 0, 0, 0, 0, 4, 203, 0, 113, 7]);
        for rtype in [Rtype::AAAA, Rtype::HTTPS] {
            let asked = query("payment", rtype);
            assert_eq!(told(WRONG, &asked), [&[0xab, 0xcd, 0x81, 0x80], &asked[4..]].concat());
            assert!(WRONG.is_empty(rtype) && !WRONG.is_empty(Rtype::A));
        }
        let six = Lie::Address { v4: None, v6: Some(Ipv6Addr::LOCALHOST) };
        assert_eq!(told(six, &query("payment", Rtype::AAAA))[7], 1);
        assert_eq!(told(six, &query("payment", Rtype::A))[7], 0);
    }

    #[test]
    fn an_answer_that_was_cut_off_says_so() {
        let answer = told(Lie::Truncated, &query("payment", Rtype::A));
        assert_eq!((answer[2], answer[3], answer[7]), (0x83, 0x80, 0));
    }

    #[test]
    fn edns_is_answered_where_it_was_spoken_and_the_longest_answer_is_short() {
        let label = "x".repeat(62);
        let longest = with_opt(query(&[label.as_str(); 4].join("."), Rtype::A), 0);
        let answer = told(WRONG, &longest);
        let opt = Message::from_slice(&answer).unwrap().opt().unwrap();
        assert_eq!((opt.udp_payload_size(), opt.version(), opt.dnssec_ok()), (PAYLOAD, 0, true));
        assert!(Message::from_slice(&told(WRONG, &query("payment", Rtype::A))).unwrap().opt().is_none());
        assert!(answer.len() <= 512, "{}", answer.len());
    }
}
