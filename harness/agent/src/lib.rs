//! Faults on the network and on the processes of one service, made from inside its namespaces and taken back whatever
//! happens.
//!
//! The binary `shakedown-agent` stands beside a service, hears [`wire::Request`]s on stdin and says [`wire::Line`]s on
//! stdout. It knows this kernel and its own namespaces; it does not know container engines, load or verdicts.
//! For faults on packets it needs `CAP_NET_ADMIN` over the network namespace; for those on processes a pid namespace
//! shared with the service and `CAP_SYS_PTRACE`, and for files of other users' processes `CAP_SETUID` and `CAP_SETGID` or
//! `CAP_SYS_RESOURCE`. Nothing else: no shell, no tools, no files but `/proc`.
//!
//! ```text
//! stdio -> session -> faults (pure: what to do)        -> kernel (the seam: Act, Undo)
//!                                                          linux -> netlink::nftables (rules, counters)
//!                                                                -> queue -> netlink::nfqueue (packets), line (fates)
//!                                                                -> shapes -> netlink::traffic (disciplines, where preferred)
//!                                                                -> process::clocks, process::limits
//! ```
//!
//! Ways in which a fault ends: `revert`; its time to live; the end of stdin; SIGTERM, SIGINT, SIGHUP, SIGQUIT. After
//! SIGKILL the kernel closes our sockets: an owned table goes with the socket that made it, and a queue's packets pass
//! once nobody listens; a discipline stays, but only an owned table leads packets to it. All that is lost by then is what the queue held. What was done to processes stays with them until
//! they end: the container that holds them is the last line of defence.
//!
//! The same binary has a second life, [`press`]: scarcity of processor, memory, disk or tasks, from inside a service's
//! cgroup. The two share the way they wait and speak, and nothing else.
//!
//! Unsafe code is in `netlink/sys.rs`, `press/sys.rs` and `process/sys.rs` and nowhere else.

mod check;
#[cfg(test)]
mod crash;
pub mod doctor;
pub mod faults;
mod histogram;
pub mod kernel;
mod line;
mod linux;
mod netlink;
mod outbox;
pub mod press;
mod process;
mod queue;
pub mod session;
mod shapes;
pub mod stdio;
pub mod survey;
pub mod wire;

pub use linux::Linux;
pub use netlink::nftables::Nftables;
