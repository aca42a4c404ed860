//! What a fault is done to, in the words of the wire: packets to or from a far end, or processes.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a fault is done to. The words are `{"addresses":[…],"ports":[…]}` or `{"processes":…}`, never both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub enum Target {
    /// The far end: packets to it (direction `out`) and from it (direction `in`).
    Packets {
        /// 1 to 1024 addresses, IPv4 and IPv6 mixed as you like.
        addresses: Vec<IpAddr>,
        /// The far end's TCP and UDP ports; empty means all of them, and every other IP protocol too.
        ports: Vec<u16>,
    },
    /// Processes that the agent sees in `/proc`, those that begin during the fault among them. Never the agent itself.
    Processes(Processes),
}

/// Which processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Processes {
    /// All of the agent's pid namespace, which must not be the machine's own.
    Namespace,
    /// Those of one process group.
    Group(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Packets that this namespace sends to the target.
    Out,
    /// Packets that this namespace receives from the target.
    In,
    /// Both of the above: a round trip is delayed twice.
    Both,
}

/// A [`Target`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    addresses: Option<Vec<IpAddr>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ports: Option<Vec<u16>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processes: Option<Processes>,
}

impl TryFrom<Words> for Target {
    type Error = &'static str;

    fn try_from(words: Words) -> Result<Self, Self::Error> {
        match words {
            Words { addresses: Some(addresses), ports, processes: None } => {
                Ok(Self::Packets { addresses, ports: ports.unwrap_or_default() })
            }
            Words { addresses: None, ports: None, processes: Some(processes) } => Ok(Self::Processes(processes)),
            _ => Err("`to` has either `addresses`, with or without `ports`, or `processes`"),
        }
    }
}

impl From<Target> for Words {
    fn from(target: Target) -> Self {
        match target {
            Target::Packets { addresses, ports } => Self { addresses: Some(addresses), ports: Some(ports), processes: None },
            Target::Processes(processes) => Self { addresses: None, ports: None, processes: Some(processes) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_packets_or_processes_and_never_both_or_neither() {
        let packets = |ports| Target::Packets { addresses: vec!["10.0.0.1".parse().unwrap()], ports };
        let cases = [
            (r#"{"addresses":["10.0.0.1"]}"#, Some(packets(vec![]))),
            (r#"{"addresses":["10.0.0.1"],"ports":[80]}"#, Some(packets(vec![80]))),
            (r#"{"processes":"namespace"}"#, Some(Target::Processes(Processes::Namespace))),
            (r#"{"processes":{"group":12}}"#, Some(Target::Processes(Processes::Group(12)))),
            (r#"{"processes":"namespace","ports":[80]}"#, None),
            (r#"{"processes":"namespace","addresses":[]}"#, None),
            (r#"{"ports":[80]}"#, None),
            ("{}", None),
        ];
        for (words, target) in cases {
            let read: Option<Target> = serde_json::from_str(words).ok();
            assert_eq!(read, target, "{words}");
            if let Some(target) = target {
                let said = serde_json::to_string(&target).unwrap();
                assert_eq!(serde_json::from_str::<Target>(&said).unwrap(), target, "{said}");
            }
        }
    }
}
