//! Which reply belongs to which command, what goes on of either, and what the link replies itself. It must not know sockets.

use super::{
    Malformed,
    keys::{Role, can_miss, keys, role},
    reply::Reply,
    request::{Request, command},
    rule::{RedisAction, RedisRule, reply},
};
use crate::{
    behaviour::Behaviour,
    lots::Lots,
    pipe::Direction,
    talk::{Context, Conversation, Parcels},
};
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, io, time::Duration};

/// Commands without a reply before no more are read under a rule: the caller is to feel it.
const IN_FLIGHT: u64 = 1 << 10;
/// There is no such command.
const INSTEAD: &[u8] = b"SHAKEDOWN.ANSWERS.IN.PLACE.OF.THIS";
/// Behind the name of a key that is to be missed. Before it the name stays, for the sake of access rules on its beginning.
const MISSED: &[u8] = b":missed-by-shakedown";

/// The state of a conversation.
pub(super) struct State {
    /// The command that comes.
    request: Request,
    /// What came of it and is held.
    held: BytesMut,
    fate: Fate,
    /// Whether the caller is in a transaction.
    in_multi: bool,
    /// Whether no more commands are told apart.
    is_beyond: bool,
    exchanges: VecDeque<Exchange>,
    /// Commands in them.
    waiting: u64,
    /// The reply that comes.
    reply: Reply,
    /// What takes its place, and the setting that put it there.
    instead: Option<Own>,
    is_opaque: bool,
    lots: Lots,
    /// The other direction may do what it could not.
    stirred: bool,
}

/// What becomes of the rest of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Undecided,
    /// It is too late to change it, and not known what it is.
    Going,
    Pass,
    Drop,
}

/// Commands that wait for their replies.
enum Exchange {
    /// So many have the callee's.
    Theirs(u64),
    /// One has the link's.
    Own(Own),
    /// One has the link's in place of one of the callee's.
    Instead(Own),
    /// Behind it nothing is told apart.
    Beyond,
}

struct Own {
    reply: Bytes,
    epoch: u64,
}

impl State {
    pub(super) fn new() -> State {
        State {
            request: Request::default(),
            held: BytesMut::new(),
            fate: Fate::Undecided,
            in_multi: false,
            is_beyond: false,
            exchanges: VecDeque::new(),
            waiting: 0,
            reply: Reply::default(),
            instead: None,
            is_opaque: false,
            lots: Lots::default(),
            stirred: false,
        }
    }

    fn holds(&self, context: Context<'_>) -> bool {
        rule(context).is_some() && !self.is_beyond && self.fate == Fate::Undecided
    }

    fn release(&mut self) -> Bytes {
        if !self.held.is_empty() {
            self.fate = Fate::Going;
        }
        self.held.split().freeze()
    }

    fn hear_command(&mut self, parcels: &mut Parcels, context: Context<'_>) -> Result<(), Malformed> {
        let taken = self.request.take(parcels.rest())?;
        match self.fate {
            Fate::Pass => parcels.pass(taken),
            Fate::Drop => parcels.skip(taken),
            Fate::Undecided | Fate::Going if self.request.is_known() => self.decide(parcels, taken, context),
            Fate::Undecided if self.holds(context) => {
                self.held.extend_from_slice(&parcels.rest()[..taken]);
                parcels.skip(taken);
            }
            Fate::Undecided | Fate::Going => {
                parcels.insert(self.held.split().freeze());
                parcels.pass(taken);
                self.fate = Fate::Going;
            }
        }
        if self.request.is_done() {
            self.request = Request::default();
            self.fate = Fate::Undecided;
        }
        Ok(())
    }

