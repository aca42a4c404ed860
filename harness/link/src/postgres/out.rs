//! What a client says, and what the server hears of it. It must not know the answers.

use super::{
    REQUESTS,
    frame::{self, Form, HEAD, Malformed, Message, text},
    rule::{PostgresAction, PostgresRule},
    state::{Farewell, Fault, Phase, State, rule},
    text::{Verb, may_end, normalised, verb},
    turns::Turn,
};
use crate::{
    pipe::Direction,
    talk::{Context, Parcels},
};
use bytes::{BufMut, BytesMut};
use std::time::Duration;

/// A longer query passes.
const QUERY: u64 = 1 << 20;
/// The text of a statement that is longer is not known.
const STATEMENT: u64 = 64 << 10;
/// As much of a message as names a statement and a portal. Names that are longer are not known.
const NAMES: u64 = 512;
/// Of requests that come before an introduction, the one to cancel.
const CANCEL: u32 = *REQUESTS.start();
const ROLLBACK: &[u8] = b"ROLLBACK\0";

impl State {
    pub(super) fn hear_client(&mut self, parcels: &mut Parcels, context: Context<'_>) -> Result<(), Malformed> {
        let form = match self.phase {
            Phase::Introduction => Form::Introduction,
            Phase::Open => Form::Tagged,
            // It must wait for the answer.
            _ => return Err(Malformed),
        };
        let (holds, has_rule) = (self.holds(Direction::Out, context), rule(context).is_some());
        let wanted = |tag, total: u64| match tag {
            0 => total,
            b'Q' if has_rule && total <= QUERY => total,
            b'P' => total.min(STATEMENT),
            b'B' | b'C' | b'E' => total.min(NAMES),
            _ => 0,
        };
        let Some(message) = self.queries.read(parcels, form, holds, wanted)? else { return Ok(()) };
        match message.tag {
            0 => self.introduction(parcels, &message, context),
            b'Q' => self.query(parcels, &message, context),
            b'E' => self.execute(parcels, &message, context),
            b'S' => self.sync(parcels, &message),
            _ => {
                self.queries.pass(parcels, &message);
                self.note(&message)
            }
        }
    }

