//! What can be wrong with a load before the first request is due.

use shakedown_model::stack::Variant;

/// A load that cannot be driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Neither one variant nor two different ones.
    #[error("a load drives one variant or two different ones, found {found}: hand in one lane for each variant")]
    Lanes {
        /// What was handed in.
        found: String,
    },
    /// Two variants with nothing to alternate by.
    #[error("two variants alternate by slots, and a slot is {slot:?} long: set it above zero")]
    Slot {
        /// What was handed in.
        slot: std::time::Duration,
    },
    /// A variant without an address.
    #[error("load {load}: the {} has no address for it: hand in where {load} reaches its service", variant.word())]
    NoTarget {
        /// Name of the load.
        load: String,
        /// The variant without it.
        variant: Variant,
    },
    /// A template that cannot be rendered.
    #[error("load {load}: {part} is not a working template: {reason}; `seq`, `rand(low, high)`, `uuid` and `run` are known")]
    Template {
        /// Name of the load.
        load: String,
        /// Which text of it.
        part: String,
        /// What the template engine says.
        reason: String,
    },
    /// A rendered text that HTTP does not allow.
    #[error("load {load}: {part} is {text:?}, which HTTP does not allow there: {way_out}")]
    NotHttp {
        /// Name of the load.
        load: String,
        /// Which text of it.
        part: String,
        /// As rendered.
        text: String,
        /// What to do.
        way_out: &'static str,
    },
}
