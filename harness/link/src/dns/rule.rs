//! Which queries a DNS fault is for, and what becomes of them. A rule that exists is valid.

use super::query::Query;
use crate::wire::{micros, ppm};
use domain::base::Rtype;
use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
    time::Duration,
};

/// Which queries; all that is given must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsMatching {
    /// Glob over the name as it was asked, in any case and without a dot at its end; `*` goes over dots. Clients append their search domains before
    /// they ask, and may ask for several names until one is there.
    pub name: String,
    /// Record types (`A`, `AAAA`, `SRV`, `TYPE65`, …); every one where the list is empty.
    pub types: Vec<String>,
    /// Of the queries for which that holds, the share that is chosen, from 0 to 1. A query that is sent again is drawn again.
    #[serde(rename = "share_ppm", with = "ppm")]
    pub share: f64,
    /// Of the choice, which is drawn in the order in which matching queries come.
    pub seed: u64,
}

impl Default for DnsMatching {
    /// Every query.
    fn default() -> DnsMatching {
        DnsMatching { name: "*".into(), types: Vec::new(), share: 1.0, seed: 0 }
    }
}

/// What becomes of a query that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum DnsEffect {
    /// The name does not exist. The answer has no SOA record, so that resolvers have nothing to keep it by (RFC 2308, 5).
    NxDomain,
    /// The resolver failed.
    ServFail,
    /// The resolver does not want to.
    Refused,
    /// No answer comes.
    Silence,
    /// A and AAAA have this address, and no lifetime. Where none of its family is given there is no record (NOERROR, empty); so it is for HTTPS and
    /// SVCB, which carry addresses as hints. Other types pass.
    Address {
        /// For A.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        v4: Option<Ipv4Addr>,
        /// For AAAA.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        v6: Option<Ipv6Addr>,
    },
    /// The query reaches the resolver later by this much. On a TCP connection it holds what comes behind it.
    Delay {
        /// How much later.
        #[serde(rename = "delay_us", with = "micros")]
        duration: Duration,
    },
    /// Over UDP the answer is empty and says that it was cut off, which makes a client ask again over TCP; there the query passes.
    Truncate,
}

/// Queries and what becomes of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub struct DnsRule {
    matching: DnsMatching,
    glob: GlobMatcher,
    types: Vec<Rtype>,
    effect: DnsEffect,
}

/// A rule on the wire, which may be none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    #[serde(rename = "match", default)]
    matching: DnsMatching,
    effect: DnsEffect,
}

impl TryFrom<Words> for DnsRule {
    type Error = DnsRuleError;

    fn try_from(Words { matching, effect }: Words) -> Result<DnsRule, DnsRuleError> {
        DnsRule::try_new(matching, effect)
    }
}

impl From<DnsRule> for Words {
    fn from(DnsRule { matching, effect, glob: _, types: _ }: DnsRule) -> Words {
        Words { matching, effect }
    }
}

impl PartialEq for DnsRule {
    fn eq(&self, other: &DnsRule) -> bool {
        self.matching == other.matching && self.effect == other.effect
    }
}

/// Why a rule is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsRuleError {
    /// Not a fraction.
    Share,
    /// Not a glob, and why.
    Glob(String),
    /// No name could match it.
    Name(String),
    /// Not a record type.
    RecordType(String),
    /// Neither IPv4 nor IPv6 is given.
    NoAddress,
    /// None of the types is answered with an address.
    NoAddressType,
}

impl fmt::Display for DnsRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DnsRuleError::Share => write!(f, "the share must be from 0 to 1"),
            DnsRuleError::Glob(why) => write!(f, "not a glob: {why}"),
            DnsRuleError::Name(name) => {
                write!(f, "{name:?} matches no name: give printable ASCII without spaces, an international name as xn--…")
            }
            DnsRuleError::RecordType(name) => write!(f, "{name:?} is not a record type: use A, AAAA, SRV, … or TYPE65"),
            DnsRuleError::NoAddress => write!(f, "an address is needed: IPv4, IPv6 or both"),
            DnsRuleError::NoAddressType => write!(f, "none of the types has an address: use A or AAAA, or an rcode for the others"),
        }
    }
}

impl std::error::Error for DnsRuleError {}

impl DnsRule {
    /// Refuses what no query could match.
    pub fn try_new(matching: DnsMatching, effect: DnsEffect) -> Result<DnsRule, DnsRuleError> {
        if !(0.0..=1.0).contains(&matching.share) {
            return Err(DnsRuleError::Share);
        }
        let types = matching.types.iter().map(|name| record_type(name)).collect::<Result<Vec<_>, _>>()?;
        if let DnsEffect::Address { v4, v6 } = effect {
            if v4.is_none() && v6.is_none() {
                return Err(DnsRuleError::NoAddress);
            }
            if !types.is_empty() && !types.iter().any(|rtype| has_address(*rtype)) {
                return Err(DnsRuleError::NoAddressType);
            }
        }
        let glob = compile(&matching.name)?;
        Ok(DnsRule { matching, glob, types, effect })
    }

