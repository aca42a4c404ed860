//! Who started something, written so that another process on another day can tell whether that somebody is still alive.
//!
//! A pid alone would lie: pids are used again, and they mean something else after a boot or in another pid namespace (a harness in a
//! container that uses the host's engine).

use crate::process::stat;
use std::{fs, str::FromStr, sync::OnceLock};

/// A process: `pid:start time in ticks:boot id:pid namespace`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pid: u32,
    start_time_ticks: u64,
    boot_id: String,
    pid_namespace: String,
}

/// Whether an owner lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dead,
    /// It lives, or lived, where this process cannot look.
    Unknown,
}

impl Owner {
    /// This process.
    pub(crate) fn current() -> &'static Owner {
        static CURRENT: OnceLock<Owner> = OnceLock::new();
        CURRENT.get_or_init(|| {
            let pid = std::process::id();
            let start_time_ticks = stat::read(pid).map_or(0, |stat| stat.start_time_ticks);
            Owner { pid, start_time_ticks, boot_id: stat::boot_id(), pid_namespace: pid_namespace() }
        })
    }

    /// Where it lives, if it does and it is not this process: in this very pid namespace.
    pub(crate) fn process(&self) -> Option<stat::Stat> {
        let is_other = self.pid != std::process::id() && self.life(true) == Life::Alive;
        stat::read(self.pid).filter(|_| is_other)
    }

    /// Whether this owner lives. `engine_is_local`: what it started runs on this very machine.
    pub(crate) fn life(&self, engine_is_local: bool) -> Life {
        let here = Owner::current();
        if self.boot_id != here.boot_id {
            return if engine_is_local { Life::Dead } else { Life::Unknown };
        }
        if self.pid_namespace != here.pid_namespace {
            return Life::Unknown;
        }
        match stat::read(self.pid) {
            Some(stat) if stat.start_time_ticks == self.start_time_ticks && !stat.is_zombie() => Life::Alive,
            _ => Life::Dead,
        }
    }
}

fn pid_namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}:{}", self.pid, self.start_time_ticks, self.boot_id, self.pid_namespace)
    }
}

impl FromStr for Owner {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(());
        Ok(Owner {
            pid: next()?.parse().map_err(|_| ())?,
            start_time_ticks: next()?.parse().map_err(|_| ())?,
            boot_id: next()?.to_owned(),
            pid_namespace: next()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_one_with_its_pid_but_another_start_is_dead() {
        let here: Owner = Owner::current().to_string().parse().unwrap();
        assert_eq!(here.life(true), Life::Alive);
        let other = Owner { start_time_ticks: here.start_time_ticks + 1, ..here.clone() };
        assert_eq!(other.life(true), Life::Dead);
    }

    #[test]
    fn an_owner_from_another_boot_is_dead_here_and_unknown_behind_a_remote_engine() {
        let other = Owner { boot_id: "another".to_owned(), ..Owner::current().clone() };
        assert_eq!(other.life(true), Life::Dead);
        assert_eq!(other.life(false), Life::Unknown);
        let elsewhere = Owner { pid_namespace: "1".to_owned(), ..Owner::current().clone() };
        assert_eq!(elsewhere.life(true), Life::Unknown);
        assert!("garbage".parse::<Owner>().is_err());
    }
}