    /// All that can be known of a command is, with the next bytes.
    fn decide(&mut self, parcels: &mut Parcels, fresh: usize, context: Context<'_>) {
        let request = std::mem::take(&mut self.request);
        let (arguments, name) = (request.arguments(), request.arguments().first().map(|name| name.to_ascii_uppercase()));
        // An empty line or list is no command, and has no reply.
        if let Some(name) = name {
            let role = role(&name, arguments);
            match self.met(&name, role, &request, context) {
                Some((rule, RedisAction::Error { .. })) => self.fail(parcels, fresh, rule, role, context),
                Some((rule, RedisAction::Miss)) => {
                    parcels.skip(fresh);
                    parcels.insert(missing(&name, arguments, rule).into());
                    context.counter.redis(context.epoch, |dose| dose.missed += 1);
                    self.wait(Exchange::Theirs(1));
                }
                Some((_, RedisAction::Delay { duration })) => self.delay(parcels, fresh, *duration),
                Some((_, RedisAction::Timeout)) => {
                    context.counter.redis(context.epoch, |dose| dose.held += 1);
                    self.delay(parcels, fresh, Duration::MAX);
                }
                None if role == Role::Beyond => {
                    self.pass(parcels, fresh);
                    self.is_beyond = true;
                    self.wait(Exchange::Beyond);
                }
                None => {
                    self.pass(parcels, fresh);
                    self.wait(Exchange::Theirs(1));
                }
            }
            self.in_multi = role == Role::Multi || (self.in_multi && !matches!(role, Role::Exec | Role::EndsMulti));
        } else {
            self.pass(parcels, fresh);
        }
        self.held.clear();
        self.fate = if self.fate == Fate::Drop { Fate::Drop } else { Fate::Pass };
        self.request = request;
    }

    fn pass(&mut self, parcels: &mut Parcels, fresh: usize) {
        parcels.insert(self.held.split().freeze());
        parcels.pass(fresh);
    }

    fn delay(&mut self, parcels: &mut Parcels, fresh: usize, delay: Duration) {
        parcels.delay(&self.held, fresh, delay);
        self.wait(Exchange::Theirs(1));
    }

    /// The rule that is on, if it is for this command.
    fn met<'a>(&mut self, name: &[u8], role: Role, request: &Request, context: Context<'a>) -> Option<(&'a RedisRule, &'a RedisAction)> {
        let rule = rule(context)?;
        let can_change = self.fate == Fate::Undecided && matches!(role, Role::Plain | Role::Exec);
        let can_be_so = *rule.action() != RedisAction::Miss || (request.is_whole() && can_miss(name) && request.arguments().len() > 1);
        let is_met = can_change
            && can_be_so
            && rule.matches(name, request.arguments())
            && self.lots.draw(context.epoch, context.connection, rule.seed(), rule.share());
        context.counter.command(context.epoch, context.connection, is_met);
        is_met.then_some((rule, rule.action()))
    }

    /// The command fails. In a transaction the server is to know that one did, and ends it as it is to be ended.
    fn fail(&mut self, parcels: &mut Parcels, fresh: usize, rule: &RedisRule, role: Role, context: Context<'_>) {
        parcels.skip(fresh);
        self.fate = Fate::Drop;
        let (epoch, error) = (context.epoch, rule.error());
        let exchange = match (self.in_multi, role) {
            (false, _) => Exchange::Own(Own { reply: reply(error), epoch }),
            (true, Role::Exec) => {
                parcels.insert(command([b"DISCARD".as_slice()].into_iter()).into());
                Exchange::Instead(Own { reply: reply(&format!("EXECABORT Transaction discarded because of: {error}")), epoch })
            }
            (true, _) => {
                parcels.insert(command([INSTEAD].into_iter()).into());
                Exchange::Instead(Own { reply: reply(error), epoch })
            }
        };
        self.stirred = true;
        self.wait(exchange);
    }

    fn wait(&mut self, exchange: Exchange) {
        self.waiting += 1;
        match (self.exchanges.back_mut(), exchange) {
            (Some(Exchange::Theirs(count)), Exchange::Theirs(more)) => *count += more,
            (_, exchange) => self.exchanges.push_back(exchange),
        }
    }

    fn hear_reply(&mut self, parcels: &mut Parcels, context: Context<'_>) -> Result<(), Malformed> {
        if self.reply.is_at_start() {
            // One read may bring the replies before and behind the link's own.
            while let Some(own) = self.own(Direction::Home, context) {
                parcels.insert(own);
            }
            match self.exchanges.front_mut() {
                _ if parcels.rest().first() == Some(&b'>') => {}
                Some(Exchange::Instead(own)) => self.instead = Some(Own { reply: own.reply.clone(), epoch: own.epoch }),
                Some(Exchange::Theirs(_)) => {}
                // What nobody asked for.
                _ => return Err(Malformed),
            }
        }
        let taken = self.reply.take(parcels.rest())?;
        if self.instead.is_some() {
            parcels.skip(taken);
        } else {
            parcels.pass(taken);
        }
        if self.reply.is_done() {
            let is_push = std::mem::take(&mut self.reply).is_push();
            if let Some(own) = self.instead.take() {
                parcels.insert(own.reply);
                context.counter.redis(own.epoch, |dose| dose.errors += 1);
            }
            if !is_push {
                self.pop();
            }
        }
        Ok(())
    }

    /// One command has its reply.
    fn pop(&mut self) {
        self.stirred |= self.waiting >= IN_FLIGHT;
        self.waiting -= 1;
        if let Some(Exchange::Theirs(count @ 2..)) = self.exchanges.front_mut() {
            *count -= 1;
        } else {
            self.exchanges.pop_front();
        }
    }

    /// From here on bytes are only passed on. Where something was taken away, both sides would wait for something that never comes.
    fn give_up(&mut self) -> io::Result<()> {
        let owes = self.exchanges.iter().any(|exchange| matches!(exchange, Exchange::Own(_) | Exchange::Instead(_)));
        if owes || self.fate == Fate::Drop {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not Redis any more, and a command was taken away"));
        }
        self.is_opaque = true;
        self.is_beyond = true;
        self.exchanges.clear();
        self.stirred = true;
        Ok(())
    }
}