    fn introduction(&mut self, parcels: &mut Parcels, message: &Message, context: Context<'_>) -> Result<(), Malformed> {
        let version = message.bytes.get(4..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let is_introduction = version >> 16 == 3 && has_parameters(message.body());
        if is_introduction && let Some(rule) = self.refused(message, context) {
            self.queries.drop(parcels, message);
            self.part(rule, context);
            return Ok(());
        }
        self.queries.pass(parcels, message);
        match version {
            CANCEL => self.phase = Phase::Cancel,
            request if REQUESTS.contains(&request) => self.phase = Phase::Asked,
            _ if is_introduction => {
                self.phase = Phase::Open;
                self.turns.begin(Turn::Query)?;
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn refused<'a>(&mut self, message: &Message, context: Context<'a>) -> Option<&'a PostgresRule> {
        let rule = rule(context).filter(|rule| rule.refuses() && message.can_change())?;
        let is_met = self.lots.draw(context.epoch, context.connection, rule.seed(), rule.share());
        context.counter.query(context.epoch, context.connection, is_met);
        is_met.then_some(rule)
    }

    fn query(&mut self, parcels: &mut Parcels, message: &Message, context: Context<'_>) -> Result<(), Malformed> {
        let read = rule(context).and_then(|_| text(message.body())).map(|(text, _)| normalised(text));
        let met = self.met(read.as_deref(), message, context);
        if may_end(read.as_deref()) {
            self.turns.may_end_transaction();
        }
        let turn = match met.map(|rule| (rule, rule.action())) {
            None => {
                self.queries.pass(parcels, message);
                Turn::Query
            }
            Some((rule, PostgresAction::Error { error, .. })) if !is_fatal(rule) => {
                let commits = read.as_deref().is_some_and(|text| verb(text) == Verb::Commit);
                let instead = format!("shakedown answers {error} in place of this query\0");
                self.queries.drop(parcels, message);
                // A commit that fails ends its transaction all the same.
                parcels.insert(frame::message(b'Q', if commits { ROLLBACK } else { instead.as_bytes() }));
                self.fault(rule, None, context);
                Turn::Own
            }
            Some((rule, _)) => {
                if !self.late(parcels, message, rule, context) {
                    return Ok(());
                }
                Turn::Query
            }
        };
        self.turns.begin(turn)
    }

    fn execute(&mut self, parcels: &mut Parcels, message: &Message, context: Context<'_>) -> Result<(), Malformed> {
        self.in_series = true;
        let read = text(message.body()).and_then(|(portal, _)| self.memory.text(portal));
        let met = if self.skips.is_none() { self.met(read.as_deref(), message, context) } else { None };
        if may_end(read.as_deref()) {
            self.turns.may_end_transaction();
        }
        match met.map(|rule| (rule, rule.action())) {
            None => self.queries.pass(parcels, message),
            Some((rule, PostgresAction::Error { error, .. })) if !is_fatal(rule) => {
                // There is no such portal.
                let name = format!("shakedown-{}-{} answers {error}", context.connection, self.faults_ever);
                let mut body = BytesMut::from(name.as_bytes());
                body.put_bytes(0, 1 + size_of::<u32>());
                self.queries.drop(parcels, message);
                parcels.insert(frame::message(b'E', &body));
                self.fault(rule, Some(name), context);
                self.skips = Some(read.as_deref().map_or(Verb::Other, verb));
            }
            Some((rule, _)) => {
                self.late(parcels, message, rule, context);
            }
        }
        Ok(())
    }

    fn sync(&mut self, parcels: &mut Parcels, message: &Message) -> Result<(), Malformed> {
        self.queries.pass(parcels, message);
        self.in_series = false;
        if self.skips.take() != Some(Verb::Commit) {
            return self.turns.sync(Turn::Series);
        }
        // A commit that fails ends its transaction all the same. Where something before it in its series failed by itself, the transaction ends too:
        // the client is told so and need not roll back.
        parcels.insert(frame::message(b'Q', ROLLBACK));
        self.turns.sync(Turn::Muted)?;
        self.turns.begin(Turn::Silent)
    }

    /// Remembers what a message says that passed.
    fn note(&mut self, message: &Message) -> Result<(), Malformed> {
        match message.tag {
            b'P' | b'B' | b'C' | b'D' | b'H' => {
                self.in_series = true;
                // Where the server skips to the next `Sync`, nothing is prepared or closed.
                if self.skips.is_none() {
                    self.remember(message.tag, message.body());
                }
            }
            b'F' => self.turns.begin(Turn::Query)?,
            b'c' | b'f' => self.turns.end_copy()?,
            b'd' | b'p' | b'X' => {}
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn remember(&mut self, tag: u8, body: &[u8]) {
        match tag {
            b'P' => {
                if let Some((statement, rest)) = text(body) {
                    self.memory.prepare(statement, text(rest).map(|(text, _)| normalised(text)));
                }
            }
            b'B' => {
                if let Some((portal, rest)) = text(body) {
                    let statement = text(rest).map_or(rest, |(statement, _)| statement);
                    self.memory.bind(portal, statement);
                }
            }
            _ => match body.split_first().map(|(kind, rest)| (kind, text(rest))) {
                Some((b'S', Some((statement, _)))) if tag == b'C' => self.memory.forget(statement),
                Some((b'P', Some((portal, _)))) if tag == b'C' => self.memory.close(portal),
                _ => {}
            },
        }
    }

    /// The rule that is on, if it is for this query.
    fn met<'a>(&mut self, read: Option<&str>, message: &Message, context: Context<'a>) -> Option<&'a PostgresRule> {
        let rule = rule(context).filter(|rule| !rule.refuses())?;
        let fails = matches!(rule.action(), PostgresAction::Error { .. });
        // A rollback never fails, and in a transaction that has failed all the rest does so by itself.
        let is_spared = fails && (self.turns.has_failed() || read.is_some_and(|text| verb(text) == Verb::Rollback));
        let is_met = message.can_change()
            && !is_spared
            && rule.matches(read)
            && self.lots.draw(context.epoch, context.connection, rule.seed(), rule.share());
        context.counter.query(context.epoch, context.connection, is_met);
        is_met.then_some(rule)
    }

    /// An error is due in the turn that begins next.
    fn fault(&mut self, rule: &PostgresRule, name: Option<String>, context: Context<'_>) {
        let Some(error) = rule.error() else { return };
        self.faults_ever += 1;
        self.faults.push_back(Fault { turn: self.turns.next(), name, error: error.bytes(), epoch: context.epoch });
    }

    /// Holds a query, or ends the session in place of it; whether it will be asked.
    fn late(&mut self, parcels: &mut Parcels, message: &Message, rule: &PostgresRule, context: Context<'_>) -> bool {
        match rule.action() {
            PostgresAction::Delay { duration } => self.queries.delay(parcels, message, *duration),
            PostgresAction::Timeout => {
                context.counter.postgres(context.epoch, |dose| dose.held += 1);
                self.queries.delay(parcels, message, Duration::MAX);
            }
            PostgresAction::Error { .. } | PostgresAction::Refuse { .. } => {
                self.queries.drop(parcels, message);
                // The server answers what came before, rolls back, and closes.
                parcels.insert(frame::message(b'X', &[]));
                self.part(rule, context);
                return false;
            }
        }
        true
    }

    /// The session ends with the rule's error.
    fn part(&mut self, rule: &PostgresRule, context: Context<'_>) {
        let is_last = self.phase == Phase::Open;
        self.phase = Phase::Deaf;
        self.farewell = rule.error().map(|error| Farewell { error: error.bytes(), epoch: context.epoch, is_last });
        self.stirred = true;
    }
}

fn is_fatal(rule: &PostgresRule) -> bool {
    rule.error().is_some_and(super::error::SqlError::is_fatal)
}

/// Whether that is names and values, each a text, with an empty name at the end.
fn has_parameters(mut body: &[u8]) -> bool {
    while let Some((name, rest)) = text(body) {
        if name.is_empty() {
            return rest.is_empty();
        }
        let Some((_, rest)) = text(rest) else { return false };
        body = rest;
    }
    false
}

const _: () = assert!(HEAD as u64 <= NAMES);
