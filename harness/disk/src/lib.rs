//! Disk faults on directories of a service.
//!
//! The service's container starts through `shakedown-disk disk`, which mounts a FUSE file system over each directory inside the
//! container's own mount namespace and then becomes the service's program: every file that the service ever opens there goes through
//! it, nothing is left on the host, and it dies with the container. It passes everything through until `shakedown-disk control` says
//! otherwise.
//!
//! This crate knows no engines, no experiments and no verdicts, and depends on no other room but the manner of speaking. The harness uses [`wire`].

mod check;
mod control;
mod desk;
mod errno;
mod files;
mod hold;
mod pattern;
mod random;
mod serve;
pub mod start;
mod sys;
mod talk;
pub mod wire;
mod work;

pub use control::pass_on;
