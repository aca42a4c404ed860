//! What the agent finds here, for people.

use std::fmt::Write as _;

use crate::session::Means;
use crate::wire::{Facts, QueuePower};

/// Facts as text, with what each missing power costs.
pub fn describe(facts: &Facts, means: Means) -> String {
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
    row("nft", powers.nft.then_some("yes"), "no fault on packets is possible");
    row("nft_owner", powers.nft_owner.then_some("yes"), "a SIGKILL of the agent leaves its tables behind");
    row("reject", powers.reject.then_some("yes"), "no fault of kind reset");
    row("redirect", powers.redirect.then_some("yes"), "no fault of kind redirect, and so no relay beside a service");
    row("forget", powers.forget.then_some("yes"), "a redirect of UDP misses the flows from before");
    row(
        "copy",
        powers.copy.then_some("yes"),
        "no fault of kind duplicate; latency, reorder and bandwidth in direction out throttle bulk senders",
    );
    row("queue", queue, "only reset and partition, and a partition is not silent towards local senders");
    if means == Means::Netem {
        row("netem", powers.netem.then_some("latency, loss (direction out)"), "latency and loss by the queue");
        row("tbf", powers.tbf.then_some("bandwidth (direction out)"), "bandwidth by the queue");
    }
    row("clock", powers.clock.then_some("yes"), "no fault of kind clock");
    row("files", powers.files.then_some("yes"), "no fault of kind files");
    for reason in &powers.why_not {
        let _ = writeln!(text, "because     {reason}");
    }
    text
}
