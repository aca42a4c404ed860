//! What is done to the HTTP requests of an edge, by a relay.

use super::{Asked, millis, percent};
use crate::units::{Percent, Span};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is done to which HTTP/1.x requests; all that is given must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// Method, in any case.
    pub method: Option<String>,
    /// A pattern of the path without its query: `*` and `?` stay within a segment, `**` does not.
    pub path: Option<String>,
    /// Name and exact value of a header.
    pub header: Option<(String, String)>,
    /// Key and value of a member of the W3C `baggage` header.
    pub baggage: Option<(String, String)>,
    /// Of the requests for which all of that holds.
    pub share: Percent,
    /// What is done.
    pub effect: HttpEffect,
}

/// What is done to an HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpEffect {
    /// It is answered without the callee.
    Abort {
        /// 200 to 599.
        status: u16,
    },
    /// It is held.
    Delay {
        /// How long.
        delay: Span,
    },
    /// Its answer is changed.
    Patch(HttpPatch),
}

/// Changes to an answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HttpPatch {
    /// Its status.
    pub status: Option<u16>,
    /// Headers that it gets.
    pub set: IndexMap<String, String>,
    /// Headers that it loses.
    pub remove: Vec<String>,
    /// Its body.
    pub body: Option<String>,
}

impl HttpPatch {
    /// How many things it changes.
    pub fn changes(&self) -> usize {
        usize::from(self.status.is_some()) + self.set.len() + self.remove.len() + usize::from(self.body.is_some())
    }
}

impl fmt::Display for Http {
    /// `POST /charges** with chaos=1 in its baggage, 20%: answered with 503`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_deref().unwrap_or("any method"), self.path.as_deref().unwrap_or("**"))?;
        if let Some((name, value)) = &self.header {
            write!(f, " with {name}: {value}")?;
        }
        if let Some((key, value)) = &self.baggage {
            write!(f, " with {key}={value} in its baggage")?;
        }
        if self.share.0 < 1.0 {
            write!(f, ", {} of them", self.share)?;
        }
        match &self.effect {
            HttpEffect::Abort { status } => write!(f, ": answered with {status}"),
            HttpEffect::Delay { delay } => write!(f, ": held for {delay}"),
            HttpEffect::Patch(_) => write!(f, ": answers changed"),
        }
    }
}

impl Http {
    pub(super) fn asked(&self) -> Asked {
        let effect = match &self.effect {
            HttpEffect::Abort { status } => ("status", f64::from(*status)),
            HttpEffect::Delay { delay } => ("delay_ms", millis(*delay)),
            HttpEffect::Patch(patch) => ("changes", patch.changes() as f64),
        };
        vec![("share_percent", percent(self.share)), effect]
    }
}
