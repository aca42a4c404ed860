//! Where in a message one side of a conversation is. It must not know which side.

use super::{
    body::{Body, Malformed},
    gather::Gather,
};
use crate::talk::Parcels;

/// One side of a conversation.
pub(super) struct Side {
    pub(super) phase: Phase,
    pub(super) head: Gather,
}

pub(super) enum Phase {
    /// Between two messages, or in a head.
    Head,
    Body {
        body: Body,
        fate: Fate,
        next: Next,
    },
    /// Another protocol was asked for and not yet granted; whether something was sent meanwhile.
    Undecided {
        spoke: bool,
    },
    /// Not HTTP/1.x, or no longer.
    Opaque,
    /// Whatever comes is thrown away.
    Deaf,
}

/// What becomes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    Drop,
}

/// What follows a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    Head,
    Undecided,
    Deaf,
}

impl Side {
    pub(super) fn new() -> Side {
        Side { phase: Phase::Head, head: Gather::default() }
    }

    /// Whether no byte of the message that comes went on.
    pub(super) fn can_change(&self) -> bool {
        matches!(self.phase, Phase::Head) && !self.head.has_gone()
    }

    /// Whether bytes are thrown away.
    pub(super) fn drops(&self) -> bool {
        matches!(self.phase, Phase::Body { fate: Fate::Drop, .. } | Phase::Deaf)
    }

    pub(super) fn begin_body(&mut self, body: Body, fate: Fate, next: Next) {
        self.phase = Phase::Body { body, fate, next };
    }

    pub(super) fn is_at_end(&self) -> bool {
        matches!(&self.phase, Phase::Body { body, .. } if body.is_done())
    }

    /// After the end of a message.
    pub(super) fn begin_next(&mut self) {
        if let Phase::Body { next, .. } = self.phase {
            self.phase = match next {
                Next::Head => Phase::Head,
                Next::Undecided => Phase::Undecided { spoke: false },
                Next::Deaf => Phase::Deaf,
            };
        }
    }

    /// All that came is of a head that is not complete.
    pub(super) fn gather(&mut self, parcels: &mut Parcels, holds: bool) -> Result<(), Malformed> {
        if holds {
            self.head.keep(parcels.rest())?;
            parcels.skip_rest();
        } else {
            parcels.insert(self.head.release());
            self.head.keep(parcels.rest())?;
            self.head.let_go();
            parcels.pass_rest();
        }
        Ok(())
    }

    /// Bytes that are in no head.
    pub(super) fn hear_on(&mut self, parcels: &mut Parcels) -> Result<(), Malformed> {
        match &mut self.phase {
            Phase::Body { body, fate, .. } => {
                let length = body.take(parcels.rest())?;
                if *fate == Fate::Pass { parcels.pass(length) } else { parcels.skip(length) }
            }
            Phase::Undecided { spoke } => {
                *spoke = true;
                parcels.pass_rest();
            }
            Phase::Deaf => parcels.skip_rest(),
            Phase::Head | Phase::Opaque => parcels.pass_rest(),
        }
        Ok(())
    }
}
