//! Where the conversation of a client and a PostgreSQL server is, and what the link owes them. It must not know sockets.

use super::{frame::Reader, memory::Memory, rule::PostgresRule, text::Verb, turns::Turns};
use crate::{
    behaviour::Behaviour,
    lots::Lots,
    pipe::Direction,
    talk::{Context, Conversation, Parcels},
};
use bytes::Bytes;
use std::{collections::VecDeque, io};

/// The state of a conversation.
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) queries: Reader,
    pub(super) answers: Reader,
    pub(super) memory: Memory,
    pub(super) turns: Turns,
    /// Errors for which the server was asked something else, in order.
    pub(super) faults: VecDeque<Fault>,
    /// How many there ever were.
    pub(super) faults_ever: u64,
    /// In place of what an `Execute` since the last `Sync` was replaced, if one was: the server listens to nothing else until then.
    pub(super) skips: Option<Verb>,
    /// Whether something came since the last `Sync`.
    pub(super) in_series: bool,
    pub(super) lots: Lots,
    pub(super) farewell: Option<Farewell>,
    has_ended: bool,
    is_over: bool,
    /// The other direction may do what it could not.
    pub(super) stirred: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client has to introduce itself.
    Introduction,
    /// It asked for encryption first.
    Asked,
    Open,
    /// A request to cancel, which is all that its connection carries.
    Cancel,
    /// Not PostgreSQL, or encrypted.
    Opaque,
    /// What the client still says is thrown away.
    Deaf,
}

/// An error in the place of what the server will say.
pub(super) struct Fault {
    /// The turn it comes in.
    pub(super) turn: u64,
    /// What the server's error will name, where it does not follow from the turn.
    pub(super) name: Option<String>,
    pub(super) error: Bytes,
    /// The setting that put it there.
    pub(super) epoch: u64,
}

/// The last that a client hears.
pub(super) struct Farewell {
    pub(super) error: Bytes,
    pub(super) epoch: u64,
    /// Whether what the server still has to say comes before.
    pub(super) is_last: bool,
}

impl State {
    pub(super) fn new() -> State {
        State {
            phase: Phase::Introduction,
            queries: Reader::default(),
            answers: Reader::default(),
            memory: Memory::default(),
            turns: Turns::default(),
            faults: VecDeque::new(),
            faults_ever: 0,
            skips: None,
            in_series: false,
            lots: Lots::default(),
            farewell: None,
            has_ended: false,
            is_over: false,
            stirred: false,
        }
    }

    fn reader(&mut self, direction: Direction) -> &mut Reader {
        match direction {
            Direction::Out => &mut self.queries,
            Direction::Home => &mut self.answers,
        }
    }

    /// Whether the server's answers are not to go on as they come.
    pub(super) fn is_owed(&self) -> bool {
        !self.faults.is_empty() || self.turns.owes()
    }

    /// Whether messages in this direction are held back until they are complete.
    pub(super) fn holds(&self, direction: Direction, context: Context<'_>) -> bool {
        let Some(rule) = rule(context) else { return direction == Direction::Home && self.is_owed() };
        match (direction, self.phase) {
            (Direction::Out, Phase::Introduction) => rule.refuses(),
            (Direction::Out, Phase::Open) => !rule.refuses(),
            (Direction::Out, _) => false,
            (Direction::Home, _) => self.is_owed(),
        }
    }

    /// From here on bytes are only passed on. Where something was put in the place of a query, both sides would wait for something that never comes.
    fn give_up(&mut self) -> io::Result<()> {
        if self.is_owed() || self.farewell.is_some() || self.queries.drops() || self.answers.drops() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not PostgreSQL any more, and a query was taken away"));
        }
        self.phase = Phase::Opaque;
        self.turns.clear();
        self.memory = Memory::default();
        self.stirred = true;
        Ok(())
    }
}

impl Conversation for State {
    fn hear(&mut self, direction: Direction, parcels: &mut Parcels, context: Context<'_>) -> io::Result<()> {
        let heard = match (self.phase, direction) {
            (Phase::Opaque | Phase::Cancel, _) => {
                parcels.insert(self.reader(direction).close());
                parcels.pass_rest();
                Ok(())
            }
            (Phase::Deaf, Direction::Out) => {
                parcels.skip_rest();
                Ok(())
            }
            (_, Direction::Out) => self.hear_client(parcels, context),
            (_, Direction::Home) => self.hear_server(parcels, context),
        };
        if heard.is_err() {
            self.give_up()?;
            parcels.insert(self.reader(direction).close());
        }
        Ok(())
    }

    fn let_go(&mut self, direction: Direction, context: Context<'_>) -> Bytes {
        if self.holds(direction, context) { Bytes::new() } else { self.reader(direction).release() }
    }

    fn end(&mut self, direction: Direction) -> Bytes {
        self.has_ended |= direction == Direction::Home;
        self.reader(direction).release()
    }

    fn own(&mut self, direction: Direction, context: Context<'_>) -> Option<Bytes> {
        if direction == Direction::Out {
            return None;
        }
        let farewell = self.farewell.take_if(|farewell| self.has_ended || !farewell.is_last)?;
        self.is_over = true;
        context.counter.postgres(farewell.epoch, |dose| dose.errors += 1);
        Some(farewell.error)
    }

    fn owes(&self, direction: Direction) -> bool {
        direction == Direction::Home && self.farewell.is_some()
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn is_full(&self, direction: Direction, context: Context<'_>) -> bool {
        direction == Direction::Out && rule(context).is_some() && self.turns.is_full()
    }

    fn is_opaque(&self, context: Context<'_>) -> bool {
        rule(context).is_none() || self.phase == Phase::Opaque
    }

    fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }
}

/// The rule for queries that is on, if one is.
pub(super) fn rule(context: Context<'_>) -> Option<&PostgresRule> {
    if let Behaviour::Postgres(rule) = context.behaviour { Some(rule) } else { None }
}
