//! What a protocol is to the pipes of its connection. It must not know any.

use super::parcel::Parcels;
use crate::{
    behaviour::{Behaviour, Setting},
    dose::Counter,
    http::HttpRule,
    pipe::Direction,
};
use bytes::Bytes;
use std::{io, sync::Arc};
use tokio::time::Instant;

/// What holds for a connection now.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// What may be a rule for messages.
    pub(crate) behaviour: &'a Behaviour,
    /// The setting.
    pub(crate) epoch: u64,
    pub(crate) connection: u64,
    pub(crate) counter: &'a Counter,
}

impl<'a> Context<'a> {
    pub(crate) fn new(setting: &'a Setting, connection: u64, counter: &'a Counter) -> Context<'a> {
        Context { behaviour: &setting.behaviour, epoch: setting.epoch, connection, counter }
    }

    /// The rule for HTTP requests that is on, if one is.
    pub(crate) fn http(&self) -> Option<&'a Arc<HttpRule>> {
        if let Behaviour::Http(rule) = self.behaviour { Some(rule) } else { None }
    }

    /// Whether messages of some protocol are to be changed.
    pub(crate) fn has_rule(&self) -> bool {
        self.behaviour.is_rule()
    }

    /// The same where nothing is on.
    pub(super) fn without_rule(self) -> Context<'a> {
        Context { behaviour: &Behaviour::Pass, ..self }
    }
}

/// Whether a connection that began so is of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    No,
    /// It is too early to tell. No protocol says so of more than a few bytes.
    Perhaps,
    Yes,
}

/// How connections of a protocol begin, and how they go on.
pub(crate) struct Protocol {
    /// Of the caller's first bytes.
    pub(crate) caller: fn(&[u8]) -> Begins,
    /// Whether the callee may begin so before the caller's first bytes have told the protocol.
    pub(crate) callee: fn(&[u8]) -> bool,
    pub(crate) converse: fn() -> Box<dyn Conversation>,
}

/// Both directions of one connection of a protocol.
pub(crate) trait Conversation: Send {
    /// Decides about some of the bytes, at least one. Where no rule is on, only what nobody could use yet may be held back. An error is for a
    /// connection that can neither be understood nor be passed on any more, because something was taken away from it.
    fn hear(&mut self, direction: Direction, parcels: &mut Parcels, context: Context<'_>) -> io::Result<()>;

    /// What is held back and no longer needs to be.
    fn let_go(&mut self, direction: Direction, context: Context<'_>) -> Bytes;

    /// One side ended: what was held back of it, and nothing more is waited for from it.
    fn end(&mut self, direction: Direction) -> Bytes;

    /// The link's own next bytes of this direction, if it is their turn.
    fn own(&mut self, direction: Direction, context: Context<'_>) -> Option<Bytes>;

    /// Whether more of the link's own bytes follow: the end of the direction waits for them.
    fn owes(&self, direction: Direction) -> bool;

    /// When it may be the turn of bytes that wait for nothing but their time.
    fn due(&self, _direction: Direction) -> Option<Instant> {
        None
    }

    /// Whether the link's own answer was the last one.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether so much waits that no more should be read.
    fn is_full(&self, direction: Direction, context: Context<'_>) -> bool;

    /// Whether the rule that is on is not for this connection, whatever it still says.
    fn is_opaque(&self, context: Context<'_>) -> bool;

    /// Whether the other direction may do what it could not.
    fn take_stirred(&mut self) -> bool;
}
