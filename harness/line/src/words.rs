//! Answers that helpers have in common.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A fault is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub name: String,
    /// How it was done, for the report. Example: `nfqueue (xt target in an owned nft table)`.
    pub mechanism: String,
    pub applied_at_unix_ns: u64,
    /// When the helper will revert it unasked.
    pub expires_at_unix_ns: u64,
    /// What applying cost.
    pub took_us: u64,
}

impl Applied {
    /// A fault that is in force from now on, for so long; `begun` is when applying it began.
    pub fn now(name: &str, mechanism: impl Into<String>, ttl: Duration, begun: Instant) -> Self {
        let applied_at_unix_ns = unix_ns();
        Self {
            name: name.to_owned(),
            mechanism: mechanism.into(),
            applied_at_unix_ns,
            expires_at_unix_ns: applied_at_unix_ns + ttl.as_nanos() as u64,
            took_us: begun.elapsed().as_micros() as u64,
        }
    }
}

/// A fault is no longer in force; `D` is what it really did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverted<D> {
    pub name: String,
    /// It was not in force when asked: never applied, reverted before, or expired.
    pub already_gone: bool,
    /// All that it did; absent for a name that was never applied.
    pub dose: Option<D>,
    /// When it ended; absent for a name that was never applied.
    pub reverted_at_unix_ns: Option<u64>,
    /// What reverting cost, including the wait for the kernel.
    pub took_us: u64,
}

/// The helper lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    pub at_unix_ns: u64,
    /// The faults in force, by name.
    pub faults: Vec<String>,
}

/// Nanoseconds since 1970 by this machine's wall clock; 0 where it is set to before.
pub fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_said_in_these_words() {
        let reverted = Reverted { name: "f".to_owned(), already_gone: true, dose: Some(3), reverted_at_unix_ns: Some(4), took_us: 5 };
        assert_eq!(
            serde_json::to_string(&reverted).unwrap(),
            r#"{"name":"f","already_gone":true,"dose":3,"reverted_at_unix_ns":4,"took_us":5}"#
        );
        let beat = Beat { at_unix_ns: 1, faults: vec!["f".to_owned()] };
        assert_eq!(serde_json::to_string(&beat).unwrap(), r#"{"at_unix_ns":1,"faults":["f"]}"#);
        let applied = Applied { name: "f".to_owned(), mechanism: "m".to_owned(), applied_at_unix_ns: 1, expires_at_unix_ns: 2, took_us: 3 };
        assert_eq!(
            serde_json::to_string(&applied).unwrap(),
            r#"{"name":"f","mechanism":"m","applied_at_unix_ns":1,"expires_at_unix_ns":2,"took_us":3}"#
        );
    }

    #[test]
    fn a_fault_expires_its_ttl_after_it_was_applied() {
        let applied = Applied::now("f", "m", Duration::from_millis(7), Instant::now());
        assert_eq!(applied.expires_at_unix_ns - applied.applied_at_unix_ns, 7_000_000);
    }
}
