//! Reads a query as far as a rule must know it. What is anything else is not read at all.

use domain::base::{
    Message, Rtype,
    iana::{Class, Opcode},
    opt::{Opt, OptRecord},
};

/// A query of one question, in the class of the internet.
pub(super) struct Query<'a> {
    pub(super) message: &'a Message<[u8]>,
    /// As it was asked, without the dot at its end; what is no printable character is escaped.
    pub(super) name: String,
    pub(super) rtype: Rtype,
    pub(super) edns: Option<Edns>,
}

/// That the client knows EDNS, in version 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edns {
    pub(super) dnssec_ok: bool,
}

/// No query that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

impl<'a> Query<'a> {
    /// Refuses answers, updates and the like, several questions, records where a query has none, and what does not end where it says.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Query<'a>, Unreadable> {
        let message = Message::from_slice(bytes).map_err(|_| Unreadable)?;
        let (header, counts) = (message.header(), message.header_counts());
        let is_query = !header.qr() && header.opcode() == Opcode::QUERY && counts.ancount() == 0 && counts.nscount() == 0;
        let question = message.sole_question().map_err(|_| Unreadable)?;
        if !is_query || question.qclass() != Class::IN {
            return Err(Unreadable);
        }
        let name = question.qname().to_string();
        Ok(Query { message, name, rtype: question.qtype(), edns: edns(message)? })
    }
}

fn edns(message: &Message<[u8]>) -> Result<Option<Edns>, Unreadable> {
    let mut found = None;
    for record in message.additional().map_err(|_| Unreadable)? {
        let record = record.map_err(|_| Unreadable)?;
        let Some(opt) = record.to_record::<Opt<_>>().map_err(|_| Unreadable)? else { continue };
        let opt = OptRecord::from(opt);
        if found.is_some() || opt.version() != 0 {
            return Err(Unreadable);
        }
        found = Some(Edns { dnssec_ok: opt.dnssec_ok() });
    }
    Ok(found)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A query as a stub resolver sends it: recursion desired.
    pub(crate) fn query(name: &str, rtype: Rtype) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend_from_slice(&rtype.to_int().to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes
    }

    /// Adds an OPT record of this version, with the bit that asks for DNSSEC.
    pub(crate) fn with_opt(mut bytes: Vec<u8>, version: u8) -> Vec<u8> {
        bytes[11] += 1;
        bytes.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, version, 0x80, 0, 0, 0]);
        bytes
    }

    fn is_unreadable(change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut bytes = query("payment", Rtype::A);
        change(&mut bytes);
        Query::read(&bytes).is_err()
    }

    #[test]
    fn a_query_has_its_name_as_it_was_asked_its_type_and_its_edns() {
        let bytes = with_opt(query("PayMent.Example.com", Rtype::AAAA), 0);
        let read = Query::read(&bytes).ok().unwrap();
        assert_eq!((read.name.as_str(), read.rtype, read.edns), ("PayMent.Example.com", Rtype::AAAA, Some(Edns { dnssec_ok: true })));
        let root = query("", Rtype::NS);
        assert_eq!(Query::read(&root).ok().unwrap().name, "");
        let odd = query("a b\u{1}", Rtype::A);
        assert_eq!(Query::read(&odd).ok().unwrap().name, "a\\ b\\001");
    }

    #[test]
    fn what_is_not_one_whole_query_is_not_read() {
        assert!(!is_unreadable(|_| {}));
        assert!(is_unreadable(|bytes| bytes[2] |= 0x80), "an answer");
        assert!(is_unreadable(|bytes| bytes[2] |= 0x28), "an update");
        assert!(is_unreadable(|bytes| bytes[5] = 2), "two questions, one there");
        assert!(is_unreadable(|bytes| bytes[5] = 0), "no question");
        assert!(is_unreadable(|bytes| bytes[7] = 1), "an answer record");
        assert!(is_unreadable(|bytes| bytes[11] = 1), "an additional record that is not there");
        assert!(is_unreadable(|bytes| *bytes.last_mut().unwrap() = 3), "the class CHAOS");
        assert!(is_unreadable(|bytes| bytes.truncate(20)), "half a name");
        assert!(is_unreadable(Vec::clear), "nothing");
        assert!(is_unreadable(|bytes| bytes.splice(12..21, [0xc0, 12]).for_each(drop)), "a name that points to itself");
        assert!(is_unreadable(|bytes| *bytes = with_opt(bytes.clone(), 1)), "an EDNS that is not known");
        assert!(is_unreadable(|bytes| *bytes = with_opt(with_opt(bytes.clone(), 0), 0)), "two OPT records");
    }

    #[test]
    fn several_questions_are_not_read_even_where_all_are_there() {
        let mut bytes = query("payment", Rtype::A);
        let question = bytes[12..].to_vec();
        bytes.extend_from_slice(&question);
        bytes[5] = 2;
        assert_eq!(Query::read(&bytes).err(), Some(Unreadable));
    }
}