impl Conversation for State {
    fn hear(&mut self, direction: Direction, parcels: &mut Parcels, context: Context<'_>) -> io::Result<()> {
        let is_beyond = self.is_opaque || (direction == Direction::Out && self.is_beyond);
        let heard = match direction {
            _ if is_beyond => {
                parcels.insert(self.end(direction));
                parcels.pass_rest();
                Ok(())
            }
            Direction::Out => self.hear_command(parcels, context),
            Direction::Home => self.hear_reply(parcels, context),
        };
        // It is heard again, and passes.
        if heard.is_err() { self.give_up() } else { Ok(()) }
    }

    fn let_go(&mut self, direction: Direction, context: Context<'_>) -> Bytes {
        if direction == Direction::Home || self.holds(context) { Bytes::new() } else { self.release() }
    }

    fn end(&mut self, direction: Direction) -> Bytes {
        if direction == Direction::Out { self.release() } else { Bytes::new() }
    }

    fn own(&mut self, direction: Direction, context: Context<'_>) -> Option<Bytes> {
        if !self.owes(direction) || !self.reply.is_at_start() {
            return None;
        }
        let Some(Exchange::Own(Own { reply, epoch })) = self.exchanges.pop_front() else { return None };
        self.stirred |= self.waiting >= IN_FLIGHT;
        self.waiting -= 1;
        context.counter.redis(epoch, |dose| dose.errors += 1);
        Some(reply)
    }

    fn owes(&self, direction: Direction) -> bool {
        direction == Direction::Home && matches!(self.exchanges.front(), Some(Exchange::Own(_)))
    }

    fn is_full(&self, direction: Direction, context: Context<'_>) -> bool {
        direction == Direction::Out && rule(context).is_some() && self.waiting >= IN_FLIGHT
    }

    fn is_opaque(&self, context: Context<'_>) -> bool {
        rule(context).is_none() || self.is_beyond
    }

    fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }
}

/// The rule for commands that is on, if one is.
fn rule(context: Context<'_>) -> Option<&RedisRule> {
    if let Behaviour::Redis(rule) = context.behaviour { Some(rule) } else { None }
}

/// The command with other names in place of the keys that are to be missed.
fn missing(name: &[u8], arguments: &[Vec<u8>], rule: &RedisRule) -> Vec<u8> {
    let mut renamed = arguments.to_vec();
    for at in keys(name, arguments) {
        if rule.is_for(&arguments[at]) {
            renamed[at].extend_from_slice(MISSED);
        }
    }
    command(renamed.iter().map(Vec::as_slice))
}
