//! `ports` and `expose`: the TCP ports that a service listens on. Host ports have no meaning here, both variants run side by side.

use super::{Reading, forms, keys};
use crate::config::{fields::Field, tree::Value};

/// Container ports out of `ports` and `expose`, each once.
pub(super) fn read(service: Field<'_>, reading: &mut Reading<'_>) -> Vec<u16> {
    let mut found = indexmap::IndexSet::new();
    if let Some(field) = keys::get(service, "ports") {
        let mut published = false;
        for item in field.list(reading.problems).unwrap_or_default() {
            let port = if matches!(item.node.value, Value::Map(_)) { long(item, reading) } else { short(item, reading) };
            published |= port.as_ref().is_some_and(|port| port.published);
            found.extend(port.into_iter().flat_map(|port| port.container));
        }
        if published {
            let message = "host ports have no effect: both variants run side by side";
            reading.problems.warn(field.key, message).hint("`load` reaches services by their names and container ports");
        }
    }
    if let Some(field) = keys::get(service, "expose") {
        for item in field.list(reading.problems).unwrap_or_default() {
            found.extend(short(item, reading).into_iter().flat_map(|port| port.container));
        }
    }
    found.into_iter().collect()
}

struct Port {
    container: Vec<u16>,
    published: bool,
}

fn short(item: Field<'_>, reading: &mut Reading<'_>) -> Option<Port> {
    let text = item.text(reading.problems)?;
    match parse_short(text) {
        Some((container, protocol, published)) if reading.problems.spend(container.len() * 64, item.spot()) => {
            let container = tcp_only(container, protocol, item, reading);
            Some(Port { container, published })
        }
        Some(_) => None,
        None => item.wrong("a port such as `8080`, `8080:80`, `127.0.0.1:8080:80` or `9000-9002`", reading.problems),
    }
}

/// `[[ip:]host:]container[/protocol]`, ranges included.
fn parse_short(text: &str) -> Option<(Vec<u16>, &str, bool)> {
    let (address, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (host, container) = match address.rsplit_once(':') {
        Some((host, container)) => (Some(host), container),
        None => (None, address),
    };
    let container = range(container)?;
    if let Some(host) = host {
        // `ip:host`, `ip:` or `host`; an address of version 6 stands in brackets.
        let (ip, port) = match host.rsplit_once(':') {
            Some((ip, port)) => (Some(ip.trim_start_matches('[').trim_end_matches(']')), port),
            None if host.parse::<std::net::IpAddr>().is_ok() => (Some(host), ""),
            None => (None, host),
        };
        let ip_fine = ip.is_none_or(|ip| ip.parse::<std::net::IpAddr>().is_ok());
        let port_fine = port.is_empty() || range(port).is_some_and(|ports| container.len() == 1 || ports.len() == container.len());
        if !(ip_fine && port_fine) {
            return None;
        }
    }
    Some((container, protocol, host.is_some()))
}

/// `80` or `80-82`.
fn range(text: &str) -> Option<Vec<u16>> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        None => Some(vec![number(text)?]),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            // More than this is no list of ports, and loading it would take memory.
            (first <= last && last - first < 1000).then(|| (first..=last).collect())
        }
    }
}

fn long(item: Field<'_>, reading: &mut Reading<'_>) -> Option<Port> {
    if !keys::check(item, "a port", keys::PORT, reading.problems) {
        return None;
    }
    let Some(target) = keys::get(item, "target") else {
        reading.problems.error(item.spot(), "`target` is missing in a port").hint("add `target: 80`");
        return None;
    };
    let expected = "a port such as 80";
    let port: u16 = target.number(expected, reading.problems)?;
    if port == 0 {
        return target.wrong(expected, reading.problems);
    }
    let protocol = keys::get(item, "protocol").and_then(|field| field.node.scalar()).unwrap_or("tcp");
    let container = tcp_only(vec![port], protocol, item, reading);
    Some(Port { container, published: keys::get(item, "published").is_some() })
}

fn tcp_only(ports: Vec<u16>, protocol: &str, item: Field<'_>, reading: &mut Reading<'_>) -> Vec<u16> {
    match protocol {
        "tcp" => ports,
        "udp" | "sctp" => {
            let message = format!("{protocol} port {} is not driven: load and checks speak TCP", item.node.scalar().unwrap_or("here"));
            reading.problems.warn(item.spot(), message);
            Vec::new()
        }
        _ => {
            reading.problems.error(item.spot(), format!("unknown protocol {protocol:?}")).hint("protocols: tcp, udp");
            Vec::new()
        }
    }
}

/// `ulimits`: a number, or `{soft, hard}`.
pub(super) fn ulimits(field: Field<'_>, reading: &mut Reading<'_>) -> indexmap::IndexMap<String, (i64, i64)> {
    let mut limits = indexmap::IndexMap::new();
    for entry in field.entries(reading.problems).unwrap_or_default() {
        let expected = "a number, or `{soft: 1024, hard: 2048}`";
        let both = if matches!(entry.node.value, Value::Map(_)) {
            let table: &keys::Table = &[("soft", keys::Support::Read), ("hard", keys::Support::Read)];
            keys::check(entry, "a limit", table, reading.problems);
            let mut side = |name| keys::get(entry, name).map(|field: Field<'_>| field.number::<i64>("a number", reading.problems));
            match (side("soft"), side("hard")) {
                (Some(Some(soft)), Some(Some(hard))) => Some((soft, hard)),
                // What is there and wrong was told.
                (Some(None), _) | (_, Some(None)) => None,
                _ => entry.wrong(expected, reading.problems),
            }
        } else {
            entry.number::<i64>(expected, reading.problems).map(|limit| (limit, limit))
        };
        limits.extend(both.map(|both| (entry.name.to_owned(), both)));
    }
    limits
}

/// `tmpfs`: `path` or `path:options`, one or many.
pub(super) fn tmpfs(field: Field<'_>, reading: &mut Reading<'_>) -> indexmap::IndexMap<String, String> {
    let split = |text: String| match text.split_once(':') {
        Some((path, options)) => (path.to_owned(), options.to_owned()),
        None => (text, String::new()),
    };
    forms::texts(field, reading.problems).into_iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_form_of_a_port_is_read() {
        let cases: [(&str, &[u16], &str, bool); 9] = [
            ("80", &[80], "tcp", false),
            ("8080:80", &[80], "tcp", true),
            ("127.0.0.1:8080:80", &[80], "tcp", true),
            ("127.0.0.1::80", &[80], "tcp", true),
            ("[::1]:8080:80", &[80], "tcp", true),
            ("9090-9091:8080-8081", &[8080, 8081], "tcp", true),
            ("3000-3002", &[3000, 3001, 3002], "tcp", false),
            ("6060:6060/udp", &[6060], "udp", true),
            ("8000-8010:80", &[80], "tcp", true),
        ];
        for (text, ports, protocol, published) in cases {
            assert_eq!(parse_short(text), Some((ports.to_vec(), protocol, published)), "{text}");
        }
        for wrong in ["", "http", "80:", "0", "70000", "x:80", "1-2:80-82", "5-3", "1-65535"] {
            assert_eq!(parse_short(wrong), None, "{wrong}");
        }
    }
}
