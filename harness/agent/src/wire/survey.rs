//! What a survey finds: the answer to [`super::Request::Survey`]. Two of them are compared by whoever asked.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows of a list. What is beyond is in one row more: how many there are, and a fingerprint of them.
pub const MAX_ROWS: usize = 80;
/// Bytes of a row.
pub const MAX_ROW_BYTES: usize = 120;

/// What stands in the network namespace of the agent and, where it shares one, in the pid namespace of its service. Rows are sorted and
/// hold nothing that changes by itself: counters, ages, carriers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Survey {
    /// Of all families, ours and others': `ip shakedown_7_1_slow`.
    pub nft_tables: Vec<String>,
    /// `eth0 root tbf 8001:`
    pub qdiscs: Vec<String>,
    /// Without those of IPv6 that the kernel or a router made: they come and go by themselves: `ip default via 10.0.0.1 dev eth0 table 254`.
    pub routes: Vec<String>,
    /// Policy routing: `ip 32766 table 254`.
    pub rules: Vec<String>,
    /// `eth0 up mtu 1500`
    pub links: Vec<String>,
    /// Of the pid namespace; absent where that is the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<ProcessSurvey>,
    /// What could not be looked at, each with the reason: its list is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

/// What is wrong or unusual with the processes of a service, all of them looked at: none is remembered from a fault.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessSurvey {
    /// How many there are, agents apart.
    pub count: u64,
    /// Whose functions that tell the time are not the kernel's: `17 postgres`.
    pub skewed: Vec<String>,
    /// Who stands still (state `T` or `t`).
    pub stopped: Vec<String>,
    /// Soft limits on descriptors, and how many have each.
    pub file_limits: BTreeMap<u64, u64>,
}
