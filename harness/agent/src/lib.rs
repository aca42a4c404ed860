//! Faults on the network of one service, made from inside its network namespace and taken back whatever happens.
//!
//! The binary `shakedown-agent` stands beside a service, hears [`wire::Request`]s on stdin and says [`wire::Line`]s on
//! stdout. It knows this kernel and its own network namespace; it does not know container engines, load or verdicts.
//! It needs `CAP_NET_ADMIN` over the namespace and nothing else: no shell, no tools, no files but `/proc`.
//!
//! ```text
//! stdio -> session -> faults (pure: what to do)        -> kernel (the seam: Act, Undo)
//!                                                          netlink::linux -> nftables (rules, counters)
//!                                                                         -> queue -> nfqueue (packets), line (fates)
//! ```
//!
//! Ways in which a fault ends: `revert`; its time to live; the end of stdin; SIGTERM, SIGINT, SIGHUP, SIGQUIT. After
//! SIGKILL the kernel closes our sockets: an owned table goes with the socket that made it, and a queue's packets pass
//! once nobody listens. All that is lost by then is what the queue held.
//!
//! Unsafe code is in `netlink/sys.rs` and nowhere else.

mod check;
#[cfg(test)]
mod crash;
pub mod doctor;
pub mod faults;
mod histogram;
pub mod kernel;
mod line;
mod netlink;
mod queue;
pub mod session;
pub mod stdio;
pub mod wire;

pub use netlink::linux::Linux;
pub use netlink::nftables::Nftables;
