//! nf_tables by netlink: make tables, arm and disarm them, read what they counted.
//!
//! Changes go in batches that happen as a whole or not at all. An owned table obeys only the socket that made it, so
//! that one [`Nftables`] lives as long as its tables should.
//!
//! Source: `net/netfilter/nf_tables_api.c`, `nfnetlink_rcv_batch` in `net/netfilter/nfnetlink.c`.

use std::io;

use super::numbers::*;
use super::ruleset;
use super::{Head, Messages, NLM_F_ACK, NLM_F_DUMP, Received, Socket, attribute, gone_is_fine};
use crate::kernel::{Family, Hook, PortMatch, Protocol, Rule, Sentence, Table, TableId};

/// A conversation with nf_tables in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Nftables {
    socket: Socket,
    port_id: u32,
}

/// What a table has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Copies that came by.
    pub(crate) copies: u64,
    /// Connections that were led elsewhere.
    pub(crate) redirected: u64,
    /// Connections that it remembers.
    pub(crate) connections: u64,
}

impl Nftables {
    pub fn open() -> io::Result<Self> {
        let socket = Socket::open()?;
        let port_id = socket.port_id()?;
        Ok(Self { socket, port_id })
    }

    /// Unique among the netlink sockets of this network namespace, also where two agents have the same pid.
    pub(crate) fn port_id(&self) -> u32 {
        self.port_id
    }

    /// Makes a table in which nothing happens to packets yet. `AlreadyExists` if the name is taken.
    pub(crate) fn create(&self, table: &Table) -> io::Result<()> {
        self.commit(|batch| ruleset::table(batch, table))
    }

    /// Adds rules to a table, all at once.
    pub(crate) fn arm(&self, table: &TableId, rules: &[Rule]) -> io::Result<()> {
        self.commit(|batch| {
            for rule in rules {
                ruleset::rule(batch, table, rule);
            }
        })
    }

    /// Removes all rules of a table but these; its sets, chains and counters stay. No such table is fine.
    pub(crate) fn disarm(&self, table: &TableId, stays: &[Rule]) -> io::Result<()> {
        let result = self.commit(|batch| {
            ruleset::flush(batch, table);
            for rule in stays {
                ruleset::rule(batch, table, rule);
            }
        });
        gone_is_fine(result)
    }

    /// Removes a table and all that is in it. No such table is fine.
    ///
    /// The kernel throws away every packet that waits in any queue of this network namespace when a base chain goes
    /// (`nf_unregister_net_hook` calls `nfqnl_nf_hook_drop`): the caller chooses the moment.
    pub(crate) fn delete(&self, table: &TableId) -> io::Result<()> {
        let result = self.commit(|batch| {
            batch.push(ruleset::head(NFT_MSG_DELTABLE, 0, ruleset::nfproto(table.family)), |body| {
                body.string(NFTA_TABLE_NAME, &table.name);
            });
        });
        gone_is_fine(result)
    }

    /// Tries, in a table that no packet visits, whether the kernel takes a rule with this sentence.
    pub(crate) fn try_out(&self, id: &TableId, owned: bool, sentence: Option<Sentence>) -> io::Result<()> {
        let tried = self.commit(|batch| {
            ruleset::new_table(batch, id, if owned { NFT_TABLE_F_OWNER } else { 0 });
            if let Some(sentence) = sentence {
                let (hook, protocol) = (Hook::Output, Some(Protocol::Tcp));
                ruleset::idle_chain(batch, id, hook);
                ruleset::counter(batch, id, ruleset::DOSE);
                ruleset::bare_rule(batch, id, &Rule { hook, protocol, ports: PortMatch::Any, spares: None, sentence });
            }
        });
        self.delete(id)?;
        tried
    }

