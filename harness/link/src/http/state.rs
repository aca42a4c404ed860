//! Which answer belongs to which request, what goes on of either, and what the link answers itself. It must not know sockets.

use super::{
    answer,
    body::Malformed,
    head::{Head, RequestHead, Verb, begins_answer, begins_request, read_answer, read_request},
    rule::{Draws, HttpAction, HttpRule},
    side::{Fate, Next, Phase, Side},
};
use crate::{
    pipe::Direction,
    talk::{Context, Conversation, Parcels},
};
use bytes::Bytes;
use std::{collections::VecDeque, io, sync::Arc};

/// Requests without an answer before no more are read under a rule: the caller is to feel it.
const IN_FLIGHT: usize = 1 << 10;
/// And before a connection is taken for something else. One read of the smallest requests does not lead from the other bound to this one.
const UNANSWERED: usize = 1 << 12;

/// The state of a conversation.
pub(super) struct State {
    requests: Side,
    answers: Side,
    exchanges: VecDeque<Exchange>,
    draws: Draws,
    /// An answer of the link was the last of the connection.
    over: bool,
    /// The other direction may do what it could not.
    stirred: bool,
}

/// A request that waits for its answer.
enum Exchange {
    /// The callee's, to be patched if this setting still holds then.
    Theirs { verb: Verb, patch: Option<(u64, Arc<HttpRule>)> },
    /// The link's.
    Own(Own),
}

struct Own {
    status: u16,
    closes: bool,
    /// Whether the caller waits for a word before it sends the body.
    waits: bool,
    /// Whether the whole request came.
    complete: bool,
}

impl Conversation for State {
    fn hear(&mut self, direction: Direction, parcels: &mut Parcels, context: Context<'_>) -> io::Result<()> {
        let side = self.side(direction);
        if !matches!(side.phase, Phase::Head) && !side.head.is_empty() {
            // The other direction gave up while a head was held back here.
            parcels.insert(side.head.next());
        }
        let heard = match direction {
            Direction::Out => self.hear_request(parcels, context),
            Direction::Home => self.hear_answer(parcels, context),
        };
        if heard.is_err() {
            self.give_up()?;
            parcels.insert(self.side(direction).head.next());
        }
        Ok(())
    }

    fn let_go(&mut self, direction: Direction, context: Context<'_>) -> Bytes {
        if self.holds(direction, context) { Bytes::new() } else { self.side(direction).head.release() }
    }

    /// A request that will not be complete is not answered.
    fn end(&mut self, direction: Direction) -> Bytes {
        if direction == Direction::Out && matches!(self.exchanges.back(), Some(Exchange::Own(Own { complete: false, .. }))) {
            self.exchanges.pop_back();
            self.stirred = true;
        }
        self.side(direction).head.release()
    }

    fn own(&mut self, direction: Direction, _: Context<'_>) -> Option<Bytes> {
        if direction == Direction::Home { self.answer() } else { None }
    }

    fn owes(&self, direction: Direction) -> bool {
        direction == Direction::Home && matches!(self.exchanges.front(), Some(Exchange::Own(_)))
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn is_full(&self, direction: Direction, context: Context<'_>) -> bool {
        direction == Direction::Out && context.http().is_some() && self.is_crowded()
    }

    fn is_opaque(&self, context: Context<'_>) -> bool {
        context.http().is_none() || matches!(self.requests.phase, Phase::Opaque)
    }

    fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }
}

impl State {
    pub(super) fn new() -> State {
        State {
            requests: Side::new(),
            answers: Side::new(),
            exchanges: VecDeque::new(),
            draws: Draws::default(),
            over: false,
            stirred: false,
        }
    }

    /// The next bytes of an answer of the link, if it is its turn.
    fn answer(&mut self) -> Option<Bytes> {
        let (Phase::Head, Some(Exchange::Own(own))) = (&self.answers.phase, self.exchanges.front_mut()) else { return None };
        if !own.complete {
            return std::mem::take(&mut own.waits).then(|| Bytes::from_static(answer::CONTINUE));
        }
        let Own { status, closes, .. } = *own;
        if closes {
            self.over = true;
            self.answers.phase = Phase::Deaf;
        }
        self.pop();
        Some(answer::own(status, closes))
    }

