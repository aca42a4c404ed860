//! What stands in a network namespace, whoever put it there: looked at with sockets of its own, which know nothing of any fault.
//!
//! Also for the harness, which looks at the machine's own namespace in the same way.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;

use crate::netlink::nftables::Nftables;
use crate::netlink::route::Routing;
use crate::wire::{MAX_ROW_BYTES, MAX_ROWS, Survey};

const FAMILIES: [u8; 2] = [libc::AF_INET as u8, libc::AF_INET6 as u8];

/// Looks at the network namespace of this thread.
pub fn of_network() -> Survey {
    let mut survey = Survey::default();
    let mut unseen = Vec::new();
    let mut seen = |what: &str, rows: io::Result<Vec<String>>| match rows {
        Ok(rows) => bounded(rows),
        Err(error) => {
            unseen.push(format!("{what}: {error}"));
            Vec::new()
        }
    };
    survey.nft_tables = seen("nft_tables", nft_tables());
    match Routing::open().and_then(|routing| Ok((routing.links()?, routing))) {
        Ok((links, routing)) => {
            survey.links = seen("links", Ok(links.rows()));
            survey.qdiscs = seen("qdiscs", routing.qdiscs(&links));
            survey.routes = seen("routes", of_both(|family| routing.routes(family, &links)));
            survey.rules = seen("rules", of_both(|family| routing.rules(family)));
        }
        Err(error) => drop(seen("links, qdiscs, routes and rules", Err(error))),
    }
    survey.unseen = unseen;
    survey
}

fn nft_tables() -> io::Result<Vec<String>> {
    let tables = Nftables::open()?.tables_of_all_families()?;
    Ok(tables.into_iter().map(|(family, name)| format!("{} {name}", family_word(family))).collect())
}

/// `NFPROTO_*` as nft writes it.
fn family_word(family: u8) -> &'static str {
    match family {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "other",
    }
}

/// A kernel without IPv6 has no routes of it.
fn of_both(list: impl Fn(u8) -> io::Result<Vec<String>>) -> io::Result<Vec<String>> {
    let mut rows = Vec::new();
    for family in FAMILIES {
        match list(family) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT)) => {}
            listed => rows.extend(listed?),
        }
    }
    Ok(rows)
}

/// Sorted, and no more than fits into a line whatever stands there.
pub(crate) fn bounded(mut rows: Vec<String>) -> Vec<String> {
    for row in &mut rows {
        row.retain(|char| !char.is_control());
        row.truncate(row.floor_char_boundary(MAX_ROW_BYTES));
    }
    rows.sort();
    if rows.len() > MAX_ROWS {
        let rest = rows.split_off(MAX_ROWS);
        let mut hasher = DefaultHasher::new();
        rest.hash(&mut hasher);
        rows.push(format!("and {} more, {:016x}", rest.len(), hasher.finish()));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_of_whatever_stands_there_fits_into_a_line() {
        let rows = |last: &str| {
            bounded((0..500).map(|number| format!("{number:03} {}", "\\\u{7}é".repeat(200))).chain([last.to_owned()]).collect())
        };
        let survey =
            Survey { nft_tables: rows("z"), qdiscs: rows("z"), routes: rows("z"), rules: rows("z"), links: rows("z"), ..Survey::default() };
        assert!(serde_json::to_string(&survey).unwrap().len() < crate::wire::MAX_LINE_BYTES);
        assert_ne!(rows("y"), rows("z"), "what is cut off is not lost");
        assert_eq!(rows("z"), rows("z"));
    }
}
