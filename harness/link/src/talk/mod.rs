//! The conversation of one connection as its two pipes see it. In which protocol it is held is told by its first bytes; what is of none that a rule
//! could be for passes. It must not know a protocol: another one is a directory of its own with a [`Protocol`], entered in `first.rs`.

mod conversation;
mod first;
mod parcel;
#[cfg(test)]
pub(crate) mod rehearsal;

pub(crate) use conversation::{Begins, Context, Conversation, Protocol};
pub(crate) use parcel::{Parcel, Parcels};

use crate::pipe::Direction;
use bytes::{Buf, Bytes};
use first::{First, Heard, Unknown};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time::Instant};

/// The conversation, shared by both directions of its connection.
pub(crate) struct Talk {
    state: Mutex<State>,
    /// One for each direction: the other one changed what it may do.
    wakes: [Notify; 2],
}

enum State {
    /// Too little was said.
    Undecided(First),
    Known(Known),
    /// Bytes are only passed on. What was held back of each direction when that was decided.
    Opaque([Bytes; 2]),
}

struct Known {
    conversation: Box<dyn Conversation>,
    /// For each direction, of what the conversation holds back, how much went on before it was asked.
    ahead: [usize; 2],
}

impl Talk {
    pub(crate) fn new() -> Talk {
        Talk { state: Mutex::new(State::Undecided(First::default())), wakes: [Notify::new(), Notify::new()] }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the other direction changed something. Cancel-safe.
    pub(crate) async fn woken(&self, direction: Direction) {
        self.wakes[direction as usize].notified().await;
    }

    /// What the other direction may do now may have changed.
    fn stir(&self, state: &mut State, direction: Direction) {
        if let State::Known(known) = state
            && known.conversation.take_stirred()
        {
            self.wakes[opposite(direction) as usize].notify_one();
        }
    }

    /// What goes on of these bytes, and in place of them. Where a message was taken away and can no longer be answered it is an error.
    pub(crate) fn hear(&self, direction: Direction, bytes: Bytes, context: Context<'_>) -> io::Result<Vec<Parcel>> {
        let state = &mut *self.state();
        let parcels = match state {
            State::Undecided(first) => {
                first.hear(direction, &bytes);
                self.decide(state, direction, context)?
            }
            State::Known(known) => known.hear(direction, bytes, context)?,
            State::Opaque(held) => vec![Parcel::now(std::mem::take(&mut held[direction as usize])), Parcel::now(bytes)],
        };
        if context.has_rule() && state.is_opaque(context) {
            context.counter.opaque(context.epoch, context.connection);
        }
        self.stir(state, direction);
        Ok(parcels)
    }

    /// Looks whether the protocol is known now; what goes on in this direction.
    fn decide(&self, state: &mut State, direction: Direction, context: Context<'_>) -> io::Result<Vec<Parcel>> {
        let State::Undecided(first) = state else { return Ok(Vec::new()) };
        let Some(protocol) = first.decide() else {
            // The callee may wait for the little there is; under a rule the caller's first message is to be met whole.
            let holds = direction == Direction::Out && context.has_rule();
            return Ok(if holds { Vec::new() } else { vec![Parcel::now(first.release(direction))] });
        };
        let [caller, callee] = std::mem::take(first).into_heard();
        match protocol {
            Ok(protocol) if direction == Direction::Out => {
                let (known, parcels) = Known::begin(protocol, [caller, callee], context)?;
                *state = State::Known(known);
                Ok(parcels)
            }
            // Where the callee's bytes decided, the caller did not say what it speaks.
            Ok(_) | Err(Unknown) => {
                let mut held = [caller.held, callee.held];
                let bytes = std::mem::take(&mut held[direction as usize]);
                *state = State::Opaque(held);
                self.wakes[opposite(direction) as usize].notify_one();
                Ok(vec![Parcel::now(bytes)])
            }
        }
    }

    /// What is held back and no longer needs to be.
    pub(crate) fn let_go(&self, direction: Direction, context: Context<'_>) -> Bytes {
        match &mut *self.state() {
            State::Undecided(first) if !context.has_rule() => first.release(direction),
            State::Undecided(_) => Bytes::new(),
            State::Known(known) => known.behind(direction, |conversation| conversation.let_go(direction, context)),
            State::Opaque(held) => std::mem::take(&mut held[direction as usize]),
        }
    }

    /// One side ended: what was held back of it, and nothing more is waited for from it.
    pub(crate) fn end(&self, direction: Direction) -> Bytes {
        let state = &mut *self.state();
        let bytes = match state {
            State::Undecided(first) => first.release(direction),
            State::Known(known) => known.behind(direction, |conversation| conversation.end(direction)),
            State::Opaque(held) => std::mem::take(&mut held[direction as usize]),
        };
        self.stir(state, direction);
        bytes
    }

    /// The link's own next bytes of this direction, if it is their turn.
    pub(crate) fn own(&self, direction: Direction, context: Context<'_>) -> Option<Bytes> {
        let state = &mut *self.state();
        let State::Known(known) = state else { return None };
        let bytes = known.conversation.own(direction, context)?;
        self.stir(state, direction);
        Some(bytes)
    }

    /// Asks the conversation, if there is one yet.
    fn ask<T>(&self, question: impl FnOnce(&dyn Conversation) -> T) -> Option<T> {
        match &*self.state() {
            State::Known(known) => Some(question(&*known.conversation)),
            State::Undecided(_) | State::Opaque(_) => None,
        }
    }

    /// Whether the link's own bytes come next: the end of the direction waits for them.
    pub(crate) fn owes(&self, direction: Direction) -> bool {
        self.ask(|conversation| conversation.owes(direction)).unwrap_or_default()
    }

    /// When to ask for the link's own bytes again.
    pub(crate) fn due(&self, direction: Direction) -> Option<Instant> {
        self.ask(|conversation| conversation.due(direction)).flatten()
    }

    /// Whether the link's own answer was the last one.
    pub(crate) fn is_over(&self) -> bool {
        self.ask(|conversation| conversation.is_over()).unwrap_or_default()
    }

    /// Whether so much waits that no more should be read.
    pub(crate) fn is_full(&self, direction: Direction, context: Context<'_>) -> bool {
        self.ask(|conversation| conversation.is_full(direction, context)).unwrap_or_default()
    }
}

impl State {
    fn is_opaque(&self, context: Context<'_>) -> bool {
        match self {
            State::Undecided(_) => false,
            State::Known(known) => known.conversation.is_opaque(context),
            State::Opaque(_) => true,
        }
    }
}

impl Known {
    /// The caller's latest bytes told the protocol; what goes on of what was held back of it. Nothing is held back of the callee's.
    fn begin(protocol: &Protocol, [caller, callee]: [Heard; 2], context: Context<'_>) -> io::Result<(Known, Vec<Parcel>)> {
        let mut known = Known { conversation: (protocol.converse)(), ahead: [0; 2] };
        known.replay(Direction::Home, callee.gone, context)?;
        known.replay(Direction::Out, caller.gone, context)?;
        let parcels = known.hear(Direction::Out, caller.held, context)?;
        Ok((known, parcels))
    }

