//! Faults on what a service asks its resolver.

use super::note;
use shakedown_link::{DnsDose, DnsEffect, DnsMatching, DnsRule};
use shakedown_model::fault::{self, Dns, FaultRecord};
use std::net::IpAddr;

pub(super) fn rule(dns: &Dns, seed: u64) -> Result<DnsRule, String> {
    let all = DnsMatching::default();
    let matching = DnsMatching { name: dns.name.clone().unwrap_or(all.name), types: dns.types.clone(), share: dns.share.0, seed };
    let effect = match &dns.effect {
        fault::DnsEffect::Nxdomain => DnsEffect::NxDomain,
        fault::DnsEffect::Servfail => DnsEffect::ServFail,
        fault::DnsEffect::Refused => DnsEffect::Refused,
        fault::DnsEffect::Timeout => DnsEffect::Silence,
        fault::DnsEffect::Truncated => DnsEffect::Truncate,
        fault::DnsEffect::Address(IpAddr::V4(address)) => DnsEffect::Address { v4: Some(*address), v6: None },
        fault::DnsEffect::Address(IpAddr::V6(address)) => DnsEffect::Address { v4: None, v6: Some(*address) },
        fault::DnsEffect::Delay(delay) => DnsEffect::Delay { duration: delay.0 },
    };
    DnsRule::try_new(matching, effect).map_err(|error| error.to_string())
}

pub(super) fn note_dose(record: &mut FaultRecord, dose: &DnsDose) {
    let false_answers = dose.nxdomain + dose.servfail + dose.refused + dose.misled + dose.empty + dose.truncated;
    record.dose.touched = false_answers + dose.dropped + dose.delayed;
    note(record, [("requests", dose.queries as f64), ("matched", dose.matched as f64)]);
    let counts = [
        ("nxdomain", dose.nxdomain),
        ("servfail", dose.servfail),
        ("refused", dose.refused),
        ("misled", dose.misled),
        ("empty", dose.empty),
        ("truncated", dose.truncated),
        ("dropped", dose.dropped),
        ("delayed", dose.delayed),
        ("malformed", dose.malformed),
        ("unanswered", dose.unanswered),
        ("overflowed", dose.overflowed),
        ("looped", dose.looped),
    ];
    note(record, counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, count as f64)));
    if dose.delayed > 0 {
        let [mean, p99] = [dose.mean_delay, dose.p99_delay].map(|delay| delay.as_secs_f64() * 1e3);
        note(record, [("delay_ms", mean), ("delay_p99_ms", p99)]);
    }
}
