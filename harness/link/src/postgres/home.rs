//! What a server says, and what the client hears of it. It must not know the queries.

use super::{
    frame::{Form, Malformed, Message},
    state::{Phase, State},
    turns::Turn,
};
use crate::{
    pipe::Direction,
    talk::{Context, Parcels},
};

/// An error that is longer is the server's own.
const ERROR: u64 = 64 << 10;

impl State {
    pub(super) fn hear_server(&mut self, parcels: &mut Parcels, context: Context<'_>) -> Result<(), Malformed> {
        if self.phase == Phase::Asked {
            return self.hear_encryption(parcels);
        }
        if self.phase == Phase::Introduction {
            return Err(Malformed);
        }
        let turn = self.turns.current();
        let (holds, is_owed) = (self.holds(Direction::Home, context), self.is_owed());
        let wanted = |tag, total: u64| match tag {
            b'Z' => total,
            b'E' if is_owed && total <= ERROR => total,
            _ => 0,
        };
        let Some(message) = self.answers.read(parcels, Form::Tagged, holds, wanted)? else { return Ok(()) };
        if message.tag == b'E' {
            self.turns.fail();
        }
        match (message.tag, turn) {
            (b'Z', _) => return self.ready(parcels, &message, context),
            // What has nothing to do with the turn: notices, parameters, notifications.
            (b'N' | b'S' | b'A', _) => self.answers.pass(parcels, &message),
            (_, Some(Turn::Own | Turn::Silent)) => self.answers.drop(parcels, &message),
            (b'E', _) => self.failed(parcels, &message, context),
            (b'G', _) => {
                self.answers.pass(parcels, &message);
                self.turns.begin_copy();
            }
            (tag, _) => {
                self.answers.pass(parcels, &message);
                // What a replication says is not understood here.
                if !b"RKTDC123ntsIVHdcv".contains(&tag) {
                    return Err(Malformed);
                }
            }
        }
        Ok(())
    }

    /// The answer to a request for encryption is one letter.
    fn hear_encryption(&mut self, parcels: &mut Parcels) -> Result<(), Malformed> {
        let answer = parcels.rest().first().copied();
        if answer != Some(b'N') {
            return Err(Malformed);
        }
        parcels.pass(1);
        self.phase = Phase::Introduction;
        Ok(())
    }

    /// An error of the server, or the one that the link asked for.
    fn failed(&mut self, parcels: &mut Parcels, message: &Message, context: Context<'_>) {
        let names = |name: &String| message.bytes.windows(name.len()).any(|part| part == name.as_bytes());
        let asked = self.faults.iter().position(|fault| fault.name.as_ref().is_some_and(names));
        let Some(fault) = asked.and_then(|at| self.faults.drain(..=at).last()) else {
            return self.answers.pass(parcels, message);
        };
        self.answers.drop(parcels, message);
        parcels.insert(fault.error);
        context.counter.postgres(fault.epoch, |dose| dose.errors += 1);
    }

    fn ready(&mut self, parcels: &mut Parcels, message: &Message, context: Context<'_>) -> Result<(), Malformed> {
        let (number, was_full) = (self.turns.number(), self.turns.is_full());
        let status = message.body().first().copied().unwrap_or_default();
        let turn = match self.turns.end(status) {
            Ok(turn) => turn,
            Err(malformed) => {
                self.answers.pass(parcels, message);
                return Err(malformed);
            }
        };
        // What the server skipped because something before it failed is not answered.
        let ended = self.faults.iter().take_while(|fault| fault.turn <= number).count();
        for fault in self.faults.drain(..ended) {
            if turn == Turn::Own && fault.turn == number {
                parcels.insert(fault.error);
                context.counter.postgres(fault.epoch, |dose| dose.errors += 1);
            }
        }
        if turn == Turn::Muted {
            self.answers.drop(parcels, message);
        } else {
            self.answers.pass(parcels, message);
        }
        if status == b'I' && self.turns.is_idle() && !self.in_series {
            self.memory.close_all();
        }
        self.stirred |= was_full;
        Ok(())
    }
}
