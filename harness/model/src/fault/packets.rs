//! What is done to the packets of an edge; `latency` and `bandwidth` are done to its bytes where there are no packets.

use super::{Asked, millis, percent};
use crate::units::{Bytes, Percent, Span, Throughput};
use serde::{Deserialize, Serialize};

/// Lost packets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Of the packets, above 0, at most 100 %.
    pub share: Percent,
    /// Mean length of a run of lost packets; 1: each packet is lost or not by itself.
    pub burst: u32,
}

/// Packets that are overtaken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reorder {
    /// Of the packets.
    pub share: Percent,
    /// How long such a packet is held.
    pub delay: Span,
}

/// Packets with a flipped bit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Corrupt {
    /// Of the packets.
    pub share: Percent,
}

/// Packets that come twice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Duplicate {
    /// Of the packets.
    pub share: Percent,
}

/// New connections that are hurt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Connect {
    /// How long each attempt is held; `None`: it vanishes.
    pub delay: Option<Span>,
}

/// A path that carries small packets only, and does not say so (a black hole, RFC 2923).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mtu {
    /// The largest packet that passes, from its IP header on.
    pub size: Bytes,
}

/// A narrow line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// What it carries in each direction.
    pub rate: Throughput,
}

/// Added delay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Mean.
    pub delay: Span,
    /// Half width (uniform) or standard deviation (the others).
    pub jitter: Span,
    /// Shape of the jitter.
    pub distribution: Distribution,
    /// How far a delay follows the one before it.
    pub correlation: Percent,
}

/// Shape of a jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// `delay ± jitter`, flat.
    Uniform,
    /// Gaussian, cut at zero.
    Normal,
    /// A long tail: most delays are a little below the mean, few far above it.
    Pareto,
    /// A quarter normal, three quarters Pareto.
    ParetoNormal,
}

/// A cut between two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Partition {
    /// Which way.
    pub direction: Direction,
}

/// Which way traffic goes, seen from the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// What the caller sends.
    Out,
    /// What the caller would receive.
    In,
    /// Both.
    #[default]
    Both,
}

impl Latency {
    pub(super) fn asked(&self) -> Asked {
        vec![("delay_ms", millis(self.delay)), ("jitter_ms", millis(self.jitter)), ("correlation_percent", percent(self.correlation))]
    }
}

impl Loss {
    pub(super) fn asked(&self) -> Asked {
        vec![("share_percent", percent(self.share)), ("burst_packets", f64::from(self.burst))]
    }
}

impl Reorder {
    pub(super) fn asked(&self) -> Asked {
        vec![("share_percent", percent(self.share)), ("delay_ms", millis(self.delay))]
    }
}

impl Connect {
    pub(super) fn asked(&self) -> Asked {
        self.delay.map(|delay| ("delay_ms", millis(delay))).into_iter().collect()
    }
}
