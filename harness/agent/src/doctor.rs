//! What the agent finds here, for people.

use std::fmt::Write as _;

use crate::wire::{Facts, QueuePower};

/// Facts as text, with what each missing power costs.
pub fn describe(facts: &Facts) -> String {
    let powers = &facts.powers;
    let queue = powers.queue.map(|power| match power {
        QueuePower::NftQueue => "native queue expression",
        QueuePower::XtNfqueue => "xt target NFQUEUE through nft_compat",
    });
    let mut text = format!("kernel      {} ({})\ninterfaces  {}\n", facts.kernel, facts.arch, facts.interfaces.join(" "));
    let mut row = |name: &str, found: Option<&str>, cost: &str| {
        let _ = match found {
            Some(found) => writeln!(text, "{name:<11} {found}"),
            None => writeln!(text, "{name:<11} MISSING: {cost}"),
        };
    };
    row("nft", powers.nft.then_some("yes"), "no fault is possible");
    row("nft_owner", powers.nft_owner.then_some("yes"), "a SIGKILL of the agent leaves its tables behind");
    row("reject", powers.reject.then_some("yes"), "no fault of kind reset");
    row(
        "copy",
        powers.copy.then_some("yes"),
        "no fault of kind duplicate; latency, reorder and bandwidth in direction out throttle bulk senders",
    );
    row("queue", queue, "only reset and partition, and a partition is not silent towards local senders");
    for reason in &powers.why_not {
        let _ = writeln!(text, "because     {reason}");
    }
    text
}