    fn hear(&mut self, direction: Direction, bytes: Bytes, context: Context<'_>) -> io::Result<Vec<Parcel>> {
        let mut parcels = Parcels::new(bytes);
        while !parcels.rest().is_empty() {
            self.conversation.hear(direction, &mut parcels, context)?;
        }
        let mut parcels = parcels.finish();
        for parcel in &mut parcels {
            self.take_off(direction, &mut parcel.bytes);
        }
        Ok(parcels)
    }

    /// What went on already is told as under no rule: of what is held back of it as much is not to go on again.
    fn replay(&mut self, direction: Direction, gone: Bytes, context: Context<'_>) -> io::Result<()> {
        let all = gone.len();
        let parcels = self.hear(direction, gone, context.without_rule())?;
        self.ahead[direction as usize] = all - parcels.iter().map(|parcel| parcel.bytes.len()).sum::<usize>();
        Ok(())
    }

    fn behind(&mut self, direction: Direction, act: impl FnOnce(&mut dyn Conversation) -> Bytes) -> Bytes {
        let mut bytes = act(&mut *self.conversation);
        self.take_off(direction, &mut bytes);
        bytes
    }

    fn take_off(&mut self, direction: Direction, bytes: &mut Bytes) {
        let ahead = &mut self.ahead[direction as usize];
        let taken = bytes.len().min(*ahead);
        bytes.advance(taken);
        *ahead -= taken;
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Out => Direction::Home,
        Direction::Home => Direction::Out,
    }
}
