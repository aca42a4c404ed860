//! The manner in which the harness and its helpers (the agent, the relay, the disk) speak: one JSON object a line, UTF-8, over a pipe.
//!
//! The harness writes requests and reads [`Line`]s. A reply carries the `id` of its request; a line that could not be understood is
//! answered with `"id":null` (or its id, where one could be read). Lines with `event` answer nothing: the helper says them by itself.
//! Unknown fields in a request are errors, so that a typing mistake never becomes a fault that does something else; unknown fields in a
//! reply are ignored, so that an older harness can read it.
//!
//! Units are in the names: `_ppm` millionths, `_us` microseconds, `_ms` milliseconds, `_unix_ns` nanoseconds since 1970 by the wall clock.
//!
//! Which requests there are and what they mean is each helper's own business (its `wire`). Nothing here does any I/O, and nothing waits:
//! one helper polls, one has threads, one is async.

mod check;
mod failure;
mod line;
mod lines;
mod past;
mod words;

pub use check::{check_name, check_ttl};
pub use failure::{Failure, failure, invalid, malformed};
pub use line::{Event, Line, request, said};
pub use lines::{Heard, Lines};
pub use past::Past;
pub use words::{Applied, Beat, Reverted, unix_ns};
