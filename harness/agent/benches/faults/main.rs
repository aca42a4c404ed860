//! What a fault by packets costs and how well it keeps its word: `make bench-faults`, or `cargo bench -p shakedown-agent --bench faults`, as root.
//!
//! It asserts nothing: it prints tables for docs/benchmarks.md, with the aim of each figure beside it. What is compared is measured in turns.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it prints what it finds, and there is nobody to recover")]

mod dose;
mod engine;
mod onset;
mod passage;
mod statistics;
#[path = "../../tests/support/mod.rs"]
mod support;

fn main() {
    support::in_two_namespaces(|far| {
        onset::measure(far);
        dose::latency(far);
        dose::loss(far);
        dose::bandwidth(far);
        passage::measure(far);
    });
}