    /// What becomes of them.
    pub(super) fn effect(&self) -> DnsEffect {
        self.effect
    }

    pub(super) fn share(&self) -> f64 {
        self.matching.share
    }

    pub(super) fn seed(&self) -> u64 {
        self.matching.seed
    }

    /// Whether all but the share holds.
    pub(super) fn matches(&self, query: &Query<'_>) -> bool {
        let is_type = self.types.is_empty() || self.types.contains(&query.rtype);
        let is_met = !matches!(self.effect, DnsEffect::Address { .. }) || has_address(query.rtype);
        is_type && is_met && self.glob.is_match(&query.name)
    }
}

/// Types whose answers say where to connect to.
fn has_address(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::A | Rtype::AAAA | Rtype::HTTPS | Rtype::SVCB)
}

fn record_type(name: &str) -> Result<Rtype, DnsRuleError> {
    Rtype::from_str(name).map_err(|_| DnsRuleError::RecordType(name.to_owned()))
}

fn compile(name: &str) -> Result<GlobMatcher, DnsRuleError> {
    let pattern = name.strip_suffix('.').unwrap_or(name);
    if pattern.is_empty() || !pattern.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(DnsRuleError::Name(name.to_owned()));
    }
    let built = GlobBuilder::new(pattern).case_insensitive(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| DnsRuleError::Glob(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{super::query::tests::query, *};

    fn named(name: &str) -> DnsMatching {
        DnsMatching { name: name.into(), ..DnsMatching::default() }
    }

    fn matches(pattern: &str, name: &str) -> bool {
        let rule = DnsRule::try_new(named(pattern), DnsEffect::NxDomain).unwrap();
        rule.matches(&Query::read(&query(name, Rtype::A)).ok().unwrap())
    }

    fn meets(types: &[&str], effect: DnsEffect, rtype: Rtype) -> bool {
        let types = types.iter().map(|name| (*name).to_owned()).collect();
        let rule = DnsRule::try_new(DnsMatching { types, ..DnsMatching::default() }, effect).unwrap();
        rule.matches(&Query::read(&query("payment", rtype)).ok().unwrap())
    }

    #[test]
    fn a_name_is_matched_as_it_was_asked_in_any_case() {
        assert!(matches("payment", "PAYment") && matches("PAYMENT.", "payment"));
        assert!(!matches("payment", "payments") && !matches("payment", "payment.example.com"));
        assert!(matches("*.example.com", "a.b.Example.com") && !matches("*.example.com", "example.com"));
        assert!(matches("pay?ent", "payment") && matches("{cart,payment}", "cart"));
        assert!(matches("*", "payment") && matches("*", "") && matches("*", "a/b"));
    }

    #[test]
    fn record_types_are_all_or_those_that_are_named() {
        assert!(meets(&[], DnsEffect::NxDomain, Rtype::MX));
        assert!(meets(&["a", "TYPE28"], DnsEffect::NxDomain, Rtype::AAAA) && !meets(&["A"], DnsEffect::NxDomain, Rtype::AAAA));
    }

    #[test]
    fn a_wrong_address_is_for_types_that_lead_to_one() {
        let wrong = DnsEffect::Address { v4: Some(Ipv4Addr::LOCALHOST), v6: None };
        assert!([Rtype::A, Rtype::AAAA, Rtype::HTTPS].into_iter().all(|rtype| meets(&[], wrong, rtype)));
        assert!(![Rtype::MX, Rtype::PTR, Rtype::TXT].into_iter().any(|rtype| meets(&[], wrong, rtype)));
    }

    #[test]
    fn what_no_query_could_match_is_refused() {
        let refused = |matching, effect| DnsRule::try_new(matching, effect).err();
        let types = |name: &str| DnsMatching { types: vec![name.into()], ..DnsMatching::default() };
        for share in [-0.1, 1.1, f64::NAN] {
            assert_eq!(refused(DnsMatching { share, ..named("*") }, DnsEffect::NxDomain), Some(DnsRuleError::Share));
        }
        for name in ["", ".", "pay ment", "zahlungsdienst-für-alle"] {
            assert_eq!(refused(named(name), DnsEffect::NxDomain), Some(DnsRuleError::Name(name.into())));
        }
        assert!(matches!(refused(named("[a"), DnsEffect::NxDomain), Some(DnsRuleError::Glob(_))));
        assert_eq!(refused(types("AAAAA"), DnsEffect::NxDomain), Some(DnsRuleError::RecordType("AAAAA".into())));
        let wrong = |v4| DnsEffect::Address { v4, v6: None };
        assert_eq!(refused(named("*"), wrong(None)), Some(DnsRuleError::NoAddress));
        assert_eq!(refused(types("MX"), wrong(Some(Ipv4Addr::LOCALHOST))), Some(DnsRuleError::NoAddressType));
    }
}