    fn is_crowded(&self) -> bool {
        self.exchanges.len() >= IN_FLIGHT
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Out => &mut self.requests,
            Direction::Home => &mut self.answers,
        }
    }

    /// The first exchange is over.
    fn pop(&mut self) {
        self.stirred |= self.is_crowded();
        self.exchanges.pop_front();
    }

    /// Whether a head in this direction is held back until it is complete.
    fn holds(&self, direction: Direction, context: Context<'_>) -> bool {
        match direction {
            Direction::Out => context.http().is_some() && self.requests.can_change(),
            Direction::Home => self.answers.can_change() && self.due_patch(context).is_some(),
        }
    }

    /// The patch of the answer that comes next, if its setting still holds.
    fn due_patch(&self, context: Context<'_>) -> Option<Arc<HttpRule>> {
        match self.exchanges.front() {
            Some(Exchange::Theirs { patch: Some((epoch, rule)), .. }) if *epoch == context.epoch => Some(Arc::clone(rule)),
            _ => None,
        }
    }

    /// From here on bytes are only passed on. Where a message was taken away already, both sides would wait for something that never comes.
    fn give_up(&mut self) -> io::Result<()> {
        let owes = self.exchanges.iter().any(|exchange| matches!(exchange, Exchange::Own(_)));
        if owes || self.requests.drops() || self.answers.drops() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not HTTP any more, and a message was taken away"));
        }
        self.requests.phase = Phase::Opaque;
        self.answers.phase = Phase::Opaque;
        self.exchanges.clear();
        self.stirred = true;
        Ok(())
    }

    fn hear_request(&mut self, parcels: &mut Parcels, context: Context<'_>) -> Result<(), Malformed> {
        match self.requests.phase {
            Phase::Head => self.hear_request_head(parcels, context)?,
            _ => self.requests.hear_on(parcels)?,
        }
        if self.requests.is_at_end() {
            self.requests.begin_next();
            if let Some(Exchange::Own(own)) = self.exchanges.back_mut() {
                own.complete = true;
                self.stirred = true;
            }
        }
        Ok(())
    }

    fn hear_request_head(&mut self, parcels: &mut Parcels, context: Context<'_>) -> Result<(), Malformed> {
        let rest = parcels.rest();
        if self.requests.head.is_empty() && matches!(rest.first(), Some(b'\r' | b'\n')) {
            // An empty line before a request is to be overlooked (RFC 9112, section 2.2).
            parcels.pass(1);
            return Ok(());
        }
        let rule = context.http().filter(|_| self.requests.can_change());
        let matches = |request: &httparse::Request<'_, '_>| rule.is_some_and(|rule| rule.matches(&Head(request)));
        let Some(((head, matches), length)) = self.requests.head.read(rest, begins_request, |bytes| read_request(bytes, matches))? else {
            let holds = self.holds(Direction::Out, context);
            return self.requests.gather(parcels, holds);
        };
        if self.exchanges.len() >= UNANSWERED {
            return Err(Malformed);
        }
        let chosen = rule.filter(|rule| self.draws.chooses(rule, matches && head.verb != Verb::Connect, context));
        self.begin_exchange(parcels, head, length, chosen, context);
        Ok(())
    }

    /// The head of a request is complete with the next `length` bytes.
    fn begin_exchange(
        &mut self,
        parcels: &mut Parcels,
        head: RequestHead,
        length: usize,
        chosen: Option<&Arc<HttpRule>>,
        context: Context<'_>,
    ) {
        let RequestHead { verb, body, upgrades, closes, waits } = head;
        let earlier = self.requests.head.next();
        let mut next = if upgrades || verb == Verb::Connect { Next::Undecided } else { Next::Head };
        let mut fate = Fate::Pass;
        let exchange = match chosen.map(|rule| (rule, rule.action())) {
            Some((_, HttpAction::Abort { status })) => {
                context.counter.aborted(context.epoch);
                parcels.skip(length);
                (fate, next) = (Fate::Drop, if closes { Next::Deaf } else { Next::Head });
                Exchange::Own(Own { status: *status, closes, waits: waits && !body.is_done(), complete: false })
            }
            Some((_, HttpAction::Delay { duration })) => {
                parcels.delay(&earlier, length, *duration);
                Exchange::Theirs { verb, patch: None }
            }
            patch => {
                parcels.insert(earlier);
                parcels.pass(length);
                Exchange::Theirs { verb, patch: patch.map(|(rule, _)| (context.epoch, Arc::clone(rule))) }
            }
        };
        self.stirred |= matches!(exchange, Exchange::Own(_));
        self.exchanges.push_back(exchange);
        self.requests.begin_body(body, fate, next);
    }

    fn hear_answer(&mut self, parcels: &mut Parcels, context: Context<'_>) -> Result<(), Malformed> {
        match self.answers.phase {
            Phase::Head => self.hear_answer_head(parcels, context)?,
            _ => self.answers.hear_on(parcels)?,
        }
        if self.answers.is_at_end() {
            self.answers.begin_next();
            self.pop();
            // One read may bring the answers before and behind the link's own.
            while let Some(answer) = self.answer() {
                parcels.insert(answer);
            }
        }
        Ok(())
    }

    fn hear_answer_head(&mut self, parcels: &mut Parcels, context: Context<'_>) -> Result<(), Malformed> {
        // An answer that nobody asked for belongs to no request.
        let Some(Exchange::Theirs { verb, .. }) = self.exchanges.front() else { return Err(Malformed) };
        let (verb, due) = (*verb, self.due_patch(context).filter(|_| self.answers.can_change()));
        let read = self.answers.head.read(parcels.rest(), begins_answer, |bytes| {
            read_answer(bytes, verb, |response, head| {
                let patch = due.as_ref().and_then(|rule| rule.patch()).filter(|_| !head.is_interim() && !head.switches(verb));
                patch.map(|patch| answer::patched(response, head, verb, patch))
            })
        })?;
        let Some(((head, patched), length)) = read else { return self.answers.gather(parcels, due.is_some()) };
        let earlier = self.answers.head.next();
        let drops_body = patched.as_ref().is_some_and(|patched| patched.drops_body);
        if let Some(patched) = patched {
            parcels.skip(length);
            parcels.insert(patched.bytes);
            context.counter.patched(context.epoch);
        } else {
            parcels.insert(earlier);
            parcels.pass(length);
        }
        if head.is_interim() {
            return Ok(());
        }
        let switches = head.switches(verb);
        self.answers.begin_body(head.body, if drops_body { Fate::Drop } else { Fate::Pass }, Next::Head);
        self.decide_switch(switches)
    }

    /// An answer says whether what follows is another protocol. What was sent before one knew is the other protocol's, or nobody's.
    fn decide_switch(&mut self, switches: bool) -> Result<(), Malformed> {
        match self.requests.phase {
            _ if switches => Err(Malformed),
            Phase::Undecided { spoke: true } if self.exchanges.len() == 1 => Err(Malformed),
            Phase::Undecided { spoke: false } if self.exchanges.len() == 1 => {
                self.requests.phase = Phase::Head;
                Ok(())
            }
            Phase::Body { next: ref mut next @ Next::Undecided, .. } if self.exchanges.len() == 1 => {
                *next = Next::Head;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
