//! Redirect: connections that this namespace opens to the target end at a port of its own, where a relay listens and opens them on to the target.
//!
//! Address translation (`redir`) does it, once for each connection: the program goes on believing that it talks to the target, and the relay learns
//! from `SO_ORIGINAL_DST` whom it meant. The relay's own connections are known by the user id of their sockets and pass. The chain stands right before
//! the place of everybody else's destination translation, since the first one wins and Docker translates the address of its name server 127.0.0.11.
//!
//! Only a SYN opens: what belongs to a connection from before is never led into a relay that does not know it. It would pass by the relay for as long as
//! it lives; with `reset_established` it is disconnected at once (`SOCK_DESTROY`), so that a pool of idle connections makes new ones before anybody asks
//! for one. Where the kernel cannot do that each of its packets is answered with a reset, after translation, where what was led away no longer has
//! the target's address: then an idle connection stays open until it speaks. What a program wrote before it closed its socket passes.
//!
//! When the fault ends new connections are direct. Those that were led away go on as long as others translate addresses in this namespace, as Docker
//! does; where nobody does, their next packet reaches the target by its own address, and the target resets what it does not know.
//!
//! A relay of UDP has to listen at 127.0.0.1 and ::1 and not at any address: for its answers the kernel would choose another source, which
//! translation does not know.
//!
//! A flow of UDP whose way was decided before is made to be decided anew: conntrack forgets it once the rules are there, and again once they are gone,
//! as its socket would else be led to a relay that is there no more. An answer that is under way meanwhile comes from an address that its asker does
//! not know, and is lost. After a SIGKILL nobody makes conntrack forget: a socket of UDP that goes on asking goes on being led away.
//!
//! How it can mislead: a TCP connection from before to an address that somebody else translates (Docker's name server) goes on. Without ports every TCP
//! port is led away; other protocols than TCP, and UDP unless asked for, pass. Rules look at the user of a socket, so that a service that runs as the
//! excepted user is not met at all.

use super::{Fault, Plan, Site, Step, owner_words, tables};
use crate::kernel::{Act, Disconnect, Flows, Hook, Meters, PortMatch, Protocol, Rule, Sentence, Table};
use crate::wire::{FaultSpec, Powers, Redirect};

impl Fault for Redirect {
    fn lacks(&self, powers: &Powers) -> Option<&'static str> {
        match powers {
            Powers { nft: false, .. } => Some("nft"),
            Powers { redirect: false, .. } => Some("redirect"),
            Powers { reject: false, .. } if self.reset_established => Some("reject"),
            _ => None,
        }
    }

    fn mechanism(&self, powers: &Powers) -> String {
        let before = if self.reset_established { "reset" } else { "left alone" };
        let datagrams = match powers.forget {
            _ if !self.udp => "",
            true => "; UDP too",
            false => "; UDP too, but for flows from before",
        };
        format!("redirect to port {} in {}; connections from before are {before}{datagrams}", self.port, owner_words(powers))
    }

    fn plan(&self, spec: &FaultSpec, site: &Site) -> Plan {
        let hooks = if self.reset_established { vec![Hook::Opening, Hook::Output] } else { vec![Hook::Opening] };
        let tables: Vec<Table> = tables(spec, site).into_iter().map(|table| Table { hooks: hooks.clone(), ..table }).collect();
        let creates = tables.iter().cloned().map(Act::CreateTable);
        let arms = tables.iter().map(|table| {
            let Table { id, addresses, ports, .. } = table.clone();
            let flows = Flows { family: id.family, addresses, ports };
            let disconnect = self.reset_established.then(|| Disconnect { flows: flows.clone(), except_user: self.except_uid });
            let forget = (self.udp && site.powers.forget).then_some(flows);
            Act::Arm { table: id, rules: self.rules(table), forget, disconnect }
        });
        Plan {
            steps: creates.chain(arms).map(Step::from).collect(),
            meters: Meters { tables: tables.into_iter().map(|table| table.id).collect(), ..Meters::default() },
        }
    }
}

impl Redirect {
    fn rules(&self, table: &Table) -> Vec<Rule> {
        let ports = if table.ports.is_empty() { PortMatch::Any } else { PortMatch::OfTable };
        let rule = |hook, protocol, sentence| Rule { hook, protocol: Some(protocol), ports, spares: Some(self.except_uid), sentence };
        let mut rules = Vec::new();
        for protocol in std::iter::once(Protocol::TcpSyn).chain(self.udp.then_some(Protocol::Udp)) {
            rules.push(rule(Hook::Opening, protocol, Sentence::Remember));
            rules.push(rule(Hook::Opening, protocol, Sentence::Redirect { port: self.port }));
        }
        if self.reset_established {
            rules.push(rule(Hook::Output, Protocol::Tcp, Sentence::Reset));
        }
        rules
    }
}