    /// Tries whether the kernel takes a rule that leads connections elsewhere. It wants a base chain, so that the table sleeps: no packet visits it.
    pub(crate) fn try_redirect(&self, id: &TableId) -> io::Result<()> {
        let hook = Hook::Opening;
        let rule = Rule {
            hook,
            protocol: Some(Protocol::TcpSyn),
            ports: PortMatch::Any,
            spares: Some(1),
            sentence: Sentence::Redirect { port: 1 },
        };
        let tried = self.commit(|batch| {
            ruleset::new_table(batch, id, NFT_TABLE_F_DORMANT);
            ruleset::base_chain(batch, id, hook, 0);
            ruleset::counter(batch, id, ruleset::DOSE);
            ruleset::counter(batch, id, ruleset::REDIRECTED);
            ruleset::bare_rule(batch, id, &rule);
        });
        self.delete(id)?;
        tried
    }

    /// The names of all tables of both families, ours and others'.
    pub fn tables(&self) -> io::Result<Vec<TableId>> {
        let mut tables = Vec::new();
        for family in [Family::Ip4, Family::Ip6] {
            self.dump(NFT_MSG_GETTABLE, family, &[], |message| {
                let name = find(message, NFTA_TABLE_NAME).map(text);
                tables.extend(name.map(|name| TableId { family, name }));
            })?;
        }
        Ok(tables)
    }

    /// The names of all tables of all families, with the family's number.
    pub(crate) fn tables_of_all_families(&self) -> io::Result<Vec<(u8, String)>> {
        let (mut request, mut tables) = (Messages::default(), Vec::new());
        request.push(ruleset::head(NFT_MSG_GETTABLE, NLM_F_DUMP, NFPROTO_UNSPEC), |_| {});
        self.socket.dump(&request, |message| {
            tables.extend(find(message, NFTA_TABLE_NAME).map(|name| (message.family(), text(name))));
        })?;
        Ok(tables)
    }

    /// What a table counted. No such table has counted nothing.
    pub(crate) fn counted(&self, table: &TableId) -> io::Result<Count> {
        let mut count = Count::default();
        let result = self.dump(NFT_MSG_GETOBJ, table.family, &[(NFTA_OBJ_TABLE, &table.name)], |message| {
            let data = find(message, NFTA_OBJ_DATA).unwrap_or_default();
            let packets = number(attribute(data, NFTA_COUNTER_PACKETS));
            match find(message, NFTA_OBJ_NAME).map(text).as_deref() {
                Some(ruleset::COPIES) => count.copies += packets,
                Some(ruleset::REDIRECTED) => count.redirected += packets,
                _ => {
                    count.packets += packets;
                    count.bytes += number(attribute(data, NFTA_COUNTER_BYTES));
                }
            }
        });
        gone_is_fine(result)?;
        let set = [(NFTA_SET_ELEM_LIST_TABLE, table.name.as_str()), (NFTA_SET_ELEM_LIST_SET, ruleset::CONNECTIONS)];
        let result = self.dump(NFT_MSG_GETSETELEM, table.family, &set, |message| {
            let elements = find(message, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default();
            count.connections += super::attributes(elements).count() as u64;
        });
        gone_is_fine(result)?;
        Ok(count)
    }

    fn commit(&self, write: impl FnOnce(&mut Messages)) -> io::Result<()> {
        let fence = |kind| Head { kind, flags: 0, family: NFPROTO_UNSPEC, resource: NFNL_SUBSYS_NFTABLES };
        let mut batch = Messages::default();
        batch.push(fence(NFNL_MSG_BATCH_BEGIN), |_| {});
        write(&mut batch);
        // Kernels before 6.10 acknowledge no fence, so that the last message between them is asked for the answer.
        let last = batch.ask_last(NLM_F_ACK);
        batch.push(fence(NFNL_MSG_BATCH_END), |_| {});
        self.socket.transact(&batch, last).map_err(|(_, error)| error)
    }

    fn dump(&self, message: u16, family: Family, strings: &[(u16, &str)], each: impl FnMut(&Received<'_>)) -> io::Result<()> {
        let mut request = Messages::default();
        request.push(ruleset::head(message, NLM_F_DUMP, ruleset::nfproto(family)), |body| {
            for (kind, value) in strings {
                body.string(*kind, value);
            }
        });
        self.socket.dump(&request, each)
    }
}

fn find<'a>(message: &Received<'a>, wanted: u16) -> Option<&'a [u8]> {
    message.attributes().find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

fn number(value: Option<&[u8]>) -> u64 {
    value.and_then(|value| value.first_chunk()).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
